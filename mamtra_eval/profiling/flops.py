"""Floating-point operations: closed form, and what torch's counter sees of the same decoder.

The closed form (``models.cost``) is the reference. The counter is run on the decoder's code with
tensors that have shapes and no memory, so that any size costs nothing, and is held against the
closed form in the convention that it can see:

- it sees matrix products, batched ones and convolutions; it never halves a causal matrix;
- on a CPU it does not see torch's fused attention, which counts as nothing; up to 1,024 tokens and
  with gradients, attention is plain products and is seen, and that is what is counted here;
- fused kernels of the scan (mamba-ssm) never reach it; the readable twin's products do;
- the replay of a CUDA graph counts nothing.
"""

from __future__ import annotations

from dataclasses import replace

from mamtra_eval.models import cost
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.cost import Convention
from mamtra_eval.profiling.rows import CLOSED_FORM, MEASURED, ProfileKey, ProfileRow

CHECKED = 512
"""Tokens of the pass that is counted."""

TOLERANCE = 0.01

SEEN = Convention(attention="full", scan=True, head=True)
"""What the counter sees of the code that it is run on."""


def rows(config: DecoderConfig, contexts: list[int], key: ProfileKey) -> list[ProfileRow]:
    """FLOP of a token and of a pass at each context, and the counter's check, ``flops.counted``."""
    convention = Convention()
    found = []
    for context in contexts:
        for quantity, flop in (
            ("flops.token", cost.flops_per_token(config, context, convention)),
            ("flops.pass", cost.flops_per_pass(config, context, convention)),
        ):
            found.append(
                ProfileRow(
                    replace(key, quantity=quantity, context=context), "flop", CLOSED_FORM,
                    float(flop), detail={"convention": str(convention)},
                )
            )  # fmt: skip
    return [*found, _check(config, key)]


def counted(config: DecoderConfig, length: int = CHECKED) -> int:
    """FLOP of a pass over ``length`` tokens that scores all of them, by torch's counter."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    from mamtra_eval.models.decoder import Decoder

    # Gradients on, so that attention is plain products; see the module.
    with torch.inference_mode(False), torch.enable_grad(), FakeTensorMode():
        decoder = Decoder(config, "torch")
        with FlopCounterMode(display=False) as counter:
            decoder(torch.zeros(1, length, dtype=torch.int64))
    return int(counter.get_total_flops())


def visible(config: DecoderConfig, length: int = CHECKED) -> int:
    """The closed form of the same pass in the counter's convention, all positions scored."""
    heads = (length - 1) * 2 * config.speech_rows * config.hidden
    return cost.flops_per_pass(config, length, SEEN) + heads


def _check(config: DecoderConfig, key: ProfileKey) -> ProfileRow:
    length = min(CHECKED, max(config.chunk, 64))
    found, expected = counted(config, length), visible(config, length)
    off = found / expected - 1
    notes = () if abs(off) <= TOLERANCE else (f"{100 * off:+.1f} % off the closed form",)
    detail = {"closed_form": expected, "relative": off, "convention": f"{SEEN}, every position"}
    return ProfileRow(
        replace(key, quantity="flops.counted", context=length), "flop", MEASURED, float(found),
        notes=notes, detail=detail,
    )  # fmt: skip
