"""``http``: keys go to the one server that was named, and no server decides what we read."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from plain_servers import Told, told

from mamtra_eval import targets
from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.systems import Request, _http_client, http

KEY = "sk-distinctive-4711"
Make = Callable[..., http.Http]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setenv("SPEECH_KEY", KEY)
    made = []

    def new(url: str, **options: object) -> http.Http:
        settings = {"url": url, "retries": 0, "timeout_s": 5, "api_key_env": "SPEECH_KEY"}
        made.append(http.create(settings | options))
        return made[-1]

    yield new
    for each in made:
        each.close()


@pytest.fixture
def server() -> Iterator[Told]:
    with told() as one:
        yield one


def failure(system: http.Http) -> str:
    with pytest.raises(SynthesisError) as caught:
        system.speak(Request("u1", "Hello."))
    assert KEY not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_elsewhere_gets_neither_request_nor_key(
    make: Make, server: Told, status: int
) -> None:
    with told() as other:
        server.answer = (status, {"Location": other.address, "Content-Length": "0"}, b"")
        assert "which is not followed" in failure(make(server.address))
        assert len(server.asked) == 1
        assert server.asked[0]["authorization"] == f"Bearer {KEY}"
        assert other.asked == []


@pytest.mark.parametrize(
    "location",
    ["http://h:443/p", "http://h/p", "https://h:8443/p", "https://other/p", "//other/p",
     "file:///etc/passwd", "ftp://h/p", "https://h.other/p", "https://h@other/p"],
)  # fmt: skip
def test_scheme_host_and_port_stay(make: Make, location: str) -> None:
    request = httpx.Request("POST", "https://h/v1")
    response = httpx.Response(307, headers={"location": location}, request=request)
    client = _http_client.Client({"url": "https://h/v1"}, KEY)
    with pytest.raises(SynthesisError, match="which is not followed"):
        client._redirect(response)


def test_a_redirect_on_the_same_server_is_followed(make: Make, server: Told) -> None:
    server.answer = (307, {"Location": "/other", "Content-Length": "0"}, b"")
    assert "more than 3 redirects" in failure(make(server.address))
    assert len(server.asked) == 4


@pytest.mark.parametrize("status", [200, 400, 500])
def test_an_endless_answer_is_left(
    make: Make, server: Told, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(_http_client, "MAX_BYTES", 1_000_000)
    server.answer, server.endless = (status, {"Content-Type": "text/plain"}, b""), True
    assert len(failure(make(server.address))) < 900


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://h/x", "gopher://h/", "data:audio/wav;base64,AA", "//h/x"]
)
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(UserError):
        http.create({"url": url})
    with pytest.raises(UserError):
        targets.parse("a", url)


def test_no_proxy_stands_before_this_machine(
    make: Make, server: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    with told() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.address)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        make(server.address).speak(Request("u1", "Hello."))
        assert (len(server.asked), proxy.asked) == (1, [])


def test_a_proxy_that_fails_is_not_shown_with_its_password(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://me:proxy-password-1@127.0.0.1:1")
    assert "proxy-password-1" not in failure(make("http://192.0.2.1/v1"))


def test_a_netrc_adds_no_password(
    make: Make, server: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password word\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    make(server.address, api_key_env=None).speak(Request("u1", "Hello."))
    assert "authorization" not in server.asked[0]


def test_cookies_of_one_clip_go_to_no_other_host(make: Make, server: Told) -> None:
    server.answer[1]["Set-Cookie"] = "a=b; Domain=example.org"
    system = make(server.address)
    system.speak(Request("u1", "Hello."))
    system.speak(Request("u2", "Hello."))
    assert "cookie" not in server.asked[1]


def test_a_certificate_of_nobody_is_refused(make: Make, tmp_path: Path) -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
         certificate, "-days", "1", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with told(context) as server:
        message = failure(make(server.address))
        assert "certificate" in message.lower()
        assert server.asked == []
