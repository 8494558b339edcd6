"""WavLM-large with ECAPA-TDNN: the speaker encoder of Seed-TTS-eval's similarity, 256 dimensions.

The published SIM figures ("SIM-o", times 100) are cosines of this encoder. Two clips of one voice
come out near 0.6 to 0.7, of two voices near 0. Take ``speaker.resample=sinc`` with it, which is how
the protocol comes to 16 kHz.

Options, all behind ``speaker.``:

``weights``     path of the checkpoint (``wavlm_large_finetune.pth`` in
                ``~/.cache/mamtra-eval/weights``)
``device``      ``cuda`` or ``cpu``; by default cuda where there is one
``batch_size``  most clips of exactly one length that are encoded together (1, as the official
                script has it); others are not, since statistics over time would hear the padding

As there: the whole clip, nothing trimmed, float32, samples brought to mean 0 and variance 1. To the
variance 1e-5 is added, so that loudness hardly matters for speech, and does matter below -50 dBFS.

The network is written anew in torch and needs no other package. The checkpoint is UniSpeech's
fine-tuned WavLM-large for speaker verification (1.3 GB), which holds WavLM too. Its tensors must be
exactly those of the network; the official script loads whatever fits. Left out by name is only the
classifier of its training, ``loss_calculator.projection.weight``. UniSpeech's repository is under
CC BY-SA 3.0 and says nothing about the weights apart; they are fetched by the user, not shipped.

Sources: Chen et al., "WavLM", 2022; Desplanques et al., "ECAPA-TDNN", 2020; Anastassiou et al.,
"Seed-TTS", 2024; github.com/microsoft/UniSpeech, downstreams/speaker_verification.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mamtra_eval import audio, devices
from mamtra_eval import weights as weight_files
from mamtra_eval.audio import Samples
from mamtra_eval.errors import MeasurementError, MissingExtra, UserError, describe
from mamtra_eval.registry import read_options
from mamtra_eval.speakers import Embedding, SpeakerEncoder
from mamtra_eval.weights import Weights

if TYPE_CHECKING:
    from torch import Tensor

    from mamtra_eval.speakers._ecapa import EcapaConfig, SpeakerNetwork
    from mamtra_eval.speakers._wavlm import WavLMConfig

DEFAULTS: dict[str, Any] = {"weights": None, "device": None, "batch_size": 1}
FAST = {"batch_size": 16}
FILE = "wavlm_large_finetune.pth"
SHA256 = "51f07e3b94d9e0262a6a675ef5a087be3dd09e8c62e9d886827f44f82fe7f94b"
URL = (
    "https://huggingface.co/k2-fsa/TTS_eval_models/resolve/"
    f"e876de7154845cd668b599bd4866f1d354c723df/speaker_similarity/{FILE}"
)

MIN_SAMPLES = 1600
"""0.1 s, which is four frames."""
IGNORED = frozenset({"loss_calculator.projection.weight"})
"""Tensors of the checkpoint that belong to its training alone."""
LISTED = 5
"""Tensors of one kind that an error names; the others are counted."""


class WavLMEncoder(SpeakerEncoder):
    """The encoder; weights are read at ``check`` or at the first clip."""

    on_device = True

    def __init__(
        self,
        weights: str | None = None,
        device: str | None = None,
        batch_size: int = 1,
        sizes: tuple[WavLMConfig, EcapaConfig] | None = None,
    ) -> None:
        if batch_size < 1:
            raise UserError(f"speaker.batch_size must be at least 1, not {batch_size}")
        self._weights, self.device, self.batch_size = weights, device, batch_size
        self._sizes = sizes

    def signature(self) -> str:
        """Weights by hash, and how they are computed with."""
        batch = f"|batch:{self.batch_size}" if self.batch_size > 1 else ""
        return f"encoder:wavlm-large-ecapa|weights:{self._sha256[:8]}|precision:fp32{batch}"

    def check(self) -> None:
        """MissingExtra if there are no weights, or others than the network's."""
        self._state  # noqa: B018 -- reading it is the check

    def embed(self, samples_16k: Samples) -> Embedding:
        """Embedding of one clip, float32 (256,), at 16 kHz."""
        (found,) = self.embed_many([samples_16k])
        if isinstance(found, Exception):
            raise found
        return found

    def embed_many(self, clips: Sequence[Samples]) -> Sequence[Embedding | Exception]:
        """Embeddings of clips of exactly one length; of a clip without a voice, its error."""
        if len({len(clip) for clip in clips}) > 1:
            raise ValueError(f"clips of one length only, not of {[len(clip) for clip in clips]}")
        found: dict[int, Embedding | Exception] = {}
        for position, clip in enumerate(clips):
            if len(clip) < MIN_SAMPLES or clip.min() == clip.max():
                found[position] = MeasurementError(
                    "no voice to encode: digital silence, or shorter than 0.1 s"
                )
        heard = [position for position in range(len(clips)) if position not in found]
        if heard:
            vectors = self._encode(np.stack([clips[position] for position in heard]))
            found.update(zip(heard, map(_unit, vectors), strict=True))
        return [found[position] for position in range(len(clips))]

    def _encode(self, waves: audio.Samples) -> audio.Samples:
        """What the network gives, (B, 256), for clips (B, N)."""
        import torch

        network = self._network
        device = network.feature_weight.device
        # Without this, convolutions on a GPU would round to 10 bits of mantissa.
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with torch.inference_mode(), exact:
            vectors = network(torch.from_numpy(waves).to(device))
        return np.asarray(vectors.cpu().numpy())

    @cached_property
    def _path(self) -> Path:
        if self._weights is None:
            return published().require()
        return weight_files.given(self._weights, FILE, "speaker.weights")

    @cached_property
    def _sha256(self) -> str:
        return audio.sha256(self._path)

    @cached_property
    def _state(self) -> dict[str, Tensor]:
        """The checkpoint's tensors, exactly those of the network."""
        state = {k: v for k, v in read_checkpoint(self._path).items() if k not in IGNORED}
        if wrong := differences(self._empty().state_dict(), state):
            raise MissingExtra(
                f"the weights are not those of the speaker encoder wavlm; {wrong}",
                where=str(self._path),
                fix=_how_to_fetch(),
            )
        return state

    @cached_property
    def _network(self) -> SpeakerNetwork:

        network = self._empty()
        network.load_state_dict(self._state, assign=True)
        device = devices.choose(self.device)
        try:
            network = network.float().to(device)
        except (RuntimeError, AssertionError) as error:  # no such device, no memory
            raise MissingExtra(
                f"the speaker encoder wavlm does not get onto {device} ({describe(error)})",
                fix="Set speaker.device=cpu, or make room on the device.",
            ) from error
        return network.eval().requires_grad_(False)

    def _empty(self) -> SpeakerNetwork:
        """The network with shapes and no numbers."""
        import torch

        from mamtra_eval.speakers._ecapa import SMALL, SpeakerNetwork
        from mamtra_eval.speakers._wavlm import LARGE

        with torch.device("meta"):
            return SpeakerNetwork(*(self._sizes or (LARGE, SMALL)))


