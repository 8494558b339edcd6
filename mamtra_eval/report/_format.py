"""Numbers as people read them: percent with one decimal, cosines with three, scores with two."""

from __future__ import annotations

from collections.abc import Callable

from mamtra_eval.figures import Value
from mamtra_eval.metrics import Figure
from mamtra_eval.results import Cost, Results
from mamtra_eval.statistics.bootstrap import Estimate

DECIMALS = {"fraction": 1, "cosine": 3, "mos": 2}


COST_NOTE = (
    "As the run's workers saw it, side by side, mostly without the loading of models: for a "
    "comparison inside this run, on this machine."
)


def _speed(cost: Cost) -> str:
    return "–" if cost.tokens_per_s is None else f"{cost.tokens_per_s:.0f}"


def _real_time(cost: Cost) -> str:
    return "–" if cost.rtf is None else f"{cost.rtf:.3f}"


def _cache(cost: Cost) -> str:
    return "–" if cost.cache_bytes is None else f"{cost.cache_bytes / 2**20:.2f} MiB"


def _cut(cost: Cost) -> str:
    return "–" if cost.cut is None else str(cost.cut)


def _vram(cost: Cost) -> str:
    return "–" if cost.vram_peak_bytes is None else f"{cost.vram_peak_bytes / 1e9:.2f} GB"


COSTS: tuple[tuple[str, Callable[[Cost], str]], ...] = (
    ("Real-time factor", _real_time),
    ("Speech tokens a second", _speed),
    ("Cache of a clip, mean", _cache),
    ("Clips cut at the longest length", _cut),
)
"""Columns of the table of costs: title, and what a cell shows."""
VRAM_PEAK = ("VRAM peak", _vram)
"""One more, of runs in which a system has measured it."""


def costs(results: Results) -> tuple[tuple[str, Callable[[Cost], str]], ...]:
    """The columns of a run's table of costs."""
    measured = any(system.cost.vram_peak_bytes is not None for system in results.systems)
    return (*COSTS, VRAM_PEAK) if measured else COSTS


def amount(figure: Figure, value: float, *, signed: bool = False) -> str:
    """A value in its unit; the sign always shown if ``signed``."""
    decimals = DECIMALS.get(figure.unit, 3)
    scaled = 100 * value if figure.unit == "fraction" else value
    shown = f"{scaled:+.{decimals}f}" if signed else f"{scaled:.{decimals}f}"
    shown = shown.replace("-", "−")
    return f"{shown} %" if figure.unit == "fraction" and not signed else shown


def interval(figure: Figure, estimate: Estimate, *, signed: bool = False) -> str:
    """``[low, high]`` without the unit; ``[n/a]`` where there is none."""
    if estimate.low is None or estimate.high is None:
        return "[n/a]"
    ends = (
        amount(figure, end, signed=signed).removesuffix(" %")
        for end in (estimate.low, estimate.high)
    )
    return f"[{', '.join(ends)}]"


def verdict(figure: Figure, difference: Estimate) -> str:
    """``better``, ``worse`` or ``undecided``, by whether the interval excludes zero."""
    low, high = difference.low, difference.high
    if low is None or high is None or low <= 0 <= high:
        return "undecided"
    return "better" if (low > 0) == figure.higher_is_better else "worse"


def difference(value: Value) -> str:
    """A paired difference with its mark and interval; a dash where there is none."""
    if value.difference is None:
        return "≠" if value.foreign else "–"
    mark = {"better": "▲", "worse": "▼", "undecided": "○"}[verdict(value.figure, value.difference)]
    shown = amount(value.figure, value.difference.value, signed=True)
    points = " pt" if value.figure.unit == "fraction" else ""
    judged = f", {value.verdict}" if value.verdict else ""
    return f"{mark} {shown}{points} {interval(value.figure, value.difference, signed=True)}{judged}"


def margin(figure: Figure, value: float) -> str:
    """A margin in the figure's unit: ``0.5 pt`` for a rate."""
    if figure.unit == "fraction":
        return f"{100 * value:g} pt"
    return f"{value:g}"


def verdict_note(results: Results) -> str | None:
    """What the verdicts of a run say; ``None`` where no figure that is shown has a margin."""
    own, heard = _margins(results, opinions=False), _margins(results, opinions=True)
    if not own and not heard:
        return None
    declared = "after the first numbers" if results.margins_late else "before the numbers"
    against = f"margins that were declared {declared}: {own}. " if own else "margins. "
    return (
        f"Verdicts read the {100 * (2 * results.level - 1):g} % interval (two one-sided tests at "
        f"{100 * (1 - results.level):g} %) against {against}{opinion_margins(results)}Equivalent: "
        "within the margin. Non-inferior: no loss beyond it. Inferior: a loss beyond it. A loss "
        "that is real and smaller than the margin is ▼ and equivalent or non-inferior at once."
    )


def opinion_margins(results: Results) -> str:
    """When margins of listening tests were declared, a sentence and a space; or nothing."""
    told = _margins(results, opinions=True)
    return f"Declared with its listening test, before there were ratings: {told}. " if told else ""


def _margins(results: Results, *, opinions: bool) -> str:
    """Margins of figures that are shown: of listening tests, or of all others."""
    found: dict[str, str] = {}
    for system in results.systems:
        for name, value in system.values.items():
            if value.margin is None or not value.figure.headline:
                continue
            if (name in results.opinions) == opinions:
                found[value.figure.title or name] = margin(value.figure, value.margin)
    return ", ".join(f"{title} {told}" for title, told in found.items())
