"""``leaderboard``: one table of the systems of one run or of several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def leaderboard(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN_DIR...", help="One or more runs.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write.")] = None,
    apart: Annotated[
        bool, typer.Option("--apart", help="A leaderboard of each run, nothing compared.")
    ] = False,
) -> None:
    """Print the leaderboard of runs as Markdown, or write it to a file.

    Several runs of the same test set share one table, paired utterance by utterance; what was
    measured under another signature is marked and compared with nothing.
    """
    from mamtra_eval import merging, results, rundata
    from mamtra_eval.reader import RunReader
    from mamtra_eval.report import leaderboard as markdown

    data = []
    for run in runs:
        with RunReader(run) as store:
            data.append(rundata.read(store))
    groups = [[one] for one in data] if apart else [data]
    text = "\n".join(
        markdown.render(
            results.assemble(merging.merge(group)),
            footnotes=f"{number}-" if len(groups) > 1 else "",
        )
        for number, group in enumerate(groups, start=1)
    )
    _write(text, out)


def _write(text: str, out: Path | None) -> None:
    from mamtra_eval.errors import UserError

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
