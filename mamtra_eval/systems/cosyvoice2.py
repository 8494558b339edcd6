"""CosyVoice 2, teacher and MamTra hybrids of any ratio, around the official package.

Options:

``model``           folder of CosyVoice2-0.5B; else ``$COSYVOICE2_MODEL``
``source``          clone of the official code; else ``$COSYVOICE_SOURCE``, else an importable one
``any_revision``    take a source that was not tested; default false
``checkpoint``      folder of a decoder's checkpoint, teacher or hybrid; by default the model
                    folder's ``llm.pt``
``engine``          ``own`` (our decoder, default) or ``upstream`` (the package's loop; teacher)
``sampler``         ``ras-2026`` (default), ``ras-2024``: repetition-aware sampling after and before
                    commit f2ddcbe; ``greedy``. ``upstream`` has the one of its source, or greedy
``top_p``, ``top_k``  of the sampler's nucleus; default 0.8 and 25
``precision``       of the language model: ``fp32`` (default), ``autocast`` (what the package calls
                    fp16), ``fp16`` or ``bf16`` (weights and caches truly in half precision)
``flow_precision``  ``fp32`` or ``autocast``; default: autocast with precision=autocast, else fp32
``text_frontend``   ``wetext`` (default), ``ttsfrd``, ``rules`` (neither of them), ``none``
``device``          default: a CUDA device where there is one
``kernels``         of Mamba-2 layers: ``auto``, ``torch``, ``fused``
``batch``           pieces whose tokens are decoded together, and clips handed over at a time;
                    default 1

and those of ``isolation`` (``env``, …). Target: ``cosyvoice2:model=DIR,checkpoint=CKPT``. 24 kHz.

Whatever the ratio, the path is one: the package's front end, our decoder, the package's flow and
vocoder (``codecs.cosyvoice2``). A text that the front end cuts is spoken piece by piece, as the
package does. Without a transcript of the prompt the language model does not see the prompt at all
(the package's cross-lingual mode).

``stream`` cuts as the package does (``codecs.cosyvoice2``), on one thread: flow and vocoder wait
for the tokens of their chunk and the tokens wait for them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mamtra_eval.audio import Clip
from mamtra_eval.codecs import _cosyvoice_source
from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.stage_times import stage
from mamtra_eval.systems import Request, System
from mamtra_eval.systems import _cosyvoice_options as options_of

if TYPE_CHECKING:
    from mamtra_eval.codecs._cosyvoice_source import Source
    from mamtra_eval.codecs.cosyvoice2 import CosyVoice2Codec
    from mamtra_eval.diagnosis import Check
    from mamtra_eval.footprint import Footprint
    from mamtra_eval.models.config import DecoderConfig
    from mamtra_eval.models.decoder import Decoder
    from mamtra_eval.models.generate import Generated
    from mamtra_eval.models.sampling import SamplerConfig
    from mamtra_eval.systems._cosyvoice_engines import Ask, Engine

PACKAGES = ("hyperpyyaml", "onnxruntime", "transformers", "torchaudio", "whisper")
ENVIRONMENT = "cosyvoice2"
ELEMENT_BYTES = {"fp32": 4, "autocast": 4, "fp16": 2, "bf16": 2}
SILENT = "the language model ended before it said anything"
MORE = 1_000_003
"""Between the seeds of the pieces of one text."""


class CosyVoice2(System):
    """Speaks with the package in this process."""

    max_processes = 1
    on_device = True

    def __init__(self, settings: options_of.Settings) -> None:
        self.settings = settings
        self.batch_size = settings.batch

    def identity(self, requests: Sequence[Request]) -> dict[str, Any]:
        """Weights, source, versions, and how tokens are drawn and computed."""
        from mamtra_eval.models.kernels import choose
        from mamtra_eval.systems import _cosyvoice_files as files

        settings = self.settings
        device = options_of.check_device(settings)
        shape = json.dumps(self._shape.to_dict(), sort_keys=True)
        return {
            "engine": settings.engine,
            "decoder": files.decoder_hash(settings),
            "shape": hashlib.sha256(shape.encode()).hexdigest(),
            "codec": files.codec_hashes(settings.model),
            "source": {
                "revision": self._source.revision, "fingerprint": self._source.fingerprint,
            },
            "versions": files.versions(),
            "sampler": settings.sampler,
            **({} if settings.sampler == "greedy"
               else {"top_p": settings.top_p, "top_k": settings.top_k}),
            "precision": settings.precision,
            "flow_precision": settings.flow_precision,
            "text_frontend": settings.text_frontend,
            "device": device.partition(":")[0],
            **({"kernels": choose(settings.kernels, device).description}
               if self._shape.mamba else {}),
        }  # fmt: skip

    def footprint(self) -> Footprint:
        """Of its decoder."""
        from mamtra_eval import footprint

        return footprint.of(self._shape, ELEMENT_BYTES[self.settings.precision])

    def checkpoint(self) -> Path | None:
        """Where its decoder lies, if it has one of its own."""
        return self.settings.checkpoint

    def prepare(self) -> None:
        """Load codec and language model."""
        _ = self._codec, self._engine

    def speak(self, request: Request) -> Clip:
        """One clip."""
        [(_, made)] = self.speak_many([request])
        if isinstance(made, Exception):
            raise made
        return made

    def speak_many(self, requests: Sequence[Request]) -> Iterator[tuple[int, Clip | Exception]]:
        """A batch; what one text or prompt does wrong is that clip's failure alone."""
        from mamtra_eval.systems._cuda_peak import Peak

        self.prepare()
        peak = Peak(self.device)
        asked: dict[int, list[Ask]] = {}
        for index, request in enumerate(requests):
            try:
                asked[index] = self._asks(request)
            except Exception as error:  # a failure is a row, never the run's end
                yield index, error
        with stage("decoder"):
            made = iter(self._generate([one for asks in asked.values() for one in asks]))
        for index, asks in asked.items():
            spoken = [next(made) for _ in asks]
            try:
                yield index, self._voiced(asks, spoken, peak)
            except Exception as error:  # a failure is a row, never the run's end
                yield index, error

    def stream(self, request: Request) -> Iterator[Clip]:
        """Pieces in the package's chunks; SynthesisError as in ``speak``."""
        from mamtra_eval.systems._cosyvoice_stream import Counted

        self.prepare()
        asks = self._asks(request)
        total, cut, last = 0, False, None
        for ask in asks:
            tokens = Counted(self._engine.stream(ask), len(ask.text))
            for clip in self._codec.stream(tokens, ask.prompt, ask.seed):
                if last is not None:
                    yield last
                last = clip
            total, cut = total + tokens.count, cut or tokens.cut
        if last is None:
            raise SynthesisError(SILENT)
        yield replace(last, cost=self._cost(asks, total, cut))

    @cached_property
    def device(self) -> str:
        """Where it computes."""
        return options_of.check_device(self.settings)

    def _asks(self, request: Request) -> list[Ask]:
        """What the language model is asked for, piece by piece; SynthesisError if it can't be."""
        from mamtra_eval.systems._cosyvoice_engines import Ask

        if request.prompt_audio is None:
            raise SynthesisError(
                "cosyvoice2 speaks in the voice of a prompt, and the test set has none for "
                f"{request.utterance}"
            )
        with stage("front_end"):
            prompt = self._codec.prompt(request.prompt_audio, request.prompt_text)
            pieces = self._codec.pieces(request.text)
        return [Ask(ids, prompt, request.seed + MORE * n) for n, ids in enumerate(pieces)]

    def _generate(self, asks: list[Ask]) -> list[Generated]:
        """Tokens of all pieces, at most ``batch`` of them together, of however many texts."""
        size = self.settings.batch
        groups = [asks[start : start + size] for start in range(0, len(asks), size)]
        return [one for group in groups for one in self._engine.generate(group)]

    def _voiced(self, asks: list[Ask], spoken: list[Generated], peak: Any) -> Clip:  # noqa: ANN401
        clips = []
        for ask, one in zip(asks, spoken, strict=True):
            if one.tokens:
                with stage("vocoder"):
                    clips.append(self._codec.decode(one.tokens, ask.prompt, ask.seed))
        if not clips:
            raise SynthesisError(SILENT)
        samples = np.concatenate([clip.samples for clip in clips])
        tokens = sum(len(one.tokens) for one in spoken)
        cost = self._cost(asks, tokens, not all(one.stopped for one in spoken))
        return Clip(samples, clips[0].sample_rate_hz, cost=cost | peak.cost())

    def _cost(self, asks: list[Ask], tokens: int, cut: bool) -> dict[str, float]:
        """Tokens, bytes of the longest piece's caches, whether a piece was cut."""
        from mamtra_eval.models import cost
        from mamtra_eval.models.generate import length_bounds

        element = ELEMENT_BYTES[self.settings.precision]
        longest = max(
            len(ask.text) + len(ask.prompt.text) + len(ask.prompt.speech) + 2 for ask in asks
        ) + min(tokens, max(length_bounds(len(ask.text))[1] for ask in asks))
        kept = cost.kv_bytes(self._shape, longest, element)
        kept += cost.state_bytes(self._shape, element)
        return {"tokens": tokens, "cache_bytes": kept, "cut": float(cut)}

    @cached_property
    def _source(self) -> Source:
        return _cosyvoice_source.find(self.settings.source, self.settings.any_revision)

    @cached_property
    def _shape(self) -> DecoderConfig:
        """Shape of the decoder, read without loading it."""
        from mamtra_eval.models import checkpoint, cosyvoice2

        folder = self.settings.checkpoint
        return checkpoint.read_config(folder) if folder else cosyvoice2.read_config(
            self.settings.model
        )  # fmt: skip

    @cached_property
    def _sampler(self) -> SamplerConfig:
        from mamtra_eval.models.sampling import SamplerConfig

        settings = self.settings
        if settings.sampler == "greedy":
            return SamplerConfig("greedy")
        return SamplerConfig(settings.sampler, top_p=settings.top_p, top_k=settings.top_k)

    @cached_property
    def _codec(self) -> CosyVoice2Codec:
        from mamtra_eval.codecs import cosyvoice2

        return cosyvoice2.load(
            self.settings.model, self._source, device=self.device,
            autocast=self.settings.flow_precision == "autocast",
            text_front_end=self.settings.text_frontend,
        )  # fmt: skip

    @cached_property
    def _engine(self) -> Engine:
        from mamtra_eval.systems import _cosyvoice_engines as engines

        settings, autocast = self.settings, self.settings.precision == "autocast"
        if settings.engine == "own":
            return engines.own(
                self._decoder(), self._sampler, self.device, autocast, settings.kernels
            )
        from mamtra_eval.systems._cosyvoice_diagnosis import refuse_garbling

        refuse_garbling()
        theirs = _cosyvoice_source.sampler_kind(self._source)
        if settings.sampler not in ("greedy", theirs):
            raise UserError(
                f"the source's own sampler is {theirs}, not {settings.sampler}",
                where="option sampler of cosyvoice2 with engine=upstream",
                fix=f"Take sampler={theirs}, or greedy, or another revision of the source.",
            )
        return engines.upstream(settings.model, self._source, self._sampler, self.device, autocast)

    def _decoder(self) -> Decoder:
        from mamtra_eval.systems._cosyvoice_files import load_decoder

        return load_decoder(self.settings, self.device)


def diagnose(options: Mapping[str, Any]) -> list[Check]:
    """What it needs, and what of it is here."""
    from mamtra_eval.systems import _cosyvoice_diagnosis

    return _cosyvoice_diagnosis.diagnose(options)


def create(options: Mapping[str, Any]) -> System:
    """The system, in this process or in its environment's; options as in the module."""
    from mamtra_eval.isolation.placing import placed

    return placed("cosyvoice2", options, lambda rest: CosyVoice2(options_of.read(rest)))
