"""Systems end to end, one request at a time: what their users wait for.

Systems take turns at every request, A B A B …, in reversed order each round, so that a machine
that warms up or slows down is shared by all of them. The first requests of each are thrown away,
the longest texts among them: what is compiled or looked up for a shape is so before it counts.
Cold starts are measured apart (``cold``).

Each speaks as long as it wants (workload ``natural``). That is what users get, but one that stops
early is quicker without being faster: a system whose total of speech differs from the baseline's
by more than 10 % gets a note in each of its rows of time. The bound is that of MLPerf's inference
rules for language models. Speech is counted in tokens, where both systems count them at the same
rate, else in seconds.

The front end of a first visit may hold what is remembered later (a prompt's voice): its row has the
first visits' median beside that of all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from mamtra_eval.errors import UserError, describe
from mamtra_eval.profiling import spoken
from mamtra_eval.profiling.cold import cold_start
from mamtra_eval.profiling.meter import Clock
from mamtra_eval.profiling.rows import NATURAL, ProfileKey, ProfileRow
from mamtra_eval.profiling.spoken import Measured, Spoken
from mamtra_eval.systems import Request, System

__all__ = ["NATURAL", "SpeakingRules", "cold_start", "measure", "rows", "valid_speedup"]


SAME_LENGTH = 0.10
"""Difference in speech from the baseline's, as a share, up to which times are comparable."""

SAME_RATE = 0.02
"""Difference in tokens a second up to which two systems count the same tokens."""


@dataclass(frozen=True)
class SpeakingRules:
    """How often systems are asked.

    Attributes:
        warm_up: requests to each that are thrown away, longest texts first.
        rounds: visits to every request.
    """

    warm_up: int = 3
    rounds: int = 5

    def __post_init__(self) -> None:
        if self.warm_up < 0 or self.rounds < 1:
            raise UserError(
                f"warm_up={self.warm_up} and rounds={self.rounds} of a profile",
                fix="Give a warm-up of 0 or more requests and at least one round.",
            )


def measure(
    systems: Mapping[str, System],
    requests: Sequence[Request],
    clock: Clock = time.perf_counter,
    rules: SpeakingRules | None = None,
    *,
    synchronize: Callable[[], None] | None = None,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, Measured]:
    """Have all systems speak all requests in turn; results by the systems' names.

    Args:
        systems: by name; made, prepared here, and left open.
        requests: at least one; each is spoken in every round.
        clock: seconds.
        rules: how often.
        synchronize: waits for a device at both ends of every stage. It costs time: leave it out of
            a run whose totals count.
        advance: called after each request, warm-up too.

    Whatever a system does wrong is a failure of that request; one that can't be prepared fails all.
    """
    if not systems or not requests:
        raise UserError("there is nothing to time", fix="Give a system and a text at least.")
    rules = rules or SpeakingRules()
    results = {name: Measured() for name in systems}
    broken = {name: _prepare(system) for name, system in systems.items()}
    longest = sorted(requests, key=lambda request: len(request.text), reverse=True)
    for index in range(rules.warm_up):
        for name, system in systems.items():
            if not broken[name]:
                with suppress(Exception):  # what fails here, fails below and is told there
                    spoken.listen(system, longest[index % len(longest)], clock)
            advance()
    order = list(systems)
    for visit in range(rules.rounds):
        for request in requests:
            for name in order:
                if broken[name]:
                    results[name].failures.append(broken[name])
                else:
                    _visit(systems[name], request, visit, results[name], clock, synchronize)
                advance()
        order.reverse()
    return results


def rows(
    results: Mapping[str, Measured], session: str, *, baseline: str, engine: str = "eager"
) -> list[ProfileRow]:
    """Rows of all systems, workload ``natural``, one stream.

    Args:
        results: of ``measure``.
        session: hash of the identity of machine and settings.
        baseline: name of the system that others are compared with; it may be absent.
        engine: ``eager`` or ``graph``.
    """
    found = []
    for name, measured in results.items():
        key = ProfileKey(session, name, "", workload=NATURAL, engine=engine)
        note = ""
        if name != baseline and baseline in results:
            note = length_note(results[baseline].spoken, measured.spoken, baseline)
        found += [_noted(row, note) for row in spoken.rows(measured, key)]
    return found


def valid_speedup(baseline_speech: float, speech: float) -> bool:
    """Whether two totals of tokens, or of seconds, are near enough for their times to compare."""
    difference = abs(speech - baseline_speech)
    return difference <= SAME_LENGTH * baseline_speech * (1 + 1e-9)  # the bound itself is within


def length_note(baseline: Iterable[Spoken], own: Iterable[Spoken], name: str) -> str:
    """Why times are no speed-up over the baseline of this name; empty if they may be one.

    Only requests that both have spoken are compared.
    """
    theirs = {(one.utterance, one.repeat, one.visit): one for one in baseline}
    pairs = [
        (theirs[which], one)
        for one in own
        if (which := (one.utterance, one.repeat, one.visit)) in theirs
    ]
    if not pairs:
        return f"not a speed-up: no request that it and {name} both spoke"
    before, after = (_speech([pair[side] for pair in pairs]) for side in (0, 1))
    index = 1 if before[1] and after[1] and _same_rate(before, after) else 0
    if valid_speedup(before[index], after[index]):
        return ""
    percent = 100 * (after[index] / before[index] - 1)
    more = "more" if percent > 0 else "less"
    return f"not a speed-up: {abs(percent):.3g} % {more} speech than {name}"


def _speech(spoken: Sequence[Spoken]) -> tuple[float, float]:
    """Seconds and tokens in all; 0 tokens if they were not counted throughout."""
    tokens = [one.tokens for one in spoken if one.tokens is not None]
    counted = math.fsum(tokens) if len(tokens) == len(spoken) else 0.0
    return math.fsum(one.answer.audio_s for one in spoken), counted


def _same_rate(one: tuple[float, float], other: tuple[float, float]) -> bool:
    rates = one[1] / one[0], other[1] / other[0]
    return abs(rates[0] - rates[1]) <= SAME_RATE * rates[0]


def _prepare(system: System) -> str:
    """Load it; what went wrong, or nothing."""
    try:
        system.prepare()
    except Exception as error:  # then each of its requests is a failed one, with this reason
        return describe(error) or "it can't be prepared"
    return ""


def _visit(
    system: System,
    request: Request,
    visit: int,
    result: Measured,
    clock: Clock,
    synchronize: Callable[[], None] | None,
) -> None:
    started = clock()
    try:
        result.spoken.append(
            spoken.listen(system, request, clock, visit=visit, synchronize=synchronize)
        )
    except Exception as error:  # a failure is a row, never the run's end
        result.failures.append(describe(error))
    result.wall_s += clock() - started


def _noted(row: ProfileRow, note: str) -> ProfileRow:
    timed = row.key.quantity.startswith(("time.", "rate.rtf"))
    return replace(row, notes=(*row.notes, note)) if note and timed and not row.error else row
