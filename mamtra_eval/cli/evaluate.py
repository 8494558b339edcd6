"""``evaluate`` and ``run``: speak, score, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mamtra_eval.config import RunConfig

Out = Annotated[Path | None, typer.Option("--out", help="Run folder; continued if it exists.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Limit = Annotated[int | None, typer.Option("--limit", help="Only the first N utterances.")]
Executor = Annotated[
    str | None,
    typer.Option("--executor", help="Where it runs: local, ray (a cluster), slurm (jobs); local."),
]
Address = Annotated[str | None, typer.Option("--address", help="Of the Ray cluster; HOST:PORT.")]
Shard = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="Only this part of the clips, e.g. 3/48; merge."),
]
Detach = Annotated[
    bool, typer.Option("--detach", help="With --executor slurm: submit, and do not wait.")
]
Retry = Annotated[
    bool, typer.Option("--retry-failed", help="Try what failed in an earlier start again.")
]


def evaluate(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET...",
            help="recorded | espeak | espeak:voice=en-us+f3 | FOLDER "
            "| http://host:port/v1/audio/speech?model=x | 'command:PROG {text} {out}'; "
            "NAME=TARGET names it.",
        ),
    ],
    testset: Annotated[str, typer.Option(help="Name, or path of a meta.lst.")],
    metrics: Annotated[
        str | None, typer.Option(help="Comma-separated; all that the test set allows.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Published protocol to follow, e.g. seed-tts-eval (recipes list)."),
    ] = None,
    mode: Annotated[
        str | None, typer.Option(help="strict, or fast: clips scored in batches; strict.")
    ] = None,
    floor: Annotated[
        bool, typer.Option("--floor", help="Add the test set's own recordings: the ASR's floor.")
    ] = False,
    baseline: Annotated[
        str | None, typer.Option(help="System that the others are compared with; the first.")
    ] = None,
    out: Out = None,
    limit: Limit = None,
    repeats: Annotated[int | None, typer.Option(help="Clips per utterance; 1.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the synthesis; 0.")] = None,
    transcripts: Annotated[
        Path | None,
        typer.Option(help='JSON lines {"id", "text"}, for the TARGET transcripts: no audio.'),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any key of the configuration, "
            "e.g. asr.grammar=digits, statistics.resamples=2000.",
        ),
    ] = None,
    max_failures: Annotated[
        int | None, typer.Option(help="Failed clips beyond this number make the exit code 1; 0.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes; one a core.")] = None,
    executor: Executor = None,
    address: Address = None,
    shard: Shard = None,
    detach: Detach = False,
    retry_failed: Retry = False,
    as_json: Json = False,
) -> None:
    """Evaluate systems on a test set: synthesize, score, report."""
    from mamtra_eval import config as configuration
    from mamtra_eval import targets as naming

    named = _with_transcripts(naming.name_all(targets), transcripts)
    values: dict[str, Any] = {
        "testset": testset,
        "systems": {name: configuration.literal(target) for name, target in named.items()},
        "metrics": _names(metrics),
        "recipe": recipe,
        "mode": mode,
        "floor": floor or None,
        "baseline": _baseline(baseline, naming.name_all(targets)),
        "limit": limit,
        "repeats": repeats,
        "seed": seed,
        "max_failures": max_failures,
        "execution": _present(workers=workers, executor=executor, address=address),
    }
    given = _present(**values)
    built = configuration.build(given, settings or [], where="command line")
    _carry_out(built, out, retry_failed, as_json, shard, detach)


def run(
    config: Annotated[str, typer.Argument(metavar="CONFIG_OR_PRESET", help="YAML file or preset.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Over what the file says.")
    ] = None,
    out: Out = None,
    limit: Limit = None,
    executor: Executor = None,
    address: Address = None,
    shard: Shard = None,
    detach: Detach = False,
    retry_failed: Retry = False,
    as_json: Json = False,
) -> None:
    """Evaluate what a configuration file or a preset describes."""
    from mamtra_eval import config as configuration

    execution = {"execution.executor": executor, "execution.address": address}
    chosen = _present(limit=limit, **execution)
    extra = [f"{key}={value}" for key, value in chosen.items()]
    loaded = configuration.load(config, [*(overrides or []), *extra])
    _carry_out(loaded, out, retry_failed, as_json, shard, detach)


def _carry_out(
    config: RunConfig, out: Path | None, retry_failed: bool, as_json: bool, shard: str | None,
    detach: bool,
) -> None:  # fmt: skip
    from mamtra_eval import parts, pipeline, results
    from mamtra_eval.cli import _jobs, output, progress
    from mamtra_eval.executors import SLURM
    from mamtra_eval.reader import RunReader

    part = parts.parse(shard) if shard else None
    in_jobs = config.execution.executor == SLURM and part is None
    _jobs.check(detach, in_jobs)
    complete = True
    try:
        if in_jobs:
            folder, complete = _jobs.evaluate(config, out, retry_failed, detach)
        else:
            folder = pipeline.evaluate(
                config, out, progress=progress.choose(), retry_failed=retry_failed, part=part
            )
    except KeyboardInterrupt:  # here, since the command-line library swallows it above
        typer.echo("Interrupted. The same command goes on from here.", err=True)
        raise typer.Exit(130) from None
    with RunReader(folder) as store:
        found = results.collect(store)
        for note in found.notes:
            typer.echo(f"Note: {note}", err=True)
        reports = output.write_reports(found)
        if as_json:
            typer.echo(output.to_json(output.document(found)))
        else:
            output.print_table(found)
            typer.echo("\n".join(reports))
        _judge(found.n_failed, config.max_failures)
    if not complete:
        raise typer.Exit(1)


def _present(**values: Any) -> dict[str, Any]:  # noqa: ANN401 -- any option's
    """Those that were given."""
    return {key: value for key, value in values.items() if value is not None}


def _judge(n_failed: int, allowed: int) -> None:
    """Exit code 1 for more failures than allowed, with a word on standard error."""
    if n_failed:
        typer.echo(
            f"{n_failed} clips failed (allowed: {allowed}); each has its reason in the reports.",
            err=True,
        )
    if n_failed > allowed:
        raise typer.Exit(1)


def _with_transcripts(named: dict[str, str], file: Path | None) -> dict[str, str]:
    """Systems whose target is ``transcripts`` get the file."""
    from mamtra_eval.errors import UserError

    if file is None:
        return named
    if "transcripts" not in named.values():
        raise UserError(
            "--transcripts is for the target transcripts, which is not named",
            fix="mamtra-eval evaluate transcripts --transcripts FILE --testset META_LST",
        )
    target = f"transcripts:{file}"
    return {name: target if given == "transcripts" else given for name, given in named.items()}


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _baseline(given: str | None, named: dict[str, str]) -> str | None:
    """A baseline may also be named by its target."""
    names = [name for name, target in named.items() if target == given]
    return names[0] if given not in named and len(names) == 1 else given
