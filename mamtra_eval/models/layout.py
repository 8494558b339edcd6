"""Which layers of a decoder are Transformer layers: ratios, placements, rankings.

A ratio is written Transformer:Mamba, as in the paper: ``1:5`` keeps one layer in six, ``1:0`` is
the teacher, ``0:1`` is Mamba-2 alone. A placement says which k of n layers those are:

==========  ===============================================================  =========
placement   Transformer layers                                               source
==========  ===============================================================  =========
BlockBeg    first of each of k equal blocks: floor(i n / k)                  published
BlockEnd    last of each block: floor((i + 1) n / k) - 1                     inferred
Front       0 .. k-1                                                         inferred
Back        n-k .. n-1                                                       inferred
Middle      a run of k in the centre, from floor((n - k) / 2)                inferred
Sandwich    split between both ends, the odd one in front                    inferred
WER         the k layers whose replacement does most damage                  published
Cosine      the k layers that turn the residual stream most                  measured
==========  ===============================================================  =========

Published are the index sets of the project page (mamtratts.github.io) for 24 layers: BlockBeg at
1:1 and 1:3, WER at 1:5 (0, 8, 11, 16) and 1:11 (0, 16). The other names come from the paper's
Figure 4; their sets are inferred from the names, which leaves little choice except for Middle and
Sandwich. Most of them are there as negative controls: in Figure 4 BlockEnd, Front, Back and Middle
fail (WER above 100 %) at nearly every ratio.

WER and Cosine need a ranking measured on the teacher (``mamtra-eval rank-layers``), except for the
two published WER sets. A ranking of kind CE serves WER: it takes the damage in cross-entropy.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mamtra_eval.errors import UserError, unknown_name

PUBLISHED_RATIOS = ("1:1", "1:3", "1:5", "1:11")
"""Ratios of the paper's models."""

PLACEMENTS = ("BlockBeg", "BlockEnd", "Front", "Back", "Middle", "Sandwich", "WER", "Cosine")
"""The strategies of the paper's Figure 4."""

KINDS = {"WER": "WER", "CE": "WER", "Cosine": "Cosine"}
"""Kind of a ranking: the placement that it serves."""

MAX_LAYERS = 10_000

PUBLISHED_DEPTH = 24
PUBLISHED_WER = {2: (0, 16), 4: (0, 8, 11, 16)}
"""WER-ranked layers of 24 by their number, from the project page's layer maps."""


@dataclass(frozen=True)
class Ratio:
    """Transformer layers to Mamba-2 layers."""

    transformer: int
    mamba: int

    def __post_init__(self) -> None:
        if min(self.transformer, self.mamba) < 0 or self.transformer + self.mamba == 0:
            raise UserError(f"{self} is no ratio of layers", fix=_RATIO_HINT)

    def __str__(self) -> str:
        return f"{self.transformer}:{self.mamba}"

    @classmethod
    def parse(cls, text: str) -> Ratio:
        """Read ``T:M``; UserError for anything else."""
        parts = [part.strip() for part in text.split(":")]
        if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
            raise UserError(
                f"{text!r} is no ratio of layers",
                fix=_YAML_HINT if text.isdigit() and len(text) > 1 else _RATIO_HINT,
            )
        return cls(int(parts[0]), int(parts[1]))


_YAML_HINT = 'YAML reads 1:5 as a number in base 60. Put it in quotes: ratio: "1:5".'
_RATIO_HINT = "Give Transformer:Mamba such as 1:5; 1:0 is the teacher, 0:1 has no Transformer."


class Ranking(tuple[int, ...]):
    """All layers, the most important first, with the ``kind`` of measurement behind them."""

    kind: str

    def __new__(cls, order: Iterable[int], kind: str) -> Ranking:
        """A ranking of one of ``KINDS``."""
        made = super().__new__(cls, order)
        made.kind = kind
        return made


def n_transformer(ratio: Ratio, layers: int) -> int:
    """Transformer layers among ``layers``; UserError if the ratio does not divide them."""
    if not 1 <= layers <= MAX_LAYERS:
        raise UserError(f"a decoder has 1 to {MAX_LAYERS} layers, not {layers}")
    kept, rest = divmod(layers * ratio.transformer, ratio.transformer + ratio.mamba)
    if rest:
        fitting = [f"1:{n - 1}" for n in range(1, layers + 1) if layers % n == 0]
        raise UserError(
            f"{layers} layers can't be split {ratio}",
            fix=f"Of the ratios 1:M these fit: {', '.join(fitting)}.",
        )
    return kept


