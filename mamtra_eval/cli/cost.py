"""``cost``: parameters, bytes, FLOP and break-even contexts of a decoder, by closed form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mamtra_eval.models.config import DecoderConfig
    from mamtra_eval.models.cost import Convention

SPEECH_RATE = 25
"""Speech tokens a second, of CosyVoice 2."""

Dtype = Annotated[str, typer.Option(help="fp32, fp16 or bf16.")]


def cost(
    preset: Annotated[
        str, typer.Argument(help="cosyvoice2, mini, a checkpoint folder or its config.yaml.")
    ],
    context: Annotated[int, typer.Option(help="Tokens of context: text, prompt and speech.")],
    ratio: Annotated[
        str | None,
        typer.Option(help="Transformer:Mamba. Default: 1:0, or a checkpoint's own layout."),
    ] = None,
    placement: Annotated[str | None, typer.Option(help="Default: the published one.")] = None,
    layout: Annotated[
        str | None, typer.Option(help="Transformer layers such as 0,8,11,16, for --ratio.")
    ] = None,
    ranking: Annotated[
        Path | None, typer.Option(help="A file of rank-layers, for --placement WER or Cosine.")
    ] = None,
    cache_dtype: Dtype = "fp16",
    state_dtype: Annotated[str | None, typer.Option(help="Default: as --cache-dtype.")] = None,
    weight_dtype: Dtype = "fp16",
    batch: Annotated[int, typer.Option(help="Sequences that share the weights.")] = 1,
    attention: Annotated[
        str, typer.Option(help="causal, or full: the whole score matrix of a pass.")
    ] = "causal",
    scan: Annotated[
        bool, typer.Option("--scan/--no-scan", help="Count the Mamba-2 scan and convolution.")
    ] = True,
    head: Annotated[bool, typer.Option("--head/--no-head", help="Count the speech head.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Print what a decoder costs: parameters, bytes, FLOP, and where Mamba-2 begins to pay."""
    from mamtra_eval.cli.output import to_json
    from mamtra_eval.models.cost import Convention

    shape = _decoder(preset)
    kept = _transformer(shape, ratio, placement, layout, ranking)
    shape = shape if kept is None else shape.with_layout(kept)
    dtypes = {"cache": cache_dtype, "state": state_dtype or cache_dtype, "weight": weight_dtype}
    document = _document(shape, context, dtypes, batch, Convention(attention, scan, head))
    typer.echo(to_json(document) if as_json else _table(document))


def _decoder(name: str) -> DecoderConfig:
    """A preset, or the shape under ``decoder`` in a checkpoint's configuration."""
    import yaml

    from mamtra_eval.errors import UserError, unknown_name
    from mamtra_eval.models import checkpoint, config

    if name in config.PRESETS:
        return config.preset(name)
    path = Path(name)
    if not path.exists():
        raise unknown_name("preset or checkpoint", name, config.PRESETS)
    if path.is_dir():
        return checkpoint.read_config(path)
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        values = dict(found["decoder"])
    except (yaml.YAMLError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"no configuration of a decoder ({' '.join(str(error).split())})",
            where=str(path),
            fix="Give a checkpoint, or a YAML file with its sizes under the key decoder.",
        ) from error
    return config.from_dict(values, where=str(path))


def _transformer(
    shape: DecoderConfig,
    ratio: str | None,
    placement: str | None,
    explicit: str | None,
    ranking: Path | None,
) -> tuple[int, ...] | None:
    """The layout that was asked for; None for the decoder's own."""
    from mamtra_eval.errors import UserError
    from mamtra_eval.models import layout

    if explicit is not None and (ratio or placement or ranking):
        raise UserError("--layout names the layers itself", fix="Leave --ratio and the like out.")
    if explicit is not None:
        return layout.parse_explicit(explicit, shape.layers)
    if ratio is None:
        if placement or ranking:
            raise UserError("a placement needs a ratio", fix="Add --ratio such as 1:5.")
        return None
    parsed = layout.Ratio.parse(ratio)
    measured = layout.ranking_from_file(ranking) if ranking else None
    return layout.transformer_layers(parsed, shape.layers, placement, measured)


