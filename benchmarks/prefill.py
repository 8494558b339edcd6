"""What context costs: cached decoding against recomputation, a step by context, prompts a second.

    nox -s bench -- prefill     or    python benchmarks/prefill.py [--sizes mini]

a. Cached decoding against none: for every new token the whole sequence is read from scratch. Only
   the last position is scored there, the best case of doing without a cache; tokens are compared.
b. One step of batch 1 by the tokens already in the cache (zeros: what they are costs nothing). A
   line t = a + b context is fitted to the medians of each context over all rounds; the interval of
   b (95 %) is a bootstrap over rounds, each of which visits every context. Mamba-2 alone must be
   flat, that is, its interval must be about zero; there R2 says nothing.
c. Prompts of batch 1 read into an empty cache, tokens a second.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from _models import (
    PURE_MAMBA,
    RATIOS,
    TEACHER,
    build,
    header,
    interleaved,
    name,
    numbers,
    prompts,
    seconds,
    shape,
    spread,
)

from mamtra_eval.models.cache import Cache
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.generate import DecodingConfig, Item, generate
from mamtra_eval.models.sampling import SamplerConfig
from mamtra_eval.models.stepping import Stepper

GREEDY = DecodingConfig(SamplerConfig(kind="greedy"))
PROMPT = 32
RESAMPLES = 2000

Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]


class Plan(NamedTuple):
    """How much is measured at a size."""

    generated: list[int]
    contexts: list[int]
    lengths: list[int]
    rounds: int
    steps: int
    passes: int


PLANS = {
    "mini": Plan([32, 128, 256], [64, 512, 1024, 2048, 3072, 4096], [64, 256, 1024], 30, 20, 5),
    "cosyvoice2": Plan([16, 48], [64, 1024, 2048, 4096], [64, 256, 1024], 8, 5, 3),
}


class Line(NamedTuple):
    """t = a + b context, in seconds, with the interval of b."""

    a: float
    b: float
    low: float
    high: float
    r2: float


def recomputed(decoder: Decoder, prompt: list[int], tokens: int) -> list[int]:
    """Greedy tokens without a cache."""
    ids = list(prompt)
    scratch = Cache(decoder.config, 1, len(prompt) + tokens)
    for _ in range(tokens):
        scratch.length = 0  # nothing is kept from one token to the next
        ids.append(int(decoder.prefill([ids], scratch).argmax()))
    return ids[len(prompt) :]


def _cached(decoder: Decoder, item: Item) -> list[int]:
    return generate(decoder, [item], GREEDY)[0].tokens


def cached_against_none(decoder: Decoder, plan: Plan) -> None:
    """Part a: one line per number of generated tokens."""
    prompt = prompts(decoder.config, 1, PROMPT)[0]
    for tokens in plan.generated:
        item = Item(prompt, minimum=tokens, maximum=tokens)
        cached = partial(_cached, decoder, item)
        naive = partial(recomputed, decoder, prompt, tokens)
        same = sum(a == b for a, b in zip(cached(), naive(), strict=True))
        times = interleaved([cached, naive], plan.passes)
        rates = tokens / times
        print(
            f"  {tokens:>5} tokens: cached {spread(rates[:, 0])}, recomputed {spread(rates[:, 1])}"
            f" tok/s, ratio {spread(times[:, 1] / times[:, 0])}, same tokens {same} of {tokens}",
            flush=True,
        )


@torch.inference_mode()
def step_times(decoder: Decoder, plan: Plan) -> Matrix:
    """Seconds of a step, (rounds, contexts): the median of a few steps each."""
    cache = Cache(decoder.config, 1, max(plan.contexts) + 1)
    stepper = Stepper(decoder)
    ids = torch.zeros(1, dtype=torch.int64)

    def once(context: int) -> float:
        cache.length = context
        return seconds(lambda: stepper.advance(ids, cache, masked=False))

    def visit() -> list[float]:
        found = []
        for context in plan.contexts:
            once(context)  # brings this context's keys into the processor's cache
            found.append(float(np.median([once(context) for _ in range(plan.steps)])))
        return found

    visit()
    return np.array([visit() for _ in range(plan.rounds)])


def fit(contexts: Sequence[int], times: Matrix) -> Line:
    """The line through the medians over rounds, with a bootstrap interval of its slope."""
    x = np.asarray(contexts, np.float64)
    medians = np.median(times, axis=0)
    b, a = np.polyfit(x, medians, 1)
    left = ((medians - a - b * x) ** 2).sum()
    total = ((medians - medians.mean()) ** 2).sum()
    draws = np.random.default_rng(0).integers(0, len(times), (RESAMPLES, len(times)))
    resampled = np.median(times[draws], axis=1)  # (resamples, contexts)
    slopes = np.polyfit(x, resampled.T, 1)[0]
    low, high = np.percentile(slopes, [2.5, 97.5])
    return Line(float(a), float(b), float(low), float(high), float(1 - left / total))


def cost_of_context(decoder: Decoder, label: str, plan: Plan) -> None:
    """Part b: the line and the medians behind it."""
    times = step_times(decoder, plan)
    line = fit(plan.contexts, times)
    shown = " ".join(f"{1e6 * value:.0f}" for value in np.median(times, axis=0))
    print(
        f"  {label:<14} a {1e6 * line.a:8.1f} us   b {1e9 * line.b:8.2f} ns "
        f"({1e9 * line.low:.2f}..{1e9 * line.high:.2f})   R2 {line.r2:6.3f}   medians {shown} us",
        flush=True,
    )


def reading_rate(decoder: Decoder, label: str, plan: Plan) -> None:
    """Part c: one line with every length."""
    cells = []
    for length in plan.lengths:
        prompt = prompts(decoder.config, 1, length)
        cache = Cache(decoder.config, 1, length)

        def read(cache: Cache = cache, prompt: list[list[int]] = prompt) -> None:
            cache.length = 0
            decoder.prefill(prompt, cache)

        read()
        times = interleaved([read], plan.passes)[:, 0]
        cells.append(f"{length}: {spread(length / times)}")
    print(f"  {label:<14} " + "   ".join(cells), flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", default="mini,cosyvoice2", help="presets (mini,cosyvoice2)")
    parser.add_argument("--parts", default="abc", help="which of a, b and c (abc)")
    parser.add_argument("--ratios", help="of b and c (teacher, 1:1 to 1:11, Mamba-2 alone)")
    for field in Plan._fields:
        several = isinstance(getattr(PLANS["mini"], field), list)
        parser.add_argument(f"--{field}", type=numbers if several else int, help="see PLANS")
    return parser.parse_args()


def main() -> None:
    """Print the three parts for every size."""
    given = arguments()
    print(header())
    overrides = {f: getattr(given, f) for f in Plan._fields if getattr(given, f) is not None}
    ratios = given.ratios.split(",") if given.ratios else [*RATIOS, PURE_MAMBA]
    for size in given.sizes.split(","):
        plan = PLANS[size]._replace(**overrides)
        if "a" in given.parts:
            for ratio in (TEACHER, "1:1"):
                print(f"{size}, {name(ratio)}: cached decoding against recomputation")
                cached_against_none(build(shape(size, ratio)), plan)
        parts = {"b": cost_of_context, "c": reading_rate}
        titles = {
            "b": f"a step by context {plan.contexts}, {plan.rounds} rounds of {plan.steps} steps",
            "c": "prefill, tokens a second by length",
        }
        for part in (part for part in parts if part in given.parts):
            print(f"{size}: {titles[part]}")
            for ratio in ratios:
                parts[part](build(shape(size, ratio)), name(ratio), plan)


if __name__ == "__main__":
    main()
