"""Time and memory of a run's statistics at full size: 6 systems, 3,508 utterances.

    python benchmarks/verdicts.py [--systems N] [--utterances N]

Intervals of every system and of every difference to the baseline by 10,000 paired resamples, then
sign-flip tests of all pairs with 10,000 patterns.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from itertools import combinations

import numpy as np

from mamtra_eval import provenance
from mamtra_eval.resampling import Ratios, Resampling
from mamtra_eval.statistics.paired import sign_flip_ps


def main() -> None:
    """Print two lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--systems", type=int, default=6)
    parser.add_argument("--utterances", type=int, default=3508)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    ids = [f"u{index}" for index in range(arguments.utterances)]
    rates: list[Ratios] = [
        dict(zip(ids, ((float(errors), 10.0) for errors in rng.binomial(10, 0.03, len(ids))),
                 strict=True))
        for _ in range(arguments.systems)
    ]  # fmt: skip
    print(f"{provenance.collect()['processor']}, {os.cpu_count()} cores; "
          f"{arguments.systems} systems, {len(ids)} utterances")  # fmt: skip
    started = time.perf_counter()
    resampling = Resampling(ids)
    for number, own in enumerate(rates):
        resampling.want(number, own)
        if number:
            resampling.want_difference(number, own, rates[0])
    resampling.run(level=0.95, resamples=10_000, seed=0)
    _line("10,000 paired resamples", started)
    started = time.perf_counter()
    values = [np.array([above / below for above, below in own.values()]) for own in rates]
    pairs = np.stack([one - other for one, other in combinations(values, 2)], axis=1)
    sign_flip_ps(pairs)
    _line(f"sign flips of {pairs.shape[1]} pairs", started)


def _line(what: str, started: float) -> None:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:<28}{time.perf_counter() - started:6.2f} s, peak memory {peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
