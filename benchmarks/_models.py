"""What the benchmarks of the decoder share: models with random weights, timing, one header.

Speed does not depend on what the weights are, so they are drawn, not trained. The head's bias and
its rows for the three stops are zero: a greedy choice among thousands of scores then never stops,
and every item gets the number of tokens that was asked for. There are no text rows.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from mamtra_eval import provenance
from mamtra_eval.models.config import DecoderConfig, preset
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.layout import Ratio, transformer_layers

TEACHER, PURE_MAMBA = "1:0", "0:1"
RATIOS = (TEACHER, "1:1", "1:3", "1:5", "1:11")
"""The teacher and the four published ratios."""


def shape(size: str, ratio: str) -> DecoderConfig:
    """The preset of a size in the layout of a ratio, without text rows."""
    config = replace(preset(size), text_vocabulary=0)
    return config.with_layout(transformer_layers(Ratio.parse(ratio), config.layers))


def name(ratio: str) -> str:
    """What a table calls a ratio."""
    return {TEACHER: "teacher", PURE_MAMBA: "Mamba-2 alone"}.get(ratio, f"hybrid {ratio}")


def build(
    config: DecoderConfig, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Decoder:
    """A decoder with weights drawn from seed 0."""
    torch.manual_seed(0)
    decoder = Decoder(config).eval().requires_grad_(False)
    decoder.head.bias.zero_()
    decoder.head.weight[config.speech_codes :] = 0
    return decoder.to(device, dtype).use("auto")


def prompts(config: DecoderConfig, batch: int, length: int) -> list[list[int]]:
    """Random speech tokens, the same at every call."""
    drawn = np.random.default_rng(0).integers(0, config.speech_codes, (batch, length))
    return [[int(token) for token in row] for row in drawn]


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def interleaved(
    works: Sequence[Callable[[], object]], passes: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Seconds of every work in every pass, (passes, works): A B, A B, … so that drift hits all."""
    return np.array([[seconds(work) for work in works] for _ in range(passes)])


def spread(values: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    """Median with the least and the largest value, ``12.3 (11.9..12.5)``."""
    digits = 2 if max(values) < 100 else 0
    low, mid, high = min(values), statistics.median(values), max(values)
    return f"{mid:.{digits}f} ({low:.{digits}f}..{high:.{digits}f})"


def numbers(text: str) -> list[int]:
    """Read ``1,16``, for argparse."""
    return [int(part) for part in text.split(",")]


def header(*more: str) -> str:
    """Machine and versions in one line."""
    machine = provenance.collect()
    facts = (
        str(machine["processor"]),
        f"{machine['cores']} cores",
        f"{torch.get_num_threads()} threads",
        f"Python {machine['python']}",
        f"torch {torch.__version__}",
        "float32",
        *more,
    )
    return ", ".join(facts)
