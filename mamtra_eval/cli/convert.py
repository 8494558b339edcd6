"""``convert``: make checkpoints, of the official teacher or of a hybrid that starts from one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from mamtra_eval.models.decoder import Decoder

app = typer.Typer(
    no_args_is_help=True, help="Make checkpoints: of CosyVoice 2, of a hybrid from its teacher."
)

Out = Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the checkpoint.")]
Ratio = Annotated[
    str | None, typer.Option(help="Transformer:Mamba, such as 1:5; 1:0 is the teacher itself.")
]
Placement = Annotated[
    str | None, typer.Option(help="BlockBeg, Front, WER, … Default: the published one.")
]
Layout = Annotated[
    str | None, typer.Option(help="Transformer layers such as 0,8,11,16, for --ratio.")
]
Ranking = Annotated[
    Path | None, typer.Option(help="A file of rank-layers, for the placements WER and Cosine.")
]
KeepBiases = Annotated[
    bool, typer.Option("--keep-biases", help="Take over the biases of q, k and v (ours).")
]
Conv = Annotated[str, typer.Option(help="Start of the convolution: standard, or identity (ours).")]
Dtype = Annotated[str, typer.Option(help="Type of the weights: fp32, fp16 or bf16.")]
Seed = Annotated[int, typer.Option(help="Of what has no counterpart in the teacher.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a checkpoint that is in OUT.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


class _Hybrid(NamedTuple):
    """What is asked for: which layers, and how the others start."""

    ratio: str | None
    placement: str | None
    layout: str | None
    ranking: Path | None
    keep_biases: bool
    conv: str
    seed: int


@app.command()
def cosyvoice2(
    model_dir: Annotated[
        Path, typer.Argument(metavar="MODEL_DIR", help="Folder of CosyVoice2-0.5B, or its llm.pt.")
    ],
    out: Out,
    ratio: Ratio = None,
    placement: Placement = None,
    layout: Layout = None,
    ranking: Ranking = None,
    keep_biases: KeepBiases = False,
    conv: Conv = "standard",
    heads: Annotated[
        int | None,
        typer.Option(help="Query heads. Default: CosyVoice-BlankEN/config.json, else 64 wide."),
    ] = None,
    dtype: Dtype = "fp32",
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Convert CosyVoice 2's language model: as it is, or as a hybrid that starts from it."""
    from mamtra_eval.models import checkpoint, cosyvoice2, strict

    _check_free(out, force)
    path = cosyvoice2.llm_file(model_dir)
    config, tensors = cosyvoice2.read_llm(model_dir, heads)
    teacher = strict.build(config, tensors, str(path)).float()
    if ratio is None and layout is None:
        ratio = "1:0"
    wanted = _Hybrid(ratio, placement, layout, ranking, keep_biases, conv, seed)
    card: dict[str, Any] = {"source": {"file": path.name, "sha256": checkpoint.sha256(path)}}
    decoder, how = _convert(teacher, wanted)
    if decoder is not teacher:
        card |= {"teacher": _hash(teacher, out.absolute().parent), "linearization": how}
    _tell(out, checkpoint.save(out, decoder, card, dtype=dtype, other={}), as_json)


@app.command()
def hybrid(
    teacher: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="Folder of the teacher's checkpoint.")
    ],
    out: Out,
    ratio: Ratio = None,
    placement: Placement = None,
    layout: Layout = None,
    ranking: Ranking = None,
    keep_biases: KeepBiases = False,
    conv: Conv = "standard",
    dtype: Dtype = "fp32",
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make an untrained hybrid that starts from the weights of a teacher's checkpoint."""
    from mamtra_eval.errors import UserError
    from mamtra_eval.models import checkpoint

    _check_free(out, force)
    if out.resolve() == teacher.resolve():
        raise UserError(
            "the hybrid would replace its own teacher", where=str(out), fix="Give another OUT."
        )
    wanted = _Hybrid(ratio, placement, layout, ranking, keep_biases, conv, seed)
    decoder, how = _convert(checkpoint.load(teacher), wanted)
    card: dict[str, Any] = {"teacher": checkpoint.weights_hash(teacher), "linearization": how}
    other = checkpoint.read_other(teacher)
    _tell(out, checkpoint.save(out, decoder, card, dtype=dtype, other=other), as_json)


