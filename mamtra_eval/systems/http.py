"""A speech endpoint over HTTP, in the style of OpenAI's ``POST /v1/audio/speech``.

Target: the address, ``http://host:8000/v1/audio/speech?model=x&voice=y``. These options may stand
in its query; other parameters stay in the address. Only what is given is sent, besides the text.

``url``                 where to post; required
``model``, ``voice``    as the server names them (OpenAI's requires both)
``response_format``     default ``wav``; any headed format that libsndfile reads (flac, mp3, opus)
``speed``               factor, for servers that take one
``extra``               a JSON object merged into the request: ``{"task_type": "Base"}``
``prompt``              ``none`` (default), or ``base64``: the prompt's recording as a data URL
``prompt_audio_field``  where it is put; default ``ref_audio``, as vLLM-Omni and SGLang-Omni call it
``prompt_text_field``   where its text is put; default ``ref_text``
``send_seed``           whether to send the request's ``seed``; default false
``timeout_s``           longest time for one attempt, from connecting to the last byte; default 60
``retries``             further attempts after the first; default 3
``concurrency``         requests at a time; default 4
``api_key_env``         name of the environment variable with the key, sent as a bearer token

Tried again: failed connections, broken and late answers, status 408, 409, 425, 429 and 5xx, with
growing, jittered pauses or after the server's ``Retry-After`` (60 s at most). While a server can't
be reached at all, each further clip gets one attempt only. Redirects are followed on the same
scheme, host and port. Proxies of the environment are used, except for an endpoint on this machine.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import os
import random
import struct
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote_plus, urlsplit

import httpx

from mamtra_eval import audio
from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.registry import read_options
from mamtra_eval.systems import Request, System

PACKAGES = ("httpx",)

DEFAULTS: dict[str, Any] = {
    "url": None,
    "model": None,
    "voice": None,
    "response_format": "wav",
    "speed": None,
    "extra": None,
    "prompt": "none",
    "prompt_audio_field": "ref_audio",
    "prompt_text_field": "ref_text",
    "send_seed": False,
    "timeout_s": 60.0,
    "retries": 3,
    "concurrency": 4,
    "api_key_env": None,
}
NOT_IDENTITY = ("timeout_s", "retries", "concurrency", "api_key_env")
"""Options that change no clip: a run may be continued with others."""

CONNECT_S = 10.0
PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
RETRIED = (408, 409, 425, 429)
REDIRECTS = 3
MAX_BYTES = 200_000_000
EXTRACT = 300
HEADERLESS = ("pcm", "aac")
MEDIA_TYPES = {".wav": "wav", ".flac": "flac", ".ogg": "ogg", ".mp3": "mpeg"}

T = TypeVar("T")


class _Again(Exception):  # noqa: N818 -- a signal to try again, not an error
    """A failed attempt that another may mend, after ``wait_s`` if the server said so."""

    def __init__(self, reason: str, wait_s: float | None = None, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.wait_s, self.unreachable = wait_s, unreachable


class Http(System):
    """Posts requests, several at a time, on an event loop in a thread of its own.

    An event loop, since only there can one attempt be ended from outside: a socket's time-outs
    start anew with each byte, and a server that drips would never meet them.
    """

    max_processes = 1

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = _checked(options)
        self.batch_size = 4 * self.options["concurrency"]
        self._key = _read_key(self.options["api_key_env"])
        self._where = self.options["url"].partition("?")[0]
        self._unreachable = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def identity(self, requests: Sequence[Request]) -> dict[str, Any]:
        """The options that decide what is asked for. What the server runs, it doesn't tell."""
        return {name: value for name, value in self.options.items() if name not in NOT_IDENTITY}

    def speak(self, request: Request) -> audio.Clip:
        """What the server sent; SynthesisError after the last attempt, or if it is no audio."""
        return self._submit(self._speak(request)).result()

    def speak_many(
        self, requests: Sequence[Request]
    ) -> Iterator[tuple[int, audio.Clip | Exception]]:
        """As they come, ``concurrency`` at a time."""
        futures = {self._submit(self._speak(each)): n for n, each in enumerate(requests)}
        try:
            for future in as_completed(futures):
                try:
                    yield futures[future], future.result()
                except Exception as error:  # a failure is a row, never the run's end
                    yield futures[future], error
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        """End what is under way, close the connections, end the thread."""
        if self._loop:
            self._submit(_wind_up(self._client)).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = None

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._slots = asyncio.Semaphore(self.options["concurrency"])
            self._client = _client(self.options, self._key)
            self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _speak(self, request: Request) -> audio.Clip:
        body = _body(request, self.options)
        async with self._slots:
            kind, data = await self._fetch(body, random.Random(request.seed))  # noqa: S311
        return await asyncio.to_thread(_decode, data, f"{self._where}: answer of type {kind}")

    async def _fetch(self, body: dict[str, Any], dice: random.Random) -> tuple[str, bytes]:
        for attempt in range(self.options["retries"] + 1):
            try:
                answer = await self._attempt(body)
            except _Again as again:
                given_up = again.unreachable and self._unreachable
                if given_up or attempt == self.options["retries"]:
                    self._unreachable = again.unreachable
                    tried = f" (attempt {attempt + 1}, the last)" if attempt else ""
                    raise SynthesisError(f"{self._where}: {again}{tried}") from again
                await asyncio.sleep(_pause(attempt, again.wait_s, dice))
            else:
                self._unreachable = False
                return answer
        raise AssertionError("unreachable")

    async def _attempt(self, body: dict[str, Any]) -> tuple[str, bytes]:
        limit_s = self.options["timeout_s"]
        try:
            async with asyncio.timeout(limit_s):
                return await self._post(body)
        except httpx.ConnectTimeout as error:
            raise _Again("no connection in time", unreachable=True) from error
        except (TimeoutError, httpx.TimeoutException) as error:
            raise _Again(f"no complete answer within timeout_s={limit_s:g}") from error
        except httpx.ConnectError as error:
            raise _Again(f"can't connect ({_one_line(str(error))})", unreachable=True) from error
        except httpx.TransportError as error:
            said = _one_line(f"{type(error).__name__}: {error}")
            raise _Again(f"the connection broke, the answer is truncated ({said})") from error
        except httpx.RequestError as error:
            raise SynthesisError(f"{self._where}: {_one_line(str(error))}") from error

    async def _post(self, body: dict[str, Any]) -> tuple[str, bytes]:
        url = httpx.URL(self.options["url"])
        for _ in range(REDIRECTS + 1):
            async with self._client.stream("POST", url, json=body) as response:
                if "location" not in response.headers or not 300 <= response.status_code < 400:
                    return await self._receive(response)
                url = _redirect(response)
        raise SynthesisError(f"{self._where}: more than {REDIRECTS} redirects")

    async def _receive(self, response: httpx.Response) -> tuple[str, bytes]:
        kind = _one_line(response.headers.get("content-type", "(none)"), 100)
        if response.is_success:
            data = await _read(response, MAX_BYTES)
            if len(data) > MAX_BYTES:
                raise SynthesisError(f"{self._where}: more than {MAX_BYTES} bytes")
            return kind, data
        said = (await _read(response, 4 * EXTRACT)).decode("utf-8", "replace")
        if self._key:  # some servers quote the key that they refuse
            said = said.replace(self._key, "***")
        status = response.status_code
        reason = f"HTTP {status} {response.reason_phrase}: {_one_line(said) or '(no body)'}"
        if status in RETRIED or status >= 500:
            raise _Again(reason, _retry_after(response.headers.get("retry-after")))
        raise SynthesisError(f"{self._where}: {reason}")


