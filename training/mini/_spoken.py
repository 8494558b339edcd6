"""What the systems of a run scored, utterance by utterance: arrays for the tables of the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from mamtra_eval.metrics import Reading
from mamtra_eval.reader import RunReader
from mamtra_eval.results import collect
from mamtra_eval.statistics.bootstrap import Estimate, interval, resample

Array = npt.NDArray[np.float64]


def by_utterance(run: Path, figure: str) -> dict[str, Array]:
    """A mean's values of each system, shape (utterances,), in list order; repeats are averaged.

    Raises:
        SystemExit: for a clip without a reading: these tables have no room for gaps.
    """
    with RunReader(run) as store:
        results = collect(store)
    metric, asked = next((m, f) for m, f in results.figures if f.name == figure)
    found: dict[str, dict[str, list[float]]] = {}
    for clip in results.clips:
        reading = results.readings.get((clip.key, metric.name))
        if not isinstance(reading, Reading):
            raise SystemExit(f"{run}: {clip.key} has no {metric.name}")
        below = reading.counts[asked.denominator] if asked.denominator else 1.0
        value = reading.counts[asked.numerator] / below
        found.setdefault(clip.key.system, {}).setdefault(clip.key.utterance, []).append(value)
    return {
        system: np.array([np.mean(values[utterance]) for utterance in results.utterances])
        for system, values in found.items()
    }


def estimate(values: Array) -> Estimate:
    """Mean with its 95 % bootstrap interval; give differences for a paired one."""
    return interval(resample(values[:, None])[:, 0] / len(values), len(values))


def shown(found: Estimate, *, percent: bool = True, sign: bool = False) -> str:
    """Such as ``9.1 % [7.6, 10.6]`` or ``+0.9 pt [-0.1, +1.8]``."""
    scale, form, unit = (100, "+.1f" if sign else ".1f", " pt" if sign else " %")
    if not percent:
        scale, form, unit = (1, "+.3f" if sign else ".3f", "")
    value, low, high = (
        "–" if x is None else f"{scale * x:{form}}".replace("-", "−") for x in found
    )
    return f"{value}{unit} [{low}, {high}]"
