"""Fast scoring against strict scoring: a sample of the clips is measured both ways.

``mode: fast`` takes clips in batches and, on a CUDA device, some networks in half precision. What
that changes is not assumed but measured: after scoring, clips chosen by hash (as many of every
system) are measured again one at a time in single precision. How many readings differ, by how much
at most, and what the figure is on the sample either way, is kept in the run and told in its notes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from mamtra_eval.metrics import Figure, Metric, Reading
from mamtra_eval.rows import ClipKey

LEAST, MOST, SHARE = 8, 100, 0.05
"""Size of the sample: a share of the clips, between two numbers."""


def sample(keys: Iterable[ClipKey]) -> list[ClipKey]:
    """The clips to measure again: the same whatever the order, as many of each system."""
    by_system: dict[str, list[ClipKey]] = {}
    for key in keys:
        by_system.setdefault(key.system, []).append(key)
    total = sum(map(len, by_system.values()))
    wanted = max(LEAST, min(MOST, math.ceil(SHARE * total)))
    each = math.ceil(wanted / max(1, len(by_system)))
    return [key for _, own in sorted(by_system.items()) for key in sorted(own, key=_draw)[:each]]


def _draw(key: ClipKey) -> tuple[str, ClipKey]:
    text = f"{key.system}\x1f{key.utterance}\x1f{key.repeat}"
    return hashlib.sha256(text.encode()).hexdigest(), key


def compare(
    metric: Metric, fast: Mapping[ClipKey, Reading], strict: Mapping[ClipKey, Reading]
) -> dict[str, Any]:
    """How readings of the same clips agree, as plain values.

    Returns:
        ``n`` clips measured both ways; ``n_differing`` readings with another count; ``figure``,
        the first of the metric, with its mean over the sample (``fast``, ``strict``) and
        ``largest_difference``; ``examples`` of transcripts that differ.
    """
    keys = sorted(fast.keys() & strict.keys())
    figure = metric.figures[0]
    ratios = [(_ratio(figure, fast[key]), _ratio(figure, strict[key])) for key in keys]
    differing = [key for key in keys if fast[key].counts != strict[key].counts]
    flips = [
        {
            "system": key.system, "utterance": key.utterance, "repeat": key.repeat,
            "fast": fast[key].evidence["transcript"], "strict": strict[key].evidence["transcript"],
        }
        for key in keys
        if fast[key].evidence.get("transcript") != strict[key].evidence.get("transcript")
    ]  # fmt: skip
    n = len(keys)
    return {
        "n": n,
        "n_differing": len(differing),
        "n_transcripts_differing": len(flips),
        "figure": figure.name,
        "unit": figure.unit,
        "fast": math.fsum(one for one, _ in ratios) / n if n else None,
        "strict": math.fsum(other for _, other in ratios) / n if n else None,
        "largest_difference": max((abs(one - other) for one, other in ratios), default=None),
        "examples": flips[:10],
    }


def note(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The comparison of all metrics as a sentence or two."""
    parts = []
    for name, result in found.items():
        if not result["n"]:
            parts.append(f"{name}: no clip could be measured both ways")
            continue
        parts.append(
            f"{name}: {result['n_differing']} of {result['n']} readings differ, by at most "
            f"{result['largest_difference']:.2g}; {result['figure']} {result['fast']:.6g} fast, "
            f"{result['strict']:.6g} strict"
        )
    return (
        "Scored in fast mode (batches; on a GPU half precision where an evaluator has it). A "
        f"sample was measured again one clip at a time in single precision. {'. '.join(parts)}."
    )


def _ratio(figure: Figure, reading: Reading) -> float:
    below = reading.counts[figure.denominator] if figure.denominator else 1.0
    return reading.counts[figure.numerator] / below if below else 0.0
