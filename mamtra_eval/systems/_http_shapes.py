"""Which fields the servers of ``http`` take, and in which form their audio comes back.

What is known of each, and from where. All were read in November 2026; versions differ, so a server
that refuses a field says so in its answer, which becomes the clip's failure.

``openai``
    The speech endpoint of OpenAI's API reference (OpenAPI document 2.3.0). JSON with ``input``,
    ``model``, ``voice``, ``response_format``, ``speed``; ``stream_format`` is ``audio`` or ``sse``
    (events ``speech.audio.delta`` with base64, then ``speech.audio.done``). Its ``pcm`` is 24 kHz,
    16 bits, mono. Other servers of this shape have other rates: it has to be given.
``vllm-omni``
    github.com/vllm-project/vllm-omni, commits 0131cb55 (protocol/audio.py), 01bc4171
    (serving_speech.py) and 078de2d1 (docs/serving/speech_api.md). Adds ``ref_audio`` (a data URL),
    ``ref_text``, ``seed``, ``language``, ``task_type`` (CustomVoice, VoiceDesign, Base). Qwen3-TTS
    takes Base where there is a ``ref_audio``; some other models refuse ``task_type``, so it is
    sent only in ``extra``. ``stream`` alone means raw bytes in older versions and events in newer
    ones; together with ``stream_format`` it means the same in both. Only wav (a header without
    sizes) and pcm stream, and not with a ``speed``. Nothing tells the rate of its pcm, which is the
    model's: 24 kHz, or 44.1 kHz of Fish Speech.
``sglang-omni``
    github.com/sgl-project/sglang-omni, commits 2489a10e and 022b6a3d (serve/openai_api.py),
    0545bc09 (docs/basic_usage/tts.md). The same names; ``stream`` wants ``pcm``. Older versions
    answer with events ``audio.speech.chunk`` (base64, sampling rate and format in each), newer ones
    with raw bytes and the headers ``X-Sample-Rate``, ``X-Channels``, ``X-Bit-Depth``. Some models
    refuse ``seed``.
``cosyvoice``
    github.com/FunAudioLLM/CosyVoice, commit ace7c47f (runtime/python/fastapi/server.py). A form,
    one path for each way to prompt, see ``ROUTES``; the answer is raw 16-bit mono without a media
    type, sent sentence by sentence. The rate is the model's: 24 kHz of CosyVoice 2 and 3, 22.05 kHz
    of the first. It takes no seed, speed or format. CosyVoice 3 wants an instruction that ends with
    ``<|endofprompt|>`` before the prompt's text (example.py); it is not added here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from mamtra_eval.errors import UserError, unknown_name

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Shape:
    """What one kind of server takes and gives.

    Attributes:
        takes: options that are sent under their own name, where given.
        text, prompt_audio, prompt_text: names of the fields that hold these.
        prompts: ways to send a prompt's recording; the first is the default without a ``voice``.
        seed: whether it takes one.
        streaming: ways to stream, and the fields that ask for each; the first is the default.
        formats: what a streamed answer can be, the first by default; empty where it may be any.
        form: whether it takes a form with a file, not JSON.
        rate_hz: of its headerless samples, if that is known beforehand.
        tells_rate: whether its streamed answers tell that rate.
    """

    takes: tuple[str, ...] = ("model", "voice", "response_format", "speed")
    text: str = "input"
    prompt_audio: str = "ref_audio"
    prompt_text: str = "ref_text"
    prompts: tuple[str, ...] = ("none", "base64")
    seed: bool = True
    streaming: Mapping[str, Fields] = field(default_factory=dict)
    formats: tuple[str, ...] = ()
    form: bool = False
    rate_hz: int | None = None
    tells_rate: bool = False


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "openai": Shape(
            streaming={
                "none": {},
                "audio": {"stream_format": "audio"},
                "sse": {"stream_format": "sse"},
            }
        ),
        "vllm-omni": Shape(
            prompts=("base64", "none"),
            streaming={
                "audio": {"stream": True, "stream_format": "audio"},
                "sse": {"stream": True, "stream_format": "sse"},
                "none": {},
            },
            formats=("wav", "pcm"),
        ),
        "sglang-omni": Shape(
            prompts=("base64", "none"),
            streaming={"audio": {"stream": True}, "none": {}},
            formats=("pcm",),
            tells_rate=True,
        ),
        "cosyvoice": Shape(
            takes=(),
            text="tts_text",
            prompt_audio="prompt_wav",
            prompt_text="prompt_text",
            prompts=("file",),
            seed=False,
            streaming={"audio": {}},
            formats=("pcm",),
            form=True,
            rate_hz=24_000,
        ),
    }
)


@dataclass(frozen=True)
class Route:
    """What one path of CosyVoice's server wants besides the text."""

    recording: bool = True
    prompt_text: bool = False
    speaker: bool = False


