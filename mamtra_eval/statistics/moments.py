"""Variance components of crossed random effects from unbalanced data, by the method of moments.

A value is a sum of a fixed effect of its group (such as a system) and of random effects of labels
that it shares with others (rater, item, both with the system), and a residual::

    y = fixed + Σ_k u_k[label] + e

With d the values less the means of their groups, the sum over a label's values of d, squared and
summed over the labels, is a quadratic form whose expectation is linear in the variances. So is
Σ d². As many forms as variances, solved, give unbiased estimates for any design and any
distribution; the coefficients are exact, with what is lost by estimating the means. This is
MINQUE with a prior of the residual alone (Rao, 1971; Searle, Casella & McCulloch, Variance
Components, 1992, section 11.3), and on complete tables the analysis of variance. In other words:
products of the deviations of two votes are averaged by what the votes share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array, identity

from mamtra_eval.statistics.bootstrap import Array

Codes: TypeAlias = npt.NDArray[np.int64]
RESIDUAL = "residual"


def codes(labels: npt.ArrayLike) -> tuple[int, Codes]:
    """Number of distinct labels, and each place's label as a number from 0."""
    names, index = np.unique(np.asarray(labels), return_inverse=True)
    return len(names), index.astype(np.int64).ravel()


def joined(one: npt.ArrayLike, other: npt.ArrayLike) -> Codes:
    """Labels of the pairs of two labels, numbered from 0 without gaps."""
    width, second = codes(other)
    return codes(codes(one)[1] * width + second)[1]


def variances(
    values: npt.ArrayLike, fixed: npt.ArrayLike, effects: Mapping[str, npt.ArrayLike]
) -> dict[str, float]:
    """Variances of the random effects and of the residual.

    Args:
        values: shape (n,).
        fixed: shape (n,), labels of the groups whose means are fixed; all alike for one mean.
        effects: labels, shape (n,), of each random effect, by its name.

    Returns:
        by name, in the square of the values' unit, unbiased, so perhaps negative; with the name
        ``residual`` for what is left.

    Raises:
        ValueError: for shapes that don't fit, values that are not finite, or a design that can't
            tell the components apart.
    """
    y = np.asarray(values, dtype=np.float64)
    labels = [fixed, *effects.values()]
    if y.ndim != 1 or any(np.shape(one) != y.shape for one in labels) or len(y) == 0:
        raise ValueError(f"need arrays of one shape (n,) with n > 0, not {y.shape} and others")
    if not np.isfinite(y).all():
        raise ValueError("values must be finite")
    group = _indicator(fixed)
    sizes = np.asarray(group.sum(axis=0)).ravel()
    deviations = y - group @ ((group.T @ y) / sizes)
    names = [*effects, RESIDUAL]
    indicators = [_indicator(one) for one in effects.values()]
    indicators.append(csr_array(identity(len(y), format="csr")))
    forms = np.array([float(np.sum((one.T @ deviations) ** 2)) for one in indicators])
    coefficients = _coefficients(indicators, group, sizes)
    scale = np.sqrt(np.diag(coefficients))
    if (scale == 0).any() or np.linalg.matrix_rank(
        coefficients / np.outer(scale, scale), tol=1e-9
    ) < len(names):
        raise ValueError(
            f"the design can't tell apart the variances of {', '.join(names)}: each label of an "
            "effect needs values in several labels of the others"
        )
    solved = np.linalg.solve(coefficients / np.outer(scale, scale), forms / scale) / scale
    return dict(zip(names, map(float, solved), strict=True))


def _indicator(labels: npt.ArrayLike) -> csr_array:
    """Ones at (value, its label): (n, G)."""
    count, index = codes(labels)
    n = len(index)
    return csr_array(coo_array((np.ones(n), (np.arange(n), index)), shape=(n, count)))


def _coefficients(indicators: list[csr_array], group: csr_array, sizes: Array) -> Array:
    """Of each variance (column) in the expectation of each form (row).

    For effects k and l it is the sum of squares of Z_k' M Z_l, where M takes out the groups' means:
    Z_k' Z_l less a product of low rank, so that nothing of the size labels × labels is held.
    """
    within = [np.asarray((one.T @ group).todense()) for one in indicators]
    squared = [one.T @ one / sizes[:, None] for one in within]
    found = np.zeros((len(indicators), len(indicators)))
    for k, one in enumerate(indicators):
        for m in range(k, len(indicators)):
            shared = coo_array(one.T @ indicators[m])
            rows, columns = shared.coords
            projected = np.sum(within[k][rows] / sizes * within[m][columns], axis=1)
            found[k, m] = found[m, k] = float(
                np.sum(shared.data**2)
                - 2 * np.sum(shared.data * projected)
                + np.sum(squared[k] * squared[m].T)
            )
    return found
