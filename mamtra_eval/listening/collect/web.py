"""What the collector does for every request: headers, bodies, files of the site, plain errors.

Starlette is imported here, so this is imported only where ``serving`` has made sure of it.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

API = "/api/"
INDEX = "index.html"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), "
        "display-capture=()"
    ),
}
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
}
"""Of the site's files: the system's own table differs from machine to machine."""

_log = logging.getLogger(__name__)


class Problem(Exception):  # noqa: N818 -- it becomes an answer
    """An answer in place of what was asked for."""

    def __init__(
        self, status: int, what: str, fix: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(what)
        self.status = status
        self.body: dict[str, Any] = {"error": what, "fix": fix}
        self.headers = headers


class Guard:
    """Headers on every answer, and an answer in plain words where the program failed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers["Cache-Control"] = "no-store" if is_api(scope) else "no-cache"
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            if started:
                raise
            _log.exception("the collector failed at %s", scope["path"])
            answer = problem(Problem(500, "The server failed.", "Try again; tell the organisers."))
            await answer(scope, receive, send_with_headers)


class Site:
    """Files of one folder; what isn't one of them is 404."""

    def __init__(self, folder: Path) -> None:
        self._files = StaticFiles(directory=folder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a file, as ASGI has it."""
        parts = scope["path"].removeprefix("/").split("/")
        if parts == [""]:
            parts = [INDEX]
        # An empty part would make the path absolute; hidden files are none of the site's.
        if any(not part or part.startswith(".") or "\\" in part for part in parts):
            raise HTTPException(404)
        try:
            response = await self._files.get_response("/".join(parts), scope)
        except OSError:  # a loop of links, no permission: not to be seen from outside
            raise HTTPException(404) from None
        except HTTPException as error:
            raise HTTPException(404 if error.status_code == 401 else error.status_code,
                                headers=error.headers) from None  # fmt: skip
        if "content-type" in response.headers and response.status_code == 200:
            suffix = Path(parts[-1]).suffix.lower()
            response.headers["content-type"] = TYPES.get(suffix, "application/octet-stream")
        await response(scope, receive, send)


async def read_body(request: Request, most: int, patience_s: float) -> bytes:
    """The body, read no further than ``most`` bytes; Problem where it has more."""
    length = request.headers.get("content-length", "0")
    if len(length) > 15 or not length.isdecimal() or int(length) > most:
        raise _too_large(most)
    body = bytearray()
    try:
        with anyio.fail_after(patience_s):
            async for piece in request.stream():
                body += piece
                if len(body) > most:
                    raise _too_large(most)
    except TimeoutError:
        raise Problem(
            408, "The request came too slowly.", "Try again.", {"Connection": "close"}
        ) from None
    except ClientDisconnect:
        raise Problem(400, "The request broke off.", "Try again.") from None
    return bytes(body)


def check_origin(request: Request) -> None:
    """Problem where a page of another host asks; programs that name no origin may."""
    origin = request.headers.get("origin")
    if origin is None:
        return
    own = _host(f"//{request.headers.get('host', '')}")
    if own is None or _host(origin) != own:
        raise Problem(
            403,
            "Only the test's own page may send ratings.",
            "Open the page at this server; a proxy in front of it must pass the Host header on.",
        )


def is_api(scope: Scope) -> bool:
    """Whether a path is the API's."""
    path = str(scope["path"])
    return path.startswith(API) or path == API.rstrip("/")


def problem(one: Problem) -> Response:
    """As JSON."""
    return JSONResponse(one.body, one.status, one.headers)


def plain_error(request: Request, error: Exception) -> Response:
    """What there is to say of a path or method that isn't there."""
    assert isinstance(error, HTTPException)
    what, fix = {
        404: ("There is nothing at this address.", "Open the link again as you were given it."),
        405: ("This address can't be used that way.", "Open the test's page."),
    }.get(error.status_code, (error.detail, "Open the test's page."))
    headers = dict(error.headers or {})
    if is_api(request.scope):
        return problem(Problem(error.status_code, what, fix, headers))
    return PlainTextResponse(f"{what} {fix}\n", error.status_code, headers)


def _too_large(most: int) -> Problem:
    # What is still on its way is not read, so the connection can't be used again.
    return Problem(
        413, f"The request has more than {most} bytes.", "Send fewer lines at once.",
        {"Connection": "close"},
    )  # fmt: skip


def _host(url: str) -> str | None:
    """Host and port of an address; ``None`` where it has none."""
    try:
        host = urlsplit(url).netloc.lower()
    except ValueError:
        return None
    return host.removesuffix(":80").removesuffix(":443") or None
