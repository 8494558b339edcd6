"""What a page sends to the collector, and ways to send it: in this process, to a real server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import anyio

from mamtra_eval.listening.bundle import COLLECTED, Bundle
from mamtra_eval.listening.collect.reading import read_sessions
from tests.listening import made_bundles

REPOSITORY = Path(__file__).parent.parent.parent
SERVE = """
import sys
from pathlib import Path
from mamtra_eval.listening import bundle
from mamtra_eval.listening.collect import serving
serving.serve(bundle.open_bundle(Path(sys.argv[1])), port=0, ready=lambda url: print(url, flush=True))
print("stopped", flush=True)
"""  # noqa: E501
JSON = {"content-type": "application/json"}


def uuid(number: int) -> str:
    """The session of a number."""
    return str(UUID(int=number))


def secret(number: int) -> str:
    return f"{number:032x}"


def record(session: str, given: str, trials: int = 4, end: Any = True) -> list[str]:
    """Lines of a session: its session line, ratings, the end."""
    lines: list[dict[str, Any]] = [{"type": "session", "session": session, "list": given}]
    lines += [
        {"type": "rating", "trial": f"{given}_{place:02d}", "ratings": [place % 5 + 1]}
        for place in range(1, trials + 1)
    ]
    lines.append({"type": "end", "complete": end})
    return [json.dumps({**line, "seq": seq}) for seq, line in enumerate(lines)]


def form(bundle: Bundle, number: int, **changed: Any) -> dict[str, Any]:
    """What begins a session."""
    return {
        "session": uuid(number), "secret": secret(number), "participant": f"p{number}",
        "study": "", "submission": "", "bundle_id": bundle.id,
        "content_sha256": bundle.content_sha256, **changed,
    }  # fmt: skip


def write_bundle(folder: Path) -> Bundle:
    """The made bundle with a page."""
    bundle = made_bundles.write(folder / "bundle")
    (bundle.folder / "site/index.html").write_text("<!doctype html><title>Test</title>")
    (bundle.folder / "site/bundle.js").write_text("window.BUNDLE = {};")
    return bundle


def kept(bundle: Bundle) -> dict[str, tuple[str, ...]]:
    """Lines of every session in a bundle's database."""
    return {one.session: one.lines for one in read_sessions(bundle.folder / COLLECTED)}


@dataclass(frozen=True)
class Answer:
    """Of the application; ``read_bytes`` is how much of the request it took."""

    status: int
    headers: dict[str, str]
    body: bytes
    read_bytes: int

    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    app: Any,
    method: str,
    path: str,
    body: Any = b"",
    headers: dict[str, str] | None = None,
    client: str = "192.0.2.1",
    breaks_off: bool = False,
) -> Answer:
    """One request to an ASGI application, with a path exactly as given.

    ``body`` is bytes, a list of bytes for pieces that come one by one, or a value for JSON.
    """
    if not isinstance(body, bytes | list) or (body and isinstance(body, list) and
                                              not isinstance(body[0], bytes)):  # fmt: skip
        body, headers = json.dumps(body).encode(), {**JSON, **(headers or {})}
    pieces = [body] if isinstance(body, bytes) else list(body)
    sent: list[dict[str, Any]] = []
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        if not pieces:
            if not breaks_off:
                await anyio.sleep_forever()
            return {"type": "http.disconnect"}
        piece = pieces.pop(0)
        taken += len(piece)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces) or breaks_off}

    async def send(message: Any) -> None:
        sent.append(message)

    given = {"host": "test.example", **(headers or {})}
    raw, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": unquote(raw), "raw_path": raw.encode(), "root_path": "",
        "query_string": query.encode(), "client": (client, 1), "server": ("test.example", 80),
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
    }  # fmt: skip
    anyio.run(app, scope, receive, send)
    return Answer(
        sent[0]["status"],
        {name.decode(): value.decode() for name, value in sent[0]["headers"]},
        b"".join(message.get("body", b"") for message in sent[1:]),
        taken,
    )


class Connection:
    """One connection to a real server; a page's requests, without what a whole client costs."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, value: Any) -> tuple[int, dict[str, str], Any]:
        """Status, headers, and what the JSON says; once more where an idle connection has ended."""
        try:
            return await self._post(path, value)
        except (ConnectionError, asyncio.IncompleteReadError):
            await self.close()
            return await self._post(path, value)

    async def _post(self, path: str, value: Any) -> tuple[int, dict[str, str], Any]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        body = json.dumps(value).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): text for name, text in (line.split(": ", 1) for line in rest)}
        answer = json.loads(await reader.readexactly(int(headers["content-length"])))
        return int(first.split()[1]), headers, answer

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            with suppress(ConnectionError):
                await self._streams[1].wait_closed()
            self._streams = None


class Server:
    """The collector as a process of its own."""

    def __init__(self, bundle: Bundle) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(bundle.folder)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise AssertionError(self.process.communicate()[1])
        self.port = int(self.url.rstrip("/").rpartition(":")[2])

    def end(self, number: signal.Signals) -> tuple[int, str, str]:
        """Send a signal, and wait: exit code, output, errors."""
        self.process.send_signal(number)
        out, errors = self.process.communicate(timeout=30)
        return self.process.returncode, out, errors


@contextmanager
def running(bundle: Bundle) -> Any:
    """A server that is gone afterwards, whatever happens."""
    server = Server(bundle)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.end(signal.SIGKILL)
