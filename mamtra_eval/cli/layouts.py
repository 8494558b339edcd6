"""``layouts``: which layers stay Transformer layers, drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mamtra_eval.models.layout import Ranking, Ratio

LEGEND = "One character a layer, layer 0 at the left: T Transformer, . Mamba-2."


def layouts(
    ratio: Annotated[
        str | None, typer.Option(help="Transformer:Mamba, such as 1:5. Default: the published.")
    ] = None,
    placement: Annotated[
        str | None,
        typer.Option(help="BlockBeg, Front, WER, … or all. Default: the published one."),
    ] = None,
    layers: Annotated[int, typer.Option(help="Layers of the decoder.")] = 24,
    ranking: Annotated[
        Path | None, typer.Option(help="A file of rank-layers; its kind says the placement.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Print which layers of a decoder are Transformer layers."""
    from mamtra_eval.cli.output import to_json
    from mamtra_eval.models import layout

    measured = layout.ranking_from_file(ranking) if ranking else None
    wanted = [ratio] if ratio else layout.PUBLISHED_RATIOS
    rows: list[dict[str, Any]] = []
    for parsed in map(layout.Ratio.parse, wanted):
        for name, order in _placements(placement, parsed, layers, measured):
            kept = layout.transformer_layers(parsed, layers, name, order)
            rows.append({"ratio": str(parsed), "placement": name, "transformer": list(kept)})
    typer.echo(to_json(rows) if as_json else _drawing(rows, layers))


def _placements(
    asked: str | None, ratio: Ratio, layers: int, ranking: Ranking | None
) -> list[tuple[str, Ranking | None]]:
    """Placements to print, each with the ranking to take its layers from."""
    from mamtra_eval.models import layout

    served = layout.KINDS[ranking.kind] if ranking is not None else None
    if asked is None:
        return [(served or layout.published_placement(ratio, layers), ranking)]
    if asked.strip().lower() != "all":
        return [(layout.placement_named(asked), ranking)]
    return [
        (name, ranking if name == served else None)
        for name in layout.PLACEMENTS
        if name == served or not layout.needs_ranking(name, ratio, layers)
    ]


def _drawing(rows: list[dict[str, Any]], layers: int) -> str:
    ratios = max(len(row["ratio"]) for row in rows)
    names = max(len(row["placement"]) for row in rows)
    lines = [LEGEND]
    for row in rows:
        kept = set(row["transformer"])
        drawn = "".join("T" if index in kept else "." for index in range(layers))
        listed = ", ".join(map(str, row["transformer"])) or "none"
        lines.append(f"{row['ratio']:<{ratios}}  {row['placement']:<{names}}  {drawn}  {listed}")
    return "\n".join(lines)
