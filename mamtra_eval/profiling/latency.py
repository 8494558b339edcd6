"""Figures of one streamed answer, from the times at which its pieces arrived. Pure arithmetic.

An answer is asked for at r; its pieces i = 0, 1, … arrive at t_i and hold d_i seconds of audio.

``first_audio``   t_0 - r. To be told with d_0: who waits for a longer piece is later
``first_voiced``  when the first sample above a threshold is heard by who plays at once, minus r:
                  leading silence, quickly sent, is no answer yet
``rtf``           real-time factor of the request, (t_last - r) / sum of d
``underrun``      max over i of t_i - (t_0 + sum over j < i of d_j), at least 0: how long, in all, a
                  player that starts at t_0 has nothing to play. Not defined for a single piece
``prebuffer``     how long a player must hold the first piece back so that it never stops: the
                  same maximum, and 0 for a single piece
``continuity``    of several requests: share with an underrun of at most 0.1 s (as in vLLM-Omni's
                  pull request 3618 and SGLang-Omni's issue 1234). RTF < 1 does not imply it: one
                  late piece is heard although the whole was in time

A player that stops and waits falls behind by exactly the largest lateness of a piece, therefore
the total of its pauses and the prebuffer are one number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mamtra_eval.audio import Samples

GAP_S = 0.1
"""Underrun that still counts as continuous."""

VOICED_LEVEL = 10 ** (-40 / 20)
"""Magnitude of a sample, of full scale, from which on something is heard: -40 dB."""


class Arrival(NamedTuple):
    """A piece of audio: when it was there, and how long it is, both in seconds."""

    time_s: float
    duration_s: float


@dataclass(frozen=True)
class Arrivals:
    """An answer as it came in; ValueError for one that can't be.

    Attributes:
        requested_s: when it was asked for, on the clock of the arrivals.
        arrivals: its pieces in the order of their times; at least one, with audio in it.
        voiced_offset_s: seconds of audio before the first sample above a threshold; ``None`` if
            there is no such sample.
    """

    requested_s: float
    arrivals: tuple[Arrival, ...]
    voiced_offset_s: float | None = None

    def __post_init__(self) -> None:
        times = [self.requested_s, *(piece.time_s for piece in self.arrivals)]
        if any(after < before for before, after in pairwise(times)):
            raise ValueError("pieces must arrive in order, after the request")
        if any(piece.duration_s < 0 for piece in self.arrivals) or not self.audio_s > 0:
            raise ValueError("an answer needs audio, and no piece of a negative length")

    @property
    def audio_s(self) -> float:
        """Seconds of audio in all."""
        return math.fsum(piece.duration_s for piece in self.arrivals)

    @property
    def total_s(self) -> float:
        """Seconds from the request to the last piece."""
        return self.arrivals[-1].time_s - self.requested_s


def first_audio_s(answer: Arrivals) -> float:
    """Seconds from the request to the first piece."""
    return answer.arrivals[0].time_s - answer.requested_s


def first_chunk_s(answer: Arrivals) -> float:
    """Seconds of audio in the first piece."""
    return answer.arrivals[0].duration_s


def first_voiced_s(answer: Arrivals) -> float | None:
    """Seconds until the first voiced sample is heard, played from the first piece on.

    ``None`` if nothing in it is voiced.
    """
    offset = answer.voiced_offset_s
    if offset is None:
        return None
    begins = position = 0.0  # of a piece: when it is played, and where in the audio it starts
    for index, piece in enumerate(answer.arrivals):
        ends = begins + (answer.arrivals[index - 1].duration_s if index else 0.0)
        begins = max(piece.time_s - answer.requested_s, ends)
        if offset < position + piece.duration_s or index == len(answer.arrivals) - 1:
            return begins + offset - position
        position += piece.duration_s
    raise AssertionError("unreachable")


def rtf(answer: Arrivals) -> float:
    """Seconds a second of audio, from the request to the last piece."""
    return answer.total_s / answer.audio_s


def rtf_system(wall_s: float, audio_s: float) -> float:
    """Seconds of a whole run a second of audio that came out of it."""
    if audio_s <= 0:
        raise ValueError("a run without audio has no real-time factor")
    return wall_s / audio_s


def underrun_s(answer: Arrivals) -> float | None:
    """Seconds for which a player that starts with the first piece has nothing to play.

    ``None`` for a single piece, which can't run dry.
    """
    return prebuffer_s(answer) if len(answer.arrivals) > 1 else None


def prebuffer_s(answer: Arrivals) -> float:
    """Seconds that a player must wait after the first piece so as never to stop."""
    due = answer.arrivals[0].time_s
    latest = 0.0
    for piece in answer.arrivals:
        latest = max(latest, piece.time_s - due)
        due += piece.duration_s
    return latest


def continuity(underruns: Sequence[float], gap_s: float = GAP_S) -> float:
    """Share of requests whose underrun is at most ``gap_s``; at least one request."""
    return sum(seconds <= gap_s for seconds in underruns) / len(underruns)


def voiced_from(samples: Samples, level: float = VOICED_LEVEL) -> int | None:
    """Index of the first sample of at least this magnitude; ``None`` if there is none."""
    above = np.abs(samples) >= level
    return int(above.argmax()) if above.any() else None


class Line(NamedTuple):
    """Seconds as fixed + slope · x."""

    fixed: float
    slope: float


def fit(x: Sequence[float], seconds: Sequence[float]) -> Line | None:
    """The least-squares line of seconds over audio (or tokens).

    ``None`` where all x are the same: fixed cost and slope can't be told apart.
    """
    xs, ys = np.asarray(x, dtype=float), np.asarray(seconds, dtype=float)
    if not len(xs) or not np.ptp(xs) > 0:
        return None
    spread = xs - xs.mean()
    slope = float(spread @ (ys - ys.mean()) / (spread @ spread))
    return Line(float(ys.mean() - slope * xs.mean()), slope)
