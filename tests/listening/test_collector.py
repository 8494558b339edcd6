"""The collector's application: the API, what it refuses, and which files it gives out."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.listening.bundle import COLLECTED, Bundle
from mamtra_eval.listening.collect import app as application
from mamtra_eval.listening.collect import serving as collector
from mamtra_eval.listening.collect.limits import Buckets, Limits, Rate, network
from tests.listening.collect_pages import (
    JSON,
    Answer,
    ask,
    form,
    kept,
    record,
    secret,
    uuid,
    write_bundle,
)

NOW = datetime(2026, 11, 27, 10, tzinfo=UTC)
SECRET = secret(1)
EVENTS = f"/api/sessions/{uuid(1)}/events"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path)


@pytest.fixture
def app(bundle: Bundle) -> Any:
    return collector.create_app(bundle)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle for requests that change nothing, with odd things in its site."""
    bundle = write_bundle(tmp_path_factory.mktemp("quiet"))
    site = bundle.folder / "site"
    (site / "link.json").symlink_to(bundle.folder / "key/key.json")
    (site / "folder").symlink_to(bundle.folder / "key")
    (site / "loop").symlink_to(site / "loop")
    (site / ".hidden").write_text("hidden")
    (site / "x.html.bin").write_bytes(b"<script>")
    return bundle


@pytest.fixture(scope="module")
def quiet_app(quiet: Bundle) -> Any:
    return collector.create_app(quiet)


def send(app: Any, lines: Any, key: Any = SECRET, path: str = EVENTS, **more: Any) -> Answer:
    return ask(app, "POST", path, {"secret": key, "lines": lines}, **more)


def is_refusal(answer: Answer, status: int) -> bool:
    body = answer.json()
    return answer.status == status and bool(body["error"]) and bool(body["fix"])


def test_a_session_by_the_api(app: Any, bundle: Bundle) -> None:
    assert ask(app, "GET", "/api/hello").json() == {
        "bundle_id": bundle.id, "content_sha256": bundle.content_sha256, "collecting": True,
    }  # fmt: skip
    begun = ask(app, "POST", "/api/sessions", form(bundle, 1))
    assert (begun.status, begun.json()) == (200, {"list": "l00", "next_seq": 0})
    lines = record(uuid(1), "l00")
    assert send(app, lines[:3]).json() == {"next_seq": 3, "complete": False}
    again = ask(app, "POST", "/api/sessions", form(bundle, 1))
    assert again.json() == {"list": "l00", "next_seq": 3}
    assert send(app, lines).json() == {"next_seq": 6, "complete": True}
    assert kept(bundle) == {uuid(1): tuple(lines)}


def test_it_lets_go_of_the_database_at_its_end(app: Any, bundle: Bundle) -> None:
    log = bundle.folder / f"{COLLECTED}-wal"

    async def live() -> bool:
        async with app.router.lifespan_context(app):
            return log.exists()

    assert anyio.run(live)
    assert not log.exists()


def test_what_is_refused_of_events(app: Any, bundle: Bundle) -> None:
    lines = record(uuid(1), "l00")
    assert is_refusal(send(app, lines), 404)
    ask(app, "POST", "/api/sessions", form(bundle, 1))
    send(app, lines[:2])
    assert is_refusal(send(app, lines, key=secret(2)), 403)
    gap = send(app, lines[3:])
    assert is_refusal(gap, 409)
    assert gap.json()["next_seq"] == 2
    assert is_refusal(send(app, [lines[1].replace("[2]", "[4]")]), 409)
    assert is_refusal(send(app, ["\ud800"]), 400)
    assert is_refusal(send(app, [lines[2][:-1] + "x" * 17000 + "}"]), 413)
    for wrong in (None, "x", [1], [None], {"0": lines[2]}):
        assert is_refusal(send(app, wrong), 400)
    for key in (None, 3, ["x"]):
        assert is_refusal(send(app, lines, key=key), 400)
    assert is_refusal(send(app, lines, path="/api/sessions/nobody/events"), 404)
    assert kept(bundle) == {uuid(1): tuple(lines[:2])}


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"bundle_id": "b_0000000000000000"}, 409),
        ({"content_sha256": "0" * 64}, 409),
        ({"bundle_id": None}, 400),
        ({"session": "x"}, 400),
        ({"session": 1}, 400),
        ({"secret": "x"}, 400),
        ({"participant": "x" * 201}, 400),
        ({"participant": "\ud800"}, 400),
        ({"study": "\0"}, 400),
        ({"submission": None}, 400),
    ],
)
def test_what_is_refused_of_a_beginning(
    changed: dict[str, Any], status: int, app: Any, bundle: Bundle
) -> None:
    assert is_refusal(ask(app, "POST", "/api/sessions", form(bundle, 1, **changed)), status)
    assert kept(bundle) == {}


