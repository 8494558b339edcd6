"""Recordings that give a voice: read and checked, and what a system computed of them kept.

Seed-TTS-eval asks for many texts in one voice, and features of a prompt take longer than a short
text: they are computed once for each content of a file, wherever it lies.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from mamtra_eval import audio
from mamtra_eval.audio import Clip
from mamtra_eval.errors import SynthesisError

T = TypeVar("T")

KEPT = 512
"""Prompts whose features are kept; of no system do they take more than 1 MB each."""


@dataclass(frozen=True)
class Bounds:
    """What a system takes as a prompt: its length in seconds, and the least sampling rate."""

    least_s: float = 0.1
    most_s: float = math.inf
    least_hz: int = 0


def read(path: Path, bounds: Bounds) -> Clip:
    """A prompt's recording; SynthesisError for one that no voice can be taken of."""
    try:
        clip = audio.read(path)
    except (audio.AudioError, OSError) as error:
        raise SynthesisError(f"the prompt can't be read: {error}") from error
    if not bounds.least_s <= clip.duration_s <= bounds.most_s:
        end = "at the least" if clip.duration_s < bounds.least_s else "at the most"
        bound = bounds.least_s if clip.duration_s < bounds.least_s else bounds.most_s
        raise SynthesisError(
            f"the prompt lasts {clip.duration_s:.4g} s; this system takes {bound:g} s {end}"
        )
    if clip.sample_rate_hz < bounds.least_hz:
        raise SynthesisError(
            f"the prompt has {clip.sample_rate_hz} Hz; this system takes {bounds.least_hz} Hz at "
            "the least"
        )
    if not np.isfinite(clip.samples).all():
        raise SynthesisError("the prompt has samples that are no finite numbers")
    return clip


class Kept(Generic[T]):
    """Features of the ``KEPT`` prompts that were asked for last."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._found: OrderedDict[tuple[str, Hashable], T] = OrderedDict()

    def get(self, path: Path, compute: Callable[[Clip], T], beside: Hashable = None) -> T:
        """Features of a recording, computed if need be; SynthesisError as ``read`` raises it.

        Args:
            path: of the recording.
            compute: makes them of the checked clip.
            beside: whatever else they depend on: its transcript, say.
        """
        try:
            key = audio.sha256(path), beside
        except OSError as error:
            raise SynthesisError(f"the prompt can't be read: {error}") from error
        if key not in self._found:
            self._found[key] = compute(read(path, self._bounds))
            if len(self._found) > KEPT:
                self._found.popitem(last=False)
        self._found.move_to_end(key)
        return self._found[key]
