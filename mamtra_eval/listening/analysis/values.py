"""What the parts of an analysis share: its settings, intervals that may be undefined, plain values.

A figure that the votes don't define is ``None``, an interval without ends has ``None`` for them,
and a ``reasons`` beside it says why. An interval of no width (all ratings equal, or differences
that cancel exactly) is undefined too: it would claim a certainty that nothing supports.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from mamtra_eval.listening.analysis.votes import Vote, crossed
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.statistics import paired
from mamtra_eval.statistics.bootstrap import Estimate
from mamtra_eval.statistics.crossed import two_way

Found = TypeVar("Found")
JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"
NARROWEST = 1e-9
"""Width below which an interval is none."""


@dataclass(frozen=True)
class Settings:
    """What was settled before the ratings, from the manifest.

    Attributes:
        level: of all intervals.
        baseline: system that the others are compared with; ``None`` without one.
        margin: within which two systems are called equivalent; ``None`` where none was declared.
        resamples: of the pigeonhole bootstrap and of draws of raters.
        seed: of everything that is drawn.
    """

    level: float
    baseline: str | None
    margin: float | None
    resamples: int
    seed: int

    @classmethod
    def of(cls, bundle: Bundle) -> Settings:
        """Those of a bundle."""
        found: Mapping[str, Any] = bundle.manifest["analysis"]
        return cls(found["level"], found["baseline"], found["margin"], found["resamples"],
                   found["seed"])  # fmt: skip


def with_width(estimate: Estimate) -> Estimate:
    """The estimate; without ends where they fall together."""
    if estimate.low is None or estimate.high is None:
        return Estimate(estimate.value, None, None)
    if not estimate.high - estimate.low > NARROWEST:
        return Estimate(estimate.value, None, None)
    return estimate


def mean(votes: Sequence[Vote], level: float) -> Estimate | None:
    """Mean with its two-way clustered interval; ``None`` without votes."""
    return with_width(two_way(*crossed(votes), level=level)) if votes else None


def why_no_interval(votes: Sequence[Vote]) -> str | None:
    """Why these votes give no interval; ``None`` where they do, or there is none at all."""
    raters, items = {vote.rater for vote in votes}, {vote.item for vote in votes}
    if len(raters) == 1:
        return "no interval: one rater; at least two are needed"
    if len(items) == 1:
        return "no interval: one item; at least two are needed"
    if len(votes) > 1 and np.ptp([vote.rating for vote in votes]) == 0:
        return "no interval: all ratings are equal, so that nothing tells of their spread"
    return None


def holm(found: Sequence[float | None]) -> list[float | None]:
    """P-values corrected by Holm's method over those that there are."""
    there = [place for place, p in enumerate(found) if p is not None]
    corrected: list[float | None] = [None] * len(found)
    for place, p in zip(there, paired.holm([p for p in found if p is not None]), strict=True):
        corrected[place] = float(p)
    return corrected


def signed_ranks(values: npt.ArrayLike) -> float | None:
    """Two-sided p of Wilcoxon's signed ranks; ``None`` where all values are zero.

    Ranks of the values without their signs, whose signs are then flipped: ties need no correction.
    """
    from scipy.stats import rankdata

    apart = np.round(np.asarray(values, dtype=np.float64), 12)  # rounding noise is no difference
    apart = apart[apart != 0]
    return paired.sign_flip_p(np.sign(apart) * rankdata(np.abs(apart))) if len(apart) else None


def attempt(compute: Callable[[], Found | None]) -> tuple[Found | None, str]:
    """What a statistic gives, and where that is nothing, why it is not defined."""
    try:
        found = compute()
    except ValueError as error:
        return None, f"not defined: {error}"
    return found, "" if found is not None else "not defined: too few ratings, or no spread"


def plain(value: object) -> JsonValue:
    """Dataclasses, named tuples, arrays and mappings as JSON values; what is not finite as None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if hasattr(value, "_asdict"):
        return {name: plain(one) for name, one in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, int) else str(value)
