"""``contamination``: is a test set in what a model was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def contamination(
    testset: Annotated[str, typer.Argument(metavar="TESTSET", help="A name, or a meta.lst.")],
    training: Annotated[
        Path, typer.Option("--training", help="Manifest of the training data; see the manual.")
    ],
    audio: Annotated[bool, typer.Option("--audio", help="Compare recordings as well.")] = False,
    n: Annotated[int, typer.Option("--ngram", min=2, help="Words in an n-gram.")] = 8,
    share: Annotated[
        float, typer.Option("--share", min=0.0, max=1.0, help="Of n-grams, from which it counts.")
    ] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write.")] = None,
    exclude: Annotated[
        Path | None, typer.Option("--exclude-list", help="Write the list without what was found.")
    ] = None,
) -> None:
    """Look for a test set's texts and recordings in training data; exit code 1 if some are."""
    from dataclasses import asdict

    from mamtra_eval import catalogue
    from mamtra_eval import contamination as room
    from mamtra_eval.cli.output import to_json

    loaded = catalogue.load(testset, audio=audio)
    report = room.check(loaded, training, audio=audio, n=n, share=share)
    text = to_json(asdict(report)) if as_json else room.render(report)
    if out:
        out.write_text(text + "\n", encoding="utf-8")
        typer.echo(str(out))
    else:
        typer.echo(text)
    if exclude:
        room.write_without(loaded.path, exclude, report.utterances)
        typer.echo(f"{exclude}: without {len(report.utterances)} utterances", err=True)
    if report.findings:
        raise typer.Exit(1)