def _document(
    shape: DecoderConfig, context: int, dtypes: dict[str, str], batch: int, convention: Convention
) -> dict[str, Any]:
    from dataclasses import asdict

    from mamtra_eval.errors import UserError
    from mamtra_eval.models import cost as count
    from mamtra_eval.models.breakeven import break_even
    from mamtra_eval.models.layout import ratio_of

    if batch < 1:
        raise UserError(f"a batch has at least one sequence, not {batch}")
    cache, state, weight = (count.element_bytes(dtypes[key]) for key in dtypes)
    parts = count.parameters(shape)
    return {
        "ratio": str(ratio_of(shape.transformer, shape.layers)),
        "layers": shape.layers,
        "transformer": list(shape.transformer),
        "context": context,
        "batch": batch,
        "dtypes": dtypes,
        "parameters": parts,
        "weight_bytes": parts["total"] * weight,
        "kv_bytes": batch * count.kv_bytes(shape, context, cache),
        "state_bytes": batch * count.state_bytes(shape, state),
        "flops_per_token": count.flops_per_token(shape, context, convention),
        "flops_per_pass": count.flops_per_pass(shape, context, convention),
        "convention": {**asdict(convention), "chunk": shape.chunk, "flop_per_mac": 2},
        "break_even": break_even(
            shape, cache_element=cache, state_element=state, weight_element=weight,
            batch=batch, convention=convention,
        ),
    }  # fmt: skip


def _table(document: dict[str, Any]) -> str:
    """The document for people: rounded, aligned, every figure with its convention."""
    from mamtra_eval.models.cost import Convention

    said = document["convention"]
    convention = Convention(said["attention"], said["scan"], said["head"])
    types, batch, context = document["dtypes"], document["batch"], document["context"]
    per_token, per_pass = document["flops_per_token"], document["flops_per_pass"]
    kept = ", ".join(map(str, document["transformer"])) or "none"
    sequences = "1 sequence" if batch == 1 else f"{batch} sequences"
    sections = {
        f"Ratio {document['ratio']}, {document['layers']} layers; Transformer layers": [(kept, "")],
        "Parameters (millions)": [
            (name.replace("_", " "), f"{number / 1e6:,.3f}")
            for name, number in document["parameters"].items()
        ],
        f"Bytes at {context:,} tokens, {sequences} (MB = 1e6 bytes)": [
            (f"weights, {types['weight']}", f"{document['weight_bytes'] / 1e6:,.2f}"),
            (f"keys and values, {types['cache']}", f"{document['kv_bytes'] / 1e6:,.2f}"),
            (f"Mamba-2 states, {types['state']}", f"{document['state_bytes'] / 1e6:,.2f}"),
        ],
        f"FLOP of one sequence (2 a multiply-add; {convention})": [
            (f"GFLOP a token, decoding at {context:,}", f"{per_token / 1e9:,.4f}"),
            (f"TFLOP a pass over {context:,}", f"{per_pass / 1e12:,.4f}"),
        ],
        f"Context from which Mamba-2 layers cost less, tokens (s at {SPEECH_RATE} tokens/s)": [
            (BREAK_EVENS[name].format(**types, batch=batch), _tokens(number))
            for name, number in document["break_even"].items()
        ],
    }
    return "\n\n".join(
        "\n".join([f"{title}:", *(f"  {name:<38}{value:>18}".rstrip() for name, value in rows)])
        for title, rows in sections.items()
    )


BREAK_EVENS = {
    "cache": "cache, {cache} against {state} state",
    "cache_and_weights": "cache and weights, {weight}, batch {batch}",
    "decode_flops": "FLOP of decoding",
    "prefill_flops": "FLOP of a pass",
    "prefill_flops_half_block": "FLOP of a pass, scan on half blocks",
    "decode_traffic": "bytes read and written in decoding",
}


def _tokens(number: float | None) -> str:
    if number is None:
        return "–"
    return f"{number:,.0f} ({number / SPEECH_RATE:,.1f} s)"