def _check_free(out: Path, force: bool) -> None:
    from mamtra_eval.errors import UserError
    from mamtra_eval.models import checkpoint

    if out.exists() and not out.is_dir():
        raise UserError("is a file", where=str(out), fix="Give a folder.")
    if not force and checkpoint.occupied(out):
        raise UserError(
            "the folder is not empty",
            where=str(out),
            fix="Give another one, or --force to replace the checkpoint in it.",
        )


def _convert(teacher: Decoder, wanted: _Hybrid) -> tuple[Decoder, dict[str, Any]]:
    """The decoder asked for, the teacher itself if no layer changes; and how it was made."""
    from mamtra_eval.distill.linearize import linearize

    kept, chosen_by = _kept(teacher.config.layers, wanted)
    if kept == teacher.config.transformer:
        return teacher, {}
    start = {"keep_biases": wanted.keep_biases, "conv": wanted.conv}
    made = linearize(
        teacher, kept, keep_biases=wanted.keep_biases, conv=wanted.conv, seed=wanted.seed
    )
    return made, {**chosen_by, **start, "seed": wanted.seed}


def _kept(layers: int, wanted: _Hybrid) -> tuple[tuple[int, ...], dict[str, Any]]:
    """The Transformer layers asked for, and what chose them."""
    from mamtra_eval.errors import UserError
    from mamtra_eval.models import checkpoint
    from mamtra_eval.models import layout as layouts

    if (wanted.ratio is None) == (wanted.layout is None):
        raise UserError(
            "the Transformer layers must be given in one way",
            fix="Give --ratio such as 1:5, or --layout such as 0,8,11,16.",
        )
    if wanted.ratio is None:
        if wanted.placement or wanted.ranking:
            raise UserError("--layout leaves nothing to --placement or --ranking")
        return layouts.parse_explicit(wanted.layout or "", layers), {"placement": None}
    parsed = layouts.Ratio.parse(wanted.ratio)
    ranking = layouts.ranking_from_file(wanted.ranking) if wanted.ranking else None
    default = layouts.KINDS[ranking.kind] if ranking else None
    placement = layouts.placement_named(
        wanted.placement or default or layouts.published_placement(parsed, layers)
    )
    chosen_by: dict[str, Any] = {"placement": placement}
    if wanted.ranking:
        chosen_by["ranking_sha256"] = checkpoint.sha256(wanted.ranking)
    # A placement is named only where the user or a ranking asked for it: the default has its sets.
    named = placement if wanted.placement or ranking else None
    return layouts.transformer_layers(parsed, layers, named, ranking), chosen_by


def _hash(teacher: Decoder, folder: Path) -> str:
    """SHA-256 of the weights that ``convert`` would write of the teacher itself, in fp32."""
    from tempfile import TemporaryDirectory

    from mamtra_eval.models import checkpoint

    # Written and read again: the hash is of a file, and two copies may not fit into memory.
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".teacher-") as name:
        return str(checkpoint.save(Path(name), teacher, {}, dtype="fp32")["sha256"])


def _tell(out: Path, card: dict[str, Any], as_json: bool) -> None:
    from mamtra_eval.cli.output import to_json
    from mamtra_eval.models import checkpoint

    layers = checkpoint.read_config(out).layers
    drawing = "".join("T" if index in card["layout"] else "." for index in range(layers))
    if as_json:
        typer.echo(to_json({"checkpoint": str(out), "layers": drawing, "card": card}))
        return
    typer.echo(f"layers      {drawing}  ({card['ratio']}; T Transformer, . Mamba-2)")
    typer.echo(f"parameters  {card['parameters']:,} in {card['dtype']}")
    typer.echo(f"sha256      {card['sha256']}")
    typer.echo(str(out))
