"""Zonos in this process: the package's model, speaker network and codec, loaded from folders.

Nothing is fetched: the codec and the two files of the speaker network, which the package asks a hub
for, are handed to it from where they lie (``_local_models``). Phonemes are eSpeak NG's: the
system's library, else the one that ``espeakng-loader`` carries.
"""

from __future__ import annotations

import ctypes.util
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mamtra_eval import audio
from mamtra_eval.errors import MissingExtra, SynthesisError, unknown_name
from mamtra_eval.prompts import Kept
from mamtra_eval.systems import _zonos_options as options_of
from mamtra_eval.systems._local_models import Model, served
from mamtra_eval.systems._zonos_source import MAKE, Source, has_japanese

if TYPE_CHECKING:
    from torch import Tensor

DAC = Model(
    "descript/dac_44khz", "dac", "the codec DAC 44.1 kHz", "306 MB",
    ("config.json", "model.safetensors|pytorch_model.bin"),
)  # fmt: skip
SPEAKER = Model(
    "Zyphra/Zonos-v0.1-speaker-embedding", "speaker", "Zonos's speaker network", "397 MB",
    ("ResNet293_SimAM_ASP_base.pt", "ResNet293_SimAM_ASP_base_LDA-128.pt"),
)  # fmt: skip
EOS = 1024
WARM_UP = 12


class Spoken(NamedTuple):
    """Codes of one clip: (1, 9, frames), and whether the model ended it itself."""

    codes: Tensor
    stopped: bool


class Loaded:
    """The package's objects, ready to speak; make one with ``load``."""

    def __init__(
        self,
        model: Any,  # noqa: ANN401 -- objects of the package
        conditioning: Any,  # noqa: ANN401
        settings: options_of.Settings,
        device: str,
    ) -> None:
        self.model, self._conditioning = model, conditioning
        self._settings, self._device = settings, device
        hybrid = options_of.is_hybrid(settings.model)
        self._compiled = options_of.compiled(settings, device, hybrid)
        self._voices = Kept["Tensor"]()

    @property
    def sample_rate_hz(self) -> int:
        """Of the codec: 44,100."""
        return int(self.model.autoencoder.sampling_rate)

    def voice(self, path: Path) -> Tensor:
        """Embedding of a prompt, (1, 1, 128) bf16; SynthesisError for one that can't be read."""
        return self._voices.get(path, self._embedded)

    def prefix(self, text: str, language: str, voice: Tensor) -> Tensor:
        """Hidden states (2, length, width) that condition the model, with and without guidance."""
        import torch

        code = self._settings.language or options_of.language_code(language)
        self._check_language(code)
        if not any(letter.isalnum() for letter in text):
            raise SynthesisError("the text has nothing to say in it")
        with torch.inference_mode():
            asked = self._conditioning.make_cond_dict(
                text=text, speaker=voice, language=code, device=self._device,
                **self._settings.conditioning(),
            )  # fmt: skip
            found: Tensor = self.model.prepare_conditioning(asked)
        return found

    def generate(self, prefix: Tensor, seed: int, most: int | None = None) -> Spoken:
        """Codes after the prefix; the package draws from torch's global generator."""
        import torch

        ended: Any = False

        def watch(frame: Tensor, step: int, last: int) -> bool:
            nonlocal ended
            if frame.shape[-1]:  # the last one of the longest clip is beyond its end, and empty
                # Kept on the device, so that looking does not wait for it, until the loop is over.
                ended = ended | (frame[0, 0, 0] == EOS)
            return True

        torch.manual_seed(seed)
        codes = self.model.generate(
            prefix, max_new_tokens=most or self._settings.max_new_tokens,
            cfg_scale=self._settings.cfg_scale, batch_size=1,
            sampling_params=self._settings.sampling(), progress_bar=False,
            disable_torch_compile=not self._compiled, callback=watch,
        )  # fmt: skip
        return Spoken(codes, bool(ended))

    def samples(self, codes: Tensor) -> audio.Samples:
        """float32 (n,) of codes (1, 9, frames)."""
        import torch

        with torch.inference_mode():
            waves = self.model.autoencoder.decode(codes)
        found: audio.Samples = waves.reshape(-1).float().cpu().numpy()
        return found

    def warm_up(self) -> None:
        """Compile what the first clip would compile; nothing where nothing is compiled."""
        if self._compiled or self._device.startswith("cuda"):
            import torch

            voice = torch.zeros(1, 1, 128, dtype=torch.bfloat16, device=self._device)
            self.samples(self.generate(self.prefix("Ready.", "en", voice), 0, WARM_UP).codes)

    def _check_language(self, code: str) -> None:
        if code not in self._conditioning.supported_language_codes:
            raise SynthesisError(f"Zonos knows no language {code!r}; give one as zonos:language=")
        if code == "ja" and not has_japanese():
            raise SynthesisError(
                "Japanese needs Sudachi's full dictionary: pip install sudachidict_full"
            )

    def _embedded(self, clip: audio.Clip) -> Tensor:
        import torch

        wave = torch.from_numpy(clip.samples)[None]
        with torch.inference_mode():
            found: Tensor = self.model.make_speaker_embedding(wave, clip.sample_rate_hz)
        return found.to(self._device, torch.bfloat16)


