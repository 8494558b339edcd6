"""Scoring in batches or half precision against strict scoring: a sample is measured both ways.

``mode: fast`` takes clips in batches and, on a CUDA device, some networks in half precision; a
recipe or a user may ask for the same. What that changes is not assumed but measured: after scoring,
clips chosen by hash (as many of every system) are measured again one at a time in single precision.
How many readings differ, by how much at most, and what the figure is on the sample either way, is
kept in the run and told in its notes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mamtra_eval.metrics import Metric, Reading
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
    metric: Metric, fast: Mapping[ClipKey, Reading | str], strict: Mapping[ClipKey, Reading | str]
) -> dict[str, Any]:
    """How readings of the same clips agree, as plain values.

    Args:
        metric: whose readings they are.
        fast: by clip, a reading or why there is none.
        strict: of the same clips, likewise.

    Returns:
        ``n`` clips measured both ways, of ``n_sampled``; ``n_failed_fast`` and ``n_failed_strict``;
        ``n_differing`` readings with another count, and ``differing_at_most``, the upper end of the
        95 % interval of their share (Wilson); ``figure``, the first of the metric, with its mean
        over the sample (``fast``, ``strict``) and ``largest_difference``; ``examples`` of
        transcripts that differ.
    """
    pairs = {
        key: (one, other)
        for key in sorted(fast)
        if isinstance(one := fast[key], Reading) and isinstance(other := strict.get(key), Reading)
    }
    figure, n = metric.figures[0], len(pairs)
    ratios = [
        (figure.ratio(one) or 0.0, figure.ratio(other) or 0.0) for one, other in pairs.values()
    ]
    differing = sum(one.counts != other.counts for one, other in pairs.values())
    flips = [
        {
            "system": key.system, "utterance": key.utterance, "repeat": key.repeat,
            "fast": one.evidence["transcript"], "strict": other.evidence["transcript"],
        }
        for key, (one, other) in pairs.items()
        if one.evidence.get("transcript") != other.evidence.get("transcript")
    ]  # fmt: skip
    return {
        "n": n,
        "n_sampled": len(fast),
        "n_failed_fast": sum(isinstance(one, str) for one in fast.values()),
        "n_failed_strict": sum(not isinstance(strict.get(key), Reading) for key in fast),
        "n_differing": differing,
        "differing_at_most": _wilson_upper(differing, n) if n else None,
        "n_transcripts_differing": len(flips),
        "figure": figure.name,
        "unit": figure.unit,
        "fast": math.fsum(one for one, _ in ratios) / n if n else None,
        "strict": math.fsum(other for _, other in ratios) / n if n else None,
        "largest_difference": max((abs(one - other) for one, other in ratios), default=None),
        "examples": flips[:10],
    }


def pool(found: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The comparisons of several parts of a run as one: each has drawn a sample of its own.

    Args:
        found: of each part, by metric, what ``compare`` gave.
    """
    names = dict.fromkeys(name for part in found for name in part)
    return {name: _pooled([part[name] for part in found if name in part]) for name in names}


def _pooled(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    added = ("n", "n_sampled", "n_failed_fast", "n_failed_strict", "n_differing",
             "n_transcripts_differing")  # fmt: skip
    counts = {key: sum(result[key] for result in results) for key in added}
    n = counts["n"]

    def mean(key: str) -> float | None:
        return math.fsum(one["n"] * one[key] for one in results if one["n"]) / n if n else None

    largest = (one["largest_difference"] for one in results if one["n"])
    return {
        **counts,
        "differing_at_most": _wilson_upper(counts["n_differing"], n) if n else None,
        "figure": results[0]["figure"],
        "unit": results[0]["unit"],
        "fast": mean("fast"),
        "strict": mean("strict"),
        "largest_difference": max(largest, default=None),
        "examples": [example for result in results for example in result["examples"]][:10],
    }


def note(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The comparison of all metrics as a sentence or two."""
    return (
        "Scored in batches or in half precision. A sample was measured again one clip at a time in "
        f"single precision. {'. '.join(_told(name, result) for name, result in found.items())}."
    )


def _told(name: str, result: Mapping[str, Any]) -> str:
    n, sampled = result["n"], result["n_sampled"]
    failed = ""
    if n < sampled:
        failed = (
            f" ({sampled} sampled, {result['n_failed_fast']} without a reading before, "
            f"{result['n_failed_strict']} without one now)"
        )
    if not n:
        return f"{name}: no clip could be measured both ways{failed}"
    return (
        f"{name}: {result['n_differing']} of {n} readings differ{failed}, by at most "
        f"{result['largest_difference']:.2g}; in all at most "
        f"{100 * result['differing_at_most']:.1f} % do (95 %); {result['figure']} "
        f"{result['fast']:.6g} so, {result['strict']:.6g} strictly"
    )


def _wilson_upper(k: int, n: int, z: float = 1.96) -> float:
    """Upper end of Wilson's interval of a share k / n."""
    share, square = k / n, z * z
    centre = share + square / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return min(1.0, (centre + spread) / (1 + square / n))
