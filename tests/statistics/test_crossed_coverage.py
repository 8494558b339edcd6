"""How often 95 % intervals of listening tests hold the truth, by seeded simulation.

Ratings are rounded to 1 … 5. Standard deviations: rater 0.45, item 0.30, rater by system 0.20, item
by system 0.25, the rest 0.70; all systems have the mean 3.6 before rounding, and the truth is the
mean after it, in closed form. Full designs: every rater hears every item by each of four systems.
Latin designs: every rater hears every item once, by one of two systems in turn (which is what makes
half of raters × items votes a system).

Coverage that is expected, in 1,500 simulations::

    raters x items   votes/system  naive  by rater  two-way  pigeonhole  difference: naive  two-way
    12 x 10 full              120    .62       .89     .955         .94                .84  .94-.96
    20 x 20 full              400    .47       .89     .95                             .76
    20 x 20 Latin             200    .65       .90     .95          .97                .87
    30 x 40 Latin             600    .54       .90     .95          .95                .80
    100 x 40 Latin          2,000    .41       .80     .945                            .64

The table and these simulations both have a binomial error: what is allowed between them is three
standard deviations of their difference, and 0.005 for the table's rounding. A 95 % interval is then
told from one of 92 % or less.

README's table is of these designs, too (two systems in a Latin square of one block): what it prints
is what the code gives here. Lists as they are exported (five systems, blocks, 20 % of the sessions
dropped) have their own test.
"""

from __future__ import annotations

import math
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from scipy.special import ndtr

from mamtra_eval.listening.building.design import Checks, draw
from mamtra_eval.statistics import crossed
from mamtra_eval.statistics.bootstrap import Estimate
from mamtra_eval.statistics.crossed import Votes
from mamtra_eval.statistics.crossed_resampling import pigeonhole

RATER, ITEM, RATER_SYSTEM, ITEM_SYSTEM, RESIDUAL = 0.45, 0.30, 0.20, 0.25, 0.70
MEAN = 3.6
SIMULATIONS, RESAMPLED, RESAMPLES, TABLE = 1500, 600, 400, 1500


class Design(NamedTuple):
    """With coverage as expected; widths are half of the interval, where the table has them."""

    raters: int
    items: int
    latin: bool
    naive: float
    by_rater: float
    two_way: float
    pigeonhole: float | None
    difference: float
    width: float
    naive_width: float | None = None


DESIGNS = [
    Design(12, 10, False, 0.62, 0.89, 0.955, 0.94, 0.84, 0.41, 0.16),
    Design(20, 20, False, 0.47, 0.89, 0.95, None, 0.76, 0.28, 0.09),
    Design(20, 20, True, 0.65, 0.90, 0.95, 0.97, 0.87, 0.29),
    Design(30, 40, True, 0.54, 0.90, 0.95, 0.95, 0.80, 0.21),
    Design(100, 40, True, 0.41, 0.80, 0.945, None, 0.64, 0.15, 0.04),
]
NAMES = [f"{d.raters}x{d.items}{' latin' if d.latin else ''}" for d in DESIGNS]


def _truth() -> float:
    total = RATER**2 + ITEM**2 + RATER_SYSTEM**2 + ITEM_SYSTEM**2 + RESIDUAL**2
    return 1 + sum(float(ndtr((MEAN - edge) / math.sqrt(total))) for edge in (1.5, 2.5, 3.5, 4.5))


def _simulated(design: Design, seed: int) -> tuple[Votes, Votes]:
    """Votes of two of the systems; the others are alike, and no interval here looks at them."""
    rng = np.random.default_rng([seed, design.raters, design.items, design.latin])
    rater, item = np.divmod(np.arange(design.raters * design.items), design.items)
    severity = RATER * rng.normal(size=design.raters)
    difficulty = ITEM * rng.normal(size=design.items)
    systems = []
    for system in (0, 1):
        heard = (rater + item) % 2 == system if design.latin else np.ones_like(rater, dtype=bool)
        r, i = rater[heard], item[heard]
        liking = severity + RATER_SYSTEM * rng.normal(size=design.raters)
        quality = difficulty + ITEM_SYSTEM * rng.normal(size=design.items)
        heard_as = MEAN + liking[r] + quality[i] + RESIDUAL * rng.normal(size=len(r))
        systems.append(Votes(np.clip(np.rint(heard_as), 1, 5), r, i))
    return systems[0], systems[1]


