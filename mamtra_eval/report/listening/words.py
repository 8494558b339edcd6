"""Numbers and sentences of a listening test's report: what can be said, and what can't.

A difference that is not significant is never called none: two systems are "not told apart", and
only an interval inside a declared margin makes them equivalent. That a margin or a rule was settled
before the ratings is said only where the bundle is as it was exported (``Analysis.as_settled``).
"""

from __future__ import annotations

from collections.abc import Iterator

from mamtra_eval.listening.analysis.analysing import Analysis
from mamtra_eval.listening.analysis.comparing import Comparison
from mamtra_eval.listening.analysis.margins import Against
from mamtra_eval.listening.analysis.systems import Difference
from mamtra_eval.statistics.bootstrap import Estimate

DASH = "–"
_LONG_RANGE = 20
"""Range of a scale from which one decimal is enough."""
_FIGURES = {"mos": "NMOS", "smos": "SMOS", "mushra": "MUSHRA", "cmos": "CMOS",
            "ab": "Preference"}  # fmt: skip
_AGAINST = {
    Against.EQUIVALENT: "equivalent within the margin",
    Against.ABOVE: "higher by more than the margin",
    Against.BELOW: "lower by more than the margin",
    Against.NOT_BELOW: "not lower by more than the margin",
    Against.NOT_ABOVE: "not higher by more than the margin",
    Against.OPEN: "undecided against the margin",
}
_BEYOND = (Against.ABOVE, Against.BELOW)


def figure(analysis: Analysis) -> str:
    """What the mean is called in a table."""
    return _FIGURES[analysis.kind.name]


def number(analysis: Analysis, value: float | None, *, signed: bool = False) -> str:
    """A value on the scale; a dash where there is none."""
    if value is None:
        return DASH
    scale = analysis.kind.scale
    decimals = 1 if scale.high - scale.low > _LONG_RANGE else 2
    shown = f"{value:+.{decimals}f}" if signed else f"{value:.{decimals}f}"
    if float(shown) == 0:
        shown = shown.lstrip("+-")
    return shown.replace("-", "−")


def interval(analysis: Analysis, estimate: Estimate | None, *, signed: bool = False) -> str:
    """``[low, high]``; a dash where it is not defined."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return DASH
    ends = (number(analysis, end, signed=signed) for end in (estimate.low, estimate.high))
    return f"[{', '.join(ends)}]"


def reach(estimate: Estimate | None) -> float | None:
    """Half the width of an interval."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return None
    return (estimate.high - estimate.low) / 2


def plus_minus(analysis: Analysis, estimate: Estimate | None) -> str:
    """``3.66 ± 0.16``; without an interval the value alone."""
    if estimate is None:
        return DASH
    half, value = reach(estimate), number(analysis, estimate.value)
    return value if half is None else f"{value} ± {number(analysis, half)}"


def probability(p: float | None) -> str:
    """A p-value: three decimals, or that it is below 0.001."""
    if p is None:
        return DASH
    shown = f"{p:.3f}"
    if shown == "0.050":  # on which side of the usual limit?
        shown = f"{p:.4f}"
    return "< 0.001" if p < 0.001 else shown


def decimals(value: float | None) -> str:
    """A plain number with two decimals."""
    return DASH if value is None else f"{value:.2f}".replace("-", "−")


def percent(share: float | None) -> str:
    """A share of one."""
    return DASH if share is None else f"{100 * share:.0f} %"


def many(count: int, one: str, several: str | None = None) -> str:
    """``1 rater``, ``2 raters``."""
    return f"{count:,} {one if count == 1 else several or one + 's'}".replace(",", " ")


def level(analysis: Analysis) -> str:
    """``95 %``."""
    return f"{100 * analysis.settings.level:g} %"


def headline(analysis: Analysis) -> str:
    """One sentence."""
    if not analysis.flow.votes_kept:
        return "No vote counts, so nothing can be said about any system."
    if analysis.comparisons is not None:
        return _headline_pairs(analysis)
    best = analysis.ranking
    if len(best) < 2:
        return f"One system alone has votes: {best[0].name}. Nothing is compared."
    first = best[0]
    apart = {
        name for one in analysis.differences if one.told_apart
        and first.name in (names := (one.system, one.other)) for name in names
    }  # fmt: skip
    tied = [one.name for one in best[1:] if one.name not in apart]
    told = f"The highest mean is that of {first.name}, {plus_minus(analysis, first.mean)}"
    if tied:
        return f"{told}; {_listed(tied)} can't be told apart from it by this test."
    return f"{told}; it is told apart from every other system."


def margin(analysis: Analysis) -> str:
    """The margin, and whether it was declared before the ratings."""
    shown = f"±{number(analysis, analysis.settings.margin)}"
    if analysis.as_settled:
        return f"{shown}, the margin that was declared before"
    return f"{shown}, the margin that bundle.json has now"


def tested(analysis: Analysis) -> str:
    """Over how many pairs p-values are corrected."""
    return many(sum(one.p is not None for one in every_pair(analysis)), "pair")


def every_pair(analysis: Analysis) -> tuple[Difference | Comparison, ...]:
    """All pairs of systems, of either kind of test."""
    return analysis.differences if analysis.comparisons is None else analysis.comparisons.pairs


def remarks(analysis: Analysis, pair: Difference | Comparison) -> list[str]:
    """What the pair says by itself, beside whether it is told apart among all pairs."""
    found = []
    if pair.told_apart_alone and not pair.told_apart:
        found.append(f"by itself yes, corrected over {tested(analysis)} no")
    place = pair.against_margin
    if place is None:
        return found
    if pair.told_apart and place is Against.EQUIVALENT:
        found.append("by less than the margin")
    elif pair.told_apart and place in _BEYOND:
        found.append("by more than the margin")
    elif place in _BEYOND:
        found.append(f"one-sided and by itself {_AGAINST[place]}, with nothing corrected")
    else:
        found.append(_AGAINST[place])
    return found


