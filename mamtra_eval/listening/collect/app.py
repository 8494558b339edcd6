"""The collector's Starlette application: three addresses of the API, and the site.

Starlette is imported here, so this is imported only where ``serving`` has made sure of it.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router

from mamtra_eval.listening.bundle import COLLECTED, Bundle
from mamtra_eval.listening.collect.limits import Buckets, Limits, network
from mamtra_eval.listening.collect.lines import SESSION, Reason, Refused
from mamtra_eval.listening.collect.records import Collected, Unavailable
from mamtra_eval.listening.collect.web import (
    Guard,
    Problem,
    Site,
    check_origin,
    plain_error,
    problem,
    read_body,
)

Given = TypeVar("Given")
STATUS: dict[Reason, int] = {
    "form": 400,
    "size": 413,
    "secret": 403,
    "unknown": 404,
    "conflict": 409,
    "gap": 409,
}
RETRY_S = 5
_log = logging.getLogger(__name__)


def build(
    bundle: Bundle, limits: Limits, clock: Callable[[], datetime], started: Callable[[], None]
) -> Starlette:
    """The application; ``started`` is called when it is about to take requests."""
    collected = Collected(bundle.folder / COLLECTED, limits.silence_s)
    api = _Api(bundle, collected, limits, clock)

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        started()
        yield
        collected.close()

    routes = [
        Route("/hello", api.hello, methods=["GET"]),
        Route("/sessions", api.begin, methods=["POST"]),
        Route("/sessions/{session}/events", api.append, methods=["POST"]),
    ]
    app = Starlette(
        routes=[
            Mount("/api", app=Router(routes, redirect_slashes=False)),
            Mount("/", app=Site(bundle.folder / "site")),
        ],
        middleware=[Middleware(Guard)],
        exception_handlers={
            HTTPException: plain_error,
            Problem: _answer,
            Refused: _refuse,
            Unavailable: _defer,
        },
        lifespan=life,
    )
    app.router.redirect_slashes = False
    return app


class _Api:
    """What is asked of the collector; nothing tells of others' data."""

    def __init__(
        self, bundle: Bundle, collected: Collected, limits: Limits, clock: Callable[[], datetime]
    ) -> None:
        self._about = {"bundle_id": bundle.id, "content_sha256": bundle.content_sha256}
        self._lists = tuple(bundle.lists)
        self._collected = collected
        self._limits = limits
        self._clock = clock
        self._sessions = Buckets(limits.session)
        self._addresses = Buckets(limits.address)
        self._starts = Buckets(limits.starts)
        # One thread: SQLite has one writer, and files of the site must not wait for it.
        self._turn = anyio.CapacityLimiter(1)

    async def hello(self, request: Request) -> Response:
        """``GET api/hello``: that there is a collector, and of which bundle."""
        self._spend(self._addresses, _address(request))
        return JSONResponse({**self._about, "collecting": True})

    async def begin(self, request: Request) -> Response:
        """``POST api/sessions``: a list for a session."""
        self._spend(self._addresses, _address(request))
        form = await self._form(request)
        session, secret, participant, study, submission = (
            _text(form, name)
            for name in ("session", "secret", "participant", "study", "submission")
        )
        if any(_text(form, name) != value for name, value in self._about.items()):
            raise Problem(409, "The page belongs to another test.", "Reload the page.")
        self._spend(self._starts, _address(request))
        now = self._clock()
        begun = await self._in_turn(
            lambda: self._collected.begin(
                session, secret, participant, study, submission, self._lists, now
            )
        )
        return JSONResponse(begun._asdict())

    async def append(self, request: Request) -> Response:
        """``POST api/sessions/{session}/events``: lines of a session."""
        self._spend(self._addresses, _address(request))
        session = request.path_params["session"]
        if not SESSION.fullmatch(session):
            raise Problem(404, "There is no such session.", "Begin it first.")
        self._spend(self._sessions, session)
        form = await self._form(request)
        secret, lines = _text(form, "secret"), form.get("lines")
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise Problem(400, "lines is no list of texts.", "Send every line as one text.")
        now = self._clock()
        appended = await self._in_turn(lambda: self._collected.append(session, secret, lines, now))
        return JSONResponse(appended._asdict())

    async def _form(self, request: Request) -> dict[str, Any]:
        check_origin(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Problem(415, "The request is no application/json.", "Send JSON, and say so.")
        body = await read_body(request, self._limits.body_bytes, self._limits.body_s)
        try:
            form = json.loads(body.decode("utf-8"))
        except UnicodeDecodeError:
            raise Problem(400, "The request is no UTF-8.", "Send UTF-8.") from None
        except (ValueError, RecursionError):
            raise Problem(400, "The request is not JSON.", "Send one JSON object.") from None
        if not isinstance(form, dict):
            raise Problem(400, "The request is no JSON object.", "Send one JSON object.")
        return form

    def _spend(self, buckets: Buckets, name: str) -> None:
        wait_s = buckets.take(name, self._clock().timestamp())
        if wait_s > 0:
            raise Problem(
                429, "Too many requests.", "Try again later.",
                {"Retry-After": str(math.ceil(wait_s))},
            )  # fmt: skip

    async def _in_turn(self, work: Callable[[], Given]) -> Given:
        try:
            with anyio.fail_after(self._limits.wait_s):
                return await anyio.to_thread.run_sync(work, limiter=self._turn)
        except TimeoutError:
            raise Unavailable("others are waiting for the database") from None


async def _answer(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem(error)


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    answer = Problem(STATUS[error.reason], error.what, error.fix)
    if error.next_seq is not None:
        answer.body["next_seq"] = error.next_seq
    return problem(answer)


async def _defer(_: Request, error: Exception) -> Response:
    _log.warning("ratings can't be written: %s", error)
    what = "The ratings can't be written now."
    return problem(Problem(503, what, "Try again.", {"Retry-After": str(RETRY_S)}))


def _text(form: dict[str, Any], name: str) -> str:
    value = form.get(name)
    if not isinstance(value, str):
        raise Problem(400, f"{name} is missing, or no text.", "Send it as text; it may be empty.")
    return value


def _address(request: Request) -> str:
    return network(request.client.host) if request.client else ""
