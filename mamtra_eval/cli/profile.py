"""``profile``: what systems cost to run, into a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mamtra_eval.profiling.speech import Speech
    from mamtra_eval.profiling.sweep import Sweep


def profile(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET...",
            help="shape:cosyvoice2[:RATIO][,bits=8] (random weights) | a checkpoint | mini:1:1 | "
            "any TARGET of evaluate; NAME=TARGET names it.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Run folder, of evaluate's or new; continued.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda; cuda where there is one.")
    ] = None,
    contexts: Annotated[
        str, typer.Option(metavar="N,N,…", help="Tokens of context, or all: 128 … 32,768.")
    ] = "256,1024,4096",
    streams: Annotated[str, typer.Option(metavar="N,N,…", help="Sequences at once.")] = "1",
    dtype: Annotated[
        str | None, typer.Option(help="Of weights: fp32, fp16, bf16; fp32 on a CPU, else bf16.")
    ] = None,
    kv_dtype: Annotated[str | None, typer.Option(help="Of keys and values; as --dtype.")] = None,
    state_dtype: Annotated[str, typer.Option(help="Of Mamba-2 states.")] = "fp32",
    parts: Annotated[
        str, typer.Option(help="Of flops, memory, time, speech; comma-separated.")
    ] = "flops,memory,time,speech",
    baseline: Annotated[str | None, typer.Option(help="What others are compared with.")] = None,
    workloads: Annotated[str, typer.Option(help="Of steps: replay, fixed.")] = "replay,fixed",
    runs: Annotated[int, typer.Option(help="Visits of a task at the least.")] = 20,
    seconds: Annotated[float, typer.Option(help="Time of a task at the least.")] = 10.0,
    limit_s: Annotated[float, typer.Option(help="Time of a task at the most.")] = 60.0,
    steps: Annotated[int, typer.Option(min=1, help="Steps of a visit.")] = 16,
    longest_prefill: Annotated[
        int | None,
        typer.Option(help="Tokens of the longest pass, all streams; 4,096 on a CPU, else 131,072."),
    ] = None,
    graphs: Annotated[
        bool, typer.Option("--graphs/--no-graphs", help="Steps from CUDA graphs too, on cuda.")
    ] = True,
    testset: Annotated[
        str, typer.Option(help="Of the sentences that systems are asked to speak.")
    ] = "mini-en",
    limit: Annotated[int, typer.Option(min=1, help="Sentences of it.")] = 8,
    rounds: Annotated[int, typer.Option(min=1, help="Visits to each sentence.")] = 3,
    rates: Annotated[
        str | None,
        typer.Option(metavar="R,R,…", help="Open load on an endpoint: requests a second."),
    ] = None,
    slo_ms: Annotated[
        float | None,
        typer.Option(help="First audio that a service must give: how many clients keep it."),
    ] = None,
    load_s: Annotated[float, typer.Option(help="Seconds of each load on an endpoint.")] = 60.0,
    allow_busy: Annotated[
        bool, typer.Option("--allow-busy", help="Measure although others use the device.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Measure anew what the folder has already.")
    ] = False,
    executor: Annotated[
        str | None, typer.Option(help="local, and no other: costs are measured on one machine.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Measure memory by part, time by stage and FLOP of systems, side by side."""
    from mamtra_eval import devices
    from mamtra_eval.cli.progress import choose
    from mamtra_eval.errors import UserError
    from mamtra_eval.profiling import alone, busy, speech, subjects, sweep
    from mamtra_eval.profiling.meter import Rules
    from mamtra_eval.profiling.timing import Timing

    alone.check(executor)
    chosen = devices.choose(device)
    looked = busy.look(chosen)  # before torch uses the device
    devices.check(device, "--device")
    on_cuda = chosen.startswith("cuda")
    weights = dtype or ("bf16" if on_cuda else "fp32")
    bound = LONGEST[on_cuda] if longest_prefill is None else longest_prefill
    wanted = sweep.Sweep(
        contexts=sweep.CONTEXTS if contexts == "all" else _numbers(contexts, "--contexts"),
        streams=_numbers(streams, "--streams"),
        weights=weights,
        parts=_words(parts),
        timing=Timing(
            device=chosen, kv=kv_dtype or weights, state=state_dtype, steps=steps,
            workloads=_words(workloads), graphs=graphs and on_cuda,
            rules=Rules(runs, seconds, limit_s, warm_up_s=WARM_UP_S[on_cuda]),
            longest_prefill=bound,
        ),
        allow_busy=allow_busy,
    )  # fmt: skip
    found = subjects.parse_all(targets)
    asked = speech.Speech(
        testset, limit, rounds, wanted.streams, _rates(rates), load_s,
        None if slo_ms is None else slo_ms / 1000,
    )  # fmt: skip
    folder = out or _folder(targets, wanted, asked)
    try:
        session = sweep.profile(
            found, wanted, folder, speech=asked, baseline=baseline, looked=looked, again=again,
            progress=choose(),
        )  # fmt: skip
    except UserError:
        raise  # nothing was measured, or by somebody else
    except BaseException:
        _rescue(folder)
        raise
    _show(folder, as_json=as_json)
    names = [subject.name for subject in found]
    if "speech" in wanted.parts and _failed(folder, session, names):
        raise typer.Exit(1)


