"""How long, how dear, how sharp: a listening test before it is built.

Seconds of a trial are 1.3 times its audio and four more for the answer; a session has two minutes
of reading around them. What can be seen follows from variance components
(``statistics.listening_power``): those of a pilot, or assumed ones that are told as such.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mamtra_eval.errors import UserError
from mamtra_eval.listening.kinds import Kind
from mamtra_eval.statistics import listening_power
from mamtra_eval.statistics.crossed import Components

ASSUMED = Components(rater=0.45, item=0.30, rater_system=0.20, item_system=0.25, residual=0.70)
"""Of five-point ratings, for a first guess; a pilot's are better."""
TIMES_AUDIO, ANSWER_S, AROUND_S = 1.3, 4.0, 120.0
DIFFERENCES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Points of a five-point scale for which needed votes are told."""
SHARES = (0.55, 0.60, 0.65)
"""Of preferences, the same."""
LONG_MIN = 25.0


@dataclass(frozen=True)
class Plan:
    """What a test of this size is worth.

    Attributes:
        systems: that are rated, reference and anchor with them.
        votes_per_system: of all raters together.
        minutes: of a session.
        cost: of all sessions, in the currency of the hourly pay; ``None`` where none was given.
        smallest: the smallest true difference between two systems that is seen with 80 %, in
            points; ``None`` for preferences.
        floor: the same with votes without end from these raters on these sentences.
        votes_needed: by difference (points, or share of preferences), independent votes a system
            (a pair).
        components: that this rests on.
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
    floor: float | None
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
    *,
    raters: int,
    items: int,
    systems: int,
    conditions: int,
    trial_s: Sequence[float],
    rated: float,
    hourly: float | None = None,
    difference: float | None = None,
    pilot: Components | None = None,
) -> Plan:
    """Work out what a test is worth.

    Args:
        kind: of the test.
        raters: sessions, one a rater.
        items: sentences.
        systems: that are rated.
        conditions: over which a list's trials are spread (systems, or ordered pairs).
        trial_s: audio of each trial of a session, checks and practice with them, in seconds.
        rated: trials of a session that are no checks, on average.
        hourly: pay of an hour.
        difference: that is to be seen, in points.
        pilot: components of an earlier test; assumed ones without.
    """
    found = pilot or ASSUMED
    scale = (kind.scale.high - kind.scale.low) / 4  # the assumed ones are of five points
    components = found if pilot else Components(*(scale * one for one in asdict(found).values()))
    # A trial is a vote for one system, for all of them (mushra), or for a pair in one order.
    votes = raters * rated / conditions * (2 if kind.is_pair else 1)
    smallest = floor = None
    if kind.name != "ab" and votes >= 1:
        smallest = listening_power.smallest_difference(components, raters, items, votes)
        floor = listening_power.floor(components, raters, items)
    length = minutes(trial_s)
    return Plan(
        kind.name, raters, items, systems, len(trial_s), votes, round(length, 1),
        None if hourly is None else round(raters * length / 60 * hourly, 2),
        smallest, floor, _needed(kind, components), components, pilot is None,
        list(_warnings(kind, raters, items, length, smallest, floor, difference)),
    )  # fmt: skip


def of_pilot(folder: Path) -> Components:
    """Components of an analysed bundle; UserError where it has none."""
    path = folder / "listening.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["power"]["components"]
        return Components(**found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            "no spreads of a pilot here",
            where=str(path),
            fix="Give the folder of a bundle that listen analyse has been through, with two "
            "systems a rater at least.",
        ) from error


def _needed(kind: Kind, components: Components) -> dict[str, int]:
    if kind.name == "ab":
        return {f"{share:g}": listening_power.votes_for_preference(share) for share in SHARES}
    scale = (kind.scale.high - kind.scale.low) / 4
    return {
        f"{scale * one:g}": listening_power.votes_needed(scale * one, components.residual)
        for one in DIFFERENCES
    }


def _warnings(
    kind: Kind,
    raters: int,
    items: int,
    length: float,
    smallest: float | None,
    floor: float | None,
    difference: float | None,
) -> Iterator[str]:
    if length > LONG_MIN:
        yield (f"A session of {length:.0f} minutes loses raters: take fewer sentences a session "
               "(--per-session).")  # fmt: skip
    if min(raters, items) < 10:
        yield (f"{raters} raters and {items} sentences: an interval rests on the smaller of the "
               "two, and on fewer than ten it is wide and not sure of itself.")  # fmt: skip
    if items < 40 and kind.name != "ab":
        yield (f"With {items} sentences, differences that hang on the sentence stay in: more "
               "raters do not remove them.")  # fmt: skip
    if smallest is None or difference is None or floor is None:
        return
    if difference < floor:
        yield (f"A difference of {difference:g} can't be seen with {raters} raters and {items} "
               f"sentences, however many votes they give: the floor is {floor:.2f}.")  # fmt: skip
    elif difference < smallest:
        yield (f"A difference of {difference:g} is seen with less than 80 %: this test sees "
               f"{smallest:.2f}.")  # fmt: skip
