"""Joint regions of two means."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mamtra_eval.statistics import region


def _inside(found: region.Ellipse, x: float, y: float) -> bool:
    turn = math.radians(found.angle)
    along = (x - found.x) * math.cos(turn) + (y - found.y) * math.sin(turn)
    across = -(x - found.x) * math.sin(turn) + (y - found.y) * math.cos(turn)
    return (along / found.major) ** 2 + (across / found.minor) ** 2 <= 1


def test_its_edge_is_hotellings() -> None:
    rng = np.random.default_rng(0)
    values = rng.multivariate_normal([1, 2], [[4, 1.5], [1.5, 1]], 25)
    found = region.of_means(values)
    assert found is not None
    inverse = np.linalg.inv(np.cov(values.T) / 25)
    bound = 2 * 24 / 23 * stats.f.ppf(0.95, 2, 23)
    for turn in np.linspace(0, 2 * np.pi, 7):
        tilt = math.radians(found.angle)
        edge = np.array([found.major * np.cos(turn), found.minor * np.sin(turn)])
        back = np.array([[math.cos(tilt), -math.sin(tilt)], [math.sin(tilt), math.cos(tilt)]])
        point = back @ edge
        assert point @ inverse @ point == pytest.approx(bound)
    assert 0 < found.angle < 45  # they rise together


def test_it_covers_both_means_at_once() -> None:
    rng = np.random.default_rng(1)
    trials, n = 2000, 40
    drawn = rng.multivariate_normal([0.5, -1], [[1, -0.8], [-0.8, 1]], (trials, n))
    hits = sum(_inside(found, 0.5, -1) for one in drawn if (found := region.of_means(one)))
    assert 0.94 <= hits / trials <= 0.96


def test_speakers_widen_it() -> None:
    rng = np.random.default_rng(2)
    voices = np.arange(30).repeat(6)
    values = rng.normal(size=(30, 2))[voices] + 0.3 * rng.normal(size=(180, 2))
    alone, together = region.of_means(values), region.of_means(values, clusters=voices)
    assert alone is not None
    assert together is not None
    assert together[:2] == alone[:2]
    assert together.major > 1.8 * alone.major


def test_of_too_few_there_is_none() -> None:
    assert region.of_means([[1, 2], [3, 4]]) is None
    flat = region.of_means([[1, 2], [1, 2], [1, 2]])
    assert flat is not None
    assert flat[:4] == (1, 2, 0, 0)
