"""Draws against the rules of CosyVoice 2, written out one token at a time, and exact frequencies.

The rules are those of ``nucleus_sampling`` and ``ras_sampling`` in CosyVoice's
``cosyvoice/utils/common.py``, before and after its commit f2ddcbe.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mamtra_eval.errors import UserError
from mamtra_eval.models import sampling
from mamtra_eval.models.sampling import (
    KINDS,
    Sampler,
    SamplerConfig,
    inverse_draw,
    nucleus_draw,
    uniforms,
)

SEEDS = 5000
UNLIKELY = 1e-3
LOGITS = [1.0, 0.5, 0.0, 1.5, -1.0, 2.0, -2.0]


def _softmax(logits: Sequence[float]) -> list[float]:
    weights = [math.exp(value) for value in logits]
    return [weight / sum(weights) for weight in weights]


def _nucleus(probabilities: list[float], top_p: float, top_k: int) -> dict[int, float]:
    """Most likely first, until they hold ``top_p`` or are ``top_k``."""
    kept: dict[int, float] = {}
    held = 0.0
    for token in sorted(range(len(probabilities)), key=lambda i: -probabilities[i]):
        if held >= top_p or len(kept) >= top_k:
            break
        kept[token] = probabilities[token]
        held += probabilities[token]
    return {token: weight / held for token, weight in kept.items()}


def _invert(weights: dict[int, float], uniform: float) -> int:
    """By the order of the ids."""
    held = 0.0
    for token in sorted(weights):
        held += weights[token]
        if uniform * sum(weights.values()) < held:
            return token
    return max(weights)


def _tokens_by_rule(
    config: SamplerConfig, logits: list[list[float]], seed: int, minimum: int, eos: int
) -> list[int]:
    """An item's tokens, one at a time with plain numbers."""
    drawn: list[int] = []
    for scores, (first, second) in zip(logits, uniforms(seed, len(logits)).tolist(), strict=True):
        scores = [score / config.temperature for score in scores]
        if len(drawn) < minimum:
            scores[eos] = -math.inf
        everything = dict(enumerate(_softmax(scores)))
        size = config.top_k or len(scores)
        token = _invert(_nucleus(list(everything.values()), config.top_p, size), first)
        hits = drawn[-config.window :].count(token)
        if config.kind != "top-p" and hits >= config.window * config.tau:
            if config.kind == "ras-2026":
                del everything[token]
            token = _invert({t: p for t, p in everything.items() if p > 0}, second)
        drawn.append(token)
    return drawn


def _draw(config: SamplerConfig, logits: torch.Tensor, steps: int) -> torch.Tensor:
    """Tokens (SEEDS, steps) of as many items with the same logits at every step."""
    sampler = Sampler(config, range(SEEDS), [0] * SEEDS, steps, eos=len(logits) - 1)
    return torch.stack([sampler.draw(logits.repeat(SEEDS, 1)) for _ in range(steps)], dim=1)


def _assert_frequencies(counts: np.ndarray, expected: np.ndarray) -> None:
    """Chi-square where something is expected, exactly nothing elsewhere."""
    possible = expected > 0
    assert counts[~possible].sum() == 0
    assert expected[possible].min() * counts.sum() >= 5
    if possible.sum() > 1:
        found = stats.chisquare(counts[possible], expected[possible] * counts.sum())
        assert found.pvalue > UNLIKELY


@pytest.mark.parametrize(
    ("top_p", "top_k"), [(0.8, 25), (0.8, 2), (0.3, 25), (0.95, 0), (1.0, 0), (1.0, 3), (0.01, 1)]
)
def test_nucleus_frequencies(top_p: float, top_k: int) -> None:
    drawn = _draw(SamplerConfig("top-p", top_p=top_p, top_k=top_k), torch.tensor(LOGITS), 1)
    nucleus = _nucleus(_softmax(LOGITS), top_p, top_k or len(LOGITS))
    expected = np.array([nucleus.get(token, 0.0) for token in range(len(LOGITS))])
    _assert_frequencies(np.bincount(drawn[:, 0], minlength=len(LOGITS)), expected)


def test_the_nucleus_holds_at_most_top_k_of_many() -> None:
    drawn = _draw(SamplerConfig("top-p"), torch.zeros(1000) + torch.arange(1000) * 1e-4, 1)
    _assert_frequencies(
        np.bincount(drawn[:, 0], minlength=1000),
        np.where(np.arange(1000) >= 975, np.exp(np.arange(1000) * 1e-4), 0)
        / np.exp(np.arange(975, 1000) * 1e-4).sum(),
    )


