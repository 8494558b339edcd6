"""The decoder on a CUDA device: kernels against their twin, graphs against steps, tokens a second.

    nox -s bench_gpu    or    python benchmarks/gpu_decoding.py [--dtype bf16]

1. Fused kernels against the twin: values of each operation and of a whole decoder (errors from the
   twin in float32; fused kernels may use TF32 in their products), and speed.
2. Whole generations with CUDA graphs and without, captures included: same tokens, tokens a second.
3. Tokens a second by layout, batch and context, steps alone, from graphs already captured.

Lines are printed and written to ``results/gpu-decoding-DEVICE.txt``. What fails is a line too, and
the rest goes on. ``--device cpu --size mini --quick`` tries the script without a device: twin
against twin, no graphs, and no file unless ``--output`` names one.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

import torch
from _gpu_bench import PASSES, Bench
from _gpu_kernels import compare_decoders, compare_kernels
from _models import RATIOS, name, numbers, prompts
from torch import Tensor

from mamtra_eval import provenance
from mamtra_eval.models.cache import Cache
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.generate import DecodingConfig, Item, generate
from mamtra_eval.models.graphs import Graphs
from mamtra_eval.models.kernels import choose
from mamtra_eval.models.sampling import Sampler, SamplerConfig
from mamtra_eval.models.stepping import Stepper

GREEDY = SamplerConfig(kind="greedy")
WARM_UP = 5


def header(bench: Bench) -> None:
    """Machine and versions."""
    machine = provenance.collect()
    device = "cpu"
    if bench.cuda:
        major, minor = torch.cuda.get_device_capability()
        device = f"{torch.cuda.get_device_name()} (sm_{major}{minor}), CUDA {torch.version.cuda}"
    bench.say(f"{device}; {machine['processor']}, {machine['cores']} cores")
    bench.say(
        f"Python {machine['python']}, torch {torch.__version__}, {bench.given.size}, weights and "
        f"caches {bench.given.dtype}, kernels auto: {choose('auto', bench.device).description}"
    )


def compare_graphs(bench: Bench) -> None:
    """Part 2."""
    bench.say("2. whole generations, with CUDA graphs and without")
    if not bench.cuda:
        bench.say("  left out: graphs need a CUDA device")
    tokens = 8 if bench.given.quick else 128
    choices = (False, True) if bench.cuda else (False,)
    for ratio in ("1:0", "1:1"):
        decoder = bench.decoder(ratio)
        for batch in bench.given.batches[:2]:
            items = [
                Item(prompt, minimum=tokens, maximum=tokens)
                for prompt in prompts(decoder.config, batch, 32)
            ]

            def told(items: list[Item] = items, decoder: Decoder = decoder) -> str:
                kinds = {
                    graphs: DecodingConfig(GREEDY, bench.dtype, bench.dtype, graphs)
                    for graphs in choices
                }
                made = [generate(decoder, items, kind) for kind in kinds.values()]
                rates = {
                    graphs: len(items) * tokens
                    / bench.seconds(lambda kind=kind: generate(decoder, items, kind), 1)
                    for graphs, kind in kinds.items()
                }  # fmt: skip
                cells = [f"{'graphs' if g else 'eager'} {rate:.0f} tok/s" for g, rate in
                         rates.items()]  # fmt: skip
                return f"{', '.join(cells)}, same tokens: {made[0] == made[-1]}"

            bench.attempt(f"{name(ratio)}, batch {batch}", told)


@torch.inference_mode()
def steady(bench: Bench, decoder: Decoder, batch: int, context: int) -> str:
    """Tokens a second after ``context`` tokens (zeros in the cache), steps alone."""
    total = WARM_UP + PASSES * bench.steps + PASSES + 1
    cache = Cache(
        decoder.config, batch, context + total, device=bench.device,
        kv_dtype=bench.dtype, state_dtype=bench.dtype,
    )  # fmt: skip
    cache.length = context
    sampler = Sampler(
        GREEDY, [0] * batch, [0] * batch, total, decoder.config.eos, bench.device
    )  # fmt: skip
    last = torch.zeros(batch, dtype=torch.int64, device=bench.device)
    if bench.cuda:
        replay = Graphs(decoder, cache, sampler).replay
    else:
        stepper = Stepper(decoder)

        def replay(ids: Tensor) -> Tensor:
            return sampler.draw(stepper.advance(ids, cache, masked=False))

    def step() -> None:
        nonlocal last
        last = replay(last)

    for _ in range(WARM_UP):
        step()
    taken = bench.seconds(step, bench.steps)
    size = (cache.kv_bytes + cache.state_bytes) / 2**20
    return f"{batch / taken:9.0f} tok/s   {1e3 * taken:7.3f} ms a step   cache {size:.1f} MiB"


def rates(bench: Bench) -> None:
    """Part 3."""
    bench.say(f"3. steps alone, {'graphs' if bench.cuda else 'eager'}")
    for ratio in RATIOS:
        decoder = bench.decoder(ratio)
        for batch in bench.given.batches:
            for context in bench.given.contexts:
                told = partial(steady, bench, decoder, batch, context)
                bench.attempt(f"{name(ratio)}, batch {batch}, context {context}", told)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a trial (cuda)")
    parser.add_argument("--size", default="cosyvoice2", help="a preset (cosyvoice2)")
    parser.add_argument("--dtype", default="bf16", help="of weights and caches (bf16)")
    parser.add_argument("--batches", type=numbers, help="batch sizes (1,4,16,64)")
    parser.add_argument("--contexts", type=numbers, help="tokens in the cache (256,1024,4096)")
    parser.add_argument("--quick", action="store_true", help="a trial with few steps")
    parser.add_argument("--output", type=Path, help="file for the lines (results/…)")
    given = parser.parse_args()
    given.batches = given.batches or ([1, 2] if given.quick else [1, 4, 16, 64])
    given.contexts = given.contexts or ([16, 32] if given.quick else [256, 1024, 4096])
    return given


def main() -> None:
    """Measure the three parts; exits with a message where there is no CUDA device."""
    given = arguments()
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit(
            "no CUDA device here (torch sees none): nothing was measured. "
            "--device cpu --size mini --quick tries the script."
        )
    bench = Bench(given)
    header(bench)
    for part in (compare_kernels, compare_decoders, compare_graphs, rates):
        try:
            part(bench)
        except Exception as failure:  # the other parts go on
            bench.say(f"{part.__name__} failed: {type(failure).__name__}: {failure}")


if __name__ == "__main__":
    main()
