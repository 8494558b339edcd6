"""``distill`` and ``rank-layers``: train a student from a teacher, measure which layers matter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def distill(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file; see the README.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Over what the file says.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a student from its teacher; killed and started again, it goes on."""
    from mamtra_eval.cli import progress
    from mamtra_eval.cli.output import to_json
    from mamtra_eval.distill import config as configuration
    from mamtra_eval.distill import train
    from mamtra_eval.models import checkpoint

    settings = configuration.load(config, overrides or [])
    try:
        folder = train.distill(settings, progress.choose())
    except KeyboardInterrupt:
        typer.echo("Interrupted. The same command goes on from its last state.", err=True)
        raise typer.Exit(130) from None
    card = checkpoint.read_card(folder)
    if as_json:
        typer.echo(to_json({"checkpoint": str(folder), "card": card}))
        return
    for line in _lines(card):
        typer.echo(line)
    typer.echo(str(folder))


def rank_layers(
    teacher: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Folder of the teacher.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Held-out examples, JSON lines.")],
    by: Annotated[
        str, typer.Option(help="damage (one layer replaced at a time) or cosine.")
    ] = "damage",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File for layouts --ranking.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N examples.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Measure which layers of a teacher matter most, for the placements WER and Cosine."""
    from mamtra_eval.cli import progress
    from mamtra_eval.cli.output import to_json
    from mamtra_eval.distill import ranking
    from mamtra_eval.models import checkpoint
    from mamtra_eval.models.sequences import read_examples

    decoder = checkpoint.load(teacher, device=device)
    examples = read_examples(data, decoder.config)[:limit]
    found = ranking.rank(decoder, examples, by, progress=progress.choose())
    document = {
        **found._asdict(),
        "layers": decoder.config.layers,
        "examples": len(examples),
        "teacher": checkpoint.weights_hash(teacher),
    }
    if out is not None:
        out.write_text(to_json(document) + "\n", encoding="utf-8")
    if as_json:
        typer.echo(to_json(document))
        return
    unit = (
        "rise of held-out cross-entropy, nats" if by == "damage" else "cosine of input and output"
    )
    typer.echo(f"layer  {unit}, the most important first")
    for index in found.ranking:
        typer.echo(f"{index:>5}  {found.values[index]:.4f}")
    if out is not None:
        typer.echo(str(out))


def _lines(card: dict[str, Any]) -> list[str]:
    """What became of a training run, for people."""
    training = card["training"]
    kept = ", ".join(map(str, card["layout"])) or "none"
    lines = [
        f"ratio {card['ratio']}, Transformer layers {kept}",
        f"{training['steps']} steps on {training['train_examples']} examples",
    ]
    held_out = training["held_out"]
    if held_out:
        line = f"held out: cross-entropy {held_out['ce']:.4f} nats over {held_out['tokens']} tokens"
        if held_out["kl"] is not None:
            line += f", KL to the teacher {held_out['kl']:.4f}"
            line += f", same likeliest token {100 * held_out['agreement']:.1f} %"
        lines.append(line)
    return lines
