"""A speech server over HTTP: OpenAI's ``POST /v1/audio/speech``, and three that differ from it.

Target: the address, ``http://host:8000/v1/audio/speech?model=x&voice=y``, or
``http://host:50000/inference_zero_shot?shape=cosyvoice``. These options may stand in its query;
other parameters stay in the address. Only what is given is sent, besides the text and what the
shape needs.

``url``                 where to post; required
``shape``               ``openai`` (default), ``vllm-omni``, ``sglang-omni``, ``cosyvoice``: what
                        the server takes and gives, see ``_http_shapes``
``model``, ``voice``    as the server names them (OpenAI's requires both)
``response_format``     any headed format that libsndfile reads (wav, flac, mp3, opus), or ``pcm``:
                        16-bit mono without a header. Default ``wav``; ``pcm`` where that alone
                        streams
``pcm_rate_hz``         sampling rate of ``pcm``; required, unless the server tells it (sglang-omni)
                        or the shape knows it (cosyvoice: 24000; 22050 for its first model)
``streaming``           how the audio is asked for: ``none`` (default of openai), whole; ``audio``
                        (default of the others), as it is made; ``sse``, likewise, as events
``speed``               factor, for servers that take one; on vLLM-Omni only with ``streaming=none``
``extra``               a JSON object merged into the request: ``{"task_type": "Base"}``
``prompt``              ``none``, ``base64``: the prompt's recording as a data URL, or ``file``: as
                        a file of a form. Default: ``none`` for openai and beside a ``voice``, else
                        the one that the shape takes
``prompt_audio_field``  where it is put; default ``ref_audio``, ``prompt_wav`` for cosyvoice
``prompt_text_field``   where its text is put; default ``ref_text``, ``prompt_text`` for cosyvoice
``send_seed``           whether to send the request's ``seed``; default false
``timeout_s``           longest time for one attempt, from connecting to the last byte; default 60
``total_timeout_s``     longest time for one clip, all attempts and pauses together; default 240
``retries``             further attempts after the first; default 3
``concurrency``         requests at a time; default 4
``api_key_env``         name of the environment variable with the key, sent as a bearer token

CosyVoice's server takes the prompt's recording as a file; a prompt without text goes to
``inference_cross_lingual`` in place of ``inference_zero_shot``. It takes no seed: its clips differ
from run to run, and the run's record says so.

Tried again: failed connections, broken and late answers, status 408, 409, 425, 429 and 5xx, events
without an end or with a server's error, with growing, jittered pauses or after the server's
``Retry-After`` (60 s at most). While a server can't be reached at all, each further clip gets one
attempt only. Redirects are followed on the same scheme, host and port. Proxies of the environment
are used, except for an endpoint on this machine.

``stream`` hands WAV and pcm over while they arrive, bare or in events; other formats come in one
piece at the end. It asks for nothing else than ``speak`` does, so that what is timed is what is
judged. There is no further attempt once a piece was handed over.

Keep ``total_timeout_s`` below the run's ``execution.timeout_s`` (300): there, a worker that shows
no clip for so long is ended. Address and options are recorded with the run; an address that holds
a user, a password or a parameter named like a secret (``key``, ``token``, ``signature``, …) is
refused, and so is such a name within ``extra``. A key that a server quotes is not shown.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, TypeVar
from urllib.parse import unquote_plus

from mamtra_eval import audio
from mamtra_eval.errors import SynthesisError
from mamtra_eval.registry import read_options
from mamtra_eval.systems import Request, System
from mamtra_eval.systems._http_answer import Answer
from mamtra_eval.systems._http_client import Client
from mamtra_eval.systems._http_content import decode, post
from mamtra_eval.systems._http_options import checked, read_key, refuse_secrets
from mamtra_eval.systems._http_pcm import PcmPieces
from mamtra_eval.systems._http_pieces import Pieces
from mamtra_eval.systems._http_shapes import SHAPES

__all__ = ["Http", "create", "options_from_url", "refuse_secrets"]

PACKAGES = ("httpx",)

DEFAULTS: dict[str, Any] = {
    "url": None,
    "shape": "openai",
    "model": None,
    "voice": None,
    "response_format": None,
    "pcm_rate_hz": None,
    "streaming": None,
    "speed": None,
    "extra": None,
    "prompt": None,
    "prompt_audio_field": None,
    "prompt_text_field": None,
    "send_seed": False,
    "timeout_s": 60.0,
    "total_timeout_s": 240.0,
    "retries": 3,
    "concurrency": 4,
    "api_key_env": None,
}
NOT_IDENTITY = ("timeout_s", "total_timeout_s", "retries", "concurrency", "api_key_env")
"""Options that change no clip: a run may be continued with others."""
LATER = {"shape": "openai", "pcm_rate_hz": None, "streaming": "none"}
"""Options that are younger than runs: at these values they stand in no identity."""

T = TypeVar("T")


class Http(System):
    """Posts requests, several at a time, on an event loop in a thread of its own.

    An event loop, since only there can one attempt be ended from outside: a socket's time-outs
    start anew with each byte, and a server that drips would never meet them.
    """

    max_processes = 1
    at_home = True
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
        later = self.options["shape"] != "openai"
        found = {
            name: value
            for name, value in self.options.items()
            if name not in NOT_IDENTITY and (later or name not in LATER or value != LATER[name])
        }
        if not SHAPES[self.options["shape"]].seed:
            found["seed"] = "not sent: the server takes none"
        return found

    def speak(self, request: Request) -> audio.Clip:
        """What the server sent; SynthesisError after the last attempt, or if it is no audio."""
        return self._submit(self._speak(request)).result()

    def stream(self, request: Request) -> Iterator[audio.Clip]:
        """Pieces as the server sends them, of WAV or pcm; SynthesisError as in ``speak``."""
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
        asked = post(request, self.options)
        with self._hiding():
            async with self._slots:
                dice = random.Random(request.seed)  # noqa: S311 -- jitter
                answer = await self._client.fetch(asked, dice)
            return await self._decode(answer)

    async def _decode(self, answer: Answer) -> audio.Clip:
        name, said = self._name(answer), self._client.said
        return await asyncio.to_thread(decode, answer, self.options, name, said)

    @contextmanager
    def _hiding(self) -> Iterator[None]:
        """No failure leaves with the key in it, whatever part of an answer it shows."""
        try:
            yield
        except SynthesisError as error:
            raise SynthesisError(self._client.said.hide(str(error))) from None

    def _name(self, answer: Answer) -> str:
        return f"{self._client.where}: answer of type {answer.kind}"

    async def _stream(self, request: Request, to: SimpleQueue[audio.Clip | None]) -> None:
        asked = post(request, self.options)
        pieces = self._pieces(to)
        with self._hiding():
            async with self._slots:
                dice = random.Random(request.seed)  # noqa: S311 -- jitter
                answer = await self._client.fetch(asked, dice, pieces)
            # Whatever was handed over, the whole is checked as a clip of ``speak`` is.
            whole = await self._decode(answer)
        if not pieces.begun:
            to.put(whole)
        elif pieces.samples != len(whole.samples):
            counts = f"{pieces.samples} samples in pieces, {len(whole.samples)} in the whole"
            raise SynthesisError(f"{self._name(answer)}: {counts}")

    def _pieces(self, to: SimpleQueue[audio.Clip | None]) -> Pieces | PcmPieces:
        if self.options["response_format"] == "pcm":
            return PcmPieces(to.put, self.options["pcm_rate_hz"], self._client.where)
        return Pieces(to.put, self._client.where)


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
