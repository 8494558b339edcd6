"""``advise``: does a variant fit on a card beside its neighbours, and which one to take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mamtra_eval.advisor.advising import Advice
    from mamtra_eval.advisor.deployment import Deployment

Dtype = Annotated[str, typer.Option(help="fp32, fp16 or bf16.")]


def advise(
    gpu: Annotated[
        str | None,
        typer.Option(help="A card (see --cards), its usable GiB such as 39.5, or 40GB, 40GiB."),
    ] = None,
    streams: Annotated[int | None, typer.Option(help="Requests served at once.")] = None,
    context: Annotated[
        int | None, typer.Option(help="Tokens of each: prompt, text and speech.")
    ] = None,
    resident: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SIZE", help="What else is on the card: llm=22GB, asr=7.5GiB."),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=RATIO[:int8|:int4]]",
            help="Default: the teacher, the paper's ratios, and the teacher in int8 and int4; "
            "the systems of --run if their shape is another one.",
        ),
    ] = None,
    quality: Annotated[
        str | None, typer.Option(help="casual or high: how much WER may be lost.")
    ] = None,
    wer_margin: Annotated[
        float | None, typer.Option(help="Points of WER that may be lost, instead of --quality.")
    ] = None,
    latency_ms: Annotated[
        float | None, typer.Option(help="Target for the time to first audio, milliseconds.")
    ] = None,
    weight_dtype: Dtype = "fp16",
    cache_dtype: Dtype = "fp16",
    state_dtype: Dtype = "fp16",
    vocoder_dtype: Dtype = "fp32",
    tensorrt: Annotated[
        int, typer.Option(help="TensorRT execution contexts of the flow decoder.")
    ] = 0,
    reserve: Annotated[
        float, typer.Option(help="GiB to leave free: a margin for what nobody foresees.")
    ] = 0.3,
    run: Annotated[
        Path | None,
        typer.Option(metavar="RUN_DIR", help="A run with a profile, readings, or both."),
    ] = None,
    cards: Annotated[bool, typer.Option("--cards", help="List the cards, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown.")] = False,
) -> None:
    """Say which variant fits on a card at a load, what binds, and what would change that."""
    from mamtra_eval.advisor import advising
    from mamtra_eval.cli import _advice
    from mamtra_eval.cli.output import to_json
    from mamtra_eval.errors import UserError

    if as_json and as_markdown:
        raise UserError("--json and --markdown are two documents", fix="Give one of them.")
    if cards:
        typer.echo(to_json(_advice.card_list()) if as_json else _advice.card_table())
        return
    types = (weight_dtype, cache_dtype, state_dtype, vocoder_dtype)
    deployment = _deployment(gpu, streams, context, resident or [], types, tensorrt, reserve,
                             latency_ms)  # fmt: skip
    margin = _margin(quality, wer_margin)
    advice = _advised(deployment, variant or [], margin, run)
    document = advising.document(advice)
    if as_json:
        typer.echo(to_json(document))
    else:
        typer.echo(_advice.markdown(document) if as_markdown else _advice.text(document))


def _deployment(
    gpu: str | None,
    streams: int | None,
    context: int | None,
    residents: list[str],
    types: tuple[str, str, str, str],
    tensorrt: int,
    reserve: float,
    latency_ms: float | None,
) -> Deployment:
    from mamtra_eval.advisor.cards import find
    from mamtra_eval.advisor.deployment import Deployment, parse_residents
    from mamtra_eval.advisor.units import GIB
    from mamtra_eval.errors import UserError

    card = find(gpu)
    if streams is None or context is None:
        absent = "--streams" if streams is None else "--context"
        raise UserError(
            "the load is not given", where=absent, fix="Write --streams 4 --context 1024."
        )
    if not 0 <= reserve < float("inf"):
        raise UserError("must be 0 or more GiB", where="--reserve")
    weight, cache, state, vocoder = types
    return Deployment(
        card=card,
        residents=parse_residents(residents),
        streams=streams,
        context=context,
        weight=weight,
        cache=cache,
        state=state,
        vocoder=vocoder,
        tensorrt=tensorrt,
        reserve=round(reserve * GIB),
        latency_s=None if latency_ms is None else latency_ms / 1e3,
    )


def _margin(quality: str | None, wer_margin: float | None) -> float | None:
    from mamtra_eval.advisor.quality import MARGINS
    from mamtra_eval.errors import UserError, unknown_name

    if quality is not None and quality not in MARGINS:
        raise unknown_name("quality", quality, MARGINS)
    if wer_margin is not None and not 0 < wer_margin <= 100:
        raise UserError(
            f"must be points of WER from 0 to 100, not {wer_margin:g}", where="--wer-margin"
        )
    return wer_margin if wer_margin is not None else MARGINS.get(quality or "")


def _advised(
    deployment: Deployment, variants: list[str], margin: float | None, run: Path | None
) -> Advice:
    from mamtra_eval.advisor import advising, choosing, measured, quality
    from mamtra_eval.reader import RunReader

    if run is None:
        chosen, notes = choosing.choose(variants, measured.Profile())
        return advising.advise(deployment, chosen, margin=margin, notes=notes)
    with RunReader(run) as store:
        profile = measured.read(store, deployment.card)
        chosen, notes = choosing.choose(variants, profile)
        losses, of_readings = quality.read(store, chosen)
    notes += of_readings
    return advising.advise(deployment, chosen, profile, margin=margin, losses=losses, notes=notes)
