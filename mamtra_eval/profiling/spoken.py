"""One request, spoken and timed; and the rows that many of them make.

Every figure is of what the caller sees: the clock is read when a piece of audio is in its hands
(``latency`` has the definitions). Rows of quantities that differ from text to text (seconds, RTF)
are called unstable by the spread of an utterance around its own median, not by that of the texts.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mamtra_eval import stage_times
from mamtra_eval.audio import Clip
from mamtra_eval.errors import SynthesisError
from mamtra_eval.profiling import latency
from mamtra_eval.profiling.latency import Arrival, Arrivals
from mamtra_eval.profiling.meter import Clock, summarize
from mamtra_eval.profiling.rows import MEASURED, ProfileKey, ProfileRow
from mamtra_eval.systems import Request, System

SAMPLES_KEPT = 200
"""Samples that a row keeps, evenly over the time."""

ERRORS_KEPT = 5

STAGES = ("front_end", "prefill", "decode", "decoder", "vocoder")


@dataclass(frozen=True)
class Spoken:
    """A request that became audio.

    Attributes:
        utterance, repeat, visit: which request, and which of its visits.
        answer: when its audio came.
        stages: seconds by stage, where the system marks them (``stage_times``).
        tokens: speech tokens, where the system counts them.
    """

    utterance: str
    repeat: int
    visit: int
    answer: Arrivals
    stages: Mapping[str, float] = field(default_factory=dict)
    tokens: float | None = None


@dataclass
class Measured:
    """What became of all requests to one system.

    Attributes:
        spoken: those that became audio.
        failures: why the others did not.
        wall_s: seconds that all of them took, failures too.
    """

    spoken: list[Spoken] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    wall_s: float = 0.0

    @property
    def n(self) -> int:
        """Requests."""
        return len(self.spoken) + len(self.failures)

    @property
    def audio_s(self) -> float:
        """Seconds of audio in all."""
        return math.fsum(one.answer.audio_s for one in self.spoken)


def listen(
    system: System,
    request: Request,
    clock: Clock,
    *,
    visit: int = 0,
    requested_s: float | None = None,
    synchronize: Callable[[], None] | None = None,
) -> Spoken:
    """Have a request spoken and note when its audio came.

    Args:
        system: who speaks.
        request: what.
        clock: seconds.
        visit: how many times it was spoken before.
        requested_s: when it was asked for, if not now.
        synchronize: waits for a device, at both ends of every stage.

    Raises:
        SynthesisError: if no audio came, or it was read from a file and not made.
    """
    asked = clock() if requested_s is None else requested_s
    pieces: list[tuple[float, Clip]] = []
    with stage_times.collecting(clock, synchronize) as collector:
        for piece in system.stream(request):
            if piece.source is not None:
                raise SynthesisError("it plays a recording: there is nothing to time")
            if len(piece.samples) or piece.cost:
                pieces.append((clock(), piece))
    arrivals = tuple(Arrival(at, piece.duration_s) for at, piece in pieces if len(piece.samples))
    if not arrivals:
        raise SynthesisError("the system made a clip without samples")
    answer = Arrivals(asked, arrivals, _voiced_offset([piece for _, piece in pieces]))
    counted = [piece.cost["tokens"] for _, piece in pieces if "tokens" in piece.cost]
    tokens = float(sum(counted)) if counted else None
    stages = dict(collector.seconds)
    return Spoken(request.utterance, request.repeat, visit, answer, stages, tokens)


def rows(
    measured: Measured, key: ProfileKey, detail: Mapping[str, Any] | None = None
) -> list[ProfileRow]:
    """All rows of one system; ``key`` says whose and under what load, ``detail`` what more.

    Where nothing was spoken, the rows of the first audio and of the real-time factor say why.
    """
    if not measured.n:
        return []
    extra = dict(detail or {})
    found = [_failed(measured, key, extra)]
    if not measured.spoken:
        reason = f"all {measured.n} requests failed: {measured.failures[0]}"
        about = (("time.first_audio", "s"), ("rate.rtf", "ratio"), ("rate.rtf_system", "ratio"))
        return found + [_absent(key, quantity, unit, reason) for quantity, unit in about]
    lost = f"{len(measured.failures)} of {measured.n} requests failed and are left out"
    notes = (lost,) if measured.failures else ()
    made = [*_first(measured.spoken, key), *_rates(measured, key), *_stages(measured.spoken, key)]
    made += [*_gaps(measured.spoken, key), *_amounts(measured.spoken, key)]
    made += _lines(measured.spoken, key)
    return found + [
        replace(row, notes=(*row.notes, *notes), detail={**row.detail, **extra}) for row in made
    ]


def _first(spoken: Sequence[Spoken], key: ProfileKey) -> Iterator[ProfileRow]:
    chunks = summarize([latency.first_chunk_s(one.answer) for one in spoken])
    detail = {"first_chunk_s": chunks.median}
    samples = [latency.first_audio_s(one.answer) for one in spoken]
    yield _row(key, "time.first_audio", "s", samples, detail, spoken)
    heard = [(one, latency.first_voiced_s(one.answer)) for one in spoken]
    voiced = [(one, seconds) for one, seconds in heard if seconds is not None]
    if not voiced:
        yield _absent(key, "time.first_voiced", "s", "no answer has a sample above -40 dB")
        return
    row = _row(key, "time.first_voiced", "s", [seconds for _, seconds in voiced], {},
               [one for one, _ in voiced])  # fmt: skip
    silent = len(spoken) - len(voiced)
    told = (f"{silent} answers without a sample above -40 dB are left out",) if silent else ()
    yield replace(row, notes=(*row.notes, *told))


def _rates(measured: Measured, key: ProfileKey) -> Iterator[ProfileRow]:
    spoken, audio_s = measured.spoken, measured.audio_s
    total_s = math.fsum(one.answer.total_s for one in spoken)
    durations = summarize([one.answer.audio_s for one in spoken])
    detail = {"ratio_of_sums": total_s / audio_s, "audio_s": durations.median}
    yield _row(
        key, "rate.rtf", "ratio", [latency.rtf(one.answer) for one in spoken], detail, spoken
    )
    yield ProfileRow(
        replace(key, quantity="rate.rtf_system"), "ratio", MEASURED,
        latency.rtf_system(measured.wall_s, audio_s), n=measured.n,
        detail={"wall_s": measured.wall_s, "audio_s": audio_s},
    )  # fmt: skip


def _stages(spoken: Sequence[Spoken], key: ProfileKey) -> Iterator[ProfileRow]:
    for name in STAGES:
        marked = [one for one in spoken if name in one.stages]
        if marked:
            samples = [one.stages[name] for one in marked]
            first = [one.stages[name] for one in marked if one.visit == 0]
            # What a system remembers (a prompt's voice) it pays for at the first visit only.
            detail = {"first_visit": summarize(first).median} if first else {}
            yield _row(key, f"time.{name}", "s", samples, detail, marked)


def _gaps(spoken: Sequence[Spoken], key: ProfileKey) -> Iterator[ProfileRow]:
    found = [latency.underrun_s(one.answer) for one in spoken]
    underruns = [seconds for seconds in found if seconds is not None]
    if not underruns:
        reason = "its audio comes in one piece, which can't run dry"
        yield _absent(key, "time.underrun", "s", reason)
        yield _absent(key, "rate.continuity", "ratio", reason)
        return
    single = len(spoken) - len(underruns)
    told = (f"{single} answers of a single piece are left out",) if single else ()
    gaps = _row(key, "time.underrun", "s", underruns, {"longest": max(underruns)})
    yield replace(gaps, notes=told)
    yield ProfileRow(
        replace(key, quantity="rate.continuity"), "ratio", MEASURED,
        latency.continuity(underruns), n=len(underruns), notes=told,
        detail={"gap_s": latency.GAP_S},
    )  # fmt: skip


def _amounts(spoken: Sequence[Spoken], key: ProfileKey) -> Iterator[ProfileRow]:
    seconds = [one.answer.audio_s for one in spoken]
    yield _row(key, "audio.seconds", "s", seconds, {"total": math.fsum(seconds)})
    tokens = [one.tokens for one in spoken if one.tokens is not None]
    if tokens:
        yield _row(key, "tokens.speech", "tokens", tokens, {"total": math.fsum(tokens)})


def _lines(spoken: Sequence[Spoken], key: ProfileKey) -> Iterator[ProfileRow]:
    """Fixed seconds and seconds a second of audio, by the least-squares line over requests."""
    seconds = [one.answer.total_s for one in spoken]
    line = latency.fit([one.answer.audio_s for one in spoken], seconds)
    about = (("time.fixed", "s"), ("time.per_audio_second", "ratio"))
    if line is None:
        reason = "all answers are of one length: fixed and growing time can't be told apart"
        yield from (_absent(key, quantity, unit, reason) for quantity, unit in about)
        return
    detail: dict[str, Any] = {}
    tokens = [one.tokens for one in spoken if one.tokens is not None]
    if len(tokens) == len(spoken) and (by_token := latency.fit(tokens, seconds)):
        detail = {"over_tokens": {"fixed_s": by_token.fixed, "s_per_token": by_token.slope}}
    notes = ("below 0: the answers do not bear a line that precise",) if line.fixed < 0 else ()
    for (quantity, unit), value in zip(about, line, strict=True):
        yield ProfileRow(
            replace(key, quantity=quantity), unit, MEASURED, value, n=len(spoken),
            notes=notes, detail=detail,
        )  # fmt: skip


def _failed(measured: Measured, key: ProfileKey, detail: Mapping[str, Any]) -> ProfileRow:
    errors = dict(Counter(measured.failures).most_common(ERRORS_KEPT))
    return ProfileRow(
        replace(key, quantity="rate.failed"), "ratio", MEASURED,
        len(measured.failures) / measured.n, n=measured.n, detail={"errors": errors, **detail},
    )  # fmt: skip


def _absent(key: ProfileKey, quantity: str, unit: str, reason: str) -> ProfileRow:
    return ProfileRow(replace(key, quantity=quantity), unit, MEASURED, None, n=0, error=reason)


def _row(
    key: ProfileKey,
    quantity: str,
    unit: str,
    samples: Sequence[float],
    detail: Mapping[str, Any],
    spoken: Sequence[Spoken] = (),
) -> ProfileRow:
    """Median and quartiles of samples; with ``spoken``, whose they are, stability too."""
    summary = summarize(samples)
    stride = -(-len(samples) // SAMPLES_KEPT)
    unstable = _unstable(samples, spoken) if spoken else ""
    return ProfileRow(
        replace(key, quantity=quantity), unit, MEASURED, summary.median, n=summary.n,
        low=summary.q25, high=summary.q75, notes=(unstable,) if unstable else (),
        detail={**summary.percentiles, **detail, "samples": list(samples[::stride])},
    )  # fmt: skip


def _unstable(samples: Sequence[float], spoken: Sequence[Spoken]) -> str:
    """Whether visits to one utterance differ; nothing is known of one that was visited once."""
    groups: dict[tuple[str, int], list[float]] = defaultdict(list)
    for one, value in zip(spoken, samples, strict=True):
        groups[one.utterance, one.repeat].append(value)
    middle = {which: float(np.median(own)) for which, own in groups.items() if len(own) > 1}
    relative = [
        value / middle[one.utterance, one.repeat]
        for one, value in zip(spoken, samples, strict=True)
        if middle.get((one.utterance, one.repeat), 0) > 0
    ]
    return summarize(relative).unstable if relative else ""


def _voiced_offset(pieces: Sequence[Clip]) -> float | None:
    before = 0.0
    for piece in pieces:
        index = latency.voiced_from(piece.samples)
        if index is not None:
            return before + index / piece.sample_rate_hz
        before += piece.duration_s
    return None
