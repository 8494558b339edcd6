"""Which layers are Transformer layers, and what a Mamba-2 layer starts from."""

from __future__ import annotations

from mamtra_eval.claims.checks._shapes import TEACHER, decoder
from mamtra_eval.claims.claim import Claim
from mamtra_eval.claims.finding import CLOSED_FORM, MEASURED, Finding, register
from mamtra_eval.claims.profiles import Profiles
from mamtra_eval.claims.words import layers, listed, share
from mamtra_eval.models import cost
from mamtra_eval.models.layout import KINDS, PLACEMENTS, Ratio, transformer_layers


@register
def layer_maps(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Layer indices of each ratio against this package's layouts, and the rules that give them."""
    ours = {ratio: decoder(ratio).transformer for ratio in claim.layers("transformer")}
    rules = {ratio: _placements(ratio, indices) for ratio, indices in ours.items()}
    told = [f"{ratio} is the placement {listed(names)}" for ratio, names in rules.items() if names]
    irregular = [ratio for ratio, names in rules.items() if not names]
    if irregular:
        told.append(
            f"no regular placement gives {listed(irregular)}: there this package has the page's "
            "own sets, by the WER ranking, which mamtra-eval rank-layers would measure on a teacher"
        )
    figure = "; ".join(f"{ratio}: {layers(indices)}" for ratio, indices in ours.items())
    return Finding(CLOSED_FORM, figure, f"{'; '.join(told)}.", claim.against("transformer", ours))


@register
def named_placement(claim: Claim, _profiles: Profiles | None) -> Finding:
    """The layers that a placement's name is said to mean."""
    name = str(claim.setting("placement"))
    claimed = claim.layers("transformer")
    ours = {
        ratio: transformer_layers(Ratio.parse(ratio), TEACHER.layers, name) for ratio in claimed
    }
    told = []
    for ratio, indices in claimed.items():
        others = _placements(ratio, indices)
        meant = f"the claimed set is {listed(others)}" if others else "the claimed set is none"
        told.append(f"{name} at {ratio} is {layers(ours[ratio])}; {meant} of the known placements")
    figure = "; ".join(f"{ratio}: {layers(indices)}" for ratio, indices in ours.items())
    return Finding(CLOSED_FORM, figure, f"{'; '.join(told)}.", claim.against("transformer", ours))


@register
def reused_projections(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Make a hybrid from a small random teacher and look for attention's rows in its mixer."""
    import torch

    from mamtra_eval.distill.linearize import linearize
    from mamtra_eval.models.config import DecoderConfig
    from mamtra_eval.models.decoder import Decoder

    small = DecoderConfig(
        layers=2, hidden=16, heads=4, kv_heads=2, head_dim=4, mlp=8, speech_codes=8,
        text_vocabulary=8, transformer=(0, 1),
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        teacher = Decoder(small, "torch")
    weights, mixer = teacher.state_dict(), linearize(teacher, (0,)).state_dict()
    sizes = [small.inner, small.kv_inner, small.kv_inner]
    q, k, v = torch.split(weights["layers.1.mixer.qkv.weight"], sizes)
    rows = [small.inner, small.kv_inner, small.kv_inner, small.inner, small.heads]
    _, x, b, c, _ = torch.split(mixer["layers.1.mixer.in_proj.weight"], rows)
    out = mixer["layers.1.mixer.out_proj.weight"], weights["layers.1.mixer.out.weight"]
    same = [torch.equal(*pair) for pair in ((c, q), (b, k), (x, v), out)]
    reused = cost.attention_weights(TEACHER) / cost.mamba_parameters(TEACHER)
    return Finding(
        MEASURED,
        f"{sum(same)} of {len(same)} projections",
        f"In a hybrid made here {sum(same)} of {len(same)} projections (C, B, x, output) are "
        f"attention's own (q, k, v, output), number for number. At full size they are "
        f"{share(reused)} of the mixer's parameters; the gate, the step sizes, the convolution and "
        "the norm start fresh, and there are no rotary positions.",
        claim.against("projections", float(sum(same))),
    )


def _placements(ratio: str, indices: tuple[int, ...]) -> list[str]:
    """The regular placements that give this set."""
    return [
        name
        for name in PLACEMENTS
        if name not in KINDS.values()
        and transformer_layers(Ratio.parse(ratio), TEACHER.layers, name) == indices
    ]
