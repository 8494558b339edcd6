"""Paired comparisons: is a difference more than noise, and among many systems, whose?

The sign-flip permutation test asks how often the mean of the utterances' differences would be as
far from zero if each could as well have come out the other way round. It needs no distribution:
skewed error rates with a few runaway utterances are what it is for. Holm's method corrects for the
number of comparisons. ``tie_groups`` puts systems that can't be told apart into common groups.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from mamtra_eval.statistics.bootstrap import Array

System = TypeVar("System", bound=Hashable)
EXACT = 16
"""Up to so many differences that are not zero, all 2^n sign patterns are gone through."""
CHUNK = 2_000_000
"""Signs held at a time."""


def sign_flip_p(differences: npt.ArrayLike, *, flips: int = 10_000, seed: int = 0) -> float:
    """Two-sided p of the mean difference being zero; (n,), one difference an utterance."""
    column = np.asarray(differences, dtype=np.float64).ravel()[:, None]
    return float(sign_flip_ps(column, flips=flips, seed=seed)[0])


def sign_flip_ps(differences: npt.ArrayLike, *, flips: int = 10_000, seed: int = 0) -> Array:
    """Two-sided p of each mean difference being zero, by flipping the signs of utterances.

    Args:
        differences: shape (n, m), one row an utterance, one column a comparison; zero where a
            comparison lacks the utterance, which changes nothing.
        flips: random patterns, the same for all columns, where a column has too many differences
            to go through all; the p is then (k + 1) / (B + 1), which keeps the test's level exact
            (Phipson & Smyth, 2010).
        seed: of the random patterns.

    Returns:
        shape (m,).

    Raises:
        ValueError: for values that are not finite.
    """
    table = np.asarray(differences, dtype=np.float64)
    if not np.isfinite(table).all():
        raise ValueError("differences must be finite: leave out utterances that one side lacks")
    found = np.ones(table.shape[1])
    many = []
    for column, values in enumerate(table.T):
        own = values[values != 0]
        if len(own) > EXACT:
            many.append(column)
        elif len(own):
            found[column] = _exact_p(own)
    if many:
        found[many] = _random_ps(table[:, many], flips, seed)
    return found


def _exact_p(values: Array) -> float:
    patterns = (np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1
    return float(np.mean(np.abs((2.0 * patterns - 1.0) @ values) >= _reached(values)))


def _random_ps(table: Array, flips: int, seed: int) -> Array:
    table = table[np.any(table != 0, axis=1)]
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK // len(table))
    beyond = np.zeros(table.shape[1])
    for start in range(0, flips, step):
        size = (min(step, flips - start), len(table))
        signs = 2.0 * rng.integers(2, size=size, dtype=np.int8) - 1.0
        beyond += np.sum(np.abs(signs @ table) >= _reached(table), axis=0)
    return (beyond + 1) / (flips + 1)


def _reached(values: Array) -> Array:
    """What a flipped sum must reach; sums that are equal but for rounding do."""
    return np.asarray(np.abs(values.sum(axis=0)) * (1 - 1e-12))


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
    ranking: Sequence[System], differs: Mapping[frozenset[System], bool]
) -> dict[System, str]:
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
    letters: dict[System, str] = dict.fromkeys(ranking, "")
    for number, (start, end) in enumerate(stretches):
        for system in ranking[start:end]:
            letters[system] += _letter(number)
    return letters


def _letter(number: int) -> str:
    """A … z, then a2 … z2 and so on."""
    round_, place = divmod(number, 26)
    return chr(ord("a") + place) + (str(round_ + 1) if round_ else "")
