"""One pass over a sequence, and the same sequence token by token from the cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mamtra_eval.errors import UserError
from mamtra_eval.models.cache import Cache
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.stepping import Stepper

Make = Callable[..., Decoder]
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
LENGTH = 60


def _split(decoder: Decoder, ids: Tensor, split: int) -> Tensor:
    """Logits after the tokens split-1 …, from a prefill of ``split`` tokens and steps."""
    cache = Cache(decoder.config, len(ids), ids.shape[1])
    with torch.inference_mode():
        logits = [decoder.prefill(ids[:, :split].tolist(), cache)]
        stepper = Stepper(decoder)
        for t in range(split, ids.shape[1]):
            logits.append(stepper.advance(ids[:, t], cache, masked=False))
    assert cache.length == ids.shape[1]
    return torch.stack(logits, dim=1)


@pytest.mark.parametrize("split", [1, 2, 3, 8, 20, LENGTH])
def test_prefill_and_steps_are_the_whole_pass(
    tiny: DecoderConfig, make_decoder: Make, layout: tuple[int, ...], split: int
) -> None:
    decoder = make_decoder(tiny.with_layout(layout))
    ids = torch.randint(0, tiny.vocabulary, (3, LENGTH))
    with torch.no_grad():
        whole = decoder(ids).logits
    assert whole.std() > 0.5
    torch.testing.assert_close(_split(decoder, ids, split), whole[:, split - 1 :], **CLOSE)


def test_under_autocast_steps_round_what_the_whole_pass_rounds(
    tiny: DecoderConfig, make_decoder: Make, layout: tuple[int, ...]
) -> None:
    """Products in half precision, sums in single: steps are as near to the whole pass as that is
    to itself in single precision, and not as far as sums in half precision would be."""
    decoder = make_decoder(tiny.with_layout(layout))
    ids = torch.randint(0, tiny.vocabulary, (3, LENGTH))
    with torch.no_grad():
        exact = decoder(ids).logits
        with torch.autocast("cpu", torch.bfloat16):
            whole = decoder(ids).logits.float()
    cache = Cache(decoder.config, 3, LENGTH, kv_dtype=torch.bfloat16)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        logits = [decoder.prefill(ids[:, :5].tolist(), cache)]
        stepper = Stepper(decoder)
        logits += [stepper.advance(ids[:, t], cache, masked=False) for t in range(5, LENGTH)]
    steps = torch.stack(logits, dim=1).float()
    rounding = float((whole - exact).std())
    assert 0 < rounding < 0.02 * float(exact.std())
    assert float((steps - exact[:, 4:]).std()) < 1.3 * rounding


@pytest.mark.parametrize("change", [{"mixer_bias": True}, {"conv_width": 1}, {"conv_width": 7}])
def test_so_it_is_with_other_mixers(
    tiny: DecoderConfig, make_decoder: Make, change: dict[str, int]
) -> None:
    decoder = make_decoder(replace(tiny, transformer=(1,), **change))
    ids = torch.randint(0, tiny.vocabulary, (2, 20))
    with torch.no_grad():
        whole = decoder(ids).logits
    for split in (1, 2, 5, 19):
        torch.testing.assert_close(_split(decoder, ids, split), whole[:, split - 1 :], **CLOSE)


@settings(max_examples=20, deadline=None)
@given(
    heads=st.sampled_from([(1, 1), (2, 1), (4, 2), (3, 3), (6, 2)]),
    head_dim=st.sampled_from([2, 6, 16]), hidden=st.integers(8, 40), chunk=st.integers(1, 9),
    layers=st.sets(st.integers(0, 2)), split=st.integers(1, 11), seed=st.integers(0, 99),
)  # fmt: skip
def test_so_it_is_in_any_shape(
    heads: tuple[int, int], layers: set[int], split: int, seed: int, **shape: int
) -> None:
    config = DecoderConfig(
        layers=3, heads=heads[0], kv_heads=heads[1], mlp=8, speech_codes=9, text_vocabulary=3,
        transformer=tuple(sorted(layers)), **shape,
    )  # fmt: skip
    torch.manual_seed(seed)
    decoder = Decoder(config).eval()
    ids = torch.randint(0, config.vocabulary, (2, 12))
    with torch.no_grad():
        whole = decoder(ids).logits
    # Norms of a few numbers magnify rounding: half a unit in the last place of the weights alone
    # makes a difference of 1e-5 in some of these.
    torch.testing.assert_close(
        _split(decoder, ids, split), whole[:, split - 1 :], rtol=1e-4, atol=1e-4
    )


def test_padding_at_the_beginning_leaves_no_trace(
    tiny: DecoderConfig, make_decoder: Make, layout: tuple[int, ...]
) -> None:
    decoder = make_decoder(tiny.with_layout(layout))
    lengths = [1, 2, 3, 9, 30, 17]
    prompts = [torch.randint(0, tiny.vocabulary, (n,)).tolist() for n in lengths]
    following = torch.randint(0, tiny.vocabulary, (len(lengths), 20))
    cache, stepper = Cache(tiny.with_layout(layout), len(lengths), 50), Stepper(decoder)
    with torch.inference_mode():
        together = [decoder.prefill(prompts, cache)]
        together += [stepper.advance(ids, cache, masked=True) for ids in following.t()]
    for row, prompt in enumerate(prompts):
        with torch.no_grad():
            alone = decoder(torch.tensor([prompt + following[row].tolist()])).logits[0]
        torch.testing.assert_close(torch.stack(together)[:, row], alone[len(prompt) - 1 :], **CLOSE)


def test_what_follows_does_not_reach_back(
    tiny: DecoderConfig, make_decoder: Make, layout: tuple[int, ...]
) -> None:
    """So padding at the end needs no mask."""
    decoder = make_decoder(tiny.with_layout(layout))
    ids = torch.randint(0, tiny.vocabulary, (2, 30))
    other = torch.cat([ids[:, :13], torch.randint(0, tiny.vocabulary, (2, 17))], dim=1)
    with torch.no_grad():
        ours, theirs = decoder(ids).logits, decoder(other).logits
    torch.testing.assert_close(ours[:, :13], theirs[:, :13], **CLOSE)
    assert not torch.allclose(ours[:, 13:], theirs[:, 13:])


def test_training_goes_on_after_decoding(tiny: DecoderConfig, make_decoder: Make) -> None:
    """What decoding leaves behind, in inference mode, does not stand in the way of gradients."""
    decoder = make_decoder(tiny.with_layout((0, 2)))
    decoder.prefill([[1, 2, 3]], Cache(decoder.config, 1, 40))
    decoder(torch.randint(0, tiny.vocabulary, (2, 20))).logits.sum().backward()
    assert all(weight.grad is not None for weight in decoder.parameters())


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        ([], "at least one token"),
        ([[1], []], "at least one token"),
        ([[1], [64, 65]], "outside the vocabulary of 65"),
        ([[1], [-1]], "outside the vocabulary"),
        ([[1], [1] * 9], "does not take 2 prompts of up to 9"),
        ([[1]], "a cache of 2 x 8"),
    ],
)
def test_prompts_that_can_not_be_read(
    tiny: DecoderConfig, make_decoder: Make, prompts: list[list[int]], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        make_decoder(tiny).prefill(prompts, Cache(tiny, 2, 8))


def test_a_full_cache_takes_no_more(tiny: DecoderConfig, make_decoder: Make) -> None:
    decoder = make_decoder(tiny)
    cache = Cache(tiny, 1, 3)
    decoder.prefill([[1, 2, 3]], cache)
    with pytest.raises(IndexError, match="3 slots is full"), torch.inference_mode():
        Stepper(decoder).advance(torch.tensor([1]), cache, masked=False)
    with pytest.raises(UserError, match="with 3 filled"):
        decoder.prefill([[1]], cache)