def test_a_nucleus_is_found_among_few_tokens_or_all(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    sharpness = torch.tensor([8.0, 0.0, 3.0, 1.0, 0.1])  # the nucleus of the flat rows is large
    probabilities = (torch.randn(5, 2000) * sharpness[:, None]).softmax(-1)
    uniforms = torch.rand(40, 5)
    drawn = [nucleus_draw(probabilities, uniform, 0.9, 0).tolist() for uniform in uniforms]
    alone = [
        [int(nucleus_draw(probabilities[[i]], uniform[[i]], 0.9, 0)) for i in range(5)]
        for uniform in uniforms
    ]
    monkeypatch.setattr(sampling, "LIKELY", 2000)
    everything = [nucleus_draw(probabilities, uniform, 0.9, 0).tolist() for uniform in uniforms]
    assert drawn == alone == everything


@pytest.mark.parametrize("kind", ["ras-2024", "ras-2026"])
def test_frequencies_of_a_token_and_the_next(kind: str) -> None:
    """One repetition among ten is enough, so the second token is drawn again if it is the first."""
    logits = LOGITS[:5]
    everything = _softmax(logits)
    nucleus = _nucleus(everything, 0.8, 25)
    joint = np.zeros((5, 5))
    for first, weight in nucleus.items():
        other = [p if kind == "ras-2024" or t != first else 0.0 for t, p in enumerate(everything)]
        for second in range(5):
            once = nucleus.get(second, 0.0) if second != first else 0.0
            again = nucleus[first] * other[second] / sum(other)
            joint[first, second] = weight * (once + again)
    assert joint.sum() == pytest.approx(1)
    drawn = _draw(SamplerConfig(kind), torch.tensor(logits), 2)
    counts = np.bincount(drawn[:, 0] * 5 + drawn[:, 1], minlength=25).reshape(5, 5)
    _assert_frequencies(counts, joint)
    assert np.trace(counts) == 0 if kind == "ras-2026" else np.trace(counts) > 0


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["top-p", "ras-2024", "ras-2026"]), top_p=st.floats(0.05, 1.0),
    top_k=st.integers(0, 8), window=st.integers(1, 12), tau=st.floats(0.05, 1.0),
    temperature=st.floats(0.3, 3.0), vocabulary=st.integers(3, 12), minimum=st.integers(0, 5),
    seed=st.integers(0, 2**63),
)  # fmt: skip
def test_tokens_are_those_of_the_rule(
    kind: str, top_p: float, top_k: int, window: int, tau: float, temperature: float,
    vocabulary: int, minimum: int, seed: int,
) -> None:  # fmt: skip
    config = SamplerConfig(kind, top_p, top_k, window, tau, temperature)
    logits = torch.from_numpy(np.random.default_rng(seed).normal(size=(20, vocabulary))).float() * 2
    sampler = Sampler(config, [seed], [minimum], 20, eos=1)
    drawn = [int(sampler.draw(row[None].clone())) for row in logits]
    assert drawn == _tokens_by_rule(config, logits.tolist(), seed, minimum, eos=1)
    assert 1 not in drawn[:minimum]


def test_the_window_ends_and_tau_counts_repetitions() -> None:
    """A certain token is drawn again only while it fills the given share of the window."""
    logits = torch.tensor([[9.0, 0.0, 0.0, -99.0]])
    for window, tau, free in [(10, 0.1, 1), (10, 0.3, 3), (4, 1.0, 4), (3, 0.5, 2)]:
        sampler = Sampler(SamplerConfig("ras-2026", window=window, tau=tau), [0], [0], 40, eos=3)
        drawn = [int(sampler.draw(logits.clone())) for _ in range(40)]
        for t, token in enumerate(drawn):
            before = drawn[max(0, t - window) : t].count(0)
            assert (token == 0) == (before < free), (window, tau, t)


@pytest.mark.parametrize("kind", KINDS)
def test_eos_waits_for_each_items_minimum(kind: str) -> None:
    logits = torch.zeros(3, 5)
    logits[:, 4] = 50.0
    sampler = Sampler(SamplerConfig(kind), [1, 2, 3], [0, 1, 3], 4, eos=4)
    drawn = torch.stack([sampler.draw(logits.clone()) for _ in range(4)], dim=1)
    assert [row.index(4) for row in drawn.tolist()] == [0, 1, 3]


