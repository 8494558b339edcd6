"""Where two means lie together: the ellipse that covers both at once (Hotelling, 1931).

An interval a figure says nothing of how two figures go together. Two means over the same utterances
have a joint region, an ellipse along the way in which they vary together; at 95 % it is about 1.25
times as wide as either interval alone, because it covers both.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import fdtri

from mamtra_eval.statistics.bootstrap import clustered


class Ellipse(NamedTuple):
    """A region of two means.

    Attributes:
        x, y: the means.
        major, minor: half axes.
        angle: of the major axis against the x axis, degrees, counter-clockwise, above -90 to 90.
    """

    x: float
    y: float
    major: float
    minor: float
    angle: float


def of_means(
    values: npt.ArrayLike, level: float = 0.95, clusters: npt.ArrayLike | None = None
) -> Ellipse | None:
    """The region of two means.

    Args:
        values: shape (n, 2), one row an utterance.
        level: probability that the region shall cover.
        clusters: shape (n,): number of each row's speaker, where speakers are what is drawn.

    Returns:
        ``None`` for fewer than three units, which span no region.
    """
    table = np.asarray(values, dtype=np.float64)
    if len(table) < 3:
        return None
    centre = table.mean(axis=0)
    moved = (table - centre) / len(table)
    if clusters is not None:
        moved = clustered(moved, np.asarray(clusters))
    n = len(moved)
    if n < 3:
        return None
    covariance = n / (n - 1) * moved.T @ moved
    reach = 2 * (n - 1) / (n - 2) * float(fdtri(2, n - 2, level))
    sizes, axes = np.linalg.eigh(covariance)
    minor, major = np.sqrt(np.maximum(sizes, 0.0) * reach)
    angle = math.degrees(math.atan2(axes[1, 1], axes[0, 1]))
    angle -= 180 * math.ceil((angle - 90) / 180)
    return Ellipse(float(centre[0]), float(centre[1]), float(major), float(minor), angle)
