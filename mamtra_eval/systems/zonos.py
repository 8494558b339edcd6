"""Zonos-v0.1, transformer or hybrid, through its own package.

Options:

``model``           folder with ``config.json``, which says which variant it is, and
                    ``model.safetensors``; else ``$ZONOS_MODEL``
``source``          clone of the official code; else ``$ZONOS_SOURCE``, else an importable one
``any_revision``    take a source that was not tested; default false
``speaker``         folder of the speaker network (Zyphra/Zonos-v0.1-speaker-embedding); else the
                    hub's cache
``dac``             folder of the codec (descript/dac_44khz); else the hub's cache
``language``        as the package calls it; by default the test set's (``en`` is en-us, ``zh`` cmn)
``cfg_scale``       guidance, not 1; default 2.0
``min_p``, ``temperature``, ``repetition_penalty``, ``repetition_window``
                    of the sampler; default 0.1, 1.0, 3.0 over the last 2 frames
``max_new_tokens``  frames of 1/86 s; default 2580, 30 s
``speaking_rate``, ``pitch_std``, ``fmax``
                    conditioning; default 15 phonemes/s, 20, 22050 Hz
``precision``       bf16, the package's only one; the codec runs in fp16 on CUDA, else in fp32
``compile``         whether torch compiles the decoding step: ``auto`` (as the package does it, on
                    CUDA), ``true``, ``false``
``device``          default: a CUDA device where there is one

and those of ``isolation`` (``env``, …). Target: ``zonos:model=DIR``. 44.1 kHz. Defaults are the
package's own. A clip speaks in the voice of its prompt's embedding alone, as in the package's
example: the prompt's transcript is not used. What is left of its conditioning (emotion, quality) is
at the package's defaults. ``tokens`` counts frames; each has nine codes.

The hybrid needs CUDA and the packages mamba-ssm, causal-conv1d and flash-attn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mamtra_eval import audio
from mamtra_eval.audio import Clip
from mamtra_eval.errors import SynthesisError
from mamtra_eval.stage_times import stage
from mamtra_eval.systems import Request, System, _zonos_source
from mamtra_eval.systems import _zonos_options as options_of
from mamtra_eval.systems._local_models import checked, packages, versions

if TYPE_CHECKING:
    from mamtra_eval.diagnosis import Check
    from mamtra_eval.systems._zonos_model import Loaded
    from mamtra_eval.systems._zonos_source import Source

PACKAGES = ("inflect", "kanjize", "phonemizer", "sudachipy", "torchaudio", "transformers")
ENVIRONMENT = "zonos"
TESTED = {
    "torch": "2.7.1", "torchaudio": "2.7.1", "transformers": "4.48.3", "phonemizer": "3.4.0",
    "inflect": "7.6.0", "kanjize": "1.6.1", "sudachipy": "0.7.0",
}  # fmt: skip
"""Distributions that a clip's samples depend on, as they were tested."""
KERNELS = {"mamba-ssm": "", "causal-conv1d": "", "flash-attn": ""}
"""Those that the hybrid depends on beside them."""


