"""``merge``: shards of one plan into one run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mamtra_eval.joining import Joined

MOST_NAMED = 10
"""Shards and files that are named; of more, the number is told."""


def merge(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Run folder; new, or merged before.")],
    shards: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[SHARD_DIR]...", help="Folders of evaluate --shard; those in OUT/shards."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Join shards of one plan into one run, and report it; again as more of them finish."""
    from mamtra_eval import joining, results
    from mamtra_eval.cli import output
    from mamtra_eval.reader import RunReader

    joined = joining.join(out, shards or joining.found_shards(out))
    with RunReader(out) as store:
        found = results.collect(store)
        reports = output.write_reports(found)
    told(joined)
    if as_json:
        typer.echo(output.to_json(output.document(found)))
    else:
        output.print_table(found)
        typer.echo("\n".join(reports))
    if joined.missing:
        raise typer.Exit(1)


def told(joined: Joined, *, more_to_come: bool = False) -> None:
    """Say on standard error what was taken over, what is damaged, and what is missing."""
    typer.echo(f"Taken over: {joined.clips:,} clips, {joined.readings:,} readings.", err=True)
    if joined.damaged:
        typer.echo(
            f"Left out, since they are not the files that were made: {_some(joined.damaged)}. "
            "Delete them and finish their shards.",
            err=True,
        )
    if joined.running:
        typer.echo(
            f"Left for the next time, since they have not begun or are being written: "
            f"{_some(joined.running)}.",
            err=True,
        )
    if joined.missing and not more_to_come:
        names = [f"{index}/{joined.count}" for index in joined.missing]
        typer.echo(
            f"Missing: {sum(joined.missing.values()):,} clips or their readings, of the shards "
            f"{_some(names)}. Finish these and merge again, or make the rest here with: "
            f"mamtra-eval run {joined.folder / 'run.yaml'} --out {joined.folder}",
            err=True,
        )


def _some(things: list[Path] | list[str]) -> str:
    more = len(things) - MOST_NAMED
    shown = ", ".join(str(thing) for thing in things[:MOST_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown
