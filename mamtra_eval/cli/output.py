"""What commands print of a run: a table for people, one document for programs."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict
from typing import Any

from mamtra_eval import profiles, ranking, recipes, registry
from mamtra_eval.errors import UserError
from mamtra_eval.figures import Value
from mamtra_eval.reader import RunReader
from mamtra_eval.report import _format as form
from mamtra_eval.report import leaderboard, profile
from mamtra_eval.results import Results, collect
from mamtra_eval.statistics.bootstrap import Estimate


def write_reports(results: Results) -> list[str]:
    """Write every kind of report that the run gives into its folder; returns their paths."""
    written = [registry.load("report", name).write(results) for name in registry.plugins("report")]
    return [str(path) for path in written if path is not None]


def reports_of(store: RunReader) -> list[str]:
    """The same for a folder that may hold a profile and no evaluation."""
    if store.meta("testset") is not None:
        return write_reports(collect(store))
    found = tuple(profiles.read(store))
    if not found:
        raise UserError(
            "neither an evaluation nor a profile in it",
            where=str(store.folder),
            fix="Give a folder that evaluate, run or profile wrote.",
        )
    path = profile.of_folder(store.folder, found)
    return [str(path)]


def print_table(results: Results) -> None:
    """The leaderboard on standard output; 80 columns hold the default metrics."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    figures = leaderboard.columns(results)
    testset = results.testset
    title = Text(
        f"{testset['name']}, {testset['n']} utterances; {100 * results.level:g} % intervals"
    )
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 1, 0), pad_edge=False)
    table.add_column("system", overflow="fold", min_width=12)
    for figure in figures:
        arrow = "↑" if figure.higher_is_better else "↓"
        table.add_column(f"{figure.name} {arrow}", justify="right")
    table.add_column("clips", justify="right", no_wrap=True)
    for system in results.systems:
        cells = [Text(_cell(system.values[figure.name], results.planned)) for figure in figures]
        name = system.row.name + ("\n(baseline)" if system.is_baseline else "")
        table.add_row(Text(name), *cells, f"{system.n_done}/{results.planned}")
    # A pipe has no width: nothing is folded there.
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(title)
    console.print(table)


def document(results: Results) -> dict[str, Any]:
    """The run as one JSON-able document; rates as fractions, ``null`` where undefined."""
    ranked = ranking.of_headline(results)
    return {
        "run": str(results.folder),
        "testset": {key: results.testset[key] for key in ("name", "sha256", "n")},
        **_protocol(results),
        "systems": [
            {
                "name": system.row.name,
                "rank": ranked.ranks.get(system.row.name) if ranked else None,
                "tie_group": ranked.letters.get(system.row.name) if ranked else None,
                "cost": asdict(system.cost),
                "metrics": {
                    figure.name: _value(system.values[figure.name], metric.signature, results)
                    for metric, figure in results.figures
                },
            }
            for system in results.systems
        ],
    }


def _protocol(results: Results) -> dict[str, Any]:
    """Recipe, floor and agreement of fast mode, of a run that has them."""
    found: dict[str, Any] = {}
    if results.recipe:
        figure = recipes.find(results.recipe).figure
        found["recipe"] = {"name": results.recipe, "figure": figure}
    if results.floor:
        found["floor"] = results.floor
    if results.agreement:
        found["agreement"] = results.agreement
    return found


def to_json(value: Any) -> str:  # noqa: ANN401 -- any JSON value
    """Strict JSON: NaN would be no JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def _cell(value: Value, planned: int) -> str:
    if value.estimate is None:
        return f"–\n0/{planned}"
    lines = [form.amount(value.figure, value.estimate.value)]
    if value.estimate.low is not None:
        ends = (value.estimate.low, value.estimate.high)
        lines.append(
            "–".join(form.amount(value.figure, end or 0.0).removesuffix(" %") for end in ends)
        )
    if value.n < planned:
        lines.append(f"{value.n}/{planned}")
    return "\n".join(lines)


def _value(value: Value, signature: str, results: Results) -> dict[str, Any]:
    return {
        **_estimate(value.estimate),
        "level": results.level,
        "n": value.n,
        "n_failed": value.n_failed,
        "unit": value.figure.unit,
        "signature": f"{signature}|agg:{value.figure.aggregate}|ci:{results.interval}",
        "difference": _difference(value) if value.difference else None,
    }


def _difference(value: Value) -> dict[str, Any]:
    return {
        **_estimate(value.difference),
        "n_utterances": value.n_paired,
        "margin": value.margin,
        "verdict": value.verdict,
    }


def _estimate(estimate: Estimate | None) -> dict[str, float | None]:
    if estimate is None:
        return {"value": None, "low": None, "high": None}
    return {
        key: number if number is not None and math.isfinite(number) else None
        for key, number in estimate._asdict().items()
    }
