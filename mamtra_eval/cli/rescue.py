"""``rescue``: save what is left of a run whose database is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def rescue(
    folder: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder of the run.")],
) -> None:
    """Make a run's damaged database anew from its readable rows and the clips that are there."""
    from mamtra_eval import rescue as rescuing

    found = rescuing.rescue(folder)
    typer.echo(f"Saved: {found.clips} clips, {found.readings} readings.")
    if found.adopted:
        typer.echo(f"Taken back from their files: {found.adopted} clips.")
    if found.planned:
        typer.echo(f"To be made again: {found.planned} clips.")
    typer.echo(
        f"The damaged database is {found.aside}. The command that made the run now finishes it, "
        f"or: mamtra-eval run {folder / rescuing.CONFIGURATION} --out {folder}"
    )