def create(options: Mapping[str, Any]) -> WavLMEncoder:
    """An encoder with the given options; nothing heavy is imported yet."""
    return WavLMEncoder(**read_options("speaker encoder wavlm", options, DEFAULTS))


def weights() -> list[Weights]:
    """What it loads by default."""
    return [published()]


def published() -> Weights:
    """The checkpoint that published figures come from."""
    return Weights(
        name=FILE,
        path=weight_files.folder() / FILE,
        fetch=weight_files.download(URL, FILE),
        size="1.3 GB",
        option="speaker.weights",
        sha256=SHA256,
    )


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name; MissingExtra if the file is none.

    Files in torch's zip format are mapped into memory, so that workers share them.
    """
    import torch

    try:
        saved = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
        state = saved["model"]
        return {str(name): _tensor(value) for name, value in state.items()}
    except (
        OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError,
        pickle.UnpicklingError,
    ) as error:  # fmt: skip
        raise MissingExtra(
            f"the file is no checkpoint with tensors under 'model' ({describe(error)})",
            where=str(path),
            fix=_how_to_fetch(),
        ) from error


def differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """All missing, unexpected and misshapen tensors in words, empty if there are none."""
    kinds = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected],
        "misshapen": [
            f"{name} {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
            for name, tensor in expected.items()
            if name in found and found[name].shape != tensor.shape
        ],
    }
    return "; ".join(f"{kind}: {_shortened(names)}" for kind, names in kinds.items() if names)


def _how_to_fetch() -> str:
    return f"Where there is a network: {published().fetch} ; or give its path as speaker.weights."


def _tensor(value: object) -> Tensor:
    import torch

    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{type(value).__name__} in place of a tensor")
    return value


def _shortened(names: Sequence[str]) -> str:
    listed = ", ".join(names[:LISTED])
    return listed if len(names) <= LISTED else f"{listed} and {len(names) - LISTED} more"


def _unit(vector: audio.Samples) -> Embedding | Exception:
    """The vector scaled to length 1."""
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not np.isfinite(length) or length == 0.0:
        return MeasurementError("the speaker encoder found no direction for this clip")
    return np.asarray(vector / length, dtype=np.float32)