def load(settings: options_of.Settings, source: Source, device: str) -> Loaded:
    """The model on a device; MissingExtra for what is not here."""
    options_of.require_files(settings.model)
    folders = {
        DAC.hub: DAC.find(settings.dac, "zonos"),
        SPEAKER.hub: SPEAKER.find(settings.speaker, "zonos"),
    }
    if options_of.is_hybrid(settings.model):
        require_hybrid(source, device)
    espeak()
    conditioning = source.module("zonos.conditioning")
    known = conditioning.supported_language_codes
    if settings.language is not None and settings.language not in known:
        raise unknown_name("language of zonos", settings.language, known)
    model_module: Any = source.module("zonos.model")
    speaker_module: Any = source.module("zonos.speaker_cloning")
    with served(source.module("zonos.autoencoder"), "DacModel", folders):
        model = model_module.Zonos.from_local(
            str(settings.model / options_of.CONFIGURATION),
            str(settings.model / options_of.WEIGHTS),
            device=device,
        )
    model.eval().requires_grad_(False)
    with served(speaker_module, "hf_hub_download", folders):
        # The package would put it on the first CUDA device, whichever the model is on.
        model.spk_clone_model = speaker_module.SpeakerEmbeddingLDA(device=device)
    return Loaded(model, conditioning, settings, device)


def require_hybrid(source: Source, device: str) -> None:
    """MissingExtra where the hybrid's kernels can't run: no CUDA device, or no mamba-ssm."""
    if not device.startswith("cuda"):
        raise MissingExtra(
            "the hybrid needs a CUDA device of the 3000 series or newer: its Mamba-2 layers are "
            "kernels of mamba-ssm, which has none for a CPU",
            fix="Run it on such a device, or take the model Zonos-v0.1-transformer.",
        )
    if "mamba_ssm" in source.module("zonos.backbone").BACKBONES:
        return
    try:
        import_module("mamba_ssm.models.mixer_seq_simple")
        why = "it imports now, but did not when Zonos was loaded"
    except Exception as error:  # a broken wheel raises anything
        why = f"{type(error).__name__}: {error}"
    raise MissingExtra(
        f"the hybrid needs the packages mamba-ssm, causal-conv1d and flash-attn ({why})",
        fix="In its environment, with CUDA's compiler: pip install --no-build-isolation mamba-ssm "
        "causal-conv1d flash-attn. Or take the model Zonos-v0.1-transformer.",
    )


def espeak() -> str:
    """Version of eSpeak NG's library, chosen and opened; MissingExtra if there is none."""
    try:
        wrapper: Any = import_module("phonemizer.backend.espeak.wrapper").EspeakWrapper
        if not _own_library():
            loader: Any = import_module("espeakng_loader")
            wrapper.set_library(loader.get_library_path())
            # Without it the library looks where it was built, and ends the process.
            wrapper.set_data_path(loader.get_data_path())
        return ".".join(map(str, wrapper().version))
    except Exception as error:  # no package, no library, or a broken one
        raise MissingExtra(
            f"Zonos needs phonemizer and the library eSpeak NG ({type(error).__name__}: {error})",
            fix=f"{MAKE} , or install the system's package espeak-ng.",
        ) from error


def _own_library() -> bool:
    """Whether the user or the system has one, in the package's own order."""
    named = os.environ.get("PHONEMIZER_ESPEAK_LIBRARY")
    return bool(
        named or ctypes.util.find_library("espeak-ng") or ctypes.util.find_library("espeak")
    )
