"""``report``: write the reports of a run again, from its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A folder that evaluate wrote.")]


def report(
    run: Run,
    embed: Annotated[
        bool, typer.Option("--embed", help="Put the audio into report.html, to be passed on alone.")
    ] = False,
    limit_mb: Annotated[
        float, typer.Option("--embed-limit-mb", help="Refuse to embed more, in MB of text; 100.")
    ] = 100.0,
    utterances: Annotated[
        int | None,
        typer.Option(
            "--embed-utterances",
            min=1,
            metavar="N",
            help="Embed only the N utterances with the largest losses to the baseline.",
        ),
    ] = None,
) -> None:
    """Write the reports of a run or a profile anew."""
    from mamtra_eval import results
    from mamtra_eval.cli import output
    from mamtra_eval.reader import RunReader
    from mamtra_eval.report import html

    _check_embedding(embed, utterances, limit_mb)
    with RunReader(run) as store:
        if not embed and store.meta("testset") is None:  # a profile without an evaluation
            typer.echo("\n".join(output.reports_of(store)))
            return
    _draw_waveforms(run)
    with RunReader(run) as store:
        found = results.collect(store)
    plan = html.plan(found, utterances) if embed else None
    if plan:
        typer.echo(f"Embedding {plan.told()}.", err=True)
        plan.check(limit_mb)
    paths = output.write_reports(found)
    if plan:
        html.write(found, plan)
    typer.echo("\n".join(paths))


def _check_embedding(embed: bool, utterances: int | None, limit_mb: float) -> None:
    from mamtra_eval.errors import UserError

    if not limit_mb > 0:
        raise UserError(f"--embed-limit-mb must be above 0, not {limit_mb:g}")
    if utterances is not None and not embed:
        raise UserError("--embed-utterances is of no use without --embed", fix="Add --embed.")


def _draw_waveforms(run: Path) -> None:
    """Once for a run that was made before waveforms were kept."""
    from mamtra_eval import outlining

    if clips := outlining.missing(run):
        typer.echo(f"Drawing the waveforms of {len(clips):,} clips, once.", err=True)
        outlining.fill(run, clips)
