"""How long, how dear, how sharp: a listening test before it is built.

Seconds of a trial are 1.3 times its audio and four more for the answer; a session has two minutes
of reading around them.

What can be told apart follows from spreads (``spreads``: assumed, or a pilot's) and from the very
lists that raters will get, by simulating tests of it (``statistics.simulated_power``). It is told
twice: for a single pair by itself, whose interval excludes zero, and after the correction over all
pairs that the analysis corrects (of mos, smos and mushra every two systems; of cmos those that are
compared), by Bonferroni's level, below which Holm's method never falls. Both are of the average
pair, if every rater stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from mamtra_eval.listening.building import balance, spreads
from mamtra_eval.listening.building.design import Design
from mamtra_eval.listening.building.spreads import Pilot, points
from mamtra_eval.listening.kinds import Kind
from mamtra_eval.statistics import listening_power, simulated_power
from mamtra_eval.statistics.crossed import Components
from mamtra_eval.statistics.simulated_power import Compared, Draws

TIMES_AUDIO, ANSWER_S, AROUND_S = 1.3, 4.0, 120.0
DIFFERENCES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Points of a five-point scale for which needed votes are told."""
SHARES = (0.55, 0.60, 0.65)
"""Of preferences, the same."""
LONG_MIN = 25.0
POWER = 0.8
DIGITS = 4
"""Of simulated figures, which are not surer than that."""


@dataclass(frozen=True)
class Plan:
    """What a test of this size is worth.

    Attributes:
        systems: that are rated, reference and anchor with them.
        votes_per_system: of all raters together; of a pair, where pairs are compared.
        minutes: of a session.
        cost: of all sessions, in the currency of the hourly pay; ``None`` where none was given.
        smallest: the smallest true difference of two systems that 80 % of such tests find for a
            single pair by itself, points; ``None`` for preferences, and where there is no interval.
        smallest_corrected: the same after correction over all ``comparisons``.
        comparisons: pairs that the analysis corrects for.
        floor: ``smallest`` with votes without end from these raters on these sentences.
        difference: that is to be seen, and ``chance`` and ``chance_corrected``, the shares of tests
            that find it.
        votes_needed: by difference (points, or share of preferences), independent votes a system
            (a pair), in the normal limit.
        components: that this rests on; of cmos those of a comparison.
        assumed: whether they are assumed.
        warnings: what a reader must know before building it.
    """

    kind: str
    raters: int
    items: int
    systems: int
    trials: int
    votes_per_system: float
    minutes: float
    cost: float | None
    smallest: float | None
    smallest_corrected: float | None
    comparisons: int
    floor: float | None
    difference: float | None
    chance: float | None
    chance_corrected: float | None
    votes_needed: dict[str, int]
    components: Components
    assumed: bool
    warnings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def minutes(trial_s: Sequence[float]) -> float:
    """Of a session whose trials have so many seconds of audio each."""
    return (AROUND_S + sum(TIMES_AUDIO * seconds + ANSWER_S for seconds in trial_s)) / 60


def plan(
    kind: Kind,
    design: Design,
    *,
    raters: int,
    items: int,
    trial_s: Sequence[float],
    hourly: float | None = None,
    difference: float | None = None,
    pilot: Pilot | None = None,
) -> Plan:
    """Work out what a test is worth.

    Args:
        kind: of the test.
        design: its lists, which raters get in their order.
        raters: sessions, one a rater.
        items: sentences.
        trial_s: audio of each trial of a session, checks and practice with them, in seconds.
        hourly: pay of an hour.
        difference: that is to be seen, in points.
        pilot: spreads of an earlier test; assumed ones without.
    """
    components = pilot.components if pilot else spreads.assumed(kind)
    systems = sorted({system for condition in design.conditions for system in condition})
    pairs = list(compared(kind, design, raters).values())
    length = minutes(trial_s)
    found = _found(kind, components, pairs, (raters, items), difference)
    warnings = [*(pilot.remarks if pilot else ()), *_warnings(kind, raters, items, length, found)]
    votes = sum(len(one.raters) for one in pairs) / max(1, len(pairs))
    return Plan(
        kind.name, raters, items, len(systems), len(trial_s),
        votes if kind.is_pair else votes / 2, round(length, 1),
        None if hourly is None else round(raters * length / 60 * hourly, 2),
        found.smallest, found.corrected, found.comparisons, found.floor,
        difference, found.chance, found.chance_corrected,
        _needed(kind, components), components, pilot is None, warnings,
    )  # fmt: skip


@dataclass(frozen=True)
class _Found:
    """Figures of ``Plan``, by their names there."""

    comparisons: int
    smallest: float | None = None
    corrected: float | None = None
    floor: float | None = None
    difference: float | None = None
    chance: float | None = None
    chance_corrected: float | None = None


