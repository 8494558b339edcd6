"""How many streams at once a service level allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mamtra_eval.profiling import latency
from mamtra_eval.profiling._loops import Load
from mamtra_eval.profiling.meter import summarize
from mamtra_eval.profiling.spoken import Measured

CONTINUOUS = 0.99
"""Least share of answers without a gap."""


@dataclass(frozen=True)
class AtSlo:
    """How many streams a service level allows.

    Attributes:
        streams: the largest number that meets it; 0 if none does.
        missed: why each other number of streams does not, by number.
        notes: what to know of it.
    """

    streams: int
    missed: dict[int, tuple[str, ...]]
    notes: tuple[str, ...] = ()


def streams_at_slo(loads: Mapping[int, Load], first_audio_s: float) -> AtSlo:
    """The largest number of streams that meets a service level, of closed loops by streams.

    It asks for a first audio within ``first_audio_s`` and a real-time factor below 1, both at the
    95th percentile (at the median where there are fewer than 100 requests, which is noted), for 99
    of 100 answers without a gap, and for no failure.
    """
    missed, small = {}, []
    for streams, load in sorted(loads.items()):
        reasons, few = _missed(load.measured, first_audio_s)
        small += [streams] if few else []
        if reasons:
            missed[streams] = reasons
    met = [streams for streams in loads if streams not in missed]
    best = max(met, default=0)
    notes = (
        [f"n too small for p95 at {', '.join(map(str, small))} streams: medians"] if small else []
    )
    if below := [str(streams) for streams in missed if streams < best]:
        notes.append(f"{', '.join(below)} streams missed it, more met it: repeat the measurement")
    return AtSlo(best, missed, tuple(notes))


def _missed(measured: Measured, first_audio_s: float) -> tuple[tuple[str, ...], bool]:
    """Why a service level is missed, and whether medians stood in for percentiles."""
    if not measured.spoken:
        return ("nothing was spoken",), False
    answers = [one.answer for one in measured.spoken]
    first = summarize([latency.first_audio_s(answer) for answer in answers])
    factors = summarize([latency.rtf(answer) for answer in answers])
    few = "p95" not in first.percentiles
    name = "median" if few else "p95"
    audio, factor = (each.percentiles.get("p95", each.median) for each in (first, factors))
    gaps = [gap for gap in map(latency.underrun_s, answers) if gap is not None]
    share = latency.continuity(gaps) if gaps else 1.0
    checks = (
        (audio <= first_audio_s, f"first audio {name} {audio:.3f} s > {first_audio_s:g} s"),
        (factor < 1, f"RTF {name} {factor:.2f} is not below 1"),
        (share >= CONTINUOUS, f"{100 * share:.1f} % of answers without a gap"),
        (not measured.failures, f"{len(measured.failures)} of {measured.n} requests failed"),
    )
    return tuple(reason for met, reason in checks if not met), few
