"""``verify``: is a run still what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A folder that evaluate wrote.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Hash audio, lists, systems, evaluators and configuration again; exit code 1 for a change."""
    from mamtra_eval import verify as verifying
    from mamtra_eval.cli.output import to_json
    from mamtra_eval.reader import RunReader

    with RunReader(run) as store:
        found = verifying.verify(store)
        counted = f"{len(store.clips())} clips, {len(store.systems())} systems, "
        counted += f"{len(store.metrics())} metrics"
    if as_json:
        typer.echo(to_json({"run": str(run), "differences": [one._asdict() for one in found]}))
    elif found:
        for one in found:
            typer.echo(f"{one.kind} {one.name}: {one.what}")
    else:
        typer.echo(
            f"Nothing changed: {counted}, test set, configuration, leaderboard and trade-off."
        )
    if found:
        raise typer.Exit(1)
