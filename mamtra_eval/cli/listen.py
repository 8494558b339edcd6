"""``listen``: a listening test from a run's clips to an opinion score with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mamtra_eval.cli import _listen_export

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mamtra_eval.listening.analysis.analysing import Analysis
    from mamtra_eval.listening.bundle import Bundle
    from mamtra_eval.listening.ingest import Report
    from mamtra_eval.listening.screening.applying import Rules
    from mamtra_eval.listening.trials import Session
    from mamtra_eval.statistics.bootstrap import Estimate

app = typer.Typer(no_args_is_help=True, help="Listening tests: plan, export, collect, analyse.")
app.command()(_listen_export.plan)
app.command()(_listen_export.export)

BUNDLE = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A folder that export wrote.")]
MOST_REFUSALS = 10
"""That are shown of a file."""
AS_JSON = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@app.command()
def consent() -> None:
    """Print the template of the first page's words, to be filled in and given to export."""
    from mamtra_eval.listening.building.documents import TEMPLATE

    typer.echo(TEMPLATE.read_text(encoding="utf-8"), nl=False)


@app.command()
def serve(
    bundle: BUNDLE,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8124,
    host: Annotated[
        str, typer.Option(help="Address to listen at; others than this machine's need a consent.")
    ] = "127.0.0.1",
) -> None:
    """Show the test's page and collect ratings, until it is interrupted."""
    from mamtra_eval.listening.bundle import open_bundle
    from mamtra_eval.listening.collect import serving as collector

    found = open_bundle(bundle)
    _check_consent(found, host)
    _check_whole(found)
    collector.serve(found, host, port, ready=lambda address: _welcome(found, address))
    typer.echo(f"Stopped. Next: mamtra-eval listen ingest {bundle}")


@app.command()
def simulate(
    bundle: BUNDLE,
    raters: Annotated[int, typer.Option(min=1, max=100_000)] = 24,
    seed: Annotated[int, typer.Option()] = 0,
    cheats: Annotated[
        str,
        typer.Option(help="Bad raters among them: straight=1,random=1,trap=1,fast=1,reversed=1"),
    ] = "",
) -> None:
    """Let a program answer a copy of the bundle, as a rehearsal; marked as such for good."""
    from mamtra_eval.listening import ingest as ingesting
    from mamtra_eval.listening import simulating
    from mamtra_eval.listening.bundle import open_bundle

    found = open_bundle(bundle)
    _check_rehearsal(bundle)
    sessions = simulating.simulate(found, raters, seed, None, _counts(cheats))
    path = bundle / "ratings" / f"simulated-{seed}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(sessions), encoding="utf-8")
    typer.echo(f"{len(sessions)} simulated sessions: {path}")
    _tell_ingested(ingesting.ingest(found, [path]))


@app.command()
def ingest(
    bundle: BUNDLE,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE...", help="Ratings; what serve collected if left out."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="own, webmushra, p808 or plain; by its head if left out."),
    ] = None,
    as_json: AS_JSON = False,
) -> None:
    """Take ratings from files into the bundle; exit code 1 where something was refused."""
    from dataclasses import asdict

    from mamtra_eval.cli.output import to_json
    from mamtra_eval.listening import ingest as ingesting
    from mamtra_eval.listening.bundle import open_bundle

    report = ingesting.ingest(open_bundle(bundle), files or [], form)
    if as_json:
        typer.echo(to_json(asdict(report)))
    else:
        _tell_ingested(report)
    if report.refusals:
        raise typer.Exit(1)


@app.command()
def analyse(
    bundle: BUNDLE,
    into: Annotated[
        Path | None,
        typer.Option(metavar="RUN_DIR", help="Add the score to this run and its reports."),
    ] = None,
    as_json: AS_JSON = False,
) -> None:
    """Screen, work out scores and tests, and write listening.html."""
    from mamtra_eval.cli.output import to_json
    from mamtra_eval.listening.analysis import integrity
    from mamtra_eval.listening.analysis.analysing import analyse as work_out
    from mamtra_eval.listening.bundle import RATINGS, open_bundle
    from mamtra_eval.listening.ratings import Ratings
    from mamtra_eval.listening.screening.applying import Rules
    from mamtra_eval.report.listening import page as reporting

    found = open_bundle(bundle)
    _check_ratings(bundle)
    store = Ratings(bundle / RATINGS)
    sessions, rules = store.sessions(), Rules.of(found)
    analysis = work_out(found, sessions, store.refusals(), rules, integrity.changed(found))
    written = reporting.write(analysis, found.manifest, bundle)
    _tell_changes(analysis.changed)
    if into is not None:
        _add(found, sessions, rules, into, analysis.changed)
    if as_json:
        typer.echo(to_json(analysis.to_dict()))
        return
    _tell(analysis)
    typer.echo(f"Report: {written[0]}")


def _check_whole(bundle: Bundle) -> None:
    """UserError where raters would be asked something else than what is kept of them."""
    from mamtra_eval.errors import UserError
    from mamtra_eval.listening.bundle import changed

    parts = ("site/bundle.js", "site/lists.js", "site/audio/", "design/", "key/", "bundle.json")
    if names := [name for name in changed(bundle.folder) if name.startswith(parts)]:
        raise UserError(
            f"{names[0]} is not what was exported ({len(names)} such)",
            where=str(bundle.folder),
            fix="Restore the bundle, or export it again: answers would not fit its lists.",
        )


