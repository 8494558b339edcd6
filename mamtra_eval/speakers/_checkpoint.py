"""Speaker encoders whose network is ours and whose weights are a published checkpoint.

Loading is strict: the file's tensors must be exactly those of the network, by name and shape, so
that no half of it stays at random. What a plugin adds is the network, its features and its file.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mamtra_eval import audio, devices
from mamtra_eval import weights as weight_files
from mamtra_eval.audio import Samples
from mamtra_eval.errors import MeasurementError, MissingExtra, UserError, describe
from mamtra_eval.speakers import Embedding, SpeakerEncoder
from mamtra_eval.weights import Weights

if TYPE_CHECKING:
    from torch import Tensor, nn

LISTED = 5
"""Tensors of one kind that an error names; the others are counted."""


class CheckpointEncoder(SpeakerEncoder):
    """The encoder; weights are read at ``check`` or at the first clip."""

    on_device = True
    name: str
    """As ``speaker.encoder`` has it."""
    inside: str | None = None
    """Key of the file below which the tensors are."""
    ignored: frozenset[str] = frozenset()
    """Tensors of the file that belong to its training alone."""
    min_samples: int
    """Shortest clip at 16 kHz."""

    def __init__(self, weights: str | None, device: str | None, batch_size: int) -> None:
        if batch_size < 1:
            raise UserError(f"speaker.batch_size must be at least 1, not {batch_size}")
        self._weights, self.device, self.batch_size = weights, device, batch_size

    @abstractmethod
    def published(self) -> Weights:
        """The file that is loaded unless another is given."""

    @abstractmethod
    def build(self) -> nn.Module:
        """The network; made on torch's meta device, with shapes and no numbers."""

    @abstractmethod
    def prepare(self, clips: Sequence[Samples]) -> audio.Samples:
        """What the network reads of clips of one length, clips first."""

    def check(self) -> None:
        """MissingExtra if there are no weights, or others than the network's."""
        devices.check(self.device, "speaker.device")
        self._state  # noqa: B018 -- reading it is the check

    def embed(self, samples_16k: Samples) -> Embedding:
        """Embedding of one clip at 16 kHz, float32 (d,)."""
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
            if len(clip) < self.min_samples or clip.min() == clip.max():
                found[position] = MeasurementError(
                    "no voice to encode: digital silence, or shorter than "
                    f"{self.min_samples / 16000:.4g} s"
                )
        heard = [position for position in range(len(clips)) if position not in found]
        if heard:
            vectors = self._encode(self.prepare([clips[position] for position in heard]))
            found.update(zip(heard, map(_unit, vectors), strict=True))
        return [found[position] for position in range(len(clips))]

    @property
    def sha256(self) -> str:
        """Of the file."""
        return self._sha256

    @property
    def batch(self) -> str:
        """The batch in a signature, if there is one."""
        return f"|batch:{self.batch_size}" if self.batch_size > 1 else ""

    def _encode(self, prepared: audio.Samples) -> audio.Samples:
        """What the network gives, (B, d)."""
        import torch

        network = self._network
        device = next(network.parameters()).device
        with torch.inference_mode(), devices.exact():
            vectors = network(torch.from_numpy(prepared).to(device))
        return np.asarray(vectors.cpu().numpy())

    @cached_property
    def _path(self) -> Path:
        if self._weights is None:
            return self.published().require()
        return weight_files.given(self._weights, self.published().name, "speaker.weights")

    @cached_property
    def _sha256(self) -> str:
        return audio.sha256(self._path)

    @cached_property
    def _state(self) -> dict[str, Tensor]:
        """The checkpoint's tensors, exactly those of the network."""
        read = read_checkpoint(self._path, self.inside, self.how_to_fetch())
        state = {name: tensor for name, tensor in read.items() if name not in self.ignored}
        if wrong := differences(self._empty().state_dict(), state):
            raise MissingExtra(
                f"the weights are not those of the speaker encoder {self.name}; {wrong}",
                where=str(self._path),
                fix=self.how_to_fetch(),
            )
        return state

    @cached_property
    def _network(self) -> nn.Module:
        network = self._empty()
        network.load_state_dict(self._state, assign=True)
        device = devices.choose(self.device)
        try:
            network = network.float().to(device)
        except (RuntimeError, AssertionError) as error:  # no such device, no memory
            raise MissingExtra(
                f"the speaker encoder {self.name} does not get onto {device} ({describe(error)})",
                fix="Set speaker.device=cpu, or make room on the device.",
            ) from error
        return network.eval().requires_grad_(False)

    def _empty(self) -> nn.Module:
        import torch

        with torch.device("meta"):
            return self.build()

    def how_to_fetch(self) -> str:
        """What to do about a file that is none, or another's."""
        fetch = self.published().fetch
        return f"Where there is a network: {fetch} ; or give its path as speaker.weights."


def read_checkpoint(path: Path, inside: str | None, fix: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, below a key or not; MissingExtra if the file is none.

    Files in torch's zip format are mapped into memory, so that workers share them.
    """
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of archives that hold programs, which are refused
            saved = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
        state = saved[inside] if inside else saved
        return {str(name): _tensor(name, value) for name, value in state.items()}
    except (
        OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError,
        pickle.UnpicklingError,
    ) as error:  # fmt: skip
        under = f"with tensors under {inside!r}" if inside else "of tensors by name"
        raise MissingExtra(
            f"the file is no checkpoint {under} ({weight_files.why(error)})",
            where=str(path),
            fix=fix,
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


def _shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _tensor(name: object, value: Any) -> Tensor:  # noqa: ANN401 -- whatever a file holds
    import torch

    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name} is no tensor")
    return value


def _unit(vector: audio.Samples) -> Embedding | Exception:
    """The vector scaled to length 1."""
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not np.isfinite(length) or length == 0.0:
        return MeasurementError("the speaker encoder found no direction for this clip")
    return np.asarray(vector / length, dtype=np.float32)