def test_anothers_session_is_not_begun_again(app: Any, bundle: Bundle) -> None:
    ask(app, "POST", "/api/sessions", form(bundle, 1))
    stolen = ask(app, "POST", "/api/sessions", form(bundle, 1, secret=secret(2)))
    assert is_refusal(stolen, 403)
    assert "l00" not in stolen.body.decode()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"{", 400), (b"[]", 400), (b"null", 400), (b'"x"', 400),
        (b'{"secret": "\xff"}', 400), (b"\xff\xfe{\x00", 400), (b"[" * 500_000, 400),
        (b'{"secret": ' + b"9" * 5000 + b"}", 400), ("\ufeff{}".encode(), 400), (b"\0", 400),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/api/sessions", EVENTS])
def test_bodies_that_are_no_form(body: bytes, status: int, path: str, quiet_app: Any) -> None:
    assert is_refusal(ask(quiet_app, "POST", path, body, JSON), status)


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_forms_of_other_pages_have_the_wrong_type(kind: str, app: Any, bundle: Bundle) -> None:
    body = json.dumps(form(bundle, 1)).encode()
    assert is_refusal(ask(app, "POST", "/api/sessions", body, {"content-type": kind}), 415)
    kind = "Application/JSON; charset=utf-8"
    assert ask(app, "POST", "/api/sessions", body, {"content-type": kind}).status == 200


def test_a_huge_body_is_not_read(app: Any) -> None:
    piece = b"x" * 65536
    most = Limits().body_bytes
    for length in ("52428800", "9" * 30):
        answer = ask(app, "POST", EVENTS, [piece] * 800, {**JSON, "content-length": length})
        assert is_refusal(answer, 413)
        assert answer.read_bytes == 0
    answer = ask(app, "POST", EVENTS, [piece] * 800, JSON)  # 50 MB that don't say so
    assert is_refusal(answer, 413)
    assert most < answer.read_bytes <= most + len(piece)
    assert answer.headers["connection"] == "close"


def test_a_body_that_breaks_off(app: Any, bundle: Bundle) -> None:
    ask(app, "POST", "/api/sessions", form(bundle, 1))
    whole = [b'{"secret": "', secret(1).encode(), b'", "lines": []}']
    assert ask(app, "POST", EVENTS, whole, JSON).status == 200
    assert is_refusal(ask(app, "POST", EVENTS, whole, JSON, breaks_off=True), 400)


def test_a_body_that_comes_too_slowly(bundle: Bundle) -> None:
    app = collector.create_app(bundle, limits=Limits(body_s=0.01))
    sent: list[Any] = []

    async def receive() -> Any:
        await anyio.sleep_forever()

    async def note(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": EVENTS, "root_path": "", "query_string": b"",
        "headers": [(b"content-type", b"application/json")], "client": None,
    }  # fmt: skip
    anyio.run(app, scope, receive, note)
    assert sent[0]["status"] == 408


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        (None, "test.example", 200),
        ("http://test.example", "test.example", 200),
        ("https://TEST.example", "test.example:443", 200),
        ("http://localhost:8765", "localhost:8765", 200),
        ("http://[::1]:8765", "[::1]:8765", 200),
        ("https://evil.example", "test.example", 403),
        ("https://test.example.evil.example", "test.example", 403),
        ("http://localhost:8080", "localhost:8765", 403),
        ("http://localhost:8080", "localhost:80", 403),
        ("null", "test.example", 403),
        ("", "test.example", 403),
        ("http://[", "test.example", 403),
        ("null", "", 403),
    ],
)
def test_pages_of_other_hosts_may_not_post(
    origin: str | None, host: str, status: int, app: Any, bundle: Bundle
) -> None:
    headers = {"host": host} if origin is None else {"host": host, "origin": origin}
    answer = ask(app, "POST", "/api/sessions", form(bundle, 1), headers)
    assert answer.status == status
    assert not any(name.startswith("access-control") for name in answer.headers)
    assert (uuid(1) in kept(bundle)) == (status == 200)


