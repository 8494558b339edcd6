"""What checks share: CosyVoice 2's decoder at the published ratios, and a sentence on savings."""

from __future__ import annotations

from mamtra_eval.claims.claim import Claim
from mamtra_eval.claims.finding import CLOSED_FORM, Finding
from mamtra_eval.claims.words import listed, share
from mamtra_eval.models.config import DecoderConfig, preset
from mamtra_eval.models.layout import PUBLISHED_RATIOS, Ratio, transformer_layers

TEACHER = preset("cosyvoice2")
RATIOS = PUBLISHED_RATIOS


def decoder(ratio: str) -> DecoderConfig:
    """The decoder of a ratio, ``1:0`` being the teacher, in its published layout."""
    return TEACHER.with_layout(transformer_layers(Ratio.parse(ratio), TEACHER.layers))


def short_contexts(what: str, claim: Claim, ours: dict[str, float], even: str) -> Finding:
    """What is saved of some work at short contexts, with its break-even."""
    told = listed(f"{share(value, signed=True)} at {int(key):,}" for key, value in ours.items())
    return Finding(
        CLOSED_FORM,
        f"{told} tokens; break-even {even}",
        f"Of the FLOP of {what} the {claim.setting('ratio')} decoder saves {told} tokens "
        f"(negative: it takes more). The break-even is {even}, the same at every ratio.",
        claim.against("saved", ours),
    )
