"""Scoring as the official scripts do it, and as this package does: same networks, same clips.

    python benchmarks/scoring.py [--utterances N] [--systems N] [--device cuda --whisper large-v3]

``official``  one file after another: read, resample, Whisper by transformers in float32; then read
              again, resample, move the speaker network, embed the clip *and its prompt*; then read
              again for UTMOS. Nothing is shared, nothing batched (SpeechMOS and the scripts of
              Seed-TTS-eval).
``strict``    the same networks in float32, one clip at a time: audio read once, prompts embedded
              once for all systems
``fast``      batches, half precision of Whisper on a GPU, audio read ahead of the networks
``workers``   fast again as ``evaluate`` runs it: worker processes, which load the models, and every
              row in the database

All in one run, models loaded and warm beforehand, except for the last. Weights are random, of the
true architecture; how long a text gets is fixed. Readings of official and strict scoring are
compared: the same counts, cosines and scores within 1e-4.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import _scoring_models as models
import numpy as np
import soundfile

from mamtra_eval import audio, catalogue, provenance, rates, registry
from mamtra_eval import config as configuration
from mamtra_eval.metrics import Item, Reading
from mamtra_eval.metrics.wer import count_edits
from mamtra_eval.pipeline import evaluate
from mamtra_eval.reader import RunReader
from mamtra_eval.stages import Scorer, ScoreTask, Taken

RATE_HZ = 24000
"""What systems such as CosyVoice 2 write."""
METRICS = ("wer", "similarity", "utmos")
Found = dict[tuple[str, str], dict[str, float]]


def make_clips(folder: Path, utterances: int, systems: int) -> Path:
    """Systems' folders of clips at 24 kHz, and a list with prompts, out of mini-en's recordings."""
    testset = catalogue.load("mini-en").first(utterances)
    lines = []
    for item in testset.utterances:
        if item.ground_truth is None or item.prompt_audio is None:
            continue
        clip = audio.read(item.ground_truth)
        for number in range(systems):
            path = folder / f"system{number}" / f"{item.id}.wav"
            path.parent.mkdir(exist_ok=True)
            # Another length for each system, in steps of 40 ms as speech tokens give.
            samples = audio.resample(clip.samples, clip.sample_rate_hz, RATE_HZ)
            samples = np.pad(samples, (0, 960 * number + (-len(samples)) % 960))
            soundfile.write(path, samples, RATE_HZ, subtype="PCM_16")
        prompt = audio.read(item.prompt_audio)
        target = folder / f"prompt-{item.id}.wav"
        soundfile.write(target, prompt.samples, prompt.sample_rate_hz, subtype="PCM_16")
        lines.append(f"{item.id}|{item.prompt_text}|{target.name}|{item.text}")
    (folder / "meta.lst").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "meta.lst"


def options(folder: Path, device: str, *, fast: bool) -> dict[str, dict[str, Any]]:
    """Of each metric."""
    common = {"device": device}
    found: dict[str, dict[str, Any]] = {
        "wer": {"backend": "whisper_hf", "model": str(folder / "whisper"), "resample": "fft"},
        "similarity": {"encoder": "wavlm", "weights": str(folder / "wavlm.pth"), "resample": "sinc",
                       "cache": False},
        "utmos": {"weights": str(folder / "utmos.pt")},
    }  # fmt: skip
    if fast:
        for name, own in found.items():
            own |= registry.load("metrics", name).fast(own)
    return {name: {**own, **common} for name, own in found.items()}


class Official:
    """One file after another, a pass a metric, as the published scripts go about it."""

    def __init__(self, scorer: Scorer) -> None:
        self.whisper = scorer.metrics["wer"].recognizer
        self.rule = scorer.metrics["wer"].normalizer
        self.speaker = scorer.metrics["similarity"]._encoder
        self.utmos = scorer.metrics["utmos"]

    def __call__(self, tasks: list[ScoreTask]) -> dict[str, tuple[float, Found]]:
        """Seconds and numbers of each metric."""
        found = {}
        for name in METRICS:
            started = time.perf_counter()
            numbers = {_key(task): getattr(self, f"_{name}")(task) for task in tasks}
            found[name] = (time.perf_counter() - started, numbers)
        return found

    @staticmethod
    def _read(path: Path, method: str) -> np.ndarray:
        clip = audio.read(path)
        return rates.resample(clip.samples, clip.sample_rate_hz, 16000, method)

    def _wer(self, task: ScoreTask) -> dict[str, float]:
        heard = self.whisper.transcribe(self._read(task.item.path, "fft"), "en")
        text = self.rule(task.item.text, "en")
        return count_edits(text, self.rule.heard(heard.text, "en"), {}).counts

    def _similarity(self, task: ScoreTask) -> dict[str, float]:
        network = self.speaker._network
        network.to(network.feature_weight.device)  # the scripts move it for every pair
        one = self.speaker.embed(self._read(task.item.path, "sinc"))
        network.to(network.feature_weight.device)
        assert task.item.prompt_audio is not None
        other = self.speaker.embed(self._read(task.item.prompt_audio, "sinc"))
        return {"cosine": float(np.dot(one.astype(np.float64), other))}

    def _utmos(self, task: ScoreTask) -> dict[str, float]:
        # A fresh item, so that nothing read before is at hand.
        fresh = ScoreTask(task.system, 0, _bare(task), task.sha256, task.metrics).item
        return dict(self.utmos.measure(fresh).counts)


def _bare(task: ScoreTask) -> Item:
    kept = ("utterance", "text", "path", "prompt_audio", "language", "prompt_text")
    return Item(**{name: getattr(task.item, name) for name in kept})


def _key(task: ScoreTask) -> tuple[str, str]:
    return task.system, task.item.utterance


def score(scorer: Scorer, tasks: list[ScoreTask], size: int) -> tuple[dict[str, float], Any]:
    """Seconds of each metric, and readings, as the package's workers take them."""
    seconds = dict.fromkeys(METRICS, 0.0)
    found: dict[str, Found] = {name: {} for name in METRICS}
    for start in range(0, len(tasks), size):
        batch = tasks[start : start + size]
        for index, results in scorer(batch):
            for name, taken in results.items():
                assert isinstance(taken, Taken), taken
                seconds[name] += taken.measure_s
                found[name][_key(batch[index])] = taken.reading.counts
    return seconds, found


