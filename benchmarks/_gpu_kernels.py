"""Part 1 of the GPU benchmark: the fused kernels against their twin, value and speed."""

from __future__ import annotations

from functools import partial

import torch
from _gpu_bench import Bench
from _kernel_values import Operation, error, operations
from _models import prompts, shape
from torch import Tensor

from mamtra_eval.errors import MissingExtra
from mamtra_eval.models.cache import Cache, dtype
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.kernels import Kernels, TorchKernels, choose


def rival(bench: Bench) -> Kernels | None:
    """The fused kernels; on a CPU another twin; ``None``, and said so, where they are absent."""
    if not bench.cuda:
        return TorchKernels()
    try:
        return choose("fused", bench.device)
    except MissingExtra as missing:
        bench.say(f"left out: fused kernels ({missing})")
        return None


@torch.inference_mode()
def compare_kernels(bench: Bench) -> None:
    """Part 1, operation by operation."""
    fused = rival(bench)
    if fused is None:
        return
    twin = TorchKernels()
    bench.say(f"1. {fused.description} against the twin {twin.description}")
    config = shape(bench.given.size, "0:1")
    for kind in ("fp32", "bf16"):
        for operation in operations(config, bench.device, dtype(kind)):
            _compare(bench, operation, f"{operation.label} {kind}", twin, fused)


def _compare(bench: Bench, operation: Operation, label: str, twin: Kernels, fused: Kernels) -> None:
    """Errors against the twin in float32, and times, of one operation."""
    references = operation.in_float32().values(twin)
    other = "fused" if bench.cuda else "twin again"

    def errors(kernels: Kernels) -> str:
        parts = zip(operation.outputs, operation.values(kernels), references, strict=True)
        return "; ".join(f"{output} {error(found, true)}" for output, found, true in parts)

    def speed() -> str:
        times = [
            bench.seconds(partial(operation.run, kernels), bench.steps) for kernels in (twin, fused)
        ]
        return f"twin {1e6 * times[0]:.1f} us, {other} {1e6 * times[1]:.1f} us"

    if not label.endswith("fp32") and bench.cuda:
        bench.attempt(f"{label}: twin", partial(errors, twin))
    bench.attempt(f"{label}: {other}", partial(errors, fused))
    bench.attempt(f"{label}: speed", speed)


@torch.inference_mode()
def compare_decoders(bench: Bench) -> None:
    """Part 1, a whole hybrid: logits and states of a prefill in each implementation."""
    length = 64 if bench.given.quick else 1024
    other = "torch"
    if bench.cuda and rival(bench) is not None:
        other = "fused"

    def read(decoder: Decoder, kernels: str, of: torch.dtype) -> tuple[Tensor, list[Tensor]]:
        decoder.use(kernels)
        cache = Cache(
            decoder.config, 2, length, device=bench.device, kv_dtype=of, state_dtype=of
        )  # fmt: skip
        logits = decoder.prefill(prompts(decoder.config, 2, length), cache)
        mamba = (cache.layers[index] for index in decoder.config.mamba)
        return logits, [layer[1] for layer in mamba]

    reference, states = read(bench.decoder("1:1", torch.float32), "torch", torch.float32)
    for kind in ("fp32", "bf16"):
        decoder = bench.decoder("1:1", dtype(kind))
        for kernels in dict.fromkeys(("torch", other)):

            def errors(kernels: str = kernels, decoder: Decoder = decoder, kind: str = kind) -> str:
                logits, found = read(decoder, kernels, dtype(kind))
                both = zip(found, states, strict=True)
                worst = max(float((a.float() - b).abs().max() / b.abs().max()) for a, b in both)
                taken = bench.seconds(lambda: read(decoder, kernels, dtype(kind)), 2)
                return (
                    f"logits {error(logits, reference)}; states relative {worst:.2e}; "
                    f"prefill {2 * length / taken:.0f} tok/s"
                )

            bench.attempt(f"decoder 1:1 {kind}, {kernels}", errors)
