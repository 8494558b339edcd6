"""tradeoff.md: for each variant of a family what it saves and what it loses, with plots.

Plots lie in ``plots/`` of the run folder, as SVG and PNG, for light and dark pages; GitHub shows
the one that fits the reader's theme. Nothing is written for a run without a family
(``mamtra_eval.tradeoff``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mamtra_eval import tradeoff as families
from mamtra_eval.report import _plots
from mamtra_eval.report._canvas import THEMES
from mamtra_eval.report._format import amount, difference, interval, opinion_margins
from mamtra_eval.report._markdown import escape, picture, table
from mamtra_eval.results import Results, SystemResult
from mamtra_eval.savings import Saving
from mamtra_eval.tradeoff import Panel, Tradeoff, Trend

FILE = "tradeoff.md"
FOLDER = "plots"
HOW = (
    "Dots are paired differences to the baseline (the square at zero), bars their intervals; cache "
    "and FLOP are closed form and have none. The grey band is the margin within which a loss "
    "counts as none. The blue line joins the variants that no other dominates; a hollow dot is "
    "dominated: another variant saves as much and loses no more, by the values. The dashed line is "
    "the straight line through all."
)


def write(results: Results) -> Path | None:
    """Write ``tradeoff.md`` and its plots into the run folder; ``None`` without a family."""
    found = families.build(results, results.context)
    if found is None or not found.losses or not found.savings:
        (results.folder / FILE).unlink(missing_ok=True)  # of an earlier state of the run
        return None
    folder = results.folder / FOLDER
    folder.mkdir(exist_ok=True)
    for saving in found.savings:
        for theme in THEMES:
            for form in ("svg", "png"):
                data = _plots.savings(found, saving, theme, form)
                (folder / f"{saving.key}-{theme}.{form}").write_bytes(data)
    if found.plane:
        margins = _margins(found)
        for theme in THEMES:
            for form in ("svg", "png"):
                data = _plots.plane(found, margins, theme, form)
                (folder / f"plane-{theme}.{form}").write_bytes(data)
    path = results.folder / FILE
    path.write_text(render(results, found), encoding="utf-8")
    return path


def data(results: Results) -> dict[str, Any] | None:
    """Plots for report.html: the first saving, and two losses together; ``None`` without any."""
    found = families.build(results, results.context)
    if found is None or not found.losses or not found.savings:
        return None
    saving, margins = found.savings[0], _margins(found)
    plots = [
        {
            "title": f"{saving.title}: saved against lost",
            "panels": min(_plots.MAX_PANELS, len(found.losses)),
            "alt": " ".join(_front(panel) for panel in found.panels[saving.key]),
            **{f"svg_{t}": _plots.savings(found, saving, t, "svg").decode() for t in THEMES},
        }
    ]
    if found.plane:
        titles = [figure.title or figure.name for figure in found.plane]
        plots.append(
            {
                "title": f"{' and '.join(titles)} together",
                "alt": f"Joint regions of the differences in {' and '.join(titles)}",
                **{f"svg_{t}": _plots.plane(found, margins, t, "svg").decode()
                   for t in THEMES},
            }
        )  # fmt: skip
    return {"note": f"{HOW} More in {FILE}.", "plots": plots}


def render(results: Results, found: Tradeoff) -> str:
    """The trade-off as Markdown."""
    bands = _plots.margin_note(found)
    lines = [
        f"# {escape(results.testset['name'])}: what each variant saves and what it loses",
        "",
        f"Against {escape(found.baseline)}, over {results.testset['n']} utterances"
        + (f" × {results.testset['repeats']}" if results.testset["repeats"] > 1 else "")
        + f". Cache and FLOP of one sequence at {found.context:,} tokens of context, by closed "
        "form.",
        "",
        *_table(found, results),
        "",
        HOW + (f" Margins: {bands}." if bands else ""),
        "",
    ]
    for saving in found.savings:
        lines += [
            f"## {saving.title}",
            "",
            *picture(f"{FOLDER}/{saving.key}", f"{saving.title} against losses"),
        ]
        lines += ["", *(f"- {_front(panel)}" for panel in found.panels[saving.key]), ""]
    if found.plane:
        one, two = (escape(figure.title or figure.name) for figure in found.plane)
        lines += [
            f"## {one} and {two} together",
            "",
            *picture(f"{FOLDER}/plane", f"{one} and {two}"),
            "",
        ]
        lines += [
            f"Ellipses cover both differences at once with {100 * results.level:g} % (Hotelling); "
            "the dashed box is where both are within their margins.",
            "",
        ]
    lines += [*_trends(found.trends), *_notes(results)]
    return "\n".join(lines).rstrip() + "\n"


def _margins(found: Tradeoff) -> dict[str, float]:
    return {
        figure.name: bound
        for figure in found.losses
        for variant in found.variants
        if (bound := variant.values[figure.name].margin) is not None
    }


def _table(found: Tradeoff, results: Results) -> list[str]:
    titles = ["Variant", "Transformer + Mamba-2", *(saving.title for saving in found.savings)]
    titles += [escape(figure.title or figure.name) for figure in found.losses]
    baseline = next(system for system in results.systems if system.is_baseline)
    rows = [
        [f"{escape(baseline.row.name)} (baseline)", _layers(baseline)]
        + [_show(saving, saving.amounts[baseline.row.name]) for saving in found.savings]
        + [_own(baseline, figure.name) for figure in found.losses]
    ]
    for variant in found.variants:
        name = variant.row.name
        saved = [_saved(saving, name) for saving in found.savings]
        lost = [_lost(variant, figure.name, results) for figure in found.losses]
        rows.append([escape(name), _layers(variant), *saved, *lost])
    return table(titles, rows)


def _lost(variant: SystemResult, figure: str, results: Results) -> str:
    """A difference, and over how many utterances where not over all."""
    value, n = variant.values[figure], results.testset["n"]
    return difference(value) + (f" ({value.n_paired}/{n})" if value.n_paired < n else "")


def _layers(system: SystemResult) -> str:
    assert system.footprint is not None
    return f"{system.footprint.transformer} + {system.footprint.mamba}"


def _own(system: SystemResult, figure: str) -> str:
    value = system.values[figure]
    if value.estimate is None:
        return "–"
    return f"{amount(value.figure, value.estimate.value)} {interval(value.figure, value.estimate)}"


def _saved(saving: Saving, name: str) -> str:
    if name not in saving.amounts:
        return "–"
    share = f"{-100 * saving.saved[name]:+.0f} %".replace("-", "−")
    return f"{_show(saving, saving.amounts[name])} ({share})"


def _show(saving: Saving, value: float) -> str:
    if saving.unit == "bytes":
        return f"{value / 2**20:.2f} MiB"
    if saving.unit == "flop":
        return f"{value / 1e6:.1f} M" if value < 1e9 else f"{value / 1e9:.2f} G"
    return f"{1e3 * value:.2f} ms" if saving.unit == "s" else f"{value:.3f}"


def _front(panel: Panel) -> str:
    """Who is on the front, who is dominated by whom and whether the two are told apart."""
    title = escape((panel.figure.title or panel.figure.name).split(",")[0])
    parts = [f"{title}: front {', '.join(escape(name) for name in panel.front)}"]
    for point in panel.points:
        if point.dominated_by is not None:
            apart = "not tested: too few utterances that both have"
            if point.told_apart is not None:
                apart = "told apart" if point.told_apart else "their losses are not told apart"
            parts.append(
                f"{escape(point.system)} dominated by {escape(point.dominated_by)} ({apart})"
            )
    return "; ".join(parts) + "."


def _trends(trends: tuple[Trend, ...]) -> list[str]:
    if not trends:
        return []
    titles = ["Figure", "Straight line", "Monotone fit (never better with more)", "p"]
    rows = []
    for one in trends:
        points = " pt" if one.figure.unit == "fraction" else ""
        shown = [
            f"{amount(one.figure, fit.value, signed=True)}{points} "
            f"{interval(one.figure, fit, signed=True)}"
            for fit in (one.linear, one.isotonic)
        ]
        rows.append([escape(one.figure.title or one.figure.name), *shown, f"{one.p:.3f}"])
    share = f"{100 * trends[0].share:.0f} %"
    least = f"{100 * trends[0].least:.0f} %" if trends[0].least else "no"
    return [
        "## Trend over the ratio",
        "",
        f"How a figure moves from {least} Mamba-2 layers to {share} of them, over the "
        f"{trends[0].n} utterances that all variants with clips have. A monotone fit finds some "
        "loss in noise, too: what it "
        "says is in its p, how often variants that are all alike would go as far.",
        "",
        *table(titles, rows),
        "",
    ]


def _notes(results: Results) -> list[str]:
    when = "after the first numbers" if results.margins_late else "before the numbers"
    return [
        f"Intervals: {results.interval}; margins were declared {when}. {opinion_margins(results)}"
        f"{_heard(results)}FLOP: causal attention, "
        "scan, convolution and head counted, a multiplication with its addition as two. The "
        "real-time factor is as the run's workers saw it, for a comparison inside this run. "
        + ("Memory and time per token: profile.md. " if results.profiles else "")
        + "Signatures of the figures: leaderboard.md.",
    ]


def _heard(results: Results) -> str:
    """By what systems are told apart in listening tests, a sentence and a space; or nothing."""
    titles = [escape(one.title) for one in results.opinions.values() if one.pairs]
    if not titles:
        return ""
    return (
        f"{', '.join(titles)}: the marks are by each pair's own interval, counting raters and "
        'sentences; "told apart" is by p corrected over all pairs of the listening test (Holm). '
    )
