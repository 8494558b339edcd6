"""What Whisper hears of a clip, whichever package carries it: one window of 30 s, or nothing.

Batches: the encoder always sees 30 s, so that a batch costs as much as its longest *text*; a
transcript is finished when its end is written, and what comes behind it is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mamtra_eval.asr import Transcript
from mamtra_eval.audio import Samples
from mamtra_eval.errors import UserError

WINDOW_S = 30
RATE_HZ = 16000


def truncation(n_samples: int) -> dict[str, Any]:
    """Evidence of a transcript: what of the clip was not heard, if anything."""
    if n_samples <= WINDOW_S * RATE_HZ:
        return {}
    duration_s = n_samples / RATE_HZ
    return {"truncated": f"only the first {WINDOW_S} s of {duration_s:.1f} s were heard"}


def silent(samples_16k: Samples) -> Transcript | None:
    """The empty transcript of digital silence, in which Whisper would find words."""
    if samples_16k.any():
        return None
    return Transcript("", {"reason": "digital silence"})


def around_silence(
    hear: Callable[[list[Samples]], list[Transcript]], clips: Sequence[Samples]
) -> list[Transcript]:
    """Transcripts of clips in their order, where ``hear`` is asked for those with sound alone."""
    found = [silent(samples) for samples in clips]
    sounding = [samples for samples, empty in zip(clips, found, strict=True) if empty is None]
    heard = iter(hear(sounding) if sounding else [])
    return [empty or next(heard) for empty in found]


def check_batch_size(batch_size: int) -> None:
    """UserError for a batch of nothing."""
    if batch_size < 1:
        raise UserError(f"asr.batch_size must be at least 1, not {batch_size}")
