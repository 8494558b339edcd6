"""From which context on a Mamba-2 layer is cheaper than the Transformer layer that it replaces.

A Transformer layer's cost grows with the context, a Mamba-2 layer's does not but starts higher: it
has more parameters, a state of its own and a scan. So for each resource there is a number of tokens
below which replacing layers costs more. It is the same for every ratio, since what is compared is
one layer with one layer.
"""

from __future__ import annotations

from mamtra_eval.models import cost
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.cost import Convention


def break_even(
    config: DecoderConfig,
    *,
    cache_element: int = 2,
    state_element: int | None = None,
    weight_element: int = 2,
    batch: int = 1,
    dummy_bytes: int = 0,
    convention: Convention | None = None,
) -> dict[str, float | None]:
    """Tokens of context at which one Mamba-2 layer and one Transformer layer cost the same.

    Args:
        config: the decoder's shape; its layout matters only for ``cache_and_weights``.
        cache_element: bytes of an element of keys and values.
        state_element: bytes of an element of Mamba-2 states; by default as ``cache_element``.
        weight_element: bytes of a parameter.
        batch: sequences that share one set of weights.
        dummy_bytes: per token and Mamba-2 layer; ``cost.DUMMY_BYTES`` in the authors' cache.
        convention: of the FLOP counts.

    Returns:
        By resource: ``cache`` bytes, ``cache_and_weights`` bytes (``None`` if no layer is a Mamba-2
        layer), ``decode_flops`` of a token, ``prefill_flops`` of a pass and
        ``prefill_flops_half_block`` (a scan that skips the non-causal half of its chunks), and
        ``decode_traffic``: keys and values read against states read and written. ``None`` where
        the Transformer layer never becomes the dearer one.
    """
    convention = convention or Convention()
    per_token = cost.kv_elements(config) * cache_element
    state = cost.state_elements(config) * (state_element or cache_element)
    heavier = cost.mamba_parameters(config) - cost.attention_parameters(config)
    extra = heavier * weight_element / batch
    growth = per_token - dummy_bytes
    return {
        "cache": _quotient(state, growth),
        "cache_and_weights": _quotient(state + extra, growth) if config.mamba else None,
        "decode_flops": _decode(config, convention),
        "prefill_flops": _prefill(config, convention, half_block=False),
        "prefill_flops_half_block": _prefill(config, convention, half_block=True),
        "decode_traffic": _quotient(2 * state, per_token),
    }


def _decode(config: DecoderConfig, convention: Convention) -> float | None:
    dearer = cost.mamba_token_flops(config, convention) - cost.attention_token_flops(config, 0)
    return _quotient(dearer, 4 * config.inner)


def _prefill(config: DecoderConfig, convention: Convention, *, half_block: bool) -> float | None:
    mamba = cost.mamba_pass_flops(config, convention, half_block=half_block)
    dearer = mamba - cost.attention_token_flops(config, 0)  # per token of the pass, but for scores
    if convention.attention == "full":
        return _quotient(dearer, 4 * config.inner)
    # Causal: a token meets (L + 1) / 2 others on average, itself among them.
    return _quotient(dearer - 2 * config.inner, 2 * config.inner)


def _quotient(fixed: float, per_token: float) -> float | None:
    return max(0.0, fixed / per_token) if per_token > 0 else None
