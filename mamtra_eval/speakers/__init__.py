"""Speaker encoders: a voice as a vector. One file each.

A plugin module offers ``create(options) -> SpeakerEncoder``. Making an encoder must be cheap and
import no torch: its signature is read in processes that never measure. Weights are loaded at the
first ``embed``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mamtra_eval.audio import Samples
from mamtra_eval.batching import one_by_one

Embedding = npt.NDArray[np.float32]


class SpeakerEncoder(ABC):
    """Maps speech to a point on the unit sphere; the cosine of two points compares the voices."""

    @abstractmethod
    def embed(self, samples_16k: Samples) -> Embedding:
        """Embedding of length 1, float32 (d,); MeasurementError if there is no voice in it."""

    device: str | None = None
    """Device of its network, where asked for; see ``on_device``."""
    on_device: bool = False
    """Whether it holds a network that goes to a GPU where there is one."""
    batch_size: int = 1
    """Most clips handed over in one call of ``embed_many``."""

    def embed_many(self, clips: Sequence[Samples]) -> Sequence[Embedding | Exception]:
        """The same of several clips of exactly one length; what went wrong with one, in place."""
        return one_by_one(self.embed, clips)

    def check(self) -> None:  # noqa: B027 -- an encoder may have nothing to check
        """UserError if it can't work here (weights or packages are missing)."""

    @abstractmethod
    def signature(self) -> str:
        """Everything the embeddings depend on, as ``key:value|key:value``."""
