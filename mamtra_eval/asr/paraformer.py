"""Paraformer-zh by FunASR: Seed-TTS-eval's recogniser for Chinese.

Needs ``pip install 'mamtra-eval[zh]'``. Options, all behind ``asr.``:

``model``     an id of ModelScope, or a folder; by default what FunASR takes for ``paraformer-zh``
              (``iic/speech_seaco_paraformer_large_asr_nat-zh-cn-16k-common-vocab8404-pytorch``)
``revision``  of ModelScope's model; default ``v2.0.4``
``device``    ``cuda`` or ``cpu``; by default cuda where there is one

As the official script has it: no voice activity detection, no punctuation, no speaker model, no hot
words; float32, the whole clip at once, one clip at a time. Characters come with spaces between
them; for Chinese the text rules take them out. Three things differ:

* The script hands over the file, which FunASR brings to 16 kHz by torchaudio (librosa without it);
  here the clip comes as ``asr.resample`` makes it, ``sinc`` being torchaudio's way.
* Before its features FunASR adds noise to a clip (``dither``, one step of 16 bits) unless the
  model's configuration says otherwise, so that a quiet clip may read differently every time. Here
  it is off.
* FunASR falls back to the CPU where there is no CUDA device, and leaves random numbers where the
  weights lack something; both are refused.

Clips are never taken together: the text of a clip changes with the padding that a longer one in
its batch brings.
Hugging Face's ``funasr/paraformer-zh``, which FunASR takes for the same name there, is reported to
be another network (without hot words); give its folder as ``asr.model`` to use it.

A run never downloads weights: without them it is refused with the line that fetches them.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mamtra_eval import audio, devices
from mamtra_eval.asr import Recognizer, Transcript
from mamtra_eval.audio import Samples
from mamtra_eval.errors import MeasurementError, MissingExtra, UserError, describe
from mamtra_eval.extras import extra_version, import_extra
from mamtra_eval.registry import read_options
from mamtra_eval.weights import Weights, fingerprint, folder_of, modelscope

PACKAGES = ("funasr",)
NEEDS = ("the recogniser paraformer", "funasr", "zh")
"""Feature, package and extra, for what is said where the package is not."""

DEFAULTS: dict[str, Any] = {
    "model": "iic/speech_seaco_paraformer_large_asr_nat-zh-cn-16k-common-vocab8404-pytorch",
    "revision": "v2.0.4", "device": None,
}  # fmt: skip
WEIGHTS = "model.pt"
FILES = (WEIGHTS, "config.yaml", "am.mvn", "tokens.json")

RATE_HZ = 16000
FRAME = 400
"""25 ms: there are no features of less."""
DECIDING = ("encoder.", "decoder.", "predictor.cif_conv1d.", "predictor.cif_output.")
"""Parameters that the text depends on; others serve hot words, timestamps and training."""


class Paraformer(Recognizer):
    """The model; weights are read at the first ``transcribe``."""

    on_device = True

    languages = frozenset({"zh"})

    def __init__(self, model: str, revision: str, device: str | None) -> None:
        if not Path(model).is_dir() and not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", model):
            raise UserError(
                "no such folder, and no id of ModelScope (OWNER/NAME)",
                where=model,
                fix="Give one of them as asr.model, or leave it out.",
            )
        self.model, self.revision, self.device = model, revision, device

    def signature(self) -> str:
        """Version, weights (by hash), and how they are used."""
        return (
            f"asr:paraformer-zh-{extra_version(*NEEDS)}|weights:{self._sha256[:8]}"
            f"|files:{fingerprint(self._folder, *FILES[1:])[:8]}|dither:0|precision:fp32"
        )

    def check(self) -> None:
        """MissingExtra if the package does not import, or can't compute features."""
        self._auto_model  # noqa: B018 -- importing it is the check
        import torch

        with _quiet():
            features = import_extra("funasr.utils.fbank", *NEEDS)
            try:
                features.fbank(torch.zeros(1, FRAME))
            except ImportError as error:  # it needs one of two packages, and requires neither
                raise MissingExtra(
                    f"funasr has nothing to compute features with ({describe(error)})",
                    fix="Install it with: pip install kaldi-native-fbank",
                ) from error

    def transcribe(self, samples_16k: Samples, language: str) -> Transcript:
        """The text of the whole clip, a space between characters."""
        if language not in self.languages:
            raise MeasurementError(
                f"paraformer-zh knows Chinese (zh), the text is {language!r}; choose another "
                "recogniser with --set asr.backend=NAME"
            )
        if not samples_16k.any():
            return Transcript("", {"reason": "digital silence"})
        if len(samples_16k) < FRAME:
            return Transcript("", {"reason": "shorter than 25 ms"})
        # A copy: torch warns of arrays that must not be written to.
        found = self._model.generate(input=np.array(samples_16k, np.float32), fs=RATE_HZ)
        if not found:
            return Transcript("", {"reason": "no character was found"})
        return Transcript(str(found[0]["text"]).strip())

    @cached_property
    def _auto_model(self) -> Any:  # noqa: ANN401 -- the package has no types
        with _quiet():
            import_extra("funasr", *NEEDS)  # which says so if the package is not there
            return import_extra("funasr.auto.auto_model", *NEEDS).AutoModel

    @cached_property
    def _folder(self) -> Path:
        """Where the model lies; MissingExtra if it is not here, or not all of it."""
        return folder_of(
            self.model, lambda: _weights(self.model, self.revision), FILES, "a Paraformer"
        )

    @cached_property
    def _sha256(self) -> str:
        return audio.sha256(self._folder / WEIGHTS)

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401
        """FunASR's model with all its weights, on the device."""
        import torch

        device = devices.choose(self.device)
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise UserError("there is no CUDA device here", fix="Set asr.device=cpu.")
        folder, make = str(self._folder), self._auto_model
        try:
            with _quiet() as printed:
                model = make(
                    model=folder, device=device, disable_update=True, disable_pbar=True,
                    ncpu=torch.get_num_threads(),  # it sets torch's to 4 otherwise
                    frontend_conf={"dither": 0.0}, ignore_init_mismatch=False,
                )  # fmt: skip
        except Exception as error:  # of the files, of memory, of the device
            raise MissingExtra(
                f"funasr can't load this model ({describe(error)})",
                where=folder,
                fix="Fetch it again, or try asr.device=cpu.",
            ) from error
        _refuse_others(model, printed.getvalue(), folder)
        return model


def create(options: Mapping[str, Any]) -> Paraformer:
    """A recogniser with the given options; nothing heavy is imported yet."""
    return Paraformer(**read_options("paraformer", options, DEFAULTS))


def weights() -> list[Weights]:
    """What it loads by default."""
    return [_weights(DEFAULTS["model"], DEFAULTS["revision"])]


def _weights(model: str, revision: str) -> Weights:
    """ModelScope's model of an id, looked for where its downloader puts it, and used to."""
    folders = modelscope(model, revision)
    return Weights(
        name=f"{model} of FunASR",
        path=folders[0],
        fetch=f"modelscope download {model} --revision {revision}",
        size="990 MB",
        option="asr.model",
        alias=tuple(folders[1:]),
    )


def _refuse_others(model: Any, printed: str, folder: str) -> None:  # noqa: ANN401
    """MissingExtra for another kind of network, or one whose weights are not all there."""
    kind = type(model.model).__name__
    if "Paraformer" not in kind:
        raise MissingExtra(
            f"this is no Paraformer, but {kind}",
            where=folder,
            fix="Give a Paraformer's folder as asr.model.",
        )
    absent = re.findall(r"miss key in ckpt: ([\w.]+)", printed)
    lacking = [key for key in absent if key.startswith(DECIDING)]
    if lacking:
        raise MissingExtra(
            f"the weights lack {len(lacking)} parameters of the network, {lacking[0]} among them",
            where=str(Path(folder) / WEIGHTS),
            fix="Fetch the model again, all of it.",
        )


@contextmanager
def _quiet() -> Iterator[io.StringIO]:
    """What funasr prints, which is shown to no one; logging is left as it was before."""
    root, printed = logging.getLogger(), io.StringIO()
    level, handlers, disabled = root.level, root.handlers[:], root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(printed):
            yield printed
    finally:
        logging.disable(disabled)
        root.handlers[:] = handlers
        root.setLevel(level)
