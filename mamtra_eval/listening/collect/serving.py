"""The collector: serves a bundle's site and takes what raters answer.

``GET api/hello`` says that it collects, and for which bundle. ``POST api/sessions`` gives a session
its list, ``POST api/sessions/{session}/events`` takes lines of its record; both may be sent again
at will (``records`` says what is kept). An error is ``{"error", "fix"}``, with ``next_seq``
where lines are refused:

400 form, 403 wrong secret or another site's page, 404 unknown, 408 too slow, 409 another bundle,
another line under a number that is taken, or a gap, 413 too large, 415 not JSON, 429 too fast and
503 database locked or disk full (both with Retry-After; nothing that was answered for is lost).

Files come from ``site/`` alone, with ranges for audio. Nothing is logged of who asked. It speaks
HTTP: for raters elsewhere put a proxy with TLS in front, which must pass the Host header on. Of a
proxy on the same machine, X-Forwarded-For is believed; ``FORWARDED_ALLOW_IPS`` names others.

Starlette and uvicorn come with the extra ``listen``.
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mamtra_eval.errors import UserError
from mamtra_eval.extras import import_extra
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.collect.limits import Limits

if TYPE_CHECKING:
    from starlette.applications import Starlette

FEATURE = "the collector of ratings"
IDLE_S = 75
"""A connection may be between two requests: longer than a clip, and than proxies keep theirs."""
GRACE_S = 10
"""For requests under way, when the server is told to stop."""


def _utc() -> datetime:
    return datetime.now(UTC)


def _nothing() -> None:
    pass


def create_app(
    bundle: Bundle,
    *,
    limits: Limits | None = None,
    clock: Callable[[], datetime] = _utc,
    started: Callable[[], None] = _nothing,
) -> Starlette:
    """The collector of a bundle as an ASGI application.

    Args:
        bundle: with a site.
        limits: of sizes and rates.
        clock: the time, with a time zone.
        started: called when requests are about to be taken.

    Raises:
        UserError: without a site or lists, or where the database can't be opened.
        MissingExtra: without Starlette.
    """
    import_extra("starlette.applications", FEATURE, "starlette", "listen")
    from mamtra_eval.listening.collect import app

    site = bundle.folder / "site"
    if not (site / "index.html").is_file():
        raise UserError(
            "the bundle has no site (index.html is missing)",
            where=str(site),
            fix="Export the bundle again, or give the folder that listen export wrote.",
        )
    _ = bundle.lists  # now rather than when the first rater comes
    return app.build(bundle, limits or Limits(), clock, started)


def serve(
    bundle: Bundle,
    host: str = "127.0.0.1",
    port: int = 8765,
    ready: Callable[[str], None] | None = None,
    limits: Limits | None = None,
) -> None:
    """Serve a bundle until SIGINT or SIGTERM; requests under way are finished.

    Args:
        bundle: with a site.
        host: name or address to listen at.
        port: 0 for any that is free.
        ready: called with the address of the page when it can be opened.
        limits: of sizes and rates.

    Raises:
        UserError: where the port is taken, or for what ``create_app`` refuses.
        MissingExtra: without Starlette or uvicorn.
    """
    uvicorn = import_extra("uvicorn", FEATURE, "uvicorn", "listen")
    with _listen(host, port) as listener:
        url = _url(host, listener.getsockname()[1])
        app = create_app(bundle, limits=limits, started=lambda: ready(url) if ready else None)
        config = uvicorn.Config(
            app, http="h11", ws="none", lifespan="on", log_config=None, access_log=False,
            server_header=False, timeout_keep_alive=IDLE_S, timeout_graceful_shutdown=GRACE_S,
        )  # fmt: skip
        with _signals_end_quietly():
            uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if not 0 <= port <= 65535:
            raise OSError("ports go from 0 to 65535")
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise UserError(
            f"can't listen there ({error.strerror or error})",
            where=_url(host, port),
            fix="Choose another --port, or stop what listens there.",
        ) from error


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


@contextmanager
def _signals_end_quietly() -> Iterator[None]:
    """Uvicorn stops at these signals and raises them again afterwards: that is not needed here."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
