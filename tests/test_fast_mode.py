"""Scoring in batches, in shards and in any order: rows of one run, and what fast mode changes."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mamtra_eval import agreement, pipeline, results, scoring
from mamtra_eval import config as configuration
from mamtra_eval import plan as planning
from mamtra_eval.audio import sha256
from mamtra_eval.errors import MeasurementError, UserError
from mamtra_eval.executors.local import LocalExecutor
from mamtra_eval.metrics import Figure, Item, Metric, Reading
from mamtra_eval.reader import RunReader
from mamtra_eval.rows import ClipKey
from mamtra_eval.stages import Failure, Scorer, ScoreTask, Taken

pytestmark = pytest.mark.slow

MakeList = Callable[..., Path]


class Loudness(Metric):
    """The peak of a clip; takes three clips at once and fails for quiet ones."""

    figures = (Figure("loudness", "peak"),)
    batch_size = 3

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def signature(self) -> str:
        return "metric:loudness"

    def measure(self, item: Item) -> Reading:
        peak = float(np.abs(item.samples_16k).max())
        if peak < 0.05:
            raise MeasurementError("too quiet")
        return Reading({"peak": peak})

    def measure_many(self, items: Any) -> list[Reading | Exception]:
        self.sizes.append(len(items))
        return [*super().measure_many(items)]


def _tasks(path: Path) -> list[ScoreTask]:
    folder = path.parent / "wavs"
    return [
        ScoreTask("s", 0, Item(file.stem, "a", file), sha256(file), ("loudness",))
        for file in sorted(folder.glob("*.wav"))
    ]


def _take(tasks: list[ScoreTask], size: int) -> dict[str, Any]:
    scorer = Scorer({})
    scorer.metrics["loudness"] = Loudness()
    found: dict[str, Any] = {}
    for start in range(0, len(tasks), size):
        batch = tasks[start : start + size]
        for index, result in scorer(batch):
            taken = result["loudness"]
            assert isinstance(taken, Taken | Failure)
            found[batch[index].item.utterance] = (
                taken.reading if isinstance(taken, Taken) else taken.error
            )
    return found


@pytest.mark.parametrize("size", [1, 2, 7])
def test_the_same_readings_whatever_is_taken_together(size: int, make_list: MakeList) -> None:
    tasks = _tasks(make_list(n=7))
    expected = _take(tasks, 1)
    random.Random(3).shuffle(tasks)
    assert _take(tasks, size) == expected
    assert len(expected) == 7


def test_a_clip_that_was_changed_or_is_gone_costs_no_other_its_reading(make_list: MakeList) -> None:
    tasks = _tasks(make_list(n=4))
    tasks[1].item.path.write_bytes(b"changed")
    tasks[2].item.path.unlink()
    found = _take(tasks, 4)
    assert isinstance(found["u0"], Reading)
    assert isinstance(found["u3"], Reading)
    assert "not the one that was made" in found["u1"]
    assert "not the one that was made" in found["u2"]


def _run(path: Path, out: Path, **settings: Any) -> dict[tuple[ClipKey, str], Any]:
    config = configuration.build(
        {"testset": str(path), "systems": {"a": "recorded", "b": "noise"},
         "metrics": ["wer", "similarity"], **settings}
    )  # fmt: skip
    pipeline.evaluate(config, out)
    with RunReader(out) as store:
        return {(row.key, row.metric): (row.reading, row.error) for row in store.readings()}


def test_rows_do_not_depend_on_shards_or_order(make_list: MakeList, tmp_path: Path) -> None:
    path = make_list(n=4)
    metrics = ["wer", "health", "failures"]
    expected = _run(path, tmp_path / "1", metrics=metrics, execution={"workers": 1})
    lines = path.read_text(encoding="utf-8").splitlines()
    for workers in (2, 7):
        random.Random(workers).shuffle(lines)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        execution = {"workers": workers}
        found = _run(path, tmp_path / str(workers), metrics=metrics, execution=execution)
        assert found == expected
    assert len(expected) == 4 * 2 * 3


def test_fast_mode_tells_how_it_agrees_with_strict_mode(
    tiny_whisper: Path, make_list: MakeList, tmp_path: Path
) -> None:
    path = make_list(n=6)
    asr = {"backend": "whisper_hf", "model": str(tiny_whisper), "device": "cpu"}
    one = {"workers": 1}
    strict = _run(path, tmp_path / "strict", asr=asr, metrics=["wer"], execution=one)
    fast = _run(path, tmp_path / "fast", asr=asr, metrics=["wer"], mode="fast", execution=one)
    assert fast == strict  # float32, and only the batches differ
    with RunReader(tmp_path / "fast") as store:
        found = results.collect(store)
        assert "|batch:32|" in f"{found.metrics[0].signature}|"
    agreed = found.agreement["wer"]
    assert (agreed["n"], agreed["n_differing"], agreed["largest_difference"]) == (8, 0, 0.0)
    assert agreed["fast"] == agreed["strict"] > 0
    assert "wer: 0 of 8 readings differ" in found.notes[-1]

    before = (tmp_path / "fast" / "run.sqlite").stat().st_size
    _run(path, tmp_path / "fast", asr=asr, metrics=["wer"], mode="fast")  # asked again: no work
    assert (tmp_path / "fast" / "run.sqlite").stat().st_size == before
    assert _run(path, tmp_path / "fast", asr=asr, metrics=["wer"]) == fast  # it stays in its mode
    with pytest.raises(UserError, match="the run there has mode fast, this command strict"):
        _run(path, tmp_path / "fast", asr=asr, metrics=["wer"], mode="strict")


def test_a_network_on_a_gpu_is_held_by_one_process_also_when_it_measures_again(
    tiny_whisper: Path, make_list: MakeList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int | None]] = []
    run = LocalExecutor.run

    def spy(self: LocalExecutor, factory: Any, args: Any, *rest: Any, **named: Any) -> None:
        need = named["need"] if "need" in named else rest[3]
        asked.append((factory.__name__, need.workers))
        run(self, factory, args, *rest, **named)

    monkeypatch.setattr(LocalExecutor, "run", spy)
    monkeypatch.setattr(scoring, "_on_gpu", lambda metric, _: metric.on_device)
    asr = {"backend": "whisper_hf", "model": str(tiny_whisper), "device": "cpu"}
    _run(make_list(n=1), tmp_path / "run", asr=asr, metrics=["wer", "health"], mode="fast",
         execution={"workers": 2, "golden": False})  # fmt: skip
    scored = [workers for name, workers in asked if name == "Scorer"]
    # health among all workers, wer and its retries by one, and the sample once more by one
    assert [workers for workers in scored if workers] == [1, 1, 1]
    assert None in scored


def test_evaluators_without_batches_have_nothing_to_compare(
    make_list: MakeList, tmp_path: Path
) -> None:
    _run(make_list(n=1), tmp_path / "run", metrics=["wer"], mode="fast")
    with RunReader(tmp_path / "run") as store:
        assert results.collect(store).agreement == {}


def test_flips_are_counted_and_shown() -> None:
    def reading(errors: float, transcript: str) -> Reading:
        return Reading({"peak": errors}, {"transcript": transcript})

    keys = [ClipKey("s", f"u{index}", 0) for index in range(3)]
    fast = dict(zip(keys, [reading(0, "a"), reading(2, "b"), reading(1, "c")], strict=True))
    strict = {**dict(zip(keys[:2], [reading(0, "a"), reading(0.5, "x")], strict=True)),
              keys[2]: "out of memory"}  # fmt: skip
    found = agreement.compare(Loudness(), fast, strict)
    assert (found["n"], found["n_differing"], found["n_transcripts_differing"]) == (2, 1, 1)
    assert (found["fast"], found["strict"], found["largest_difference"]) == (1.0, 0.25, 1.5)
    assert found["examples"] == [
        {"system": "s", "utterance": "u1", "repeat": 0, "fast": "b", "strict": "x"}
    ]
    assert (found["n_sampled"], found["n_failed_fast"], found["n_failed_strict"]) == (3, 0, 1)
    # Wilson's interval of 1 in 2: 0.095 to 0.905.
    assert found["differing_at_most"] == pytest.approx(0.9055, abs=1e-3)
    note = agreement.note({"loudness": found})
    assert "loudness: 1 of 2 readings differ (3 sampled, 0 without a reading before, 1 " in note
    assert "by at most 1.5; in all at most 90.5 % do (95 %)" in note


def test_the_sample_is_even_and_does_not_depend_on_order() -> None:
    keys = [ClipKey(system, f"u{n}", 0) for system in "abc" for n in range(1000)]
    found = agreement.sample(keys)
    assert found == agreement.sample(reversed(keys))
    assert len(found) == 102
    assert all(sum(key.system == system for key in found) == 34 for system in "abc")
    assert len(agreement.sample(keys[:3])) == 3
    assert agreement.sample([]) == []


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(UserError, match=r"no mode named 'quick'.*strict, fast"):
        configuration.build({"testset": "t", "systems": {"a": "b"}, "mode": "quick"})


def test_options_of_the_fast_mode_stand_under_the_user_s(
    make_list: MakeList, tiny_whisper: Path
) -> None:
    config = configuration.build(
        {"testset": str(make_list(n=1)), "systems": {"a": "recorded"}, "metrics": ["wer"],
         "mode": "fast",
         "asr": {"backend": "whisper_hf", "model": str(tiny_whisper), "batch_size": 5}}
    )  # fmt: skip
    assert planning.make(config).metric_options["wer"]["batch_size"] == 5
    assert planning.make(config).metric_options["wer"]["precision"] == "auto"