ANSWERS = [
    ("GET", "/", 200), ("HEAD", "/", 200), ("GET", "/index.html", 200), ("GET", "/bundle.js", 200),
    ("GET", "/nothing", 404), ("GET", "/audio", 404), ("GET", "/audio/", 404), ("POST", "/", 405),
    ("DELETE", "/index.html", 405), ("PUT", "/bundle.js", 405), ("OPTIONS", "/", 405),
    ("GET", "/api", 404), ("GET", "/api/", 404), ("GET", "/api/nothing", 404),
    ("HEAD", "/api/hello", 200), ("POST", "/api/hello", 405), ("GET", "/api/sessions", 405),
    ("GET", "/api/sessions/", 404), ("OPTIONS", "/api/sessions", 405), ("GET", EVENTS, 405),
    ("DELETE", EVENTS, 405), ("TRACE", EVENTS, 405), ("GET", "/docs", 404),
    ("GET", "/openapi.json", 404), ("GET", f"/api/sessions/{uuid(1)}", 404),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
def test_every_answer_has_the_headers(method: str, path: str, status: int, quiet_app: Any) -> None:
    answer = ask(quiet_app, method, path)
    assert answer.status == status
    policy = answer.headers["content-security-policy"].split("; ")
    assert policy[0] == "default-src 'none'"
    assert {"script-src 'self'", "media-src 'self' blob:", "connect-src 'self'",
            "frame-ancestors 'none'"} <= set(policy)  # fmt: skip
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "microphone=()" in answer.headers["permissions-policy"]
    stored = "no-store" if path.startswith("/api") else "no-cache"
    assert answer.headers["cache-control"] == stored
    if status >= 400:
        api = path.startswith("/api")
        assert is_refusal(answer, status) if api else b"address" in answer.body
    if status == 405:
        assert answer.headers["allow"]


TRAVERSALS = [
    "/../key/key.json", "/..%2fkey/key.json", "/%2e%2e/key/key.json", "/%2e%2e%2fkey%2fkey.json",
    "/audio/../../key/key.json", "/audio/..%2f..%2fkey/key.json", "/.%2e/key/key.json",
    "/..\\key\\key.json", "/..%5ckey%5ckey.json", "//key/key.json", "///etc/passwd",
    "/%2fetc/passwd", "//etc/passwd", "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/....//key/key.json", "/%252e%252e/key/key.json", "/..;/key/key.json", "/./index.html",
    "/audio/../index.html", "/index.html/", "/index.html/..", "/index.html%00", "/%00",
    "/index.html%00.css", "/..%c0%af..%c0%afkey/key.json", "/%ff%fe", "/key.json", "/link.json",
    "/folder/key.json", "/loop", "/.hidden", "/.git/config", "/file:///etc/passwd",
    "/C:/Windows/win.ini", "/" + "a" * 300, "/" + "a/" * 3000, "/?/../key/key.json.",
]  # fmt: skip


@pytest.mark.parametrize("path", TRAVERSALS)
def test_nothing_but_the_sites_files_comes_out(path: str, quiet_app: Any, quiet: Bundle) -> None:
    answer = ask(quiet_app, "GET", path)
    if path.startswith("/?"):
        page = (quiet.folder / "site/index.html").read_bytes()
        assert (answer.status, answer.body) == (200, page)
    else:
        assert answer.status == 404
        assert b"salt" not in answer.body


def test_the_database_is_not_in_the_site(app: Any, bundle: Bundle) -> None:
    assert (bundle.folder / COLLECTED).is_file()
    assert not list((bundle.folder / "site").rglob("*.sqlite*"))


def test_audio_in_ranges(app: Any, bundle: Bundle) -> None:
    file = next((bundle.folder / "site/audio").iterdir())
    path, whole = f"/audio/{file.name}", file.read_bytes()
    answer = ask(app, "GET", path)
    assert (answer.status, answer.body) == (200, whole)
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["accept-ranges"] == "bytes"
    part = ask(app, "GET", path, headers={"range": "bytes=100-199"})
    assert (part.status, part.body) == (206, whole[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole)}"
    assert "content-security-policy" in part.headers
    last = ask(app, "GET", path, headers={"range": "bytes=-50"})
    assert (last.status, last.body) == (206, whole[-50:])
    beyond = ask(app, "GET", path, headers={"range": f"bytes={len(whole)}-"})
    assert beyond.status == 416
    same = ask(app, "GET", path, headers={"if-none-match": answer.headers["etag"]})
    assert (same.status, same.body) == (304, b"")
    head = ask(app, "HEAD", path)
    assert (head.body, head.headers["content-length"]) == (b"", str(len(whole)))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("bundle.js", "text/javascript"), ("index.html", "text/html"), ("x.html.bin", "application/")],
)
def test_types_are_our_own(name: str, kind: str, quiet_app: Any) -> None:
    assert ask(quiet_app, "GET", f"/{name}").headers["content-type"].startswith(kind)