ZERO_SHOT, CROSS_LINGUAL = "inference_zero_shot", "inference_cross_lingual"
ROUTES: Mapping[str, Route] = MappingProxyType(
    {
        ZERO_SHOT: Route(prompt_text=True),
        CROSS_LINGUAL: Route(),
        "inference_instruct2": Route(),  # instruct_text stands in extra
        "inference_sft": Route(recording=False, speaker=True),
        "inference_instruct": Route(recording=False, speaker=True),
    }
)
"""By the last part of the path. A prompt without text goes from the first to the second."""


def resolved(options: dict[str, Any]) -> dict[str, Any]:
    """The options with what their shape decides filled in; UserError for what it doesn't take."""
    name = options["shape"]
    if name not in SHAPES:
        raise unknown_name("shape of a speech server", name, SHAPES)
    shape = SHAPES[name]
    if shape.form:
        options = options | {"url": _with_route(options["url"])}
    _refuse_what_is_not_taken(options, shape)
    streaming = options["streaming"] or next(iter(shape.streaming))
    _one_of(options, "streaming", streaming, shape.streaming)
    return options | {
        "streaming": streaming,
        "response_format": _response_format(options, shape, streaming != "none"),
        "prompt": _prompt(options, shape),
        "prompt_audio_field": options["prompt_audio_field"] or shape.prompt_audio,
        "prompt_text_field": options["prompt_text_field"] or shape.prompt_text,
    }


def route_of(url: str) -> str:
    """The last part of an address's path."""
    return urlsplit(url).path.rstrip("/").rpartition("/")[2]


def _response_format(options: dict[str, Any], shape: Shape, streamed: bool) -> str:
    given: str | None = options["response_format"]
    if given is None:
        return shape.formats[0] if streamed and shape.formats else "wav"
    if streamed and shape.formats:
        _one_of(options, "response_format", given, shape.formats, " that streams")
    return given


def _prompt(options: dict[str, Any], shape: Shape) -> str:
    known = shape.prompts
    if shape.form:
        known = known if ROUTES[route_of(options["url"])].recording else ("none",)
    given: str | None = options["prompt"]
    if given is None:
        return "none" if options["voice"] and "none" in known else known[0]
    _one_of(options, "prompt", given, known)
    return given


def _refuse_what_is_not_taken(options: dict[str, Any], shape: Shape) -> None:
    """A setting that would be left out in silence is an error."""
    taken = set(shape.takes)
    if shape.form:
        taken |= {"response_format"} | (
            {"voice"} if ROUTES[route_of(options["url"])].speaker else set()
        )
    refused = [
        name
        for name in ("model", "voice", "response_format", "speed")
        if options[name] not in (None, "") and name not in taken
    ]
    if options["send_seed"] and not shape.seed:
        refused.append("send_seed")
    if refused:
        raise UserError(
            f"a server of shape {options['shape']} takes no {', '.join(refused)}",
            where="system http",
            fix="Leave it out." if len(refused) == 1 else "Leave them out.",
        )
    if shape.form and ROUTES[route_of(options["url"])].speaker and not options["voice"]:
        raise UserError(
            f"{route_of(options['url'])} speaks in a voice of the model's own, and none is named",
            where="system http",
            fix="Give voice=NAME, or take inference_zero_shot.",
        )


def _with_route(url: str) -> str:
    """An address of CosyVoice's server with a path; UserError for one that it doesn't have."""
    if not urlsplit(url).path.strip("/"):
        base, mark, query = url.partition("?")
        return f"{base.rstrip('/')}/{ZERO_SHOT}{mark}{query}"
    if route_of(url) not in ROUTES:
        raise unknown_name("path of CosyVoice's server", route_of(url), ROUTES)
    return url


def _one_of(
    options: dict[str, Any], name: str, value: str, known: Mapping[str, Any] | tuple[str, ...],
    what: str = "",
) -> None:  # fmt: skip
    if value not in known:
        shape = "" if options["shape"] == "openai" else f" with shape={options['shape']}"
        raise UserError(
            f"option {name} of http is {value!r}{shape}",
            fix=f"One{what}: {', '.join(known)}.",
        )