def _check_consent(bundle: Bundle, host: str) -> None:
    """A rehearsal stays on this machine."""
    from mamtra_eval.errors import UserError

    if bundle.manifest["consent"]["template"] and host not in ("127.0.0.1", "localhost", "::1"):
        raise UserError(
            "this bundle is a rehearsal: its first page has no consent of a study",
            where=str(bundle.folder),
            fix="Export it again with --consent FILE (mamtra-eval listen consent prints a "
            "template), or serve it at 127.0.0.1.",
        )


def _check_rehearsal(folder: Path) -> None:
    """UserError where people have answered: what is simulated can't be taken out again."""
    from mamtra_eval.errors import UserError
    from mamtra_eval.listening.bundle import COLLECTED, RATINGS
    from mamtra_eval.listening.ratings import Ratings

    rated = (folder / RATINGS).is_file()
    people = rated and any(not one.simulated for one in Ratings(folder / RATINGS).sessions())
    if people or (folder / COLLECTED).is_file():
        raise UserError(
            "people have answered this test already",
            where=str(folder),
            fix="Rehearse in a copy of the bundle as it was exported, without key/collected.sqlite "
            "and ratings/.",
        )


def _check_ratings(folder: Path) -> None:
    from mamtra_eval.errors import UserError
    from mamtra_eval.listening.bundle import COLLECTED, RATINGS

    if (folder / RATINGS).is_file():
        return
    collected = " (serve has collected some)" if (folder / COLLECTED).is_file() else ""
    raise UserError(
        f"the bundle has no ratings yet{collected}",
        where=str(folder),
        fix=f"Take them first: mamtra-eval listen ingest {folder}",
    )


def _welcome(bundle: Bundle, address: str) -> None:
    manifest = bundle.manifest
    typer.echo(f"{manifest['title']}, {manifest['n']['lists']} lists: {address}")
    typer.echo("Collecting; stop with Ctrl-C, nothing is lost by that.")


def _counts(text: str) -> dict[str, int]:
    from mamtra_eval.errors import UserError

    found = {}
    for part in filter(None, text.split(",")):
        name, _, count = part.partition("=")
        if not count.isdigit():
            raise UserError(
                f"{part!r} is no name=count", fix="Write --cheats straight=1,random=2, say."
            )
        found[name.strip()] = int(count)
    return found


def _tell_ingested(report: Report) -> None:
    for file in report.files:
        form = file.format or "no known format"
        typer.echo(f"{file.file} ({form}): {_plural(file.sessions, 'session')}, "
                   f"{_plural(file.responses, 'answer')}")  # fmt: skip
        for note in file.notes:
            typer.echo(f"  {note}")
        for one in file.refusals[:MOST_REFUSALS]:
            typer.echo(f"  refused, {one.place}: {one.why}")
        if len(file.refusals) > MOST_REFUSALS:
            typer.echo(f"  … and {len(file.refusals) - MOST_REFUSALS} more (--json has them all)")


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _tell_changes(names: Sequence[str]) -> None:
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        typer.echo(f"Note: changed since the export: {shown}", err=True)


def _tell(analysis: Analysis) -> None:
    flow = analysis.flow
    typer.echo(
        f"{flow.sessions_received} sessions, {flow.sessions_kept} kept; {flow.votes_kept} votes "
        f"of {flow.raters_kept} raters"
    )
    for reason, count in flow.dropped.items():
        typer.echo(f"  {count} dropped: {reason}")
    for one in analysis.ranking:
        naive = one.naive and _reach(one.naive)
        typer.echo(f"{one.name}: {_shown(one.mean)} {one.letters} ({one.votes} votes; if votes "
                   f"were independent ±{naive or 'n/a'})")  # fmt: skip
    for pair in analysis.comparisons.pairs if analysis.comparisons else ():
        typer.echo(f"{pair.system} over {pair.other}: {_shown(pair.estimate)}, wins {pair.wins}, "
                   f"ties {pair.ties}, losses {pair.losses}")  # fmt: skip
    if analysis.simulated:
        typer.echo(f"SIMULATED: {analysis.simulated} of these sessions were answered by a program.")


def _shown(estimate: Estimate | None) -> str:
    if estimate is None:
        return "no votes"
    return f"{estimate.value:.2f} ±{_reach(estimate) or 'n/a'}"


def _reach(estimate: Estimate) -> str | None:
    if estimate.low is None or estimate.high is None:
        return None
    return f"{(estimate.high - estimate.low) / 2:.2f}"


def _add(
    bundle: Bundle, sessions: Sequence[Session], rules: Rules, run: Path, changed: Sequence[str]
) -> None:
    """The score into a run and its reports; refused where the bundle's plan was changed."""
    from mamtra_eval import opinions, results, rundata
    from mamtra_eval.cli.output import write_reports
    from mamtra_eval.listening.analysis import scoring
    from mamtra_eval.reader import RunReader
    from mamtra_eval.store import Store

    scoring.check_unchanged(bundle, changed)
    found = scoring.opinion(bundle, sessions, rules)
    with RunReader(run) as reader:
        data = rundata.read(reader)
    scoring.check_run(bundle, data)
    found = scoring.restricted(found, data)
    with Store(run) as store, store.lock():
        others = [one for one in store.meta(opinions.META, []) if one["figure"] != found.figure]
        store.set_meta(opinions.META, [*others, found.to_dict()])
        written = write_reports(results.collect(store))
    typer.echo("\n".join([f"{found.title} of {len(found.scores)} systems:", *written]), err=True)
