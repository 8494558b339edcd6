"""Published numbers beside a run: what others printed of its test set, apart from its own figures.

They were not measured here, so they never share a table with what was. Under them stand the reasons
why the two differ, each sentence once with the rows that it is true of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mamtra_eval import published
from mamtra_eval.figures import Value
from mamtra_eval.metrics import Figure
from mamtra_eval.published import Published
from mamtra_eval.published.comparing import Measured, Verdict, compare, reasons
from mamtra_eval.report._markdown import escape, table
from mamtra_eval.results import Results, SystemResult

TITLE = "Published numbers (context)"
NOTE = (
    "Not measured here. Others printed these numbers of {testset}, each by a protocol of its own, "
    "and they are no part of the figures of this run. Inside or outside says whether a number lies "
    "in this run's interval, which knows nothing of another protocol: inside is no reproduction, "
    "outside no failure. To compare systems, measure them in one run."
)


@dataclass(frozen=True)
class _Against:
    """A published number against the figure of a system of the run."""

    system: str
    figure: Figure
    value: Value
    verdict: Verdict


@dataclass
class _Row:
    """What one source has of one system."""

    numbers: dict[str, Published] = field(default_factory=dict)
    against: list[_Against] = field(default_factory=list)

    @property
    def first(self) -> Published:
        """One of its numbers: system and source are those of all."""
        return next(iter(self.numbers.values()))


@dataclass(frozen=True)
class _Context:
    """All rows, the figures that they have, and each reason with the numbers of its rows."""

    note: str
    figures: list[Figure]
    rows: list[_Row]
    reasons: dict[str, list[int]]


def section(results: Results) -> list[str]:
    """Lines of Markdown; none where nothing was published of the test set."""
    found = _context(results)
    if found is None:
        return []
    matched = any(row.against for row in found.rows)
    titles = ["Row", "System", "Source", "Date", *(["Against this run"] if matched else [])]
    rows = [
        [
            str(number),
            escape(row.first.name),
            escape(row.first.source),
            row.first.date or "unknown",
            *(["; ".join(map(_told, row.against)) or "–"] if matched else []),
            *(_text(row, figure) for figure in found.figures),
        ]
        for number, row in enumerate(found.rows, start=1)
    ]
    figures = [escape(figure.title or figure.name) for figure in found.figures]
    return [
        f"## {TITLE}",
        "",
        f"> {escape(found.note)}",
        "",
        *table([*titles, *figures], rows, words=len(titles)),
        "",
        "Why they are not this run's figures:",
        "",
        *(f"- {escape(text)}" for text in _grouped(found)),
        "",
    ]


def data(results: Results) -> dict[str, Any] | None:
    """The same as JSON-able values; ``None`` where nothing was published of the test set."""
    found = _context(results)
    if found is None:
        return None
    return {
        "title": TITLE,
        "note": found.note,
        "rows": [
            {
                "system": row.first.name,
                "values": {
                    name: {"value": number.value, "unit": number.unit, "text": number.text}
                    for name, number in row.numbers.items()
                },
                "source": row.first.source,
                "date": row.first.date,
                "against": [
                    {"system": one.system, "figure": one.figure.name, "verdict": one.verdict}
                    for one in row.against
                ],
            }
            for row in found.rows
        ],
        "reasons": _grouped(found),
    }


def _context(results: Results) -> _Context | None:
    testset = results.testset
    measured = {figure.name: (metric, figure) for metric, figure in results.figures}
    named = {"language": testset["language"], "n": testset["n"]}
    numbers = published.context(testset["name"], measured, **named)
    if not numbers:
        return None
    rows: dict[tuple[str, str], _Row] = {}
    for number in numbers:
        rows.setdefault((number.system, number.source), _Row()).numbers[number.metric] = number
    why: dict[str, list[int]] = {}
    for place, row in enumerate(rows.values(), start=1):
        for number in row.numbers.values():
            metric, figure = measured[number.metric]
            for text in _beside(row, number, figure, metric.signature, results):
                if place not in why.setdefault(text, []):
                    why[text].append(place)
    shown = [
        figure for _, figure in results.figures if any(figure.name == n.metric for n in numbers)
    ]
    return _Context(NOTE.format(testset=numbers[0].testset), shown, [*rows.values()], why)


def _beside(
    row: _Row, number: Published, figure: Figure, signature: str, results: Results
) -> list[str]:
    """Put a number against the systems of the run that it is of; the reasons."""
    why: list[str] = []
    matched = [system for system in results.systems if _key(system) == number.system]
    for system in matched:
        value = system.values[figure.name]
        compared = compare(number, value.estimate, _measured(value.foreign or signature, results))
        row.against.append(_Against(system.row.name, figure, value, compared.verdict))
        why += compared.reasons
        if value.n < results.planned:
            why.append(f"{system.row.name} has {value.n} of {results.planned} clips here.")
    return why or reasons(number, _measured(signature, results))


def _key(system: SystemResult) -> str | None:
    return published.matches(system.row.name, system.row.kind, system.row.target)


def _measured(signature: str, results: Results) -> Measured:
    testset = results.testset
    return Measured(signature, results.recipe, testset["n"], testset["repeats"])


def _text(row: _Row, figure: Figure) -> str:
    return row.numbers[figure.name].text if figure.name in row.numbers else "–"


def _told(one: _Against) -> str:
    """A verdict with the interval it is on."""
    name, title, estimate = escape(one.system), escape(one.figure.name), one.value.estimate
    if estimate is None or estimate.low is None or estimate.high is None:
        return f"{title}: no interval of {name}"
    # With as many digits as the numbers have: 2.57 % would seem to be in [2.2, 2.6].
    scale, digits = (100, 2) if one.figure.unit == "fraction" else (1, 3)
    low, high = (f"{scale * end:.{digits}f}" for end in (estimate.low, estimate.high))
    return f"{title}: {one.verdict} [{low}, {high}] of {name}"


def _grouped(found: _Context) -> list[str]:
    """Each reason with its rows."""
    return [
        f"{text} ({_places(places, len(found.rows))})" for text, places in found.reasons.items()
    ]


def _places(places: Sequence[int], n: int) -> str:
    if len(places) == n:
        return "all rows" if n > 1 else "row 1"
    spans = ", ".join(_spans(places))
    return f"row {spans}" if len(places) == 1 else f"rows {spans}"


def _spans(places: Iterable[int]) -> list[str]:
    """Ascending numbers, with those that follow one another as one span: ``1–3``."""
    spans: list[list[int]] = []
    for place in places:
        if spans and place == spans[-1][-1] + 1:
            spans[-1].append(place)
        else:
            spans.append([place])
    return [str(span[0]) if len(span) == 1 else f"{span[0]}–{span[-1]}" for span in spans]
