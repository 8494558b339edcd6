"""How fast each embedded evaluator is, in times real time, side by side in one run.

    nox -s bench            or    python benchmarks/evaluators.py [--clips N]

All work in one process on the same recordings of mini-en, audio decoded beforehand, models loaded
and warm. DNSMOS is measured beside the package that its networks come from, whose own code needs
librosa; without librosa that line is left out and said so. The median of three passes counts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np

from mamtra_eval import catalogue, provenance, registry
from mamtra_eval.metrics import Item

PASSES = 3


def items(n: int) -> list[Item]:
    """The first ``n`` recordings of mini-en, decoded."""
    testset = catalogue.load("mini-en").first(n)
    found = [
        Item(utterance.id, utterance.text, utterance.ground_truth, utterance.prompt_audio)
        for utterance in testset.utterances
        if utterance.ground_truth
    ]
    for item in found:
        _ = item.samples_16k
    return found


def measure(work: Callable[[Item], object], clips: list[Item]) -> float:
    """Seconds for all clips: the median of the passes after a first clip as warm-up."""
    work(clips[0])
    times = []
    for _ in range(PASSES):
        start = time.perf_counter()
        for clip in clips:
            work(clip)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def contenders() -> dict[str, Callable[[Item], object]]:
    """What is compared, by name."""
    found: dict[str, Callable[[Item], object]] = {
        name: registry.create("metrics", name, {}).measure
        for name in ("wer", "similarity", "dnsmos", "health")
    }
    try:
        from speechmos import dnsmos as package
    except ImportError as error:
        print(f"left out: dnsmos by its own package ({error})")
    else:
        found["dnsmos, own package"] = lambda item: package.run(
            np.asarray(item.samples_16k, np.float64), 16000
        )
    return found


def main() -> None:
    """Print one line per evaluator."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clips", type=int, default=16, help="recordings to measure on (16)")
    clips = items(parser.parse_args().clips)
    seconds = sum(item.clip.duration_s for item in clips)
    machine = provenance.collect()
    print(f"{machine['processor']}, {os.cpu_count()} cores, {len(clips)} clips, {seconds:.1f} s")
    for name, work in contenders().items():
        taken = measure(work, clips)
        print(f"{name:<20} {taken:7.2f} s   {seconds / taken:6.1f} x real time")


if __name__ == "__main__":
    main()
