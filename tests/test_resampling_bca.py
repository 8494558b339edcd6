"""BCa intervals of whole reports are those of the figures alone."""

from __future__ import annotations

import numpy as np
import pytest

from mamtra_eval import config as configuration
from mamtra_eval.errors import UserError
from mamtra_eval.resampling import Ratios, Resampling
from mamtra_eval.statistics import aggregates, bca, bootstrap

IDS = [f"u{n}" for n in range(60)]


def _rates(seed: int, skip: int = 0) -> Ratios:
    rng = np.random.default_rng(seed)
    words = rng.integers(5, 15, len(IDS))
    errors = rng.binomial(words, rng.gamma(0.4, 0.1, len(IDS)).clip(0, 1))
    pairs = zip(IDS, errors, words, strict=True)
    return {u: (float(e), float(w)) for u, e, w in list(pairs)[skip:]}


@pytest.mark.parametrize("aggregate", ["pooled", "mean", "median", "sd", "max"])
def test_one_figure_is_what_it_is_alone(aggregate: str) -> None:
    rates = _rates(1)
    if aggregate not in {"pooled"}:
        rates = {u: (above / below, 1.0) for u, (above, below) in rates.items()}
    run = Resampling(IDS)
    run.want("x", rates, aggregate)
    run.want("other", _rates(2), "pooled")
    run.run(level=0.95, resamples=2000, seed=3, method="bca")
    found, other = run.estimates["x"], Resampling(IDS)
    other.want("x", rates, aggregate)
    other.run(level=0.95, resamples=2000, seed=3)
    assert found.value == other.estimates["x"].value
    if aggregate == "max":
        assert found == other.estimates["x"]
        return
    assert found.low is not None
    assert found.low <= found.value <= found.high
    if aggregate in {"pooled", "mean"}:
        columns = np.array([*rates.values()])
        one = aggregates.ratio(columns[:, 0], columns[:, 1])
        draws = one.reduce(bootstrap.resample(one.columns, resamples=2000, seed=3))
        assert found == pytest.approx(bca.interval(one.columns, one.reduce, draws))


def test_a_difference_moves_with_its_sign() -> None:
    run = Resampling(IDS)
    mine, theirs = _rates(1), _rates(5, skip=10)
    run.want_difference("ab", mine, theirs, "pooled")
    run.want_difference("ba", theirs, mine, "pooled")
    run.run(level=0.95, resamples=2000, seed=0, method="bca")
    (one, n), (other, _) = run.differences["ab"], run.differences["ba"]
    assert n == 50
    assert one.value == pytest.approx(-other.value)
    assert one.low == pytest.approx(-other.high, abs=1e-3)
    assert run.tested["ab"].low > one.low


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"no method of intervals named 'basic'.*closed-form, percentile"
    ):
        configuration.build(
            {"testset": "t", "systems": {"a": "b"}, "statistics": {"method": "basic"}}
        )
