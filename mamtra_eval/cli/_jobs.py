"""``--executor slurm`` on the command line: what is told of shards and their jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from mamtra_eval.config import RunConfig


def check(detach: bool, in_jobs: bool) -> None:
    """UserError for ``--detach`` where there are no jobs."""
    from mamtra_eval.errors import UserError

    if detach and not in_jobs:
        raise UserError("--detach is for jobs, and there are none", fix="Add --executor slurm.")


def evaluate(
    config: RunConfig, out: Path | None, retry_failed: bool, detach: bool
) -> tuple[Path, bool]:
    """Have the shards made by jobs; the run folder, and whether nothing went wrong.

    Shards that were submitted and not waited for are nothing wrong.
    """
    from mamtra_eval import sharding
    from mamtra_eval.cli import merge, progress

    done = sharding.carry_out(
        config, out, progress=progress.choose(), retry_failed=retry_failed, detach=detach
    )
    if done.submitted:
        typer.echo(f"Submitted: {done.submitted} shards of {done.count}.", err=True)
    if done.joined is not None:
        merge.told(done.joined, more_to_come=bool(done.running))
    for fallen in done.fallen:
        typer.echo(str(fallen), err=True)
    if done.running:
        typer.echo(
            f"{len(done.running)} shards wait or run. The same command takes in what is there.",
            err=True,
        )
    if detach and done.joined is None:  # nothing to report yet
        raise typer.Exit
    missing = done.joined.missing if done.joined else {}
    return done.folder, not done.fallen and (detach or not missing)
