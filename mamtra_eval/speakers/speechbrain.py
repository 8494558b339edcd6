"""ECAPA-TDNN trained on VoxCeleb, through SpeechBrain: a second speaker encoder, 192 dimensions.

Needs ``pip install 'mamtra-eval[speaker]'``. Options, all behind ``speaker.``:

``source``   name on the Hugging Face hub, or a folder; default
             ``speechbrain/spkrec-ecapa-voxceleb``
``savedir``  where its files are put; default ``mamtra-eval/speechbrain/…`` in the user's cache
``device``   ``cuda`` or ``cpu``; by default cuda where there is one

The whole clip is encoded at once and the embedding scaled to length 1. The weights (80 MB) are
fetched while the run is planned, once and before the first clip; later runs need no network. From
another machine, copy the folder and name it as ``source``. Its ``hyperparams.yaml`` is a program:
take it only from people whose programs you would run.

Trained on interviews of celebrities. Its cosines are on another, lower scale than those of ge2e:
SpeechBrain itself takes 0.25 as the border between one voice and two.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mamtra_eval import audio, devices
from mamtra_eval.audio import Samples
from mamtra_eval.errors import MeasurementError, MissingExtra, describe
from mamtra_eval.extras import extra_version, import_extra
from mamtra_eval.registry import read_options
from mamtra_eval.speakers import Embedding, SpeakerEncoder
from mamtra_eval.weights import Weights, cache

PACKAGES = ("speechbrain", "torchaudio")
NEEDS = ("the speaker encoder speechbrain", "speechbrain", "speaker")
"""Feature, package and extra, for what is said where the package is not."""

HUB = "speechbrain/spkrec-ecapa-voxceleb"
DEFAULTS: dict[str, Any] = {"source": HUB, "savedir": None, "device": None}
HYPERPARAMETERS = "hyperparams.yaml"
MIN_SAMPLES = 1600
"""0.1 s: below, there are fewer frames than the network looks at together."""


class SpeechBrainEncoder(SpeakerEncoder):
    """The encoder; weights are read at ``check`` or at the first ``embed``."""

    on_device = True

    def __init__(self, source: str, savedir: str | None, device: str | None) -> None:
        self.folder = Path(source).absolute() if _is_folder(source) else None
        self.source = source
        self._savedir = savedir
        self.device = device

    def signature(self) -> str:
        """Version and source; a folder by the hash of its files."""
        source = f"{self.folder.name}-{self._sha256[:8]}" if self.folder else self.source
        return f"encoder:speechbrain-{extra_version(*NEEDS)}|source:{source}"

    def check(self) -> None:
        """MissingExtra if package or weights can't be had. Fetches the weights if need be."""
        self._classifier  # noqa: B018 -- loading it is the check

    def embed(self, samples_16k: Samples) -> Embedding:
        """Embedding of one clip, float32 (192,), at 16 kHz."""
        if len(samples_16k) < MIN_SAMPLES or not samples_16k.any():
            raise MeasurementError("no voice to encode: digital silence, or shorter than 0.1 s")
        import torch

        with torch.inference_mode():
            raw = self._classifier.encode_batch(torch.from_numpy(samples_16k)[None])
        vector = raw.squeeze().cpu().numpy().astype(np.float64)
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length) or length == 0.0:
            raise MeasurementError("the speaker encoder found no direction for this clip")
        return np.asarray(vector / length, dtype=np.float32)

    @property
    def savedir(self) -> Path:
        """Where the files are put: apart for each source, and for each content of a folder."""
        if self._savedir:
            return Path(self._savedir).absolute()
        name = f"{self.folder.name}-{self._sha256[:8]}" if self.folder else self.source
        return cache() / "mamtra-eval" / "speechbrain" / name.replace("/", "--")

    @cached_property
    def _sha256(self) -> str:
        """Of the names and contents of a folder's files."""
        digest = hashlib.sha256()
        for path in sorted(self._existing_folder().iterdir()):
            if path.is_file():
                digest.update(f"{path.name}:{audio.sha256(path)}\n".encode())
        return digest.hexdigest()

    @cached_property
    def _classifier(self) -> Any:  # noqa: ANN401 -- the package has no types
        extra_version(*NEEDS)
        module = import_extra("speechbrain.inference.classifiers", *NEEDS)
        overrides = self._overrides()
        try:
            return module.EncoderClassifier.from_hparams(
                source=str(self.folder or self.source),
                savedir=str(self.savedir),
                overrides=overrides,
                run_opts={"device": devices.choose(self.device)},
            )
        except Exception as error:  # of the hub, the file system, the hyperparameters
            raise MissingExtra(
                f"the speaker encoder {self.source} can't be loaded ({describe(error)})",
                where=str(self.folder or self.savedir),
                fix="Run it once where there is a network; or copy the model's folder (with "
                f"{HYPERPARAMETERS}) from another machine and set speaker.source=FOLDER.",
            ) from error

    def _overrides(self) -> dict[str, str]:
        """A folder's hyperparameters may point to the hub all the same; here they point to it."""
        if self.folder is None:
            return {}
        text = (self._existing_folder() / HYPERPARAMETERS).read_text(encoding="utf-8")
        pointed = re.search(r"^pretrained_path:", text, re.MULTILINE)
        return {"pretrained_path": str(self.folder)} if pointed else {}

    def _existing_folder(self) -> Path:
        if self.folder is None or not (self.folder / HYPERPARAMETERS).is_file():
            raise MissingExtra(
                f"no model of speechbrain: there is no {HYPERPARAMETERS}",
                where=str(self.folder),
                fix=f"Give a name on the hub ({HUB}) or a folder with its files.",
            )
        return self.folder


def weights() -> list[Weights]:
    """What it loads by default; its own way of fetching is to load it."""
    folder = cache() / "mamtra-eval" / "speechbrain" / HUB.replace("/", "--")
    found = folder if (folder / HYPERPARAMETERS).is_file() else None
    return [
        Weights(
            name=f"{HUB} for speechbrain", path=found, size="80 MB", option="speaker.source",
            fetch=f"hf download {HUB} --local-dir '{folder}'",
        )
    ]  # fmt: skip


def create(options: Mapping[str, Any]) -> SpeechBrainEncoder:
    """An encoder with the given options; nothing heavy is imported yet."""
    return SpeechBrainEncoder(**read_options("speaker encoder speechbrain", options, DEFAULTS))


def _is_folder(source: str) -> bool:
    """Whether a source is meant as a folder: it is one, or no name of the form OWNER/NAME."""
    return Path(source).is_dir() or re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", source) is None
