"""leaderboard.md: a table that GitHub renders, every figure with interval, coverage, signature.

One row a system in the order of the run, with its rank by the first figure and the letters of those
it is not told apart from. In bold the best value of a column, among the systems that have all their
clips. Below stand the paired differences to the baseline with their verdicts, the failed clips, and
the signatures as footnotes. ``mamtra-eval leaderboard RUN...`` puts several runs into one table
(``merging``); what was measured under another signature is marked there and compared with nothing.
"""

from __future__ import annotations

from pathlib import Path

from mamtra_eval import ranking
from mamtra_eval.figures import Value
from mamtra_eval.metrics import Figure
from mamtra_eval.ranking import Ranking
from mamtra_eval.report import _noise, _paper, _published
from mamtra_eval.report._format import (
    COST_NOTE,
    amount,
    costs,
    difference,
    interval,
    verdict_note,
)
from mamtra_eval.report._markdown import code, escape, table
from mamtra_eval.results import Results, SystemResult
from mamtra_eval.rows import ClipRow

FILE = "leaderboard.md"
MAX_FAILURES = 20
"""Failed clips that are listed; report.html shows them all."""


def write(results: Results) -> Path:
    """Write ``leaderboard.md`` into the run folder; returns its path."""
    path = results.folder / FILE
    path.write_text(render(results), encoding="utf-8")
    return path