LONGEST = {False: 4096, True: 131_072}
"""Tokens of the longest pass, all streams together, on a CPU and on a CUDA device."""

WARM_UP_S = {False: 1.0, True: 10.0}
"""The same for the warm-up: kernels of a device are compiled and chosen at their first use."""


def _rescue(folder: Path) -> None:
    """What was measured before something went wrong is reported all the same."""
    from contextlib import suppress

    from mamtra_eval.cli import output
    from mamtra_eval.reader import RunReader

    with suppress(Exception), RunReader(folder) as store:
        output.reports_of(store)


def _show(folder: Path, *, as_json: bool) -> None:
    """Write the report; print a summary and where it is, or all of it as JSON."""
    from mamtra_eval import profiles
    from mamtra_eval.cli import _costs, output
    from mamtra_eval.reader import RunReader

    with RunReader(folder) as store:
        paths = output.reports_of(store)
        found = profiles.read(store)
    if as_json:
        typer.echo(output.to_json(_costs.document(str(folder), found)))
    else:
        typer.echo("\n".join([_costs.text(found), "", *paths]))


def _failed(folder: Path, session: str, names: list[str]) -> bool:
    """Tell of requests to these systems that failed; whether any did."""
    from mamtra_eval.reader import RunReader

    with RunReader(folder) as store:
        rows = [
            row
            for row in store.profiles()
            if row.key.quantity == "rate.failed" and row.key.session == session
            if row.key.system in names and row.value
        ]
    for row in rows:
        key = row.key
        load = ", ".join(filter(None, (key.workload, key.phase, f"{key.streams} at a time")))
        typer.echo(f"{key.system}: {100 * (row.value or 0):.0f} % of requests failed ({load})",
                   err=True)  # fmt: skip
    return bool(rows)


def _folder(targets: list[str], wanted: Sweep, asked: Speech) -> Path:
    """A name by what is measured, so that the same command goes on with it."""
    import hashlib

    text = repr((sorted(targets), wanted, asked))
    return Path("reports") / f"profile-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _numbers(text: str, option: str) -> tuple[int, ...]:
    from mamtra_eval.errors import UserError

    try:
        return tuple(int(word.replace("_", "")) for word in _words(text))
    except ValueError:
        raise UserError(
            f"{option} must be whole numbers with commas between, not {text!r}",
            fix=f"Write {option} 256,1024,4096.",
        ) from None


def _rates(text: str | None) -> tuple[float, ...]:
    from mamtra_eval.errors import UserError

    try:
        found = tuple(float(word) for word in _words(text or ""))
        if not all(0 < rate < float("inf") for rate in found):
            raise ValueError(text)
    except ValueError:
        raise UserError(
            f"--rates must be requests a second with commas between, not {text!r}",
            fix="Write --rates 0.5,1,2.",
        ) from None
    return found