def said(analysis: Analysis) -> list[str]:
    """What the votes allow to say."""
    return [*(one for pair in _pairs(analysis) if (one := _told(analysis, pair)))]


def open_questions(analysis: Analysis) -> list[str]:
    """What they don't."""
    return [
        *(one for pair in _pairs(analysis) if (one := _untold(analysis, pair))),
        *_limits_of_size(analysis),
    ]


def limits(analysis: Analysis) -> list[str]:
    """What no listening test of this kind says."""
    found = [
        "Not comparable across tests: a mean opinion depends on which other clips were heard, on "
        "the question, the scale and who was asked. Only systems of this test may be compared.",
        f"It is about {analysis.kind.attribute}, as asked above, and about sentences like these.",
        f"Intervals are {level(analysis)} each; over all pairs, only the p-values corrected by "
        "Holm's method keep the chance of a false alarm.",
    ]
    if analysis.kind.name in ("mos", "smos"):
        found.append(
            "The scale has an end: differences between very good systems are compressed. Where "
            "systems are close, comparisons (cmos, ab) tell more."
        )
    if analysis.kind.name == "mushra":
        found.append(
            "Ratings are relative to the reference; a system that sounds better than the recording "
            "can't show it."
        )
    return found


def _pairs(analysis: Analysis) -> Iterator[Difference | Comparison]:
    """Pairs with the baseline, or all where there is none."""
    pairs = every_pair(analysis)
    against = [one for one in pairs if one.against_baseline]
    yield from against or pairs


def _told(analysis: Analysis, pair: Difference | Comparison) -> str | None:
    estimate = pair.estimate
    if estimate is None or not (pair.told_apart or pair.equivalent):
        return None
    if not pair.told_apart:
        alone = remarks(analysis, pair)[0] if pair.told_apart_alone else ""
        return (
            f"{pair.system} and {pair.other} are equivalent within {margin(analysis)}, by two "
            f"one-sided tests: {_gap(analysis, estimate)}."
            + (f" Whether they differ at all: {alone}." if alone else "")
        )
    word = "better" if estimate.value > 0 else "worse"
    if analysis.comparisons is None:
        word = "higher" if estimate.value > 0 else "lower"
        sentence = f"{pair.system} is rated {word} than {pair.other}"
    else:
        sentence = f"{pair.system} is heard as {word} than {pair.other}"
    sentence += f": {_gap(analysis, estimate)}, p\u00a0{_p(pair.p_holm)}"
    if pair.equivalent or pair.against_margin in _BEYOND:
        sentence += f"; {'; '.join(remarks(analysis, pair))}"
    return f"{sentence}."


def _untold(analysis: Analysis, pair: Difference | Comparison) -> str | None:
    estimate = pair.estimate
    if estimate is None:
        return None
    if estimate.low is None:
        why = pair.reasons[0] if pair.reasons else "no interval"
        return f"How {pair.system} compares with {pair.other} ({why})."
    if pair.told_apart or pair.equivalent:
        return None
    gap, p = _gap(analysis, estimate), _p(pair.p_holm)
    alone = pair.told_apart_alone or pair.against_margin in _BEYOND
    why = f" ({'; '.join(remarks(analysis, pair))})" if alone else ""
    return (
        f"Whether {pair.system} and {pair.other} differ: {gap}, p\u00a0{p}{why}. That they were "
        "not told apart does not make them equal."
    )


def _limits_of_size(analysis: Analysis) -> Iterator[str]:
    power = analysis.power
    if power.smallest is not None:
        after = ""
        if power.comparisons > 1 and power.smallest_corrected is not None:
            after = (f"; after correction over {power.comparisons} pairs, those below about "
                     f"{number(analysis, power.smallest_corrected)}")  # fmt: skip
        yield (
            f"Differences below about {number(analysis, power.smallest)}: of a single pair by "
            f"itself, a test of this size finds them in less than {percent(power.power)} of "
            f"repetitions{after}."
        )


def _headline_pairs(analysis: Analysis) -> str:
    pairs = list(_pairs(analysis))
    told = [one for one in pairs if one.told_apart]
    baseline = analysis.settings.baseline
    if not told:
        return "None of the systems that were compared could be told apart by this test."
    if baseline is None or not told[0].against_baseline:
        return f"{len(told)} of {many(len(pairs), 'pair')} of systems could be told apart."
    better = [one.system for one in told if one.estimate and one.estimate.value > 0]
    worse = [one.system for one in told if one.estimate and one.estimate.value < 0]
    rest = [one.system for one in pairs if not one.told_apart]
    parts = [
        f"{_listed(names)} {'is' if len(names) == 1 else 'are'} {word}"
        for names, word in (
            (better, f"heard as better than {baseline}"),
            (worse, f"heard as worse than {baseline}"),
            (rest, f"not told apart from {baseline}"),
        )
        if names
    ]
    return "; ".join(parts) + "."


def _gap(analysis: Analysis, estimate: Estimate) -> str:
    return (
        f"{number(analysis, estimate.value, signed=True)} "
        f"{interval(analysis, estimate, signed=True)}"
    )


def _p(p: float | None) -> str:
    shown = probability(p)
    related = shown if shown.startswith("<") or shown == DASH else f"= {shown}"
    return related.replace(" ", "\u00a0")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
