"""What decoders are made to do: the same steps for all, and none of them a stop."""

from __future__ import annotations

import pytest
import torch

from mamtra_eval.models import layout
from mamtra_eval.models.config import preset
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.layout import Ratio
from mamtra_eval.models.sampling import Sampler
from mamtra_eval.profiling import workloads
from mamtra_eval.profiling.workloads import Bench

FP32 = torch.float32


def decoder(ratio: str) -> Decoder:
    config = preset("mini")
    torch.manual_seed(0)
    kept = layout.transformer_layers(Ratio.parse(ratio), config.layers)
    return Decoder(config.with_layout(kept)).eval().requires_grad_(False)


def bench(ratio: str, context: int = 40, streams: int = 1, steps: int = 8) -> Bench:
    return Bench(decoder(ratio), context, streams, steps, kv_dtype=FP32, state_dtype=FP32)


def test_every_variant_is_fed_the_same_tokens() -> None:
    teacher, hybrid = (decoder(ratio).config for ratio in ("1:0", "1:11"))
    assert workloads.forced_tokens(teacher, 50) == workloads.forced_tokens(hybrid, 50)
    assert max(workloads.forced_tokens(teacher, 500)) < teacher.speech_codes


@pytest.mark.parametrize("ratio", ["1:0", "1:1"])
@pytest.mark.parametrize("streams", [1, 3])
def test_replayed_steps_end_at_the_context(ratio: str, streams: int) -> None:
    found = bench(ratio, streams=streams)
    found.fill()
    visit = found.replay()
    for _ in range(2):
        assert visit() == 8
        assert found.cache.length == 40


def test_replayed_steps_are_those_of_a_pass() -> None:
    # The last of the forced tokens sees the others: logits as of one pass over all of them.
    found = bench("1:1")
    ids = torch.tensor([workloads.forced_tokens(found.decoder.config, 40)])
    expected = found.decoder(ids).logits[0, -1]
    found.decoder.prefill([ids[0, :32].tolist()], found.cache)
    seen: list[torch.Tensor] = []
    forward = workloads.Stepper.advance

    def watched(self: workloads.Stepper, *args: object, **kwargs: object) -> torch.Tensor:
        seen.append(forward(self, *args, **kwargs))  # type: ignore[arg-type]
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workloads.Stepper, "advance", watched)
        found.replay()()
    torch.testing.assert_close(seen[-1][0], expected, rtol=1e-4, atol=1e-4)


def test_a_short_context_has_fewer_steps() -> None:
    assert bench("1:0", context=6, steps=16).steps == 3


def test_no_stop_is_ever_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    found = bench("1:0")
    with torch.no_grad():  # a decoder that wants nothing but to stop
        found.decoder.head.bias[list(found.decoder.config.stops)] = 1e4
    drawn: list[torch.Tensor] = []
    draw = Sampler.draw

    def watched(self: Sampler, logits: torch.Tensor) -> torch.Tensor:
        drawn.append(draw(self, logits))
        return drawn[-1]

    monkeypatch.setattr(Sampler, "draw", watched)
    visit = found.fixed()
    visit()
    visit()  # a second visit begins with the first random numbers again
    tokens = torch.stack(drawn)[:, 0].tolist()
    assert len(tokens) == 16
    assert not set(tokens) & set(found.decoder.config.stops)


def test_a_filled_cache_has_no_zeros() -> None:
    found = bench("1:1")
    found.fill()
    assert all((part != 0).any() for layer in found.cache.layers for part in layer)