def _found(
    kind: Kind, components: Components, pairs: Sequence[Compared], sizes: tuple[int, int],
    difference: float | None,
) -> _Found:  # fmt: skip
    count = len(pairs)
    if kind.name == "ab" or not all(_has_interval(one) for one in pairs):
        return _Found(count)
    draws = simulated_power.draw(pairs, components)
    end = simulated_power.without_end(components, *sizes, pair=kind.is_pair)

    def smallest(of: Draws, comparisons: int = 1) -> float:
        found = simulated_power.smallest_found(of, power=POWER, comparisons=comparisons)
        return round(found, DIGITS)

    def chance(comparisons: int) -> float | None:
        if difference is None:
            return None
        found = simulated_power.simulated_power(draws, difference, comparisons=comparisons)
        return round(found, DIGITS)

    return _Found(
        count, smallest(draws), smallest(draws, count), smallest(end), difference,
        chance(1), chance(count),
    )  # fmt: skip


def compared(kind: Kind, design: Design, raters: int) -> dict[tuple[str, str], Compared]:
    """Votes of every two systems that the analysis compares, as the planned raters give them."""
    rows = [
        (rater, slot.item, slot.systems)
        for rater, slots in enumerate(_handed_out(design, raters))
        for slot in balance.rated(slots)
    ]
    number = {item: place for place, item in enumerate(sorted({str(row[1]) for row in rows}))}
    found = {}
    for pair in _pairs(kind, design):
        votes = [
            (rater, number[str(item)], side)
            for rater, item, systems in rows
            for side in _sides(kind, pair, systems)
        ]
        who, what, sides = np.array(votes, dtype=np.int64).reshape(-1, 3).T
        found[pair] = Compared(who, what, sides, kind.is_pair)
    return found


def _handed_out(design: Design, raters: int) -> Iterator[Any]:
    lists = list(design.lists.values())
    return (lists[rater % len(lists)] for rater in range(raters))


def _pairs(kind: Kind, design: Design) -> list[tuple[str, str]]:
    if kind.is_pair:
        return sorted({(min(pair), max(pair)) for pair in design.conditions})
    systems = sorted({system for condition in design.conditions for system in condition})
    return list(combinations(systems, 2))


def _sides(kind: Kind, pair: tuple[str, str], systems: tuple[str, ...]) -> list[int]:
    """Which sides of a comparison a trial gives votes to."""
    if kind.is_pair:
        return [int(systems[0] != pair[0])] if set(systems) == set(pair) else []
    return [pair.index(system) for system in systems if system in pair]


def _has_interval(one: Compared) -> bool:
    raters, items, sides = (len(np.unique(each)) for each in one[:3])
    return min(raters, items) >= 2 and (one.pair or sides == 2)


def _needed(kind: Kind, components: Components) -> dict[str, int]:
    if kind.name == "ab":
        return {f"{share:g}": listening_power.votes_for_preference(share) for share in SHARES}
    # Votes of a pair are differences already, whose mean has half the variance of two means'.
    unit, spread = points(kind), components.residual / (math.sqrt(2) if kind.is_pair else 1)
    return {
        f"{unit * one:g}": listening_power.votes_needed(unit * one, spread) for one in DIFFERENCES
    }


def _warnings(kind: Kind, raters: int, items: int, length: float, found: _Found) -> Iterator[str]:
    if length > LONG_MIN:
        yield (f"A session of {length:.0f} minutes loses raters: take fewer sentences a session "
               "(--per-session).")  # fmt: skip
    if min(raters, items) < 10:
        yield (f"{raters} raters and {items} sentences: an interval rests on the smaller of the "
               "two, and on fewer than ten it is wide and not sure of itself.")  # fmt: skip
    if items < 40 and kind.name != "ab":
        yield (f"With {items} sentences, differences that hang on the sentence stay in: more "
               "raters do not remove them.")  # fmt: skip
    if found.smallest is None and kind.name != "ab":
        yield ("With these raters and sentences some pair of systems has no interval: each needs "
               "two raters and two sentences.")  # fmt: skip
    if found.chance is not None:
        yield from _chances(raters, items, found)


def _chances(raters: int, items: int, found: _Found) -> Iterator[str]:
    """What becomes of the difference that is to be seen, where 80 % of tests do not find it."""
    asked = found.difference or 0.0
    smallest, corrected, floor = found.smallest or 0.0, found.corrected or 0.0, found.floor or 0.0
    chance = f"{100 * (found.chance or 0.0):.0f} %"
    if asked < floor:
        yield (f"A difference of {asked:g} can't be seen with {raters} raters and {items} "
               f"sentences, however many votes they give: this test finds it with {chance} for a "
               f"single pair by itself, and 80 % take {floor:.2f} at least.")  # fmt: skip
    elif asked < smallest:
        yield (f"A difference of {asked:g} is found with less than 80 % ({chance}) even for a "
               f"single pair by itself: that takes {smallest:.2f}.")  # fmt: skip
    elif asked < corrected:
        after = f"{100 * (found.chance_corrected or 0.0):.0f} %"
        yield (f"A difference of {asked:g} is found with {chance} for a single pair by itself, "
               f"but with less than 80 % ({after}) after correction over {found.comparisons} "
               f"pairs: that takes {corrected:.2f}.")  # fmt: skip