def test_too_many_requests_of_a_session(bundle: Bundle) -> None:
    now = [NOW]
    app = collector.create_app(bundle, clock=lambda: now[0], limits=Limits(session=Rate(0.5, 4)))
    for number in (1, 2):
        ask(app, "POST", "/api/sessions", form(bundle, number))
    assert [send(app, []).status for _ in range(5)] == [200] * 4 + [429]
    refused = send(app, [])
    assert is_refusal(refused, 429)
    assert refused.headers["retry-after"] == "2"
    other = f"/api/sessions/{uuid(2)}/events"
    assert send(app, [], secret(2), other).status == 200
    now[0] += timedelta(seconds=2)
    assert [send(app, []).status for _ in range(2)] == [200, 429]


def test_too_many_requests_of_an_address(bundle: Bundle) -> None:
    app = collector.create_app(
        bundle, clock=lambda: NOW, limits=Limits(address=Rate(1, 3), starts=Rate(1, 2))
    )

    def begin(number: int, client: str) -> int:
        return ask(app, "POST", "/api/sessions", form(bundle, number), client=client).status

    assert [begin(number, "192.0.2.1") for number in (1, 2, 3)] == [200, 200, 429]
    assert ask(app, "GET", "/api/hello", client="192.0.2.1").status == 429
    assert ask(app, "GET", "/index.html", client="192.0.2.1").status == 200
    assert begin(4, "192.0.2.2") == 200
    assert [begin(number, f"2001:db8::{number}") for number in (5, 6, 7)] == [200, 200, 429]
    assert begin(8, "2001:db8:0:1::1") == 200


def test_200_raters_behind_one_address_are_within_the_limits(bundle: Bundle) -> None:
    limits = Limits()
    buckets = [Buckets(limits.starts), Buckets(limits.address), Buckets(limits.address)]
    assert not any(buckets[0].take("nat", 0) for _ in range(200))  # all at once, and twice again
    assert not any(buckets[0].take("nat", 1) for _ in range(400))
    for second in range(600):  # a request a second of each, for ten minutes
        assert not any(buckets[1].take("nat", second) for _ in range(200))


def test_buckets_forget_those_unused_for_longest() -> None:
    buckets = Buckets(Rate(1, 1), most=3)
    assert [buckets.take(name, 0) for name in "abca"] == [0, 0, 0, 1]
    assert buckets.take("d", 0) == 0  # b goes: a was asked after it
    assert buckets.take("a", 0) > 0
    assert buckets.take("b", 0) == 0
    assert buckets.take("a", -5) > 0  # a clock that is set back gives nothing


def test_networks() -> None:
    assert network("192.0.2.7") == "192.0.2.7"
    assert network("2001:db8::7") == network("2001:db8::8:7") == "2001:db8::/64"
    assert network("testclient") == "testclient"


def test_a_locked_database_is_told_and_loses_nothing(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Callable[..., Any] = application.Collected
    monkeypatch.setattr(
        application, "Collected", lambda path, silence_s: made(path, silence_s, patience_s=0.05)
    )
    app = collector.create_app(bundle)
    ask(app, "POST", "/api/sessions", form(bundle, 1))
    lines = record(uuid(1), "l00")
    other = sqlite3.connect(bundle.folder / COLLECTED, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused = send(app, lines)
    assert is_refusal(refused, 503)
    assert int(refused.headers["retry-after"]) > 0
    assert ask(app, "GET", "/index.html").status == 200
    other.execute("ROLLBACK")
    other.close()
    assert send(app, lines).json()["next_seq"] == 6


def test_a_failure_of_the_program_tells_nothing_of_it(
    app: Any, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(application.Collected, "append", fail)
    answer = send(app, [])
    assert is_refusal(answer, 500)
    assert b"secret detail" not in answer.body
    assert answer.headers["cache-control"] == "no-store"


def test_bundles_that_cannot_be_served(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path)
    (bundle.folder / "site/index.html").unlink()
    with pytest.raises(UserError, match="no site"):
        collector.create_app(bundle)
    (bundle.folder / "site/index.html").write_text("")
    (bundle.folder / "design/lists.json").write_text("{}")
    with pytest.raises(UserError, match="no lists"):
        collector.create_app(Bundle(bundle.folder))


def test_nothing_of_starlette_is_imported_before_it_is_needed() -> None:
    program = (
        "import sys, mamtra_eval.listening.collect.serving, mamtra_eval.listening.collect.records\n"
        "sys.exit(bool({'starlette', 'uvicorn'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
