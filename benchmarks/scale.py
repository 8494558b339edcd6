"""A run of 100,000 utterances by six systems: time and memory of all that is not speech.

    python benchmarks/scale.py [--sizes 12500,25000,50000,100000] [--systems 6] [--out FILE]

Rows are synthetic and without audio: transcripts with their alignments, word errors, qualities and
health as real metrics write them, a few failures. Each step runs in a process of its own, which
tells its time and its peak memory so far:

``plan``         the list is read, the plan made and entered into a new run folder
``resume``       the same command again, with nothing left to do
``statistics``   every figure with its interval, differences, verdicts
``leaderboard``  leaderboard.md of these, with ranks
``records``      results.parquet and results.jsonl
``page``         report.html

The last four share a process, as in the command: its memory holds all rows. What grows linearly
costs the same for each utterance whatever their number: the last columns.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

    from mamtra_eval.config import RunConfig
    from mamtra_eval.results import Results

TEXT = (
    "the garden looks lovely after a week of gentle rain and seven small boats were drifting "
    "slowly toward the old stone bridge"
)
WORDS = TEXT.split()
STEPS = ("plan", "resume", "statistics", "leaderboard", "records", "page")
METRICS = ("wer", "dnsmos", "health", "failures")
ONE_CLIP = "clips/system-0/one.flac"
BATCH = 20_000


def main() -> None:
    """Print a table, and write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", default="12500,25000,50000,100000")
    parser.add_argument("--systems", type=int, default=6)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    sizes = [int(size) for size in asked.sizes.split(",")]
    lines = [_head(asked.systems)]
    measured: dict[int, dict[str, tuple[float, float]]] = {}
    for size in sizes:
        measured[size] = _measure(size, asked.systems)
        lines += [_line(size, step, *measured[size][step]) for step in STEPS]
        sys.stdout.write("\n".join(lines[-len(STEPS) :]) + "\n")
        sys.stdout.flush()
    lines += ["", *_growth(measured)]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")


def _head(systems: int) -> str:
    from mamtra_eval import provenance

    return (
        f"{provenance.collect()['processor']}, {os.cpu_count()} cores; {systems} systems, metrics "
        f"{', '.join(METRICS)}\n{'utterances':>10}  {'step':<12}{'time, s':>9}{'peak, MB':>10}"
        f"{'us an utterance':>17}"
    )


def _line(size: int, step: str, seconds: float, peak_mb: float) -> str:
    return f"{size:>10,}  {step:<12}{seconds:>9.1f}{peak_mb:>10.0f}{1e6 * seconds / size:>17.0f}"


def _growth(measured: dict[int, dict[str, tuple[float, float]]]) -> Iterator[str]:
    least, most = min(measured), max(measured)
    if least == most:
        return
    yield f"Cost of an utterance at {most:,} by that at {least:,} (1 is linear):"
    for step in STEPS:
        ratio = measured[most][step][0] / most / (measured[least][step][0] / least)
        yield f"  {step:<12}{ratio:>6.2f}"


def _measure(size: int, systems: int) -> dict[str, tuple[float, float]]:
    """Seconds and peak memory of each step, on a run of this size."""
    with tempfile.TemporaryDirectory(prefix="scale-") as name:
        folder = Path(name)
        write_list(folder / "meta.lst", size)
        found = _apart(("plan",), folder, systems)
        _apart(("fill",), folder, systems)
        found |= _apart(("resume",), folder, systems)
        return found | _apart(STEPS[2:], folder, systems)


