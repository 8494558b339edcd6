"""The step that a CUDA graph captures, as far as it can be shown without one.

A graph replays the same kernels on the same addresses, and while it is captured nothing may wait
for the host. The step runs on any device: here on a CPU, against plain decoding, and on torch's
``meta`` device, whose tensors have no values, so that whatever asks for one fails.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from meta_only import MetaOnly
from torch import Tensor

from mamtra_eval.models.cache import Cache
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.graphs import BUCKET, StaticStep, window_for
from mamtra_eval.models.sampling import KINDS, Sampler, SamplerConfig
from mamtra_eval.models.stepping import Stepper

Make = Callable[..., Decoder]
STEPS, CAPACITY = 30, 48
PROMPTS = [[5], [1, 2, 3, 4, 5, 6, 7], [9] * 18]


def _begin(decoder: Decoder, kind: str) -> tuple[Cache, Sampler, Tensor]:
    """A batch after its prompts, with the first tokens."""
    cache = Cache(decoder.config, len(PROMPTS), CAPACITY)
    sampler = Sampler(SamplerConfig(kind), [1, 2, 3], [0, 4, 8], STEPS, decoder.config.eos)
    with torch.inference_mode():
        return cache, sampler, sampler.draw(decoder.prefill(PROMPTS, cache))


@pytest.mark.parametrize("kind", KINDS)
def test_it_draws_the_tokens_of_plain_decoding_on_buffers_that_stay(
    tiny: DecoderConfig, make_decoder: Make, layout: tuple[int, ...], kind: str
) -> None:
    decoder = make_decoder(tiny.with_layout(layout))
    cache, sampler, last = _begin(decoder, kind)
    expected, stepper = [last.tolist()], Stepper(decoder)
    with torch.inference_mode():
        for _ in range(STEPS - 1):
            last = sampler.draw(stepper.advance(last, cache, masked=True))
            expected.append(last.tolist())

    cache, sampler, last = _begin(decoder, kind)
    step = StaticStep(decoder, cache, sampler)
    step.ids.copy_(last)
    addresses = [part.data_ptr() for part in step.state()]
    drawn = [step.ids.tolist()]
    with torch.inference_mode():
        for t in range(STEPS - 1):
            # Growing windows, as with one graph a bucket, and much more than is filled.
            step.run(window=32 if t < 8 else CAPACITY)
            drawn.append(step.ids.tolist())
    assert drawn == expected
    assert [part.data_ptr() for part in step.state()] == addresses
    assert step.slot.tolist() == [18 + STEPS - 1]


def test_its_state_is_all_that_a_step_changes(tiny: DecoderConfig, make_decoder: Make) -> None:
    """So a warm-up can be undone."""
    cache, sampler, last = _begin(make_decoder(tiny.with_layout((0, 2))), "ras-2026")
    step = StaticStep(make_decoder(tiny.with_layout((0, 2))), cache, sampler)
    step.ids.copy_(last)
    saved = [part.clone() for part in step.state()]
    rounds = []
    with torch.inference_mode():
        for _ in range(2):
            for part, before in zip(step.state(), saved, strict=True):
                part.copy_(before)
            tokens = []
            for _ in range(5):
                step.run(CAPACITY)
                tokens.append(step.ids.tolist())
            rounds.append(tokens)
    assert rounds[0] == rounds[1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", [torch.float32, torch.float16])
def test_nothing_in_it_needs_the_host(
    tiny: DecoderConfig, layout: tuple[int, ...], kind: str, state: torch.dtype
) -> None:
    with torch.device("meta"):
        decoder = Decoder(tiny.with_layout(layout))
    cache = Cache(decoder.config, 3, 16, device="meta", kv_dtype=state, state_dtype=state)
    cache.length = 4
    sampler = Sampler(SamplerConfig(kind), [1, 2, 3], [0, 1, 2], 8, tiny.eos, "meta")
    step = StaticStep(decoder, cache, sampler)
    with torch.inference_mode():
        step.run(16)  # makes the table of rotations, as a warm-up does
        with MetaOnly() as watched:
            step.run(16)
    assert watched.operations > 50


def test_asking_for_a_value_would_show_on_the_meta_device() -> None:
    with pytest.raises(RuntimeError, match="meta"):
        bool(torch.zeros(2, device="meta").any())


def test_windows_are_multiples_of_a_bucket_up_to_the_capacity() -> None:
    assert BUCKET == 256
    assert [window_for(n, 1000) for n in (1, 255, 256, 257, 768, 769, 1000)] == [
        256, 256, 256, 512, 768, 1000, 1000,
    ]  # fmt: skip
    assert window_for(3, 40) == 40