def render(results: Results, footnotes: str = "") -> str:
    """The leaderboard of one run as Markdown.

    ``footnotes`` is put before their numbers, so that several can share a document.
    """
    testset, ranked = results.testset, ranking.of_headline(results)
    lines = [
        f"# {escape(testset['name'])}: {_plural(len(results.systems), 'system')}, "
        f"{_plural(testset['n'], 'utterance')}"
        + (f" × {testset['repeats']}" if testset["repeats"] > 1 else ""),
        "",
        *_table(results, ranked, footnotes),
        "",
        *_ranks(ranked),
        *_foreign(results, footnotes),
        *_differences(results),
        *_noise.section(results),
        *_costs(results),
        *_paper.section(results, _headings(results, footnotes), _foreign_marks(results, footnotes)),
        *_published.section(results),
        *_failures(results),
        *_footnotes(results, footnotes),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def columns(results: Results) -> list[Figure]:
    """The figures that a leaderboard shows."""
    return [figure for _, figure in results.figures if figure.headline]


def heading(figure: Figure, footnote: str) -> str:
    """Title, direction and footnote of a column."""
    arrow = "↑" if figure.higher_is_better else "↓"
    return f"{escape(figure.title or figure.name)} {arrow}[^{footnote}]"


def _headings(results: Results, prefix: str) -> dict[str, str]:
    """Headings of columns by figure."""
    numbers = _footnote_numbers(results, prefix)
    return {figure.name: heading(figure, numbers[figure.name]) for figure in columns(results)}


def _table(results: Results, ranked: Ranking | None, prefix: str) -> list[str]:
    figures, headings = columns(results), _headings(results, prefix)
    marks = _foreign_marks(results, prefix)
    titles = [*(["Rank"] if ranked else []), "System"]
    titles += [*(headings[figure.name] for figure in figures), "Clips"]
    best = {figure.name: _best(results, figure) for figure in figures}
    rows = []
    for system in results.systems:
        cells = [
            _cell(system.values[figure.name], best[figure.name], results.planned)
            + marks.get(system.values[figure.name].foreign or "", "")
            for figure in figures
        ]
        rank = [_rank(ranked, system.row.name)] if ranked else []
        rows.append([*rank, _name(system), *cells, f"{system.n_done}/{results.planned}"])
    return table(titles, rows, words=2 if ranked else 1)


def _rank(ranked: Ranking, system: str) -> str:
    if system not in ranked.ranks:
        return "–"
    return f"{ranked.ranks[system]} {ranked.letters[system]}"


def _cell(value: Value, best: float | None, planned: int) -> str:
    if value.estimate is None:
        return f"– (0/{planned})"
    shown = amount(value.figure, value.estimate.value)
    complete = value.n == planned
    shown = f"**{shown}**" if complete and value.estimate.value == best else shown
    of = "" if complete else f" ({value.n}/{planned})"
    return f"{shown} {interval(value.figure, value.estimate)}{of}"


def _best(results: Results, figure: Figure) -> float | None:
    """The best value among the systems with all their clips: fewer may be the easier ones."""
    found = [system.values[figure.name] for system in results.systems]
    found = [value for value in found if value.foreign is None]
    values = [v.estimate.value for v in found if v.estimate and v.n == results.planned]
    if len(values) < 2:
        return None
    return max(values) if figure.higher_is_better else min(values)


def _name(system: SystemResult) -> str:
    return escape(system.row.name) + (" (baseline)" if system.is_baseline else "")


def _differences(results: Results) -> list[str]:
    others = [system for system in results.systems if not system.is_baseline]
    baseline = next((system for system in results.systems if system.is_baseline), None)
    if not others or baseline is None:
        return []
    figures = columns(results)
    titles = ["System", *(escape(figure.title or figure.name) for figure in figures)]
    rows = [
        [
            escape(system.row.name),
            *(difference(system.values[figure.name]) for figure in figures),
        ]
        for system in others
    ]
    return [
        f"## Difference to {escape(baseline.row.name)}",
        "",
        "Paired over the utterances that both have. ▲ better, ▼ worse: the interval excludes zero. "
        "○ undecided, which is not the same as equal.",
        *(["", escape(note)] if (note := verdict_note(results)) else []),
        "",
        *table(titles, rows),
        "",
    ]


def _ranks(ranked: Ranking | None) -> list[str]:
    """What a rank says."""
    if ranked is None:
        return []
    return [
        f"Rank by {escape(ranked.figure.title or ranked.figure.name)}: one more than the number of "
        "systems above that share no letter with it. Systems that share a letter are not told "
        "apart, which is not the same as equal (paired sign-flip permutation tests, "
        f"{ranked.pairs} pairs with Holm's correction, {100 * ranked.alpha:g} %).",
        "",
    ]


def _foreign_marks(results: Results, prefix: str) -> dict[str, str]:
    """By signature that is not a column's own: the mark of its values."""
    found = dict.fromkeys(
        value.foreign
        for system in results.systems
        for value in system.values.values()
        if value.foreign is not None
    )
    return {signature: f" ≠[^{prefix}x{n}]" for n, signature in enumerate(found, start=1)}


def _foreign(results: Results, prefix: str) -> list[str]:
    if not _foreign_marks(results, prefix):
        return []
    return ["≠: measured under another signature than the column's. It stands alone: no rank, no "
            "difference, no verdict.", ""]  # fmt: skip


def _costs(results: Results) -> list[str]:
    made = [system for system in results.systems if system.cost.known]
    if not made:
        return []
    shown = costs(results)
    rows = [[escape(system.row.name), *(show(system.cost) for _, show in shown)] for system in made]
    titles = ["System", *(title for title, _ in shown)]
    return ["## Cost", "", COST_NOTE, "", *table(titles, rows), ""]


def _failures(results: Results) -> list[str]:
    if not results.n_failed:
        return []
    lines = []
    for clip in results.clips:
        errors = _errors(results, clip)
        if errors:
            again = f" ({clip.key.repeat})" if clip.key.repeat else ""
            where = f"{escape(clip.key.system)}, {escape(clip.key.utterance)}{again}"
            lines.append(f"- {where}: {escape('; '.join(errors))}")
    more = len(lines) - MAX_FAILURES
    tail = [f"- … and {more} more in report.html"] if more > 0 else []
    return ["## Failed clips", "", *lines[:MAX_FAILURES], *tail, ""]


def _errors(results: Results, clip: ClipRow) -> list[str]:
    errors = [clip.error] if clip.error else []
    said: list[str] = []
    for metric in results.metrics:
        reading = results.readings.get((clip.key, metric.name))
        # What follows from another reading fails for its reason, which is said already.
        if isinstance(reading, str) and not any(f": {earlier}" in reading for earlier in said):
            errors.append(f"{metric.name}: {reading}")
            said.append(reading)
    return errors


def _footnote_numbers(results: Results, prefix: str) -> dict[str, str]:
    return {
        figure.name: f"{prefix}{number}"
        for number, metric in enumerate(results.metrics, start=1)
        for figure in metric.figures
    }


def _footnotes(results: Results, prefix: str) -> list[str]:
    lines = []
    for number, metric in enumerate(results.metrics, start=1):
        # What listeners said is told with names of systems, which may hold anything.
        told = escape(metric.note) if metric.name in results.opinions else metric.note
        note = f" {told}" if told else ""
        lines.append(f"[^{prefix}{number}]: {code(metric.signature)}{note}")
    for foreign, mark in _foreign_marks(results, prefix).items():
        lines.append(f"{mark.removeprefix(' ≠')}: {code(foreign)}")
    testset = results.testset
    lines += [
        "",
        f"Intervals: {results.interval}. Test set `{testset['sha256'][:12]}`, "
        f"language {testset['language']}, synthesis seed {testset['seed']}; "
        f"mamtra-eval {results.version}.{_certainty(results)}",
        *_pending(results),
        *(f"\nNote: {escape(note)}" for note in results.notes),
    ]
    return lines


def _pending(results: Results) -> list[str]:
    if not results.n_pending:
        return []
    return [
        f"\nUnfinished: {results.n_pending} clips are not made, or not measured by every metric. "
        "Name the system, the metric and the utterances in one more `evaluate` with the same --out."
    ]


def _certainty(results: Results) -> str:
    """A word on intervals without width, if there are any."""
    estimates = (
        system.values[figure.name].estimate
        for system in results.systems
        for figure in columns(results)
    )
    if any(e and e.low is not None and e.low == e.high for e in estimates):
        return " An interval of one point means that all utterances agree, not that all would."
    return ""
