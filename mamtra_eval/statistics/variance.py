"""Where a figure's noise comes from: texts, synthesis seeds, recognisers.

Utterances u are spoken r times each, every time with another seed, and every clip is read by the
same recognisers k. A reading is then a sum of random effects, repeats nested in utterances and
recognisers crossed with both::

    y_urk = mean + U_u + S_r(u) + K_k + UK_uk + e_urk

Their variances are estimated by analysis of variance: each mean square is set equal to its
expectation and the equations are solved (method of moments; Searle, Casella & McCulloch, Variance
Components, 1992, chapter 4). With a utterances, b repeats and c recognisers the expectations are::

    residual                    e
    recogniser by utterance     e + b UK
    recogniser                  e + b UK + ab K
    seed                        e        + c S
    utterance                   e + b UK + c S + bc U

Estimates are unbiased, so that one of a small variance may come out negative. It is then taken for
zero; ``Split.raw`` keeps it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mamtra_eval.statistics.bootstrap import Array


@dataclass(frozen=True)
class Split:
    """Variances of a reading, in the square of the figure's unit, at least 0.

    What the design can't separate is in the component above it, and ``None`` below: without
    repeats ``utterance`` holds the seed too and ``recogniser_by_utterance`` the residual; with one
    recogniser ``utterance`` and ``seed`` hold what recognisers add. So ``of_mean`` never promises
    more of repeats or recognisers than was seen.

    Attributes:
        utterance: between texts (and their prompts), whoever speaks and reads.
        seed: between repeats of a text, whoever reads.
        recogniser: between recognisers over all clips: one hears worse than another throughout.
        recogniser_by_utterance: recognisers' disagreement on a text, in all of its clips.
        residual: recognisers' disagreement on a clip.
        raw: the same as estimated, some perhaps negative, by name; without those that are ``None``.
    """

    utterance: float
    seed: float | None
    recogniser: float | None
    recogniser_by_utterance: float | None
    residual: float | None
    raw: Mapping[str, float]

    def of_mean(self, utterances: float, repeats: int = 1, recognisers: int = 1) -> float:
        """Standard error of the mean over so many of each, in the figure's unit.

        Recognisers' fixed shift is left out: it is no noise of this mean, whose figure is that of
        these recognisers, and it is the same for every system that they read, so that it is gone
        from differences. More utterances would not lessen it.
        """
        by_utterance = (self.recogniser_by_utterance or 0.0) + (self.residual or 0.0) / repeats
        own = self.utterance + (self.seed or 0.0) / repeats + by_utterance / recognisers
        return math.sqrt(own / utterances)

    def shares(self) -> dict[str, float]:
        """Each component's share of a single reading's variance; 0 where nothing varies."""
        found = {name: max(0.0, variance) for name, variance in self.raw.items()}
        total = sum(found.values())
        return {name: one / total if total > 0 else 0.0 for name, one in found.items()}


def split(values: npt.ArrayLike) -> Split:
    """Variance components of readings.

    Args:
        values: shape (utterances, repeats, recognisers), nothing missing, at least two utterances;
            axes of one are components that can't be told.

    Raises:
        ValueError: for another shape, or values that are not finite.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 3 or 0 in table.shape or len(table) < 2:
        raise ValueError(
            "need values (utterances, repeats, recognisers) of at least two utterances, "
            f"not {table.shape}"
        )
    if not np.isfinite(table).all():
        raise ValueError("values must be finite: take utterances that have all repeats and readers")
    raw = _components(table)
    kept = {name: max(0.0, variance) for name, variance in raw.items()}
    return Split(
        kept["utterance"],
        kept.get("seed"),
        kept.get("recogniser"),
        kept.get("recogniser_by_utterance"),
        kept.get("residual"),
        raw,
    )


def _components(table: Array) -> dict[str, float]:
    """The equations of the header, solved; a mean square that the design lacks is 0 in them."""
    a, b, c = table.shape
    table = table - table[0, 0, 0]  # so that equal readings have no variance to the last digit
    clip, pair = table.mean(axis=2, keepdims=True), table.mean(axis=1, keepdims=True)
    utterance = clip.mean(axis=1, keepdims=True)
    recogniser, grand = pair.mean(axis=0, keepdims=True), table.mean()
    of_utterance = _mean_square(utterance - grand, b * c, a - 1)
    of_seed = _mean_square(clip - utterance, c, a * (b - 1))
    of_recogniser = _mean_square(recogniser - grand, a * b, c - 1)
    of_pair = _mean_square(pair - utterance - recogniser + grand, b, (a - 1) * (c - 1))
    rest = _mean_square(table - clip - pair + utterance, 1, a * (b - 1) * (c - 1))
    found = {"utterance": (of_utterance - of_seed - of_pair + rest) / (b * c)}
    if b > 1:
        found["seed"] = (of_seed - rest) / c
    if c > 1:
        found["recogniser"] = (of_recogniser - of_pair) / (a * b)
        found["recogniser_by_utterance"] = (of_pair - rest) / b
    if b > 1 and c > 1:
        found["residual"] = rest
    return found


def _mean_square(effects: Array, times: int, free: int) -> float:
    """Of effects that stand for so many readings each; 0 without degrees of freedom."""
    return times * float(np.sum(effects**2)) / free if free > 0 else 0.0
