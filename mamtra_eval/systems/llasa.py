"""Llasa-1B (or 3B, 8B), a Llama that speaks by the codec XCodec2, through their own packages.

Options:

``model``         folder of the language model (HKUSTAudio/Llasa-1B); else ``$LLASA_MODEL``
``codec``         folder of XCodec2 (HKUSTAudio/xcodec2); else the hub's cache
``semantic``      folder of facebook/w2v-bert-2.0, which the codec is built on; else the hub's cache
``temperature``, ``top_p``, ``top_k``, ``repetition_penalty``
                  of the sampler; default 0.8, 1.0, 50, 1.0
``max_length``    of prompt, text and speech together, in tokens; default 2048, as it was trained
``joiner``        between the prompt's transcript and the text: ``none`` (default) or ``space``
``date``          that the tokenizer's chat template tells; default 26 Jul 2024
``precision``     of the language model: ``fp32`` (default), ``bf16`` or ``fp16``; the codec: fp32
``device``        default: a CUDA device where there is one

and those of ``isolation`` (``env``, …). Target: ``llasa:model=DIR,codec=DIR``. 16 kHz, 50 tokens/s.

Sampling, prompt layout and precision are those of the model cards' example. It says nothing of
``top_k``: there it is transformers' own 50. It lets the template tell today's date, which would
make clips differ from day to day. Prompt and speech are decoded together, and cut where the
prompt's samples end. Where the length ended a clip, the example drops its last token; here it is
kept. Later the authors wrote that temperature=0.9,top_p=0.95 is more stable at times. The seed is
set once the prompt is encoded, which draws random numbers too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mamtra_eval import audio, weights
from mamtra_eval.audio import Clip
from mamtra_eval.errors import SynthesisError
from mamtra_eval.stage_times import stage
from mamtra_eval.systems import Request, System
from mamtra_eval.systems import _llasa_options as options_of
from mamtra_eval.systems._local_models import checked, packages, versions

if TYPE_CHECKING:
    from mamtra_eval.diagnosis import Check
    from mamtra_eval.systems._llasa_model import Loaded

PACKAGES = ("torchtune", "transformers", "vector_quantize_pytorch", "xcodec2")
ENVIRONMENT = "llasa"
TESTED = {
    "xcodec2": "0.1.5", "torch": "2.5.0", "torchaudio": "2.5.0", "transformers": "4.48.3",
    "torchtune": "0.4.0", "torchao": "0.6.1", "vector-quantize-pytorch": "1.17.8",
    "einops": "0.8.0",
}  # fmt: skip
"""Distributions that a clip's samples depend on, as they were tested."""


class Llasa(System):
    """Speaks with the packages in this process."""

    max_processes = 1
    on_device = True

    def __init__(self, settings: options_of.Settings) -> None:
        self.settings = settings

    def identity(self, requests: Sequence[Request]) -> dict[str, Any]:
        """Weights, versions, and how tokens are drawn and computed."""
        from mamtra_eval.systems import _llasa_model as parts

        settings = self.settings
        model = options_of.require_files(settings.model)
        semantic = parts.SEMANTIC.find(settings.semantic, "llasa")
        return {
            "model": {
                path.name: audio.sha256(path) for path in options_of.weight_files(model)
            },
            "configuration": weights.fingerprint(model, "*.json", "*.jinja"),
            "codec": parts.CODEC.hashes(parts.find_codec(settings.codec)),
            "semantic": parts.SEMANTIC.hashes(semantic),
            "versions": versions(TESTED),
            **settings.sampling(),
            "joiner": settings.joiner,
            "date": settings.date,
            "precision": settings.precision,
            "device": self.device.partition(":")[0],
        }  # fmt: skip

    def prepare(self) -> None:
        """Load language model and codec."""
        _ = self._loaded

    def speak(self, request: Request) -> Clip:
        """One clip; SynthesisError without a prompt and its transcript."""
        from mamtra_eval.systems._cuda_peak import Peak

        if request.prompt_audio is None or not (request.prompt_text or "").strip():
            what = "none" if request.prompt_audio is None else "no transcript of it"
            raise SynthesisError(
                "llasa speaks in the voice of a prompt whose transcript it knows, and the test "
                f"set has {what} for {request.utterance}"
            )
        loaded, peak = self._loaded, Peak(self.device)
        with stage("front_end"):
            prompt = loaded.prompt(request.prompt_audio)
            ids = loaded.ids(prompt, str(request.prompt_text), request.text)
        with stage("decoder"):
            spoken = loaded.generate(ids, request.seed)
        if not spoken.codes:
            raise SynthesisError("the language model ended before it said anything")
        with stage("vocoder"):
            samples = loaded.samples(prompt, spoken.codes)
        cost = {"tokens": float(spoken.tokens), "cut": float(not spoken.stopped)}
        return Clip(samples, 16_000, cost=cost | peak.cost())

    @cached_property
    def device(self) -> str:
        """Where it computes."""
        return options_of.check_device(self.settings)

    @cached_property
    def _loaded(self) -> Loaded:
        from mamtra_eval.systems._llasa_model import load

        return load(self.settings, self.device)


def create(options: Mapping[str, Any]) -> System:
    """The system, in this process or in its environment's; options as in the module."""
    from mamtra_eval.isolation.placing import placed

    return placed("llasa", options, lambda rest: Llasa(options_of.read(rest)))


def diagnose(options: Mapping[str, Any]) -> list[Check]:
    """Packages and weights: what is here, and what brings the rest. Loads none of it."""
    from mamtra_eval.systems import _llasa_model as parts

    found = packages(TESTED, ENVIRONMENT)
    found.append(checked("model", lambda: _model_state(options)))
    found.append(checked(parts.CODEC.what, lambda: str(parts.find_codec(options.get("codec")))))
    found.append(parts.SEMANTIC.check(options.get("semantic"), "llasa"))
    return found


def _model_state(options: Mapping[str, Any]) -> str:
    """Where the language model is; MissingExtra if it is not here, or not all of it."""
    return str(options_of.require_files(options_of.read(options).model))
