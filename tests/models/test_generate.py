"""Decoding of batches: an item's tokens are its own, whatever its company."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from mamtra_eval.errors import UserError
from mamtra_eval.models import sampling
from mamtra_eval.models.cache import Cache
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.generate import (
    DecodingConfig,
    Generated,
    Item,
    generate,
    length_bounds,
    stream,
)
from mamtra_eval.models.sampling import SamplerConfig

Make = Callable[..., Decoder]


@pytest.fixture
def decoder(tiny: DecoderConfig, make_decoder: Make, layout: tuple[int, ...]) -> Decoder:
    """One that stops every now and then."""
    made = make_decoder(tiny.with_layout(layout))
    with torch.no_grad():
        made.head.bias[list(tiny.stops)] += 0.7
    return made


@pytest.fixture
def items(tiny: DecoderConfig) -> list[Item]:
    """Eight that differ in everything."""
    generator = torch.Generator().manual_seed(3)
    bounds = [(0, 60), (10, 30), (25, 25), (0, 1), (40, 70), (0, 0), (5, 60), (1, 45)]
    return [
        Item(
            torch.randint(0, tiny.vocabulary, (length,), generator=generator).tolist(),
            seed=100 + length, minimum=minimum, maximum=maximum,
        )
        for length, (minimum, maximum) in zip([1, 7, 30, 12, 2, 5, 19, 44], bounds, strict=True)
    ]  # fmt: skip


def _biased(decoder: Decoder, bias: dict[int, float]) -> Decoder:
    with torch.no_grad():
        for token, value in bias.items():
            decoder.head.bias[token] = value
    return decoder


@pytest.mark.parametrize("kind", sampling.KINDS)
def test_tokens_do_not_depend_on_the_batch(
    decoder: Decoder, items: list[Item], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    selections = []
    select = Cache.select
    monkeypatch.setattr(
        Cache, "select", lambda self, rows: (selections.append(len(rows)), select(self, rows))[1]
    )
    config = DecodingConfig(SamplerConfig(kind))
    together = generate(decoder, items, config)
    assert selections, "no finished item has left the batch"
    assert selections == sorted(selections, reverse=True)
    assert together == [generate(decoder, [item], config)[0] for item in items]
    order = [3, 7, 0, 5, 1, 6, 2, 4]
    assert generate(decoder, [items[i] for i in order], config) == [together[i] for i in order]
    assert generate(decoder, items, config) == together

    for item, made in zip(items, together, strict=True):
        assert len(made.tokens) <= item.maximum
        assert made.stopped or len(made.tokens) == item.maximum
        assert not set(made.tokens) & set(decoder.config.stops)
        assert all(0 <= token < decoder.config.speech_codes for token in made.tokens)


def test_items_do_stop_at_different_times(decoder: Decoder, items: list[Item]) -> None:
    """Or the test above would show less than it should."""
    made = generate(decoder, items, DecodingConfig(SamplerConfig("top-p", top_p=1.0, top_k=0)))
    assert len({len(one.tokens) for one in made}) >= 4
    assert {one.stopped for one in made} == {True, False}


@pytest.mark.parametrize("kind", sampling.KINDS)
def test_a_stream_has_the_tokens_of_generate(
    decoder: Decoder, items: list[Item], kind: str
) -> None:
    config = DecodingConfig(SamplerConfig(kind))
    streamed: list[list[int]] = [[] for _ in items]
    order = []
    for emitted in stream(decoder, items, config):
        streamed[emitted.item].append(emitted.token)
        order.append(len(streamed[emitted.item]))
    assert streamed == [one.tokens for one in generate(decoder, items, config)]
    assert order == sorted(order)  # step by step, not item by item


def test_a_stream_yields_before_the_next_step_is_computed(
    decoder: Decoder, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = 0
    draw = sampling.Sampler.draw

    def counting(self: sampling.Sampler, logits: torch.Tensor) -> torch.Tensor:
        nonlocal drawn
        drawn += 1
        return draw(self, logits)

    monkeypatch.setattr(sampling.Sampler, "draw", counting)
    longest = replace(items[0], minimum=10, maximum=10)
    for number, _ in enumerate(stream(_biased(decoder, {41: -99, 42: -99}), [longest]), start=1):
        assert drawn == number
    assert drawn == 10


def test_a_stream_of_single_tokens_is_complete(decoder: Decoder) -> None:
    items = [Item([1, 2], seed=seed, maximum=1) for seed in range(8)]
    made = generate(decoder, items)
    assert any(one.tokens for one in made)
    assert [(one.item, one.token) for one in stream(decoder, items)] == [
        (index, one.tokens[0]) for index, one in enumerate(made) if one.tokens
    ]


def test_seeds_decide(decoder: Decoder) -> None:
    decoder = _biased(decoder, dict.fromkeys(decoder.config.stops, -99.0))
    made = generate(decoder, [Item([1, 2, 3], seed=seed, maximum=20) for seed in range(8)])
    assert len({tuple(one.tokens) for one in made}) == 8
    same = generate(decoder, [Item([1, 2, 3], seed=5, maximum=20) for _ in range(3)])
    assert same == [made[5]] * 3


@pytest.mark.parametrize("kind", sampling.KINDS)
def test_eos_waits_for_the_minimum(decoder: Decoder, kind: str) -> None:
    eos, second, fill = decoder.config.stops
    decoder = _biased(decoder, {eos: 99.0, second: -99.0, fill: -99.0})
    items = [Item([1] * n, seed=n, minimum=n, maximum=20) for n in (1, 4, 13, 20)]
    items.append(Item([1], minimum=0, maximum=20))
    made = generate(decoder, items, DecodingConfig(SamplerConfig(kind)))
    assert [len(one.tokens) for one in made] == [1, 4, 13, 20, 0]
    assert [one.stopped for one in made] == [True, True, True, False, True]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_each_of_the_three_stops_ends_an_item(decoder: Decoder, which: int) -> None:
    decoder = _biased(decoder, dict.fromkeys(decoder.config.stops, -99.0))
    decoder = _biased(decoder, {decoder.config.stops[which]: 99.0})
    assert generate(decoder, [Item([1, 2])] * 2) == [Generated([], True)] * 2


def test_nothing_is_asked_for(decoder: Decoder) -> None:
    items = [Item([1], maximum=0), Item([1, 2], maximum=0)]
    assert generate(decoder, items) == [Generated([], False)] * 2
    assert list(stream(decoder, items)) == []
    decoder = _biased(decoder, dict.fromkeys(decoder.config.stops, -99.0))
    together = generate(decoder, [items[0], Item([1, 2], maximum=3), items[1]])
    assert [len(one.tokens) for one in together] == [0, 3, 0]


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([], "at least one item"),
        ([Item([1], minimum=3, maximum=2)], "between 3 and 2"),
        ([Item([1], minimum=-1)], "between -1 and 750"),
        ([Item([])], "at least one token"),
    ],
)
def test_what_can_not_be_generated(
    tiny: DecoderConfig, make_decoder: Make, items: list[Item], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        generate(make_decoder(tiny), items)


def test_bounds_are_cosyvoice2s_ratios() -> None:
    assert length_bounds(10) == (20, 200)
    assert length_bounds(0) == (0, 0)


@pytest.mark.parametrize("kind", sampling.KINDS)
def test_scores_that_are_not_finite_are_an_error(
    kind: str, tiny: DecoderConfig, make_decoder: Make
) -> None:
    decoder = _biased(make_decoder(tiny), {3: float("nan")})
    with pytest.raises(UserError, match="scores are not finite"):
        generate(decoder, [Item([1, 2], maximum=4)], DecodingConfig(SamplerConfig(kind)))


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (Item([1], seed=-1), "seed not negative"),
        (Item([1], maximum=2.5), "must be integers"),  # type: ignore[arg-type]
        (Item([1], maximum=10**13), "at most"),
        (Item(["a"]), "input id 'a'"),  # type: ignore[list-item]
        (Item([1], feed=[9999]), "input id 9999"),
        (Item([1], feed=[1.5]), "input id 1.5"),  # type: ignore[list-item]
    ],
)
def test_what_is_no_item(item: Item, said: str, tiny: DecoderConfig, make_decoder: Make) -> None:
    with pytest.raises(UserError, match=said):
        generate(make_decoder(tiny), [item])


def test_caches_of_integers_are_refused() -> None:
    with pytest.raises(UserError, match=r"caches can't be of torch\.int64"):
        DecodingConfig(kv_dtype=torch.int64)