def _independent(a: Votes, b: Votes) -> Estimate:
    """Difference as if all votes were independent."""
    value = float(np.mean(a.ratings) - np.mean(b.ratings))
    error = math.hypot(
        *(np.std(one.ratings, ddof=1) / math.sqrt(len(one.ratings)) for one in (a, b))
    )
    return Estimate(value, value - 1.96 * error, value + 1.96 * error)


class Seen(NamedTuple):
    coverage: float
    width: float


@cache
def _seen(design: Design) -> dict[str, Seen]:
    """Of each method, over the simulations."""
    truth, found = _truth(), {}
    for seed in range(SIMULATIONS):
        a, b = _simulated(design, seed)
        estimates = {
            "naive": (truth, crossed.naive(a.ratings)),
            "by rater": (truth, crossed.rater_clustered(a.ratings, a.raters)),
            "two-way": (truth, crossed.two_way(*a)),
            "naive difference": (0.0, _independent(a, b)),
            "two-way difference": (0.0, crossed.two_way_difference(a, b)),
        }
        for name, (true, one) in estimates.items():
            found.setdefault(name, []).append((one.low <= true <= one.high, one.high - one.low))
    return {
        name: Seen(
            float(np.mean([hit for hit, _ in rows])), float(np.mean([w for _, w in rows])) / 2
        )
        for name, rows in found.items()
    }


def _tolerance(share: float, simulations: int = SIMULATIONS) -> float:
    return 3 * math.sqrt(share * (1 - share) * (1 / simulations + 1 / TABLE)) + 0.005


@pytest.mark.parametrize("design", DESIGNS, ids=NAMES)
def test_a_system_s_mean(design: Design) -> None:
    seen = _seen(design)
    expected = {"naive": design.naive, "by rater": design.by_rater, "two-way": design.two_way}
    for name, share in expected.items():
        assert seen[name].coverage == pytest.approx(share, abs=_tolerance(share)), name
    # Widths depend on the mean before rounding a little, which the table does not give.
    assert seen["two-way"].width == pytest.approx(design.width, abs=0.01)
    if design.naive_width is not None:
        assert seen["naive"].width == pytest.approx(design.naive_width, abs=0.006)


@pytest.mark.parametrize("design", DESIGNS, ids=NAMES)
def test_the_difference_of_two_equal_systems(design: Design) -> None:
    seen = _seen(design)
    naive = design.difference
    assert seen["naive difference"].coverage == pytest.approx(naive, abs=_tolerance(naive))
    assert seen["two-way difference"].coverage == pytest.approx(0.95, abs=0.01 + _tolerance(0.95))


README = Path(__file__).parents[2] / "README.md"
CELL = r"(\d+) %(?: \(±([\d.]+)\))?"
ROW = re.compile(
    rf"^\| (\d+) × (\d+), ([^|]*) \| ([\d,]+) \| {CELL} \| {CELL} \|$", re.MULTILINE
)  # fmt: skip


def _printed() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = ROW.findall(README.read_text(encoding="utf-8"))
    return rows


def test_the_readme_has_a_table_of_coverage() -> None:
    assert [(row[0], row[1]) for row in _printed()] == [
        ("12", "10"), ("20", "20"), ("30", "40"), ("100", "40"),
    ]  # fmt: skip


