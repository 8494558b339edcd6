"""Paired comparisons: is a difference more than noise, and among many systems, whose?

The sign-flip permutation test asks how often the mean of the utterances' differences would be as
far from zero if each could as well have come out the other way round. It needs no distribution:
skewed error rates with a few runaway utterances are what it is for. Holm's method corrects for the
number of comparisons. ``tie_groups`` puts systems that can't be told apart into common groups.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from mamtra_eval.statistics.bootstrap import Array

EXACT = 16
"""Up to so many differences that are not zero, all 2^n sign patterns are gone through."""
CHUNK = 2_000_000
"""Signs held at a time."""


def sign_flip_p(differences: npt.ArrayLike, *, flips: int = 10_000, seed: int = 0) -> float:
    """Two-sided p of the mean difference being zero, by flipping signs.

    Args:
        differences: shape (n,), one an utterance; zeros change nothing.
        flips: random patterns where there are too many for all; the p is then (k + 1) / (B + 1),
            which keeps the test's level exact (Phipson & Smyth, 2010).
        seed: of the random patterns.

    Raises:
        ValueError: for values that are not finite.
    """
    values = np.asarray(differences, dtype=np.float64).ravel()
    if not np.isfinite(values).all():
        raise ValueError("differences must be finite: leave out utterances that one side lacks")
    values = values[values != 0]
    if len(values) == 0:
        return 1.0
    reached = abs(values.sum()) * (1 - 1e-12)  # sums that are equal but for rounding count
    if len(values) <= EXACT:
        patterns = (np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1
        return float(np.mean(np.abs((2.0 * patterns - 1.0) @ values) >= reached))
    rng = np.random.default_rng(seed)
    step, beyond = max(1, CHUNK // len(values)), 0
    for start in range(0, flips, step):
        size = min(step, flips - start)
        signs = 2.0 * rng.integers(2, size=(size, len(values)), dtype=np.int8) - 1.0
        beyond += int(np.sum(np.abs(signs @ values) >= reached))
    return (beyond + 1) / (flips + 1)


def holm(p_values: Sequence[float]) -> Array:
    """P-values adjusted by Holm's step-down method (1979): the chance of any false alarm stays.

    Returns:
        shape (m,), in the order given, at most 1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def tie_groups(
    ranking: Sequence[Hashable], differs: Mapping[frozenset[Hashable], bool]
) -> dict[Hashable, str]:
    """Letters for a ranking: two systems share a letter if nothing tells them apart.

    Each letter stands for a stretch of the ranking, as long as possible, within which no pair
    differs. (Stretches, since a ranking is read from the top: where the second and the fourth can't
    be told apart but the third differs from one of them, the stretch ends there.)

    Args:
        ranking: systems, the best first.
        differs: by pair, whether they are told apart; a pair that is absent is not.

    Returns:
        letters by system, ``a`` with the best; a system may have several.
    """
    stretches: list[tuple[int, int]] = []
    for start in range(len(ranking)):
        end = start + 1
        while end < len(ranking) and not any(
            differs.get(frozenset((ranking[end], other)), False) for other in ranking[start:end]
        ):
            end += 1
        if not stretches or end > stretches[-1][1]:
            stretches.append((start, end))
    letters: dict[Hashable, str] = dict.fromkeys(ranking, "")
    for number, (start, end) in enumerate(stretches):
        for system in ranking[start:end]:
            letters[system] += _letter(number)
    return letters


def _letter(number: int) -> str:
    """A … z, then a2 … z2 and so on."""
    round_, place = divmod(number, 26)
    return chr(ord("a") + place) + (str(round_ + 1) if round_ else "")