def create(options: Mapping[str, Any]) -> Http:
    """The system; options as in the module's docstring. UserError names what is wrong."""
    return Http(read_options("http", options, DEFAULTS))


def options_from_url(url: str) -> dict[str, str]:
    """Options of a target: they leave its query, where the last of several counts; others stay."""
    address, mark, query = url.partition("#")[0].partition("?")
    options, rest = {}, []
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if equals and name in DEFAULTS and name != "url":
            options[name] = unquote_plus(value)
        else:
            rest.append(part)
    kept = "&".join(rest)
    return {"url": address + (mark if kept else "") + kept, **options}


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    url, kind = options["url"], options["response_format"]
    if not url:
        raise UserError("the system http has no url", fix="Give one: url=http://HOST:PORT/PATH")
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        sound = False
    if not sound:
        raise UserError(
            "no address of an endpoint", where=url, fix="Give http://HOST:PORT/PATH or https://…"
        )
    if "@" in parts.netloc:
        raise UserError(
            "the address holds a user or password",
            where=str(parts.hostname),
            fix="Name an environment variable with it: api_key_env=NAME",
        )
    if kind in HEADERLESS:
        raise UserError(
            f"response_format {kind} can't be read without knowing its sampling rate",
            fix="Take wav or flac.",
        )
    if options["prompt"] not in ("none", "base64"):
        raise UserError(f"option prompt of http is {options['prompt']!r}", fix="none or base64")
    lowest = {"timeout_s": 0.001, "retries": 0, "concurrency": 1}
    for name, least in lowest.items():
        if not least <= options[name] < math.inf:
            raise UserError(f"option {name} of http is {options[name]}", fix=f"At least {least}.")
    return options | {"speed": _speed(options["speed"]), "extra": _extra(options["extra"])}