@pytest.mark.parametrize("row", _printed(), ids=lambda row: f"{row[0]}x{row[1]}")
def test_the_readme_prints_what_the_code_gives(row: tuple[str, ...]) -> None:
    raters, items, words, votes, naive, naive_width, two_way, width = row
    latin = "Latin" in words
    sizes = (int(raters), int(items), latin)
    design = next(one for one in DESIGNS if one[:3] == sizes)
    assert int(votes.replace(",", "")) == sizes[0] * sizes[1] // (2 if latin else 1)
    seen = _seen(design)
    for share, half, name in ((naive, naive_width, "naive"), (two_way, width, "two-way")):
        assert 100 * seen[name].coverage == pytest.approx(float(share), abs=0.6), name
        if half:
            assert seen[name].width == pytest.approx(float(half), abs=0.006), name


def _exported(seed: int) -> tuple[Votes, Votes]:
    """Two of five systems: 24 sentences, 12 a session, 24 raters of whom 5 are dropped."""
    rng = np.random.default_rng([seed, 5])
    kept = np.sort(rng.permutation(24)[: 24 - 5])
    rater, item, system = (side[np.isin(_lists(seed % 10)[0], kept)] for side in _lists(seed % 10))
    heard = MEAN + RATER * rng.normal(size=24)[rater] + ITEM * rng.normal(size=24)[item]
    heard += RATER_SYSTEM * rng.normal(size=(5, 24))[system, rater]
    heard += ITEM_SYSTEM * rng.normal(size=(5, 24))[system, item]
    ratings = np.clip(np.rint(heard + RESIDUAL * rng.normal(size=len(rater))), 1, 5)
    first, second = system == seed % 5, system == (seed + 1) % 5
    return Votes(ratings[first], rater[first], item[first]), Votes(
        ratings[second], rater[second], item[second]
    )


@cache
def _lists(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Raters, items and systems of the lists that an export draws."""
    design = draw(
        [f"{number:02d}" for number in range(24)], [(str(number),) for number in range(5)],
        per_session=12, replicates=3, checks=Checks(), seed=str(seed),
    )  # fmt: skip
    rows = [
        (rater, int(slot.item or 0), int(slot.systems[0]))
        for rater, slots in enumerate([*design.lists.values()][:24])
        for slot in slots
    ]
    assert len(rows) == 24 * 12
    rater, item, system = np.array(rows).T
    return rater, item, system


def test_exported_lists_with_dropped_sessions() -> None:
    truth, hits = _truth(), {"mean": 0, "difference": 0, "naive": 0}
    for seed in range(SIMULATIONS):
        a, b = _exported(seed)
        for name, true, one in (
            ("mean", truth, crossed.two_way(*a)),
            ("difference", 0.0, crossed.two_way_difference(a, b)),
            ("naive", truth, crossed.naive(a.ratings)),
        ):
            hits[name] += one.low <= true <= one.high
    assert hits["mean"] / SIMULATIONS >= 0.93
    assert hits["difference"] / SIMULATIONS >= 0.93
    assert hits["naive"] / SIMULATIONS < 0.90  # so that the others are no matter of course


@pytest.mark.parametrize(
    "design", [d for d in DESIGNS if d.pigeonhole is not None],
    ids=[name for name, d in zip(NAMES, DESIGNS, strict=True) if d.pigeonhole is not None],
)  # fmt: skip
def test_the_pigeonhole_bootstrap(design: Design) -> None:
    truth, hits, apart = _truth(), 0, 0
    for seed in range(RESAMPLED):
        a, b = _simulated(design, seed)
        found = pigeonhole({"a": a, "b": b}, [("a", "b")], resamples=RESAMPLES, seed=seed)
        hits += found.systems["a"].low <= truth <= found.systems["a"].high
        apart += found.differences["a", "b"].low <= 0 <= found.differences["a", "b"].high
    expected = design.pigeonhole
    assert hits / RESAMPLED == pytest.approx(expected, abs=_tolerance(expected, RESAMPLED))
    assert apart / RESAMPLED == pytest.approx(0.985, abs=_tolerance(0.985, RESAMPLED))