def test_greedy_takes_the_most_likely() -> None:
    logits = torch.randn(6, 30, generator=torch.Generator().manual_seed(0))
    sampler = Sampler(SamplerConfig("greedy"), range(6), [0] * 6, 1, eos=29)
    assert sampler.draw(logits.clone()).tolist() == [
        max(range(30), key=row.__getitem__) for row in logits
    ]


def test_items_that_are_kept_go_on_as_if_nothing_had_happened() -> None:
    logits = torch.randn(20, 4, 6, generator=torch.Generator().manual_seed(0))
    config = SamplerConfig("ras-2026")
    samplers = [Sampler(config, range(4), [0, 9, 3, 12], 20, eos=0) for _ in range(2)]
    rows = torch.tensor([1, 3])
    for t, step in enumerate(logits):
        if t == 7:
            samplers[1].select(rows)
        whole = samplers[0].draw(step.clone())
        part = samplers[1].draw(step.clone() if t < 7 else step[rows])
        assert part.equal(whole if t < 7 else whole[rows])


@given(seed=st.integers(0, 2**63), steps=st.integers(0, 40), more=st.integers(0, 40))
def test_an_items_numbers_do_not_depend_on_how_many_are_made(
    seed: int, steps: int, more: int
) -> None:
    numbers = uniforms(seed, steps + more)
    assert (numbers[:steps] == uniforms(seed, steps)).all()
    assert ((numbers >= 0) & (numbers < 1)).all()
    assert numbers.dtype == np.float32


def test_items_numbers_are_uniform_across_seeds() -> None:
    numbers = np.stack([uniforms(seed, 2) for seed in range(2000)]).reshape(2000, -1)
    for column in numbers.T:
        assert stats.kstest(column, "uniform").pvalue > UNLIKELY
    correlations = np.corrcoef(numbers.T) - np.eye(4)
    assert np.abs(correlations).max() < 0.1


LARGEST_BELOW_1 = float(np.nextafter(np.float32(1), np.float32(0)))
WEIGHTS = st.lists(st.sampled_from([0.0, 1e-45, 1e-30, 1e-7, 0.1, 0.5, 1.0]), min_size=1)


@given(
    weights=WEIGHTS.filter(any),
    uniform=st.one_of(
        st.sampled_from([0.0, LARGEST_BELOW_1]),
        st.floats(0, 1, exclude_max=True, width=32, allow_subnormal=False),
    ),
)
def test_what_has_no_weight_is_never_drawn(weights: list[float], uniform: float) -> None:
    drawn = int(inverse_draw(torch.tensor([weights]), torch.tensor([uniform]))[0])
    assert weights[drawn] > 0
    before, total = math.fsum(weights[:drawn]), math.fsum(weights)
    assert before <= uniform * total * (1 + 1e-6) + 1e-50


@pytest.mark.parametrize("uniform", [0.0, 0.5, LARGEST_BELOW_1])
def test_extreme_numbers_over_a_large_vocabulary(uniform: float) -> None:
    probabilities = torch.randn(4, 6564, generator=torch.Generator().manual_seed(0)).softmax(-1)
    probabilities[:, :7] = 0
    probabilities[:, -9:] = 0
    drawn = inverse_draw(probabilities, torch.full((4,), uniform))
    assert (probabilities.gather(1, drawn[:, None]) > 0).all()
    expected = {0.0: 7, LARGEST_BELOW_1: 6554}
    if uniform in expected:
        assert drawn.tolist() == [expected[uniform]] * 4
    nucleus = nucleus_draw(probabilities, torch.full((4,), uniform), 1e-9, 25)
    assert nucleus.equal(probabilities.argmax(-1))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "topp"}, "Did you mean top-p"),
        ({"top_p": 0.0}, "top_p must lie above 0"),
        ({"top_p": 1.1}, "top_p must lie above 0"),
        ({"top_k": -1}, "top_k must be at least 0"),
        ({"window": 0}, "window at least 1"),
        ({"temperature": 0.0}, "kind=greedy"),
        ({"tau": 0.0}, "tau be positive"),
        ({"temperature": math.nan}, "tau be positive"),
    ],
)
def test_what_is_no_sampler(values: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        SamplerConfig(**values)
