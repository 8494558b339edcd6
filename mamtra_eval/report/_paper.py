"""The quantities of the MamTra paper's table, one row a system, for both reports.

Shown for a run of the family: one in which a system knows the closed form of its decoder. Columns
that nothing was measured for are left out, and named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mamtra_eval import recipes
from mamtra_eval.figures import Value
from mamtra_eval.report._format import COSTS, VRAM_PEAK, amount, interval
from mamtra_eval.report._markdown import escape, table
from mamtra_eval.results import Cost, Results

EMPTY = "–"
VRAM_NOTE = (
    "VRAM peak: the most that torch's allocator held during a clip, weights included, in GB of 10⁹ "
    "bytes; without the CUDA context and what other libraries take. The paper's 7.6 and 5.0 GB are "
    "not explained by the architecture: weights and caches account for none of it at the test "
    "set's lengths (mamtra-eval claims)."
)
RTF_NOTE = (
    "RTF: seconds of making by seconds of speech, as the run's workers saw it, for a comparison "
    "inside this run."
)


@dataclass(frozen=True)
class Column:
    """One quantity.

    Attributes:
        title: as a heading.
        figure: its name, where it is one of the run's figures.
        cells: a text a system.
        note: what it is, where the run's footnotes don't say it.
    """

    title: str
    figure: str | None
    cells: tuple[str, ...]
    note: str = ""


def section(results: Results, headings: Mapping[str, str], marks: Mapping[str, str]) -> list[str]:
    """Lines of Markdown; none for a run without the family.

    Args:
        results: of the run.
        headings: of columns, by figure.
        marks: of values under another signature than their column's, by that signature.
    """
    columns, absent = _columns(results, marks)
    if not columns:
        return []
    titles = [headings.get(one.figure or "", one.title) for one in columns]
    rows = [
        [escape(system.row.name), *cells]
        for system, cells in zip(results.systems, _rows(columns), strict=True)
    ]
    notes = " ".join(_notes(columns, absent))
    return ["## The paper's table", "", *table(["System", *titles], rows), "", notes, ""]


def data(results: Results) -> dict[str, Any] | None:
    """The same for report.html; ``None`` for a run without the family."""
    foreign = {value.foreign for one in results.systems for value in one.values.values()}
    marks = dict.fromkeys(filter(None, foreign), " ≠")
    columns, absent = _columns(results, marks)
    if not columns:
        return None
    rows = [
        [system.row.name, *cells]
        for system, cells in zip(results.systems, _rows(columns), strict=True)
    ]
    titles = [one.title for one in columns]
    return {"titles": titles, "rows": rows, "notes": _notes(columns, absent)}


def _columns(results: Results, marks: Mapping[str, str]) -> tuple[list[Column], list[str]]:
    """Columns with something in them, and titles of the others; nothing without the family."""
    if all(system.footprint is None for system in results.systems):
        return [], []
    wer = recipes.find(results.recipe).figure if results.recipe else "wer"
    wanted = [
        _figure(results, wer, "WER", marks),
        _figure(results, "utmos", "UTMOS", marks),
        _figure(results, "similarity", "Similarity", marks),
        _cost(results, VRAM_PEAK, VRAM_NOTE),
        _cost(results, ("RTF", COSTS[0][1]), RTF_NOTE),
        _flop(results),
        _figure(results, "nmos", "NMOS", marks),
    ]
    full = [column for column in wanted if any(cell != EMPTY for cell in column.cells)]
    return full, [column.title for column in wanted if column not in full]


def _figure(results: Results, name: str, title: str, marks: Mapping[str, str]) -> Column:
    values = [system.values.get(name) for system in results.systems]
    return Column(title, name, tuple(_cell(value, results.planned, marks) for value in values))


def _cell(value: Value | None, planned: int, marks: Mapping[str, str]) -> str:
    if value is None or value.estimate is None:
        return EMPTY
    shown = f"{amount(value.figure, value.estimate.value)} {interval(value.figure, value.estimate)}"
    of = "" if value.n == planned else f" ({value.n}/{planned})"
    return shown + of + marks.get(value.foreign or "", "")


def _cost(results: Results, shown: tuple[str, Callable[[Cost], str]], note: str) -> Column:
    title, show = shown
    return Column(title, None, tuple(show(system.cost) for system in results.systems), note)


def _flop(results: Results) -> Column:
    context = f"{results.context:,}"
    return Column(
        f"GFLOP a token at {context}",
        None,
        tuple(
            EMPTY if one.footprint is None else f"{one.footprint.flops(results.context) / 1e9:.4f}"
            for one in results.systems
        ),
        f"GFLOP a token: closed form of the decoder at {context} tokens of context; the paper's "
        "TFLOPs are of a pass of 2,048 tokens.",
    )


def _rows(columns: Sequence[Column]) -> list[tuple[str, ...]]:
    """Cells a system."""
    return list(zip(*(column.cells for column in columns), strict=True))


def _notes(columns: Sequence[Column], absent: Sequence[str]) -> list[str]:
    """What the columns are, and which are not there."""
    found = [column.note for column in columns if column.note]
    return [*found, f"Not in this run: {', '.join(absent)}."] if absent else found