def ratio_of(transformer: Sequence[int], layers: int) -> Ratio:
    """The ratio of a layout, in lowest terms."""
    kept = len(transformer)
    common = math.gcd(kept, layers - kept)
    return Ratio(kept // common, (layers - kept) // common)


def placement_named(name: str) -> str:
    """A placement's name as ``PLACEMENTS`` spells it, from any case; UserError for another."""
    for known in PLACEMENTS:
        if known.lower() == name.strip().lower():
            return known
    raise unknown_name("placement", name, PLACEMENTS)


def published_placement(ratio: Ratio, layers: int = PUBLISHED_DEPTH) -> str:
    """What the paper's models use: WER at 1:5 and 1:11 of 24 layers, else BlockBeg."""
    published = layers == PUBLISHED_DEPTH and n_transformer(ratio, layers) in PUBLISHED_WER
    return "WER" if published else "BlockBeg"


def needs_ranking(placement: str, ratio: Ratio, layers: int = PUBLISHED_DEPTH) -> bool:
    """Whether only a measured ranking says which layers these are."""
    kept = n_transformer(ratio, layers)
    if placement not in KINDS.values() or kept in (0, layers):
        return False
    return (placement, layers) != ("WER", PUBLISHED_DEPTH) or kept not in PUBLISHED_WER


def transformer_layers(
    ratio: Ratio,
    layers: int = PUBLISHED_DEPTH,
    placement: str | None = None,
    ranking: Sequence[int] | None = None,
) -> tuple[int, ...]:
    """Indices of the Transformer layers, ascending.

    Args:
        ratio: Transformer to Mamba-2 layers; must divide ``layers``.
        layers: number of layers.
        placement: one of ``PLACEMENTS`` in any case; ``None`` for the one that the kind of a given
            ``Ranking`` serves, else for ``published_placement``.
        ranking: all layers, the most important first; for WER and Cosine alone, where it goes
            before the published sets. A ``Ranking`` must be of a kind that serves the placement.
    """
    kept = n_transformer(ratio, layers)
    if placement is None and ranking is not None:
        placement = _served(ranking)
    name = placement_named(placement) if placement else published_placement(ratio, layers)
    if kept in (0, layers):
        return tuple(range(kept))
    if name not in KINDS.values():
        return _regular(name, kept, layers)
    if ranking is not None:
        return tuple(sorted(_checked(ranking, layers, name)[:kept]))
    if needs_ranking(name, ratio, layers):
        raise UserError(
            f"the placement {name} at {ratio} of {layers} layers needs a measured ranking",
            fix="Measure one with mamtra-eval rank-layers and give its file with --ranking.",
        )
    return PUBLISHED_WER[kept]


def parse_explicit(text: str, layers: int) -> tuple[int, ...]:
    """Read ``0,8,11,16``: ascending indices below ``layers``, each once."""
    parts = [part.strip() for part in text.split(",")]
    indices = [int(part) for part in parts if part.isascii() and part.isdigit()]
    ascending = indices == sorted(set(indices))
    if len(indices) < len(parts) or not ascending or max(indices) >= layers:
        raise UserError(
            f"{text!r} is no set of layers of {layers}",
            fix=f"Give ascending indices from 0 to {layers - 1} such as 0,8,11,16, each once.",
        )
    return tuple(indices)


def ranking_from_file(path: Path | str) -> Ranking:
    """The ranking that ``mamtra-eval rank-layers`` wrote; UserError if the file is none.

    It is a JSON object with ``kind`` (WER, CE or Cosine), ``layers`` (their number) and ``ranking``
    (all indices, the most important first); other keys are left alone.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        kind, layers, order = found["kind"], found["layers"], found["ranking"]
        if kind not in KINDS:
            raise unknown_name("kind of ranking", str(kind), KINDS)
        return Ranking(_checked(order, layers), kind)
    except UserError as error:
        raise UserError(error.what, where=str(path), fix=error.fix) from error
    except OSError as error:
        raise UserError(f"can't be read ({error.strerror})", where=str(path)) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"no ranking of layers ({type(error).__name__}: {error})",
            where=str(path),
            fix="Give a file that mamtra-eval rank-layers wrote.",
        ) from error


def _served(ranking: Sequence[int]) -> str:
    if isinstance(ranking, Ranking):
        return KINDS[ranking.kind]
    raise UserError("a ranking without its kind needs a placement", fix="Say WER or Cosine.")


def _regular(name: str, kept: int, layers: int) -> tuple[int, ...]:
    if name == "BlockBeg":
        return tuple(i * layers // kept for i in range(kept))
    if name == "BlockEnd":
        return tuple((i + 1) * layers // kept - 1 for i in range(kept))
    if name == "Sandwich":
        front = (kept + 1) // 2
        return (*range(front), *range(layers - (kept - front), layers))
    start = {"Front": 0, "Middle": (layers - kept) // 2, "Back": layers - kept}[name]
    return tuple(range(start, start + kept))


def _checked(order: Sequence[int], layers: int, placement: str | None = None) -> list[int]:
    """The ranking as a list, if it ranks each of the layers once and serves the placement."""
    fitting = type(layers) is int and len(order) == layers
    if (
        not fitting
        or not all(type(index) is int for index in order)
        or sorted(order) != list(range(layers))
    ):
        raise UserError(
            f"a ranking of {layers} layers names each index from 0 to {layers - 1} once, "
            f"which {list(order[:50])} does not"
        )
    if placement and isinstance(order, Ranking) and KINDS[order.kind] != placement:
        raise UserError(
            f"a ranking of kind {order.kind} does not say where {placement} puts its layers",
            fix=f"Take the placement {KINDS[order.kind]}, or another ranking.",
        )
    return list(order)
