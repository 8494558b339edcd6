"""Rows for a paper: CSV and TeX, each value with the type of its interval."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mamtra_eval.listening.analysis.analysing import Analysis
from mamtra_eval.listening.tables import csv_text
from mamtra_eval.report.listening import words
from mamtra_eval.statistics.bootstrap import Estimate

TWO_WAY = "two-way clustered"
HEADER = (
    "system", "compared_with", "what", "figure", "value", "plus_minus", "low", "high", "interval",
    "level", "naive_plus_minus", "p_holm", "votes", "raters", "items", "simulated",
    "bundle_changed",
)  # fmt: skip
_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
}  # fmt: skip


def as_csv(analysis: Analysis) -> str:
    """One row a system, or a pair; cells that a spreadsheet would run are neutralised."""
    return csv_text(HEADER, _rows(analysis))


def as_tex(analysis: Analysis) -> str:
    """A tabular with the headline interval, the naive one beside it, and a note below."""
    name = words.figure(analysis)
    pairs = analysis.comparisons is not None
    lines = [
        f"% {name} of bundle {analysis.bundle_id}",
        r"\begin{tabular}{lccrrr}",
        rf"{'Pair' if pairs else 'System'} & {name}$^{{a}}$ & naive$^{{b}}$ & votes & raters & "
        r"items \\",
        r"\hline",
        *_tex_rows(analysis),
        r"\end{tabular}",
        rf"\par\footnotesize $^{{a}}$ Mean $\pm$ half the {_level(analysis)} interval, {TWO_WAY}: "
        "raters and items are both drawn. Not comparable with scores of other tests.",
        rf"\par\footnotesize $^{{b}}$ Half the {_level(analysis)} interval as if votes were "
        "independent: too narrow, printed for comparison with others.",
    ]
    if analysis.changed:
        lines.insert(0, f"% BUNDLE CHANGED SINCE ITS EXPORT: {tex(', '.join(analysis.changed))}")
    if analysis.simulated:
        lines.insert(0, "% SIMULATED RATINGS: a rehearsal, not evidence about any system.")
    return "\n".join(lines) + "\n"


def _rows(analysis: Analysis) -> Iterator[list[object]]:
    marks = ["yes" if one else "no" for one in (analysis.simulated, analysis.changed)]
    figure, level = words.figure(analysis), analysis.settings.level
    for one in analysis.systems:
        yield [one.name, "", one.what, figure, *_estimate(one.mean), TWO_WAY, level,
               _half(one.naive), None, one.votes, one.raters, one.items, *marks]  # fmt: skip
    for pair in analysis.comparisons.pairs if analysis.comparisons else ():
        yield [pair.system, pair.other, analysis.names.get(pair.system, ""), figure,
               *_estimate(pair.estimate), TWO_WAY, level, _half(pair.naive), _text(pair.p_holm),
               pair.votes, pair.raters, pair.items, *marks]  # fmt: skip


def _tex_rows(analysis: Analysis) -> Iterator[str]:
    mark = (r"\,[simulated]" if analysis.simulated else "") + (
        r"\,[bundle changed]" if analysis.changed else ""
    )
    rows = [
        (tex(one.name), one.mean, one.naive, one.votes, one.raters, one.items)
        for one in (*analysis.ranking, *(one for one in analysis.systems if one.mean is None))
    ] + [
        (f"{tex(one.system)} vs {tex(one.other)}", one.estimate, one.naive, one.votes, one.raters,
         one.items)
        for one in (analysis.comparisons.pairs if analysis.comparisons else ())
    ]  # fmt: skip
    for name, estimate, naive, *counts in rows:
        value = "--" if estimate is None else f"${_plain(words.plus_minus(analysis, estimate))}$"
        half = words.reach(naive)
        other = "--" if half is None else rf"$\pm {_plain(words.number(analysis, half))}$"
        yield rf"{name}{mark} & {value} & {other} & {' & '.join(map(str, counts))} \\"


def tex(text: str) -> str:
    """Text for TeX, on one line."""
    shown = re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]+", " ", text)
    return "".join(_TEX.get(one, one) for one in shown)


def _plain(shown: str) -> str:
    return shown.replace("±", r"\pm").replace("−", "-")


def _level(analysis: Analysis) -> str:
    return rf"{100 * analysis.settings.level:g}\,\%"


def _estimate(estimate: Estimate | None) -> list[object]:
    if estimate is None:
        return [None, None, None, None]
    return [_text(estimate.value), _half(estimate), _text(estimate.low), _text(estimate.high)]


def _half(estimate: Estimate | None) -> object:
    return _text(words.reach(estimate))


def _text(value: float | None) -> str | None:
    return None if value is None else f"{value:.6g}"
