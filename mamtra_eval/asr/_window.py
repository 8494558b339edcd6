"""What Whisper hears of a clip, whichever package carries it: one window of 30 s."""

from __future__ import annotations

from typing import Any

WINDOW_S = 30
RATE_HZ = 16000


def truncation(n_samples: int) -> dict[str, Any]:
    """Evidence of a transcript: what of the clip was not heard, if anything."""
    if n_samples <= WINDOW_S * RATE_HZ:
        return {}
    duration_s = n_samples / RATE_HZ
    return {"truncated": f"only the first {WINDOW_S} s of {duration_s:.1f} s were heard"}
