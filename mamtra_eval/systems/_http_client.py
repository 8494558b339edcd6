"""The client behind ``http``: posts until there is an answer, within bounds of time and size.

Its errors say what the server did last. They show no query of the address and no key.
"""

from __future__ import annotations

import asyncio
import math
import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from mamtra_eval.errors import SynthesisError
from mamtra_eval.systems._http_answer import EVENTS, Answer, begun
from mamtra_eval.systems._http_content import Post
from mamtra_eval.systems._http_events import EventError, Events
from mamtra_eval.systems._http_options import bare
from mamtra_eval.systems._http_said import SHOWN_OF, Said

CONNECT_S = 10.0
PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
RETRIED = (408, 409, 425, 429)
REDIRECTS = 3
MAX_BYTES = 200_000_000


class Sink(Protocol):
    """Whoever is told the bytes of a good answer while they come."""

    begun: bool
    """Whether something of it was handed on, so that another attempt would say it twice."""

    def start(self, answer: Answer) -> None:
        """A good answer begins; what was taken of another one before is void."""

    def take(self, data: bytes) -> None:
        """The next bytes of its audio; SynthesisError ends the clip."""


class _Again(Exception):  # noqa: N818 -- a signal to try again, not an error
    """A failed attempt that another may mend, after ``wait_s`` if the server said so."""

    def __init__(self, reason: str, wait_s: float | None = None, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.wait_s, self.unreachable = wait_s, unreachable


class Client:
    """Posts to one address; ``open`` and all that follows on one event loop."""

    def __init__(self, options: dict[str, Any], key: str | None) -> None:
        self.said = Said(key)
        self.where = bare(options["url"])
        self.unreachable = False
        self._options = options
        self._key = key

    def open(self) -> None:
        """Be ready to post."""
        host = urlsplit(self._options["url"]).hostname or ""
        here = host in ("localhost", "::1") or host.startswith("127.")
        limit_s = self._options["timeout_s"]
        self._http = httpx.AsyncClient(
            headers=self._headers(),
            timeout=httpx.Timeout(limit_s, connect=min(CONNECT_S, limit_s)),
            # No bound of connections: the callers' slots are one already. A request that is ended
            # while its connection is being given back keeps it for good, and with a bound of the
            # pool's own, the next one would wait for it in vain.
            limits=httpx.Limits(
                max_connections=None, max_keepalive_connections=self._options["concurrency"]
            ),
            trust_env=not here,
        )

    def _headers(self) -> dict[str, str]:
        # Not compressed: what is compressed comes late, and its truncation goes unnoticed.
        key = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        return {"Accept-Encoding": "identity", **key}

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def fetch(self, post: Post, dice: random.Random, *sinks: Sink) -> Answer:
        """The first answer that is a success; SynthesisError after the last attempt.

        A pause that would end behind ``total_timeout_s`` is not begun: the clip is given up at
        once, with the reason that is known. ``sinks`` see the answer as it comes; once one of them
        has begun, there is no further attempt.
        """
        now = asyncio.get_running_loop().time
        deadline = now() + self._options["total_timeout_s"]
        for attempt in range(self._options["retries"] + 1):
            try:
                answer = await self._attempt(post, deadline - now(), *sinks)
            except _Again as again:
                if any(sink.begun for sink in sinks):
                    raise SynthesisError(f"{self.where}: {again}, within the audio") from again
                if (again.unreachable and self.unreachable) or attempt == self._options["retries"]:
                    raise self._given_up(again, attempt) from again
                pause_s = _pause(attempt, again.wait_s, dice)
                if now() + pause_s >= deadline:
                    raise self._given_up(again, attempt, in_time=False) from again
                await asyncio.sleep(pause_s)
            else:
                self.unreachable = False
                return answer
        raise AssertionError("unreachable")

    def _given_up(self, again: _Again, attempt: int, in_time: bool = True) -> SynthesisError:
        self.unreachable = again.unreachable
        tried = f" (attempt {attempt + 1}, the last)" if attempt else ""
        if not in_time:
            total = f"total_timeout_s={self._options['total_timeout_s']:g}"
            tried = f" (attempt {attempt + 1}; another would not fit into {total})"
        return SynthesisError(f"{self.where}: {again}{tried}")

    async def _attempt(self, post: Post, left_s: float, *sinks: Sink) -> Answer:
        limit_s = self._options["timeout_s"]
        limit = f"timeout_s={limit_s:g}"
        if left_s < limit_s:
            limit_s, limit = left_s, f"the {left_s:.3g} s left of total_timeout_s"
        try:
            async with asyncio.timeout(limit_s):
                return await self._post(post, *sinks)
        except httpx.ConnectTimeout as error:
            raise _Again("no connection in time", unreachable=True) from error
        except (TimeoutError, httpx.TimeoutException) as error:
            raise _Again(f"no complete answer within {limit}") from error
        except httpx.ConnectError as error:
            raise _Again(
                f"can't connect ({self.said.line(str(error))})", unreachable=True
            ) from error
        except httpx.TransportError as error:
            said = self.said.line(f"{type(error).__name__}: {error}")
            raise _Again(f"the connection broke, the answer is truncated ({said})") from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise SynthesisError(f"{self.where}: {self.said.line(str(error))}") from error

    async def _post(self, post: Post, *sinks: Sink) -> Answer:
        url = httpx.URL(post.url)
        for _ in range(REDIRECTS + 1):
            async with self._http.stream("POST", url, **post.arguments()) as response:
                if "location" not in response.headers or not 300 <= response.status_code < 400:
                    return await self._receive(response, *sinks)
                url = self._redirect(response)
        raise SynthesisError(f"{self.where}: more than {REDIRECTS} redirects")

    async def _receive(self, response: httpx.Response, *sinks: Sink) -> Answer:
        if response.is_success:
            return await self._read(response, *sinks)
        said = self.said.beginning(await _beginning(response, SHOWN_OF))
        status = f"HTTP {response.status_code} {self.said.line(response.reason_phrase, 100)}"
        reason = f"{status}: {said or '(no body)'}"
        if response.status_code in RETRIED or response.status_code >= 500:
            raise _Again(reason, _retry_after(response.headers.get("retry-after")))
        raise SynthesisError(f"{self.where}: {reason}")

    async def _read(self, response: httpx.Response, *sinks: Sink) -> Answer:
        """The whole of a good answer, shown to ``sinks`` while it comes."""
        answer = begun(response.headers, self.said)
        events = Events(answer, self.said) if answer.media_type == EVENTS else None
        for sink in sinks:
            sink.start(answer)
        size = 0
        try:
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                if size > MAX_BYTES:
                    raise SynthesisError(f"{self.where}: more than {MAX_BYTES} bytes")
                _take(events.feed(chunk) if events else chunk, answer, *sinks)
            if events:
                _take(events.finish(), answer, *sinks)
        except EventError as error:
            if error.again:
                raise _Again(str(error)) from error
            raise SynthesisError(f"{self.where}: {error}") from error
        return answer

    def _redirect(self, response: httpx.Response) -> httpx.URL:
        old, status = response.url, response.status_code
        new = old.join(response.headers["location"])
        if status == 303 or (new.scheme, new.host, new.port) != (old.scheme, old.host, old.port):
            raise SynthesisError(
                f"{bare(str(old))}: HTTP {status} redirect to {bare(self.said.hide(str(new)))}, "
                "which is not followed; "
                "give the final address as url"
            )
        return new


def _take(data: bytes, answer: Answer, *sinks: Sink) -> None:
    answer.data += data
    for sink in sinks:
        if data:
            sink.take(data)


async def _beginning(response: httpx.Response, limit: int) -> bytes:
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > limit:
            break
    return bytes(data)


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait by a ``Retry-After`` of seconds or of a date, bounded; None without one."""
    if value is None:
        return None
    try:
        wait_s = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        wait_s = (date - datetime.now(UTC)).total_seconds()
    return min(max(wait_s, 0.0), LONGEST_PAUSE_S) if math.isfinite(wait_s) else None


def _pause(attempt: int, wait_s: float | None, dice: random.Random) -> float:
    if wait_s is not None:
        return wait_s
    return min(PAUSE_S * 2.0**attempt * dice.uniform(0.5, 1.5), LONGEST_PAUSE_S)
