"""White noise in the place of speech: the floor of every metric.

Option ``level_db`` (default -20): RMS below full scale. A clip is as long as its text would take at
15 characters a second; the same seed gives the same noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mamtra_eval.audio import Clip
from mamtra_eval.errors import UserError
from mamtra_eval.registry import read_options
from mamtra_eval.systems import Request, System

RATE_HZ = 16_000
CHARACTERS_PER_S = 15


class Noise(System):
    """Gaussian samples, limited to full scale."""

    def __init__(self, level_db: float) -> None:
        if not -120 <= level_db <= 0:
            raise UserError(
                f"level_db of noise must lie from -120 to 0, not {level_db:g}",
                fix="Write noise:level_db=-20.",
            )
        self.level_db = level_db

    def identity(self, requests: Sequence[Request]) -> dict[str, Any]:
        """The level; the rest is the request's."""
        return {"level_db": self.level_db}

    def speak(self, request: Request) -> Clip:
        """Noise as long as the text would be."""
        rng = np.random.Generator(np.random.Philox(request.seed))
        count = max(1, len(request.text)) * RATE_HZ // CHARACTERS_PER_S
        samples = rng.standard_normal(count, dtype=np.float32) * 10 ** (self.level_db / 20)
        return Clip(np.clip(samples, -1, 1).astype(np.float32), RATE_HZ)


def create(options: Mapping[str, Any]) -> Noise:
    """The system; option ``level_db``."""
    return Noise(**read_options("noise", options, {"level_db": -20.0}))