class Zonos(System):
    """Speaks with the package in this process."""

    max_processes = 1
    on_device = True

    def __init__(self, settings: options_of.Settings) -> None:
        self.settings = settings

    def identity(self, requests: Sequence[Request]) -> dict[str, Any]:
        """Weights, source, versions, and how codes are drawn and computed."""
        from mamtra_eval.systems import _zonos_model as parts

        settings, source = self.settings, self._source
        options_of.require_files(settings.model)
        hybrid = options_of.is_hybrid(settings.model)
        speaker = parts.SPEAKER.find(settings.speaker, "zonos")
        dac = parts.DAC.find(settings.dac, "zonos")
        return {
            "variant": "hybrid" if hybrid else "transformer",
            "model": {
                name: audio.sha256(settings.model / name)
                for name in (options_of.CONFIGURATION, options_of.WEIGHTS)
            },
            "speaker": parts.SPEAKER.hashes(speaker),
            "dac": parts.DAC.hashes(dac),
            "source": {"revision": source.revision, "fingerprint": source.fingerprint},
            "versions": versions(TESTED | KERNELS if hybrid else TESTED),
            "espeak-ng": parts.espeak(),
            "language": settings.language,
            "cfg_scale": settings.cfg_scale,
            **settings.sampling(),
            "max_new_tokens": settings.max_new_tokens,
            **settings.conditioning(),
            "precision": settings.precision,
            "compiled": options_of.compiled(settings, self.device, hybrid),
            "device": self.device.partition(":")[0],
        }  # fmt: skip

    def prepare(self) -> None:
        """Load the models, and compile what is compiled."""
        _ = self._loaded

    def speak(self, request: Request) -> Clip:
        """One clip; SynthesisError without a prompt or for a text without words."""
        from mamtra_eval.systems._cuda_peak import Peak

        if request.prompt_audio is None:
            raise SynthesisError(
                "zonos speaks in the voice of a prompt, and the test set has none for "
                f"{request.utterance}"
            )
        loaded, peak = self._loaded, Peak(self.device)
        with stage("front_end"):
            voice = loaded.voice(request.prompt_audio)
            prefix = loaded.prefix(request.text, request.language, voice)
        with stage("decoder"):
            spoken = loaded.generate(prefix, request.seed)
        frames = int(spoken.codes.shape[-1])
        if frames == 0:
            raise SynthesisError("the model ended before it said anything")
        with stage("vocoder"):
            samples = loaded.samples(spoken.codes)
        cost = {"tokens": float(frames), "cut": float(not spoken.stopped)}
        return Clip(samples, loaded.sample_rate_hz, cost=cost | peak.cost())

    @cached_property
    def device(self) -> str:
        """Where it computes."""
        return options_of.check_device(self.settings)

    @cached_property
    def _source(self) -> Source:
        return _zonos_source.find(self.settings.source, self.settings.any_revision)

    @cached_property
    def _loaded(self) -> Loaded:
        from mamtra_eval.systems._zonos_model import load

        loaded = load(self.settings, self._source, self.device)
        loaded.warm_up()
        return loaded


def create(options: Mapping[str, Any]) -> System:
    """The system, in this process or in its environment's; options as in the module."""
    from mamtra_eval.isolation.placing import placed

    return placed("zonos", options, lambda rest: Zonos(options_of.read(rest)))


def diagnose(options: Mapping[str, Any]) -> list[Check]:
    """Packages, source and weights: what is here, and what brings the rest. Loads none of it."""
    from mamtra_eval.systems import _zonos_model as parts

    given = {name: options.get(name) for name in options_of.DEFAULTS}
    found = packages(TESTED, ENVIRONMENT)
    found.append(checked("eSpeak NG", parts.espeak))
    found.append(checked("source", lambda: _source_state(given)))
    found.append(checked("model", lambda: _model_state(options)))
    found.append(parts.SPEAKER.check(given["speaker"], "zonos"))
    found.append(parts.DAC.check(given["dac"], "zonos"))
    return found


def _source_state(given: Mapping[str, Any]) -> str:
    anyhow = str(given["any_revision"]).lower() in ("true", "yes", "1")
    source = _zonos_source.find(given["source"], anyhow)
    return f"{source.folder}, {source.revision or 'a revision that was not tested'}"


def _model_state(options: Mapping[str, Any]) -> str:
    """Where the model is; MissingExtra for a hybrid that can't run here."""
    from mamtra_eval.systems._zonos_model import require_hybrid

    settings = options_of.read(options)
    options_of.require_files(settings.model)
    if not options_of.is_hybrid(settings.model):
        return f"{settings.model}, transformer"
    source = _zonos_source.find(settings.source, settings.any_revision)
    require_hybrid(source, options_of.check_device(settings))
    return f"{settings.model}, hybrid"