def tasks_of(folder: Path, meta: Path, systems: int) -> list[ScoreTask]:
    """Fresh tasks, audio not yet read, shortest clips first."""
    found = []
    for item in catalogue.load(str(meta)).utterances:
        for number in range(systems):
            path = folder / f"system{number}" / f"{item.id}.wav"
            made = Item(item.id, item.text, path, item.prompt_audio)
            found.append(ScoreTask(f"system{number}", 0, made, audio.sha256(path), METRICS))
    found.sort(key=lambda task: task.item.path.stat().st_size)
    return found


def differences(one: Found, other: Found) -> float:
    """The largest between two sets of numbers."""
    assert one.keys() == other.keys()
    return max(
        abs(number - other[key][name]) for key, row in one.items() for name, number in row.items()
    )


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def as_evaluate_runs(folder: Path, meta: Path, systems: int, device: str) -> float:
    """Wall seconds of the scoring stage of a whole run."""
    own = options(folder, device, fast=True)
    config = configuration.build(
        {
            "testset": str(meta), "metrics": [*METRICS], "mode": "fast",
            "systems": {f"system{n}": str(folder / f"system{n}") for n in range(systems)},
            "asr": own["wer"], "speaker": own["similarity"], "utmos": own["utmos"],
        }
    )  # fmt: skip
    evaluate(config, folder / "run")
    with RunReader(folder / "run") as store:
        made = store._db.execute("SELECT max(finished_at) FROM clips").fetchone()[0]
        scored = store._db.execute("SELECT max(finished_at) FROM readings").fetchone()[0]
        assert all(isinstance(row.reading, Reading) for row in store.readings())
    return (datetime.fromisoformat(scored) - datetime.fromisoformat(made)).total_seconds()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--utterances", type=int, default=16)
    parser.add_argument("--systems", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--whisper", default="tiny", choices=models.SIZES)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        _measure(Path(name), arguments)


def _measure(folder: Path, arguments: argparse.Namespace) -> None:
    models.whisper(folder / "whisper", arguments.whisper)
    models.speaker(folder / "wavlm.pth")
    models.utmos(folder / "utmos.pt")
    meta = make_clips(folder, arguments.utterances, arguments.systems)
    scorers = {}
    for mode in ("strict", "fast"):
        scorers[mode] = Scorer(options(folder, arguments.device, fast=mode == "fast"))
        warm = tasks_of(folder, meta, 1)[:2]
        score(scorers[mode], warm, 2)

    def fresh() -> list[ScoreTask]:
        return tasks_of(folder, meta, arguments.systems)

    n = len(fresh())
    machine = provenance.collect()
    print(
        f"{machine['processor']}, {os.cpu_count()} cores, device {arguments.device} "
        f"({machine['device']}), torch {machine['packages']['torch']}"
    )
    print(
        f"{n} clips of {arguments.systems} systems, {len({_key(t)[1] for t in fresh()})} prompts; "
        f"Whisper {arguments.whisper}, WavLM-large + ECAPA, UTMOS22-strong, random weights\n"
    )
    print(f"{'':<10}" + "".join(f"{name + ', s':>15}" for name in METRICS) + f"{'all, s':>12}"
          f"{'clips/s':>10}{'speed-up':>10}")  # fmt: skip
    official = Official(scorers["strict"])(fresh())
    total = sum(seconds for seconds, _ in official.values())
    _line("official", {name: seconds for name, (seconds, _) in official.items()}, total, n, total)
    for mode, size in (("strict", 1), ("fast", 64)):
        scorers[mode].metrics["similarity"]._prompts.clear()
        wall, (seconds, found) = timed(lambda m=mode, s=size: score(scorers[m], fresh(), s))
        _line(mode, seconds, wall, n, total)
        for name in METRICS:
            gap = differences(official[name][1], found[name])
            assert mode != "strict" or gap < 1e-4, (name, gap)
            print(f"{'':<12}{name}: differs from official by at most {gap:.2g}")
    wall = as_evaluate_runs(folder, meta, arguments.systems, arguments.device)
    _line("workers", {}, wall, n, total)


def _line(mode: str, seconds: dict[str, float], wall: float, n: int, official: float) -> None:
    cells = "".join(f"{seconds[name]:>15.1f}" if name in seconds else " " * 15 for name in METRICS)
    print(f"{mode:<10}{cells}{wall:>12.1f}{n / wall:>10.2f}{official / wall:>10.2f}", flush=True)


if __name__ == "__main__":
    main()
