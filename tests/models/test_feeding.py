"""Interleaved decoding: text enters where it is asked for, all of it, once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from mamtra_eval.models.cache import Cache
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.feeding import Feeder
from mamtra_eval.models.generate import DecodingConfig, Item, generate, stream
from mamtra_eval.models.graphs import StaticStep
from mamtra_eval.models.sampling import Sampler, SamplerConfig

Make = Callable[..., Decoder]
GREEDY = DecodingConfig(SamplerConfig("greedy"))
SAMPLED = DecodingConfig(SamplerConfig("top-p", top_p=0.95, top_k=0))


@pytest.fixture
def decoder(tiny: DecoderConfig, make_decoder: Make, layout: tuple[int, ...]) -> Decoder:
    """One that asks for text, and stops, every now and then."""
    made = make_decoder(tiny.with_layout(layout))
    with torch.no_grad():
        made.head.bias[tiny.fill] += 2.0
        made.head.bias[tiny.eos] += 1.0
    return made


def _items(config: DecoderConfig) -> list[Item]:
    """Eight, with texts of 0 to 9 ids still to come."""
    generator = torch.Generator().manual_seed(5)
    made = []
    for index, left in enumerate([3, 0, 9, 1, 5, 2, 0, 7]):
        ids = torch.randint(0, config.vocabulary, (4 + index + left,), generator=generator)
        feed = [config.text_offset + int(i) % config.text_vocabulary for i in ids[4 + index :]]
        made.append(Item(ids[: 4 + index].tolist(), index, maximum=60, feed=feed))
    return made


@torch.no_grad()
def _reference(decoder: Decoder, item: Item) -> tuple[list[int], bool]:
    """The definition, one whole sequence after another through the parallel form."""
    config, ids, left, tokens = decoder.config, list(item.prompt), list(item.feed), []
    while len(tokens) < item.maximum:
        logits = decoder(torch.tensor([ids])).logits[0, -1]
        if left:
            logits[[stop for stop in config.stops if stop != config.fill]] = -torch.inf
        elif item.feed:
            logits[config.fill] = -torch.inf
        token = int(logits.argmax())
        if token == config.fill and left:
            ids.append(left.pop(0))
        elif token in config.stops:
            return tokens, True
        else:
            tokens.append(token)
            ids.append(token)
    return tokens, False


def test_it_is_what_its_definition_says(decoder: Decoder) -> None:
    items = _items(decoder.config)
    assert [tuple(made) for made in generate(decoder, items, GREEDY)] == [
        _reference(decoder, item) for item in items
    ]


def test_an_items_tokens_do_not_depend_on_the_batch(decoder: Decoder) -> None:
    items = _items(decoder.config)
    together = generate(decoder, items, SAMPLED)
    assert together == [generate(decoder, [item], SAMPLED)[0] for item in items]
    assert any(made.stopped for made in together)


def test_streaming_yields_the_same_tokens(decoder: Decoder) -> None:
    items = _items(decoder.config)
    streamed: list[list[int]] = [[] for _ in items]
    for emitted in stream(decoder, items, SAMPLED):
        streamed[emitted.item].append(emitted.token)
    assert streamed == [made.tokens for made in generate(decoder, items, SAMPLED)]


def test_it_ends_only_after_all_text(tiny: DecoderConfig) -> None:
    feeder = Feeder([[70, 71], []], tiny, "cpu")
    logits = torch.zeros(2, tiny.speech_rows)
    ends = [stop for stop in tiny.stops if stop != tiny.fill]
    fill = torch.full((2,), tiny.fill)
    for expected in (70, 71):
        allowed = feeder.allow(logits)
        assert torch.isinf(allowed[0, ends]).all()
        assert allowed[0, tiny.fill] == 0
        assert torch.isfinite(allowed[1]).all()
        assert feeder.swap(fill).tolist() == [expected, tiny.fill]
    allowed = feeder.allow(logits)
    assert torch.isfinite(allowed[0, ends]).all()
    assert torch.isinf(allowed[0, tiny.fill])
    assert logits.eq(0).all()


def test_the_captured_step_feeds_too(decoder: Decoder) -> None:
    """What a graph records, run as it is: the same tokens as step by step."""
    items = [item for item in _items(decoder.config) if item.feed]
    expected = generate(decoder, items, GREEDY)
    config, steps = decoder.config, 70
    cache = Cache(config, len(items), 30 + steps)
    sampler = Sampler(SamplerConfig("greedy"), [0] * 6, [0] * 6, steps + 1, config.eos)
    feeder = Feeder([item.feed for item in items], config, "cpu")
    with torch.inference_mode():
        logits = decoder.prefill([item.prompt for item in items], cache)
        static = StaticStep(decoder, cache, sampler, feeder)
        static.ids.copy_(sampler.draw(feeder.allow(logits)))
        drawn = [static.ids.clone()]
        for _ in range(steps - 1):
            static.run(cache.capacity)
            drawn.append(static.ids.clone())
    assert any(part is static.feeder.state()[0] for part in static.state() if static.feeder)
    for row, made in zip(torch.stack(drawn, 1).tolist(), expected, strict=True):
        speech = [token for token in row if token != config.fill]
        assert speech[: len(made.tokens)] == made.tokens