def _speed(value: str | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        raise UserError(f"option speed of http is {value!r}", fix="Give a number.") from None


def _extra(value: str | None) -> dict[str, Any]:
    try:
        extra = json.loads(value or "{}")
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise UserError(f"option extra of http is {value!r}", fix='Give a JSON object: {"a": 1}')
    return extra


def _read_key(variable: str | None) -> str | None:
    if not variable:
        return None
    key = os.environ.get(variable, "").strip()
    # The key itself is never shown, whatever is wrong with it.
    if not key or not key.isascii() or not key.isprintable():
        raise UserError(
            f"the environment variable {variable} holds no API key",
            where="option api_key_env of http",
            fix=f"export {variable}=…",
        )
    return key


def _client(options: dict[str, Any], key: str | None) -> httpx.AsyncClient:
    host = urlsplit(options["url"]).hostname or ""
    here = host in ("localhost", "::1") or host.startswith("127.")
    return httpx.AsyncClient(
        headers={"Authorization": f"Bearer {key}"} if key else None,
        timeout=httpx.Timeout(options["timeout_s"], connect=min(CONNECT_S, options["timeout_s"])),
        limits=httpx.Limits(max_connections=options["concurrency"]),
        trust_env=not here,
    )


def _body(request: Request, options: dict[str, Any]) -> dict[str, Any]:
    named = ("model", "voice", "response_format", "speed")
    body = {name: options[name] for name in named if options[name] not in (None, "")}
    body |= {"input": request.text, **options["extra"]}
    if options["send_seed"]:
        body["seed"] = request.seed
    if options["prompt"] == "base64":
        if request.prompt_audio is None:
            raise SynthesisError(
                f"prompt=base64, but {request.utterance} has no prompt recording; "
                "use a test set with prompts, or prompt=none"
            )
        body[options["prompt_audio_field"]] = _data_url(request.prompt_audio)
        if request.prompt_text is not None:
            body[options["prompt_text_field"]] = request.prompt_text
    return body


def _data_url(path: Path) -> str:
    try:
        data = base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise SynthesisError(f"the prompt can't be read: {error}") from error
    suffix = path.suffix.lower()
    return f"data:audio/{MEDIA_TYPES.get(suffix, suffix[1:] or 'wav')};base64,{data}"


async def _read(response: httpx.Response, limit: int) -> bytes:
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > limit:
            break
    return bytes(data)


def _redirect(response: httpx.Response) -> httpx.URL:
    old, status = response.url, response.status_code
    new = old.join(response.headers["location"])
    if status == 303 or (new.scheme, new.host, new.port) != (old.scheme, old.host, old.port):
        raise SynthesisError(
            f"{_one_line(str(old).partition('?')[0])}: HTTP {status} redirect to "
            f"{_one_line(str(new).partition('?')[0])}, which is not followed; "
            "give the final address as url"
        )
    return new


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


def _decode(data: bytes, name: str) -> audio.Clip:
    try:
        return audio.read_bytes(_mend_wav(data), name)
    except audio.AudioError as error:
        begins = _one_line(data[:80].decode("utf-8", "replace"))
        raise SynthesisError(f"{error}; {len(data)} bytes, beginning {begins!r}") from error


def _mend_wav(data: bytes) -> bytes:
    """WAV with the size of its samples checked: libsndfile reads what is there of a truncated one.

    Servers that stream don't know the size and write a huge one, or 0, which is mended.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return data
    start = 12
    while start + 8 <= len(data):
        size = struct.unpack_from("<I", data, start + 4)[0]
        held = len(data) - start - 8
        if data[start : start + 4] == b"data":
            if held < size < MAX_BYTES:
                raise audio.AudioError(f"truncated WAV: {held} of {size} bytes of samples")
            if size == 0:
                return data[: start + 4] + struct.pack("<I", held) + data[start + 8 :]
            return data
        start += 8 + size + size % 2
    return data


async def _wind_up(client: httpx.AsyncClient) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await client.aclose()
    await asyncio.get_running_loop().shutdown_asyncgens()
    await asyncio.get_running_loop().shutdown_default_executor()


def _one_line(text: str, limit: int = EXTRACT) -> str:
    line = "".join(char if char.isprintable() else " " for char in text)
    line = " ".join(line.split())
    return line if len(line) <= limit else f"{line[:limit]}…"
