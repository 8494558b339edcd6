"""leaderboard.md: a table that GitHub renders, every figure with interval, coverage, signature.

One row a system in the order of the run. In bold the best value of a column, among the systems that
have all their clips. Below stand the paired differences to the baseline, the failed clips, and the
signatures as footnotes. ``mamtra-eval leaderboard RUN...`` puts several runs into one document, a
section each; their figures never share a table.
"""

from __future__ import annotations

from pathlib import Path

from mamtra_eval import ranking
from mamtra_eval.figures import Value
from mamtra_eval.metrics import Figure
from mamtra_eval.report._format import COST_NOTE, COSTS, amount, difference, interval, margin
from mamtra_eval.results import Results, SystemResult
from mamtra_eval.rows import ClipRow

FILE = "leaderboard.md"
MAX_FAILURES = 20
"""Failed clips that are listed; report.html shows them all."""
_LITERAL = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SPECIAL = "\\`*_{}[]|#~"


def write(results: Results) -> Path:
    """Write ``leaderboard.md`` into the run folder; returns its path."""
    path = results.folder / FILE
    path.write_text(render(results), encoding="utf-8")
    return path


def render(results: Results, footnotes: str = "") -> str:
    """The leaderboard of one run as Markdown.

    ``footnotes`` is put before their numbers, so that several can share a document.
    """
    testset = results.testset
    lines = [
        f"# {escape(testset['name'])}: {len(results.systems)} systems, "
        f"{testset['n']} utterances"
        + (f" × {testset['repeats']}" if testset["repeats"] > 1 else ""),
        "",
        *_table(results, footnotes),
        "",
        *_differences(results),
        *_ranking(results),
        *_costs(results),
        *_failures(results),
        *_footnotes(results, footnotes),
    ]
    return "\n".join(lines).rstrip() + "\n"


def columns(results: Results) -> list[Figure]:
    """The figures that a leaderboard shows."""
    return [figure for _, figure in results.figures if figure.headline]


def escape(text: str) -> str:
    """Text that Markdown and HTML take literally, on one line."""
    return "".join(
        _LITERAL.get(character, f"\\{character}" if character in _SPECIAL else character)
        for character in " ".join(text.split())
    )


def heading(figure: Figure, footnote: str) -> str:
    """Title, direction and footnote of a column."""
    arrow = "↑" if figure.higher_is_better else "↓"
    return f"{escape(figure.title or figure.name)} {arrow}[^{footnote}]"


def _table(results: Results, prefix: str) -> list[str]:
    figures = columns(results)
    numbers = _footnote_numbers(results, prefix)
    titles = ["System", *(heading(figure, numbers[figure.name]) for figure in figures), "Clips"]
    best = {figure.name: _best(results, figure) for figure in figures}
    rows = [titles, ["---", *["---:"] * (len(figures) + 1)]]
    for system in results.systems:
        cells = [
            _cell(system.values[figure.name], best[figure.name], results.planned)
            for figure in figures
        ]
        rows.append([_name(system), *cells, f"{system.n_done}/{results.planned}"])
    return [f"| {' | '.join(row)} |" for row in rows]


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
    rows = [
        ["System", *(escape(figure.title or figure.name) for figure in figures)],
        ["---", *["---:"] * len(figures)],
    ]
    for system in others:
        rows.append(
            [
                escape(system.row.name),
                *(difference(system.values[figure.name]) for figure in figures),
            ]
        )
    return [
        f"## Difference to {escape(baseline.row.name)}",
        "",
        "Paired over the utterances that both have. ▲ better, ▼ worse: the interval excludes zero. "
        "○ undecided, which is not the same as equal.",
        *_margins(results),
        "",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def _margins(results: Results) -> list[str]:
    """What the verdicts say, where margins were declared."""
    values = {
        figure.name: next((system.values[figure.name].margin for system in results.systems), None)
        for figure in columns(results)
    }
    told = [
        f"{escape(figure.title or figure.name)} {margin(figure, value)}"
        for figure in columns(results)
        if (value := values[figure.name]) is not None
    ]
    if not told:
        return []
    return [
        "",
        f"Verdicts read the {100 * (2 * results.level - 1):g} % interval (two one-sided tests at "
        f"{100 * (1 - results.level):g} %) against margins that were declared "
        f"{'after the first numbers' if results.margins_late else 'before the numbers'}: "
        f"{', '.join(told)}. Equivalent: within the margin. Non-inferior: no loss beyond it. "
        "Inferior: a loss beyond it. A loss that is real and smaller than the margin is ▼ and "
        "equivalent or non-inferior at once.",
    ]


def _ranking(results: Results) -> list[str]:
    """Systems in order of the first figure, with letters for ties; nothing for fewer than three."""
    first = next(((m, f) for m, f in results.figures if f.headline), None)
    ranked = ranking.rank(results, first[0].name, first[1]) if first else None
    if ranked is None or len(ranked.order) < 3:
        return []
    values = {system.row.name: system.values for system in results.systems}
    rows = [["System", escape(ranked.figure.title or ranked.figure.name), "Group"]]
    rows.append(["---", "---:", "---"])
    for name in ranked.order:
        value = values[name][ranked.figure.name]
        shown = f"{amount(ranked.figure, value.estimate.value)}" if value.estimate else "–"
        rows.append([escape(name), shown, ranked.letters[name]])
    return [
        f"## Who is told apart by {escape(ranked.figure.title or ranked.figure.name)}",
        "",
        "Systems that share a letter are not told apart, which is not the same as equal (paired "
        f"sign-flip permutation tests, {ranked.pairs} pairs with Holm's correction, "
        f"{100 * ranked.alpha:g} %).",
        "",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def _costs(results: Results) -> list[str]:
    made = [system for system in results.systems if system.cost.rtf is not None]
    if not made:
        return []
    rows = [["System", *(title for title, _ in COSTS)], ["---", *["---:"] * len(COSTS)]]
    rows += [
        [escape(system.row.name), *(show(system.cost) for _, show in COSTS)] for system in made
    ]
    return ["## Cost", "", COST_NOTE, "", *(f"| {' | '.join(row)} |" for row in rows), ""]


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
        note = f" {metric.note}" if metric.note else ""
        signature = metric.signature.replace("`", "'")
        lines.append(f"[^{prefix}{number}]: `{signature}`{note}")
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
