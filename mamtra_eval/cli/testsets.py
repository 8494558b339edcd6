"""``testset``: check a list, unpack the official archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Check test sets, import the official archive.")


@app.command()
def check(
    testset: Annotated[str, typer.Argument(help="Name, or path of a meta.lst.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Validate a test set: columns, ids, texts, and that its recordings can be read."""
    from mamtra_eval import catalogue
    from mamtra_eval.cli.output import to_json
    from mamtra_eval.importing import inspect

    summary = inspect(catalogue.load(testset))
    if as_json:
        typer.echo(to_json(summary))
        return
    for key, value in summary.items():
        typer.echo(f"{key}: {value}")


@app.command(name="import")
def import_archive(
    archive: Annotated[Path, typer.Argument(help="The official seedtts_testset tar.")],
    into: Annotated[Path, typer.Option(help="Folder for the named set.")] = Path("testsets"),
    name: Annotated[str, typer.Option(help="Its name.")] = "seed-tts-eval",
    any_counts: Annotated[
        bool, typer.Option("--any-counts", help="Accept lists of other lengths than the official.")
    ] = False,
) -> None:
    """Unpack the official Seed-TTS-eval archive (en, zh, hard) as a named test set."""
    from mamtra_eval.cli import progress
    from mamtra_eval.importing import unpack

    lines = unpack(archive, into / name, name, any_counts=any_counts, progress=progress.choose())
    typer.echo("\n".join(lines))
