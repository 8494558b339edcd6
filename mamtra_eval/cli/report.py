"""``report`` and ``leaderboard``: write the reports of runs again, from their rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A folder that evaluate wrote.")]


def report(run: Run) -> None:
    """Write leaderboard.md and report.html of a run anew."""
    from mamtra_eval import results
    from mamtra_eval.cli import output
    from mamtra_eval.reader import RunReader

    with RunReader(run) as store:
        typer.echo("\n".join(output.write_reports(results.collect(store))))


def leaderboard(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN_DIR...", help="One or more runs.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write.")] = None,
) -> None:
    """Print the leaderboards of runs as Markdown, or write them to a file."""
    from mamtra_eval import results
    from mamtra_eval.errors import UserError
    from mamtra_eval.reader import RunReader
    from mamtra_eval.report import leaderboard as markdown

    parts = []
    for number, run in enumerate(runs, start=1):
        with RunReader(run) as store:
            parts.append(markdown.render(results.collect(store), footnotes=f"{number}-"))
    text = "\n".join(parts)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"can't be written ({error.strerror})", where=str(out), fix="Give another file with -o."
        ) from error
    typer.echo(str(out))
