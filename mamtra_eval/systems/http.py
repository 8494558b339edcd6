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
``total_timeout_s``     longest time for one clip, all attempts and pauses together; default 240
``retries``             further attempts after the first; default 3
``concurrency``         requests at a time; default 4
``api_key_env``         name of the environment variable with the key, sent as a bearer token

Tried again: failed connections, broken and late answers, status 408, 409, 425, 429 and 5xx, with
growing, jittered pauses or after the server's ``Retry-After`` (60 s at most). While a server can't
be reached at all, each further clip gets one attempt only. Redirects are followed on the same
scheme, host and port. Proxies of the environment are used, except for an endpoint on this machine.

``stream`` hands a WAV over while it arrives, if the server sends it so; other formats come in one
piece at the end. It asks for nothing else than ``speak`` does: a parameter by which a server
streams belongs into ``extra``. There is no further attempt once a piece was handed over.

Keep ``total_timeout_s`` below the run's ``execution.timeout_s`` (300): there, a worker that shows
no clip for so long is ended. Address and options are recorded with the run; an address that holds
a user, a password or a parameter named like a secret (``key``, ``token``, ``signature``, …) is
refused.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from queue import SimpleQueue
from typing import Any, TypeVar
from urllib.parse import unquote_plus

from mamtra_eval import audio
from mamtra_eval.errors import SynthesisError
from mamtra_eval.registry import read_options
from mamtra_eval.systems import Request, System
from mamtra_eval.systems._http_client import Client
from mamtra_eval.systems._http_content import body, decode
from mamtra_eval.systems._http_options import checked, read_key, refuse_secrets
from mamtra_eval.systems._http_pieces import Pieces

__all__ = ["Http", "create", "options_from_url", "refuse_secrets"]

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
    "total_timeout_s": 240.0,
    "retries": 3,
    "concurrency": 4,
    "api_key_env": None,
}
NOT_IDENTITY = ("timeout_s", "total_timeout_s", "retries", "concurrency", "api_key_env")
"""Options that change no clip: a run may be continued with others."""

T = TypeVar("T")


class Http(System):
    """Posts requests, several at a time, on an event loop in a thread of its own.

    An event loop, since only there can one attempt be ended from outside: a socket's time-outs
    start anew with each byte, and a server that drips would never meet them.
    """

    max_processes = 1
    concurrent = True

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = checked(options)
        self.batch_size = 4 * self.options["concurrency"]
        self.at_a_time = self.options["concurrency"]
        self._client = Client(self.options, read_key(self.options["api_key_env"]))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = threading.Lock()

    def identity(self, requests: Sequence[Request]) -> dict[str, Any]:
        """The options that decide what is asked for. What the server runs, it doesn't tell."""
        return {name: value for name, value in self.options.items() if name not in NOT_IDENTITY}

    def speak(self, request: Request) -> audio.Clip:
        """What the server sent; SynthesisError after the last attempt, or if it is no audio."""
        return self._submit(self._speak(request)).result()

    def stream(self, request: Request) -> Iterator[audio.Clip]:
        """Pieces as the server sends them, of a WAV; SynthesisError as in ``speak``."""
        pieces: SimpleQueue[audio.Clip | None] = SimpleQueue()
        future = self._submit(self._stream(request, pieces))
        future.add_done_callback(lambda _: pieces.put(None))
        try:
            while (clip := pieces.get()) is not None:
                yield clip
            future.result()
        finally:
            future.cancel()

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
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._slots = asyncio.Semaphore(self.options["concurrency"])
                self._client.open()
                self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
                self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _speak(self, request: Request) -> audio.Clip:
        fields = body(request, self.options)
        async with self._slots:
            dice = random.Random(request.seed)  # noqa: S311 -- jitter
            kind, data = await self._client.fetch(fields, dice)
        return await asyncio.to_thread(decode, data, f"{self._client.where}: answer of type {kind}")

    async def _stream(self, request: Request, to: SimpleQueue[audio.Clip | None]) -> None:
        fields = body(request, self.options)
        pieces = Pieces(to.put, self._client.where)
        async with self._slots:
            dice = random.Random(request.seed)  # noqa: S311 -- jitter
            kind, data = await self._client.fetch(fields, dice, pieces)
        # Whatever was handed over, the whole is checked as a clip of ``speak`` is.
        name = f"{self._client.where}: answer of type {kind}"
        whole = await asyncio.to_thread(decode, data, name)
        if not pieces.begun:
            to.put(whole)
        elif pieces.samples != len(whole.samples):
            raise SynthesisError(
                f"{name}: {pieces.samples} samples in pieces, {len(whole.samples)} in the whole"
            )


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


async def _wind_up(client: Client) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await client.close()
    await asyncio.get_running_loop().shutdown_asyncgens()
    await asyncio.get_running_loop().shutdown_default_executor()
