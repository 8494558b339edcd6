"""A clip's outline: what the report draws as its waveform, as a hundred characters.

    envelope.of(clip.samples)  # "ABCk9…"

The clip is cut into ``POINTS`` slices of equal length (to one sample); each becomes the peak of its
samples as one of 64 levels, on a square-root scale, so that quiet speech can be told from silence.
A level is one character of ``LEVELS`` (the base64url alphabet, which needs no escaping in JSON,
HTML or SQL). It is a view of the clip for people: no figure, identity or hash rests on it.
"""

from __future__ import annotations

import string

import numpy as np

from mamtra_eval.audio import Samples

POINTS = 100
LEVELS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
_TABLE = np.frombuffer(LEVELS.encode("ascii"), dtype=np.uint8)


def of(samples: Samples) -> str:
    """The outline of a clip; of one with fewer samples than ``POINTS``, as many characters.

    What is beyond full scale, or not a number, counts as full scale.
    """
    if len(samples) == 0:
        return ""
    points = min(POINTS, len(samples))
    starts = np.arange(points) * len(samples) // points
    peaks = np.maximum.reduceat(np.abs(samples), starts)  # a NaN makes its slice NaN
    peaks = np.clip(np.nan_to_num(peaks, nan=1.0, posinf=1.0), 0.0, 1.0)
    levels = np.round(np.sqrt(peaks) * (len(LEVELS) - 1)).astype(np.intp)
    return bytes(_TABLE[levels]).decode("ascii")
