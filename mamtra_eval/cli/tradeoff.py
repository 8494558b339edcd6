"""``tradeoff``: what the variants of a family save and lose, at a context of one's choice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from mamtra_eval.config import MAX_CONTEXT


def tradeoff(
    run: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A folder that evaluate wrote.")],
    context: Annotated[
        int | None,
        typer.Option(
            "--context",
            min=1,
            max=MAX_CONTEXT,
            help="Tokens at which caches and FLOP are told; the run keeps it.",
        ),
    ] = None,
) -> None:
    """Write tradeoff.md and its plots anew: savings against losses, the Pareto front, trends."""
    from mamtra_eval import results
    from mamtra_eval.errors import UserError
    from mamtra_eval.reader import RunReader
    from mamtra_eval.report import tradeoff as report
    from mamtra_eval.store import Store

    with RunReader(run) as store:
        found = results.collect(store)
    if context is not None:
        with Store(run) as store, store.lock():
            store.set_meta("context", context)  # what verify finds in the report
    path = report.write(replace(found, context=context or found.context))
    if path is None:
        raise UserError(
            "nothing to weigh: it takes a baseline and a variant whose closed form is known (mini "
            "or a checkpoint), both with readings, and a figure in which they differ",
            where=str(run),
            fix="Finish the run with evaluate, or evaluate, say, teacher=mini 1-3=mini:1:3 with "
            "--baseline teacher. A run of an earlier version learns the closed form when evaluate "
            "is called on it once more.",
        )
    typer.echo(str(path))