def _apart(steps: Sequence[str], *args: object) -> dict[str, tuple[float, float]]:
    """Run steps in a fresh process: the seconds of each, without imports, and its peak so far."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_timed, args=(there, steps, args))
    process.start()
    there.close()
    found: dict[str, tuple[float, float]] = here.recv()
    process.join()
    return found


def _timed(connection: Connection, steps: Sequence[str], args: tuple[object, ...]) -> None:
    import mamtra_eval.results  # noqa: F401 -- what every step needs is loaded before
    from mamtra_eval.report import html, leaderboard, parquet  # noqa: F401 -- likewise

    found = {}
    for step in steps:
        seconds = globals()[step](*args)
        found[step] = seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    connection.send(found)


def write_list(path: Path, size: int) -> None:
    """A list of texts without prompts."""
    rng = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for index in range(size):
            text = " ".join(rng.choices(WORDS, k=rng.randint(4, 16)))
            file.write(f"utt-{index:07}|{text}.\n")


def _config(folder: Path, systems: int) -> RunConfig:
    from mamtra_eval import config as configuration

    targets = {f"system-{n}": f"espeak:voice=en-us,rate={140 + n}" for n in range(systems)}
    return configuration.build(
        {"testset": str(folder / "meta.lst"), "systems": targets, "metrics": [*METRICS]}
    )


def plan(folder: Path, systems: int) -> float:
    """Make the plan and enter it."""
    from mamtra_eval import entering
    from mamtra_eval import plan as planning
    from mamtra_eval.store import Store

    started = time.perf_counter()
    made = planning.make(_config(folder, systems))
    with Store(folder / "run") as store, store.lock():
        entering.enter(made, store)
        store.set_meta("starts", [])
    return time.perf_counter() - started


def resume(folder: Path, systems: int) -> float:
    """The whole command again."""
    from mamtra_eval import pipeline

    started = time.perf_counter()
    pipeline.evaluate(_config(folder, systems), folder / "run")
    return time.perf_counter() - started


def statistics(folder: Path, systems: int) -> float:
    """Every figure; kept for the reports that follow in the same process."""
    from mamtra_eval import results
    from mamtra_eval.reader import RunReader

    started = time.perf_counter()
    with RunReader(folder / "run") as store:
        _found[folder] = results.collect(store)
    return time.perf_counter() - started


_found: dict[Path, Results] = {}


def leaderboard(folder: Path, systems: int) -> float:
    """The Markdown, with ranks."""
    from mamtra_eval.report import leaderboard as report

    return _reported(folder, report.write)


def records(folder: Path, systems: int) -> float:
    """The two files of rows."""
    from mamtra_eval.report import jsonl, parquet

    return _reported(folder, parquet.write, jsonl.write)


def page(folder: Path, systems: int) -> float:
    """The page."""
    from mamtra_eval.report import html

    return _reported(folder, html.write)


def _reported(folder: Path, *writers: Callable[[Results], Path]) -> float:
    if folder not in _found:
        statistics(folder, 0)
    started = time.perf_counter()
    for write in writers:
        path = write(_found[folder])
        sys.stderr.write(f"  {path.name}: {path.stat().st_size / 1e6:.1f} MB\n")
    return time.perf_counter() - started


def fill(folder: Path, systems: int) -> float:
    """Write what a run of this plan would have written."""
    import sqlite3

    import numpy as np

    from mamtra_eval import audio

    clip = audio.Clip(np.full(1600, 0.1, np.float32), 16000)
    (folder / "run" / ONE_CLIP).parent.mkdir(parents=True, exist_ok=True)
    path = audio.write(clip, (folder / "run" / ONE_CLIP).with_suffix(""))
    database = sqlite3.connect(folder / "run" / "run.sqlite")
    texts = dict(database.execute("SELECT id, text FROM utterances"))
    sha256 = audio.sha256(path)
    for n in range(systems):
        rng = random.Random(n)
        items = [*texts.items()]
        for at in range(0, len(items), BATCH):
            some = items[at : at + BATCH]
            _write(database, f"system-{n}", some, rng, sha256)
    database.close()
    return 0.0


def _write(
    database: sqlite3.Connection,
    system: str,
    texts: list[tuple[str, str]],
    rng: random.Random,
    sha256: str,
) -> None:
    clips, readings = [], []
    for utterance, text in texts:
        failed = rng.random() < 0.001
        duration_s = 0.3 * len(text.split())
        clips.append(
            ("failed", None, None, None, None, "the worker process died", None, "{}", None, system,
             utterance)
            if failed else
            ("done", ONE_CLIP, sha256, duration_s, 24000, None, 0.1 * duration_s,
             json.dumps({"tokens": 25 * duration_s}), "0" * 120, system, utterance)
        )  # fmt: skip
        if not failed:
            readings += [
                (system, utterance, 0, metric, "done", json.dumps(counts), json.dumps(evidence),
                 None, 0.1, "2026-01-01T00:00:00Z")
                for metric, counts, evidence in _readings(text, rng)
            ]  # fmt: skip
    with database:
        database.executemany(
            "UPDATE clips SET status = ?, path = ?, sha256 = ?, duration_s = ?, sample_rate_hz = ?,"
            " error = ?, synthesis_s = ?, cost = ?, envelope = ? "
            "WHERE system = ? AND utterance = ?", clips,
        )  # fmt: skip
        database.executemany(f"INSERT INTO readings VALUES ({','.join('?' * 10)})", readings)


def _readings(text: str, rng: random.Random) -> Iterator[tuple[str, dict[str, float], Any]]:
    words = text.rstrip(".").split()
    heard = [word if rng.random() > 0.04 else "rain" for word in words]
    errors = float(sum(one != other for one, other in zip(words, heard, strict=True)))
    alignment = [["equal" if one == other else "substitute", one, other]
                 for one, other in zip(words, heard, strict=True)]  # fmt: skip
    yield "wer", {"errors": errors, "words": float(len(words)), "substitutions": errors,
                  "deletions": 0.0, "insertions": 0.0}, {
        "transcript": " ".join(heard), "alignment": alignment}  # fmt: skip
    quality = {name: round(rng.gauss(3, 0.4), 6) for name in ("sig", "bak", "ovrl", "p808")}
    yield "dnsmos", quality, {"windows": 2}
    flags = ("flagged", "silent", "clipped", "not_finite", "too_short", "speaking_rate", "runaway",
             "repeated_tail", "long_silence")  # fmt: skip
    yield "health", dict.fromkeys(flags, 0.0), {
        "flags": [], "duration_s": 2.99, "peak_dbfs": -5.9, "rms_dbfs": -20.2,
        "clipped_share": 0.0, "clipped_run": 1, "head_silence_s": 0.2, "tail_silence_s": 0.1,
        "longest_silence_s": 0.2, "words": len(words)}  # fmt: skip
    kinds = ("failed", "empty", "truncated_end", "repetition", "prompt_leakage",
             "hallucinated_tail", "over_30_s", "speaking_rate")  # fmt: skip
    yield "failures", dict.fromkeys(kinds, 0.0), {"kinds": []}


if __name__ == "__main__":
    main()
