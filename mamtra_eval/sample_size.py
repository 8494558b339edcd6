"""How large a run must be: sizes from the spread that a run has already shown.

The differences between a system and the baseline, utterance by utterance, say how much they vary;
``statistics.power`` turns that into numbers of utterances and repeats. A pilot of a few dozen
utterances is enough for a first answer, which is then rough: a standard deviation from n utterances
is known to 70 / √n percent at best, the size that follows from it to twice that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.metrics import Figure, Reading
from mamtra_eval.results import Results
from mamtra_eval.statistics import power
from mamtra_eval.statistics.power import Spread


@dataclass(frozen=True)
class Question:
    """What a run shall be able to tell.

    Attributes:
        difference: true difference that the 95 % interval shall tell from zero, in the figure's
            unit (rates as fractions).
        margin: largest loss that is allowed; asks for the size at which a system that loses
            ``loss`` is told to lose less.
        loss: the true loss then.
        repeats: numbers of repeats to answer for.
        power: probability of the answer.
    """

    difference: float | None
    margin: float | None
    loss: float
    repeats: tuple[int, ...]
    power: float


@dataclass(frozen=True)
class Size:
    """Utterances for one number of repeats; ``None`` where it was not asked."""

    repeats: int
    to_see: int | None
    to_exclude: int | None


@dataclass(frozen=True)
class Need:
    """What one system's comparison with the baseline needs.

    Attributes:
        n: utterances that the spread is from.
        spread: variances between and within utterances.
        seen_here: the smallest difference that those utterances, once each, show.
        sizes: by number of repeats.
    """

    system: str
    n: int
    spread: Spread
    seen_here: float
    sizes: tuple[Size, ...]


def needs(results: Results, figure: str, question: Question) -> list[Need]:
    """Sizes for every system but the baseline; UserError where there is nothing to compare."""
    chosen = _figure(results, figure)
    baseline = next((system for system in results.systems if system.is_baseline), None)
    others = [system for system in results.systems if not system.is_baseline]
    if baseline is None or not others:
        raise UserError(
            "the run has one system, and power is about differences",
            where=str(results.folder),
            fix="Give a run with a baseline and at least one other system.",
        )
    reference = _values(results, baseline.row.name, *chosen)
    found = []
    for system in others:
        own = _values(results, system.row.name, *chosen)
        paired = [
            [own[utterance][repeat] - value for repeat, value in repeats.items()
             if repeat in own.get(utterance, {})]
            for utterance, repeats in reference.items()
        ]  # fmt: skip
        paired = [one for one in paired if one]
        if len(paired) < 2:
            raise UserError(
                f"{system.row.name} and {baseline.row.name} share {len(paired)} utterances with "
                f"{figure}, and a spread needs two",
                where=str(results.folder),
            )
        found.append(_need(system.row.name, paired, question))
    return found


def _need(system: str, paired: Sequence[Sequence[float]], question: Question) -> Need:
    spread = power.spread(paired)
    sizes = []
    for repeats in question.repeats:
        see = exclude = None
        if question.difference is not None:
            see = power.to_see(question.difference, spread, repeats=repeats, power=question.power)
        if question.margin is not None:
            exclude = power.to_exclude(
                question.margin, question.loss, spread, repeats=repeats, power=question.power
            )
        sizes.append(Size(repeats, see, exclude))
    here = power.smallest(len(paired), spread, power=question.power)
    return Need(system, len(paired), spread, here, tuple(sizes))


def _figure(results: Results, name: str) -> tuple[str, Figure]:
    """(metric, figure) of a name; UserError for one that is no mean of utterances."""
    means = {
        figure.name: (metric.name, figure)
        for metric, figure in results.figures
        if figure.aggregate == "mean" and figure.name not in results.opinions
    }
    if name not in means:
        raise unknown_name("mean of utterances in this run", name, means)
    return means[name]


def _values(
    results: Results, system: str, metric: str, figure: Figure
) -> dict[str, dict[int, float]]:
    """A system's ratios by utterance and repeat."""
    found: dict[str, dict[int, float]] = {}
    for (key, name), reading in results.readings.items():
        if name == metric and key.system == system and isinstance(reading, Reading):
            ratio = figure.ratio(reading)
            if ratio is not None:
                found.setdefault(key.utterance, {})[key.repeat] = ratio
    return found
