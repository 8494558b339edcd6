"""A profile as a whole, on small shapes: every row, once, whatever is interrupted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mamtra_eval import config as configuration
from mamtra_eval import pipeline, profiles
from mamtra_eval.errors import UserError
from mamtra_eval.models import checkpoint
from mamtra_eval.models.config import preset
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.profiling import anatomy, busy, recording, subjects, sweep, timing
from mamtra_eval.profiling.meter import Rules
from mamtra_eval.profiling.rows import ProfileRow
from mamtra_eval.profiling.speech import Speech
from mamtra_eval.profiling.subjects import Subject
from mamtra_eval.profiling.sweep import Sweep
from mamtra_eval.profiling.timing import Timing
from mamtra_eval.reader import RunReader
from mamtra_eval.report import profile
from mamtra_eval.store import Store

pytestmark = pytest.mark.slow

RULES = Rules(runs=2, seconds=0, limit_s=0.2, warm_up_runs=1, warm_up_s=0)
SMALL = Sweep(contexts=(16, 32), streams=(1,), timing=Timing(rules=RULES, steps=4),
              parts=("flops", "memory", "time"), allow_busy=True)  # fmt: skip
SHAPES = ["teacher=shape:mini", "1-3=shape:mini:1:3"]


def rows(folder: Path) -> list[ProfileRow]:
    with RunReader(folder) as store:
        return store.profiles()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("profile") / "run"
    sweep.profile(subjects.parse_all(SHAPES), SMALL, folder)
    return folder


def test_every_cell_has_its_rows(made: Path) -> None:
    found = Counter(
        (row.key.quantity, row.key.phase, row.key.context, row.key.streams, row.key.workload)
        for row in rows(made)
    )
    for context in (16, 32):
        for phase in ("loaded", "prefill", "decode"):
            assert found["memory.total", phase, context, 1, ""] == 2
        for workload in ("replay", "fixed"):
            assert found["time.step", "", context, 1, workload] == 2
        assert found["time.prefill", "", context, 1, "replay"] == 2
        assert found["flops.token", "", context, 1, ""] == 2
    assert all(row.value is not None and row.error is None for row in rows(made))


def test_several_streams_have_steps_and_no_pass(tmp_path: Path) -> None:
    several = replace(SMALL, streams=(2, 3), parts=("time",))
    sweep.profile(subjects.parse_all(SHAPES), several, tmp_path / "a")
    found = Counter((row.key.quantity, row.key.streams) for row in rows(tmp_path / "a"))
    assert found == {("time.step", 2): 8, ("time.step", 3): 8}


def test_the_same_call_measures_nothing_again(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(anatomy, "run", never)
    monkeypatch.setattr(timing, "measure", never)
    monkeypatch.setattr(Subject, "decoder", never)
    before = rows(made)
    sweep.profile(subjects.parse_all(SHAPES), SMALL, made)
    kept = [row for row in before if not row.key.quantity.startswith("flops")]
    assert [row for row in rows(made) if not row.key.quantity.startswith("flops")] == kept


def test_what_is_new_is_measured(made: Path, tmp_path: Path) -> None:
    more = replace(SMALL, contexts=(16, 24), streams=(1,), parts=("time",))
    sweep.profile(subjects.parse_all(SHAPES), more, made)
    steps = Counter(row.key.context for row in rows(made)
                    if row.key.quantity == "time.step" and row.key.streams == 1)  # fmt: skip
    assert steps == {16: 4, 32: 4, 24: 4}


def test_a_name_is_one_target(made: Path) -> None:
    with pytest.raises(UserError, match="'teacher' is shape:mini in this run"):
        sweep.profile(subjects.parse_all(["teacher=shape:mini:1:1"]), SMALL, made)


def test_the_baseline_is_the_first_or_the_one_that_was_named(tmp_path: Path) -> None:
    small = replace(SMALL, parts=("flops",))
    sweep.profile(subjects.parse_all(SHAPES), small, tmp_path / "a")
    sweep.profile(subjects.parse_all(SHAPES), small, tmp_path / "b", baseline="1-3")
    with RunReader(tmp_path / "a") as a, RunReader(tmp_path / "b") as b:
        assert recording.describe(a)["baseline"] == "teacher"
        assert recording.describe(b)["baseline"] == "1-3"
    with pytest.raises(UserError, match="none of the profiled"):
        sweep.profile(subjects.parse_all(SHAPES), small, tmp_path / "c", baseline="x")


def test_a_busy_device_is_refused_or_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy, "taken", lambda *_: 0.7)
    found = subjects.parse_all(["x=shape:mini"])
    small = replace(SMALL, contexts=(16,), streams=(1,), parts=("time",))
    with pytest.raises(UserError, match="others take 70 %"):
        sweep.profile(found, replace(small, allow_busy=False), tmp_path / "a")
    assert not (tmp_path / "a").exists()
    sweep.profile(found, small, tmp_path / "b")
    assert all("busy device" in " ".join(row.notes) for row in rows(tmp_path / "b"))


def test_a_pass_that_is_too_long_is_a_row_that_says_so(tmp_path: Path) -> None:
    short = replace(SMALL, streams=(1,), timing=replace(SMALL.timing, longest_prefill=20))
    sweep.profile(subjects.parse_all(["x=shape:mini"]), short, tmp_path / "a")
    passes = {row.key.context: row for row in rows(tmp_path / "a")
              if row.key.quantity == "time.prefill"}  # fmt: skip
    assert passes[16].value is not None
    assert "more than 20 tokens" in str(passes[32].error)
    phases = {row.key.phase for row in rows(tmp_path / "a") if row.key.context == 32}
    assert "decode" in phases
    assert "prefill" not in phases


def test_no_room_is_a_row_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing.memory, "available", lambda: 1000)
    small = replace(SMALL, contexts=(16,), streams=(1,), parts=("memory", "time"))
    sweep.profile(subjects.parse_all(["x=shape:mini"]), small, tmp_path / "a")
    found = rows(tmp_path / "a")
    assert {row.key.quantity for row in found} == {"memory.total", "time.prefill", "time.step"}
    assert all(row.value is None and "GiB" in str(row.error) for row in found)


def test_contexts_without_room_together_are_taken_in_groups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoders = {"x": subjects.parse("x", "shape:mini").decoder("cpu", timing.dtype("fp32"))}
    settings = Timing()
    one = timing._caches(decoders, 100, 1, settings)
    monkeypatch.setattr(timing.memory, "available", lambda: int(2.5 * one / timing.ROOM))
    groups = timing.groups(decoders, [100, 50, 150, 1000], 1, settings)
    assert groups == [[50, 100], [150], [1000]]


@pytest.mark.parametrize(
    "wrong",
    [{"contexts": ()}, {"contexts": (1,)}, {"streams": (0,)}, {"parts": ("tim",)},
     {"weights": "fp8"}],
)  # fmt: skip
def test_sweeps_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UserError):
        replace(SMALL, **wrong)  # type: ignore[arg-type]


def test_systems_are_asked_to_speak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mamtra_eval.profiling.speech.COLD_STARTS", 1)
    asked = Speech(limit=1, rounds=1)
    speak = replace(SMALL, parts=("speech",))
    sweep.profile(subjects.parse_all(["espeak"]), speak, tmp_path / "a", speech=asked)
    found = {row.key.quantity: row for row in rows(tmp_path / "a")}
    assert found["time.first_audio"].value is not None
    assert found["time.cold"].value is not None
    assert found["rate.failed"].value == 0
    assert {row.key.workload for row in found.values()} == {"natural"}


def test_a_profile_stands_beside_an_evaluation_under_the_same_target(tmp_path: Path) -> None:
    from mamtra_eval.rows import SystemRow

    with Store(tmp_path / "run") as store:
        store.add_system(SystemRow("t", "mini", "mini", "t", {}))
    small = replace(SMALL, parts=("flops",))
    with pytest.raises(UserError, match="'t' is mini in this run"):
        sweep.profile(subjects.parse_all(["t=shape:mini"]), small, tmp_path / "run")
    sweep.profile(subjects.parse_all(["t=mini"]), small, tmp_path / "run")
    assert rows(tmp_path / "run")


@pytest.mark.slow
def test_a_profile_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [
        sys.executable, "-m", "mamtra_eval", "profile", *SHAPES, "--out", str(folder),
        "--contexts", "16,32", "--runs", "2", "--seconds", "0", "--limit-s", "0.2",
        "--parts", "flops,memory,time", "--allow-busy",
    ]  # fmt: skip
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, start_new_session=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        time.sleep(0.2)
        if (folder / "run.sqlite").exists() and any(
            row.key.quantity == "memory.total" for row in rows(folder)
        ):
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {row.key: row for row in rows(folder) if row.key.quantity.startswith("memory")}
    assert before
    assert not any(row.key.quantity == "time.step" for row in rows(folder))
    subprocess.run(command, env=environment, cwd=tmp_path, check=True, timeout=200,
                   capture_output=True)  # fmt: skip
    after = {row.key: row for row in rows(folder)}
    assert {key: after[key] for key in before} == before  # to the byte: not measured again
    assert sum(key.quantity == "time.step" for key in after) == 8
    assert (folder / "profile.md").is_file()


def test_an_evaluation_under_a_profiled_name_is_the_same_target(tmp_path: Path) -> None:
    small = replace(SMALL, parts=("flops",))
    sweep.profile(subjects.parse_all(["t=shape:mini"]), small, tmp_path / "run")
    values = {"testset": "mini-en", "systems": {"t": "espeak"}, "limit": 1, "metrics": ["health"]}
    with pytest.raises(UserError, match="has 't' as shape:mini, not espeak"):
        pipeline.evaluate(configuration.build(values), tmp_path / "run")
    values["systems"] = {"e": "espeak"}
    pipeline.evaluate(configuration.build(values), tmp_path / "run")
    with RunReader(tmp_path / "run") as store:
        assert [row.name for row in store.systems()] == ["e"]
        assert store.profiles()


def test_times_of_one_go_bear_one_word_and_others_are_not_compared(tmp_path: Path) -> None:
    alone = replace(SMALL, parts=("time",))
    sweep.profile(subjects.parse_all(SHAPES[:1]), alone, tmp_path / "a")
    sweep.profile(subjects.parse_all(SHAPES[1:]), alone, tmp_path / "a")
    with RunReader(tmp_path / "a") as store:
        [apart] = profiles.read(store)
    assert apart.crossings("time.step", workload="replay") == []
    assert "not measured in turn with teacher" in profile.render((apart,))
    sweep.profile(subjects.parse_all(SHAPES), alone, tmp_path / "a", again=True)
    with RunReader(tmp_path / "a") as store:
        [together] = profiles.read(store)
    assert len(together.crossings("time.step", workload="replay")) == 1
    assert "not measured in turn" not in profile.render((together,))


def test_a_checkpoint_that_was_changed_is_refused(tmp_path: Path) -> None:
    config = preset("mini")
    for seed, layers in enumerate([config.transformer, (0, 16)]):
        torch.manual_seed(seed)
        checkpoint.save(tmp_path / f"{seed}", Decoder(config.with_layout(layers)), {})
    shutil.copytree(tmp_path / "0", tmp_path / "own")
    small = replace(SMALL, parts=("flops",))
    target = [f"c={tmp_path / 'own'}"]
    sweep.profile(subjects.parse_all(target), small, tmp_path / "run")
    shutil.rmtree(tmp_path / "own")
    shutil.copytree(tmp_path / "1", tmp_path / "own")
    with pytest.raises(UserError, match="was changed since it was profiled as 'c'"):
        sweep.profile(subjects.parse_all(target), small, tmp_path / "run")


def test_weights_without_room_together_are_rows_that_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "free", lambda _: 10_000_000)
    sweep.profile(subjects.parse_all(SHAPES), replace(SMALL, parts=("time",)), tmp_path / "a")
    found = rows(tmp_path / "a")
    assert found
    assert all("the weights of 2 decoders" in str(row.error) for row in found)


def test_what_can_not_be_measured_is_refused_before_anything_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a shape can't speak"):
        sweep.profile(subjects.parse_all(SHAPES), replace(SMALL, parts=("speech",)), tmp_path / "a")
    found = subjects.parse_all(["t=shape:mini", "http://127.0.0.1:9/x"])
    everything = replace(SMALL, parts=("flops", "memory", "time", "speech"))
    with pytest.raises(UserError, match="takes 4 requests at a time, not 9"):
        sweep.profile(found, everything, tmp_path / "a", speech=Speech(streams=(9,)))
    assert not (tmp_path / "a").exists()


def test_other_sentences_are_spoken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mamtra_eval.profiling.speech.COLD_STARTS", 1)
    speak = replace(SMALL, parts=("speech",))

    def n(limit: int) -> int:
        sweep.profile(subjects.parse_all(["espeak"]), speak, tmp_path / "a",
                      speech=Speech(limit=limit, rounds=1))  # fmt: skip
        return next(r.n for r in rows(tmp_path / "a") if r.key.quantity == "time.first_audio")

    assert [n(1), n(2)] == [1, 2]


def test_caches_of_two_types_are_told_in_both(tmp_path: Path) -> None:
    mixed = replace(SMALL, parts=("memory",), contexts=(16,),
                    timing=replace(SMALL.timing, kv="bf16", state="fp32"))  # fmt: skip
    sweep.profile(subjects.parse_all(SHAPES[1:]), mixed, tmp_path / "a")
    with RunReader(tmp_path / "a") as store:
        [session] = profiles.read(store)
    footprint = session.footprint("1-3")
    walked = [
        session.value("1-3", f"memory.{part}", 16, phase="decode") for part in ("kv", "state")
    ]
    assert footprint is not None
    assert sum(value or 0 for value in walked) == footprint.cache_bytes(16)


def test_a_bound_takes_nothing_away_that_is_there(tmp_path: Path) -> None:
    one = replace(SMALL, streams=(1,), parts=("time",), contexts=(32,))
    sweep.profile(subjects.parse_all(SHAPES[:1]), one, tmp_path / "a")
    short = replace(one, timing=replace(one.timing, longest_prefill=20))
    sweep.profile(subjects.parse_all(SHAPES), short, tmp_path / "a", again=True)
    passes = {row.key.system: row for row in rows(tmp_path / "a")
              if row.key.quantity == "time.prefill"}  # fmt: skip
    assert passes["teacher"].value is not None
    assert "more than 20 tokens" in str(passes["1-3"].error)


def test_those_measured_alone_are_measured_together_once_they_are_asked_for_so(
    tmp_path: Path,
) -> None:
    one = replace(SMALL, parts=("time",), contexts=(16, 32))
    for shape in SHAPES:
        sweep.profile(subjects.parse_all([shape]), one, tmp_path / "a")
    sweep.profile(subjects.parse_all(SHAPES), one, tmp_path / "a")
    with RunReader(tmp_path / "a") as store:
        [session] = profiles.read(store)
    assert len(session.crossings("time.step", workload="replay")) == 1
    before = rows(tmp_path / "a")
    sweep.profile(subjects.parse_all(SHAPES), one, tmp_path / "a")
    assert rows(tmp_path / "a") == before


def test_a_pass_that_becomes_allowed_is_made(tmp_path: Path) -> None:
    one = replace(SMALL, parts=("memory",), contexts=(32,))
    short = replace(one, timing=replace(one.timing, longest_prefill=20))
    for wanted in (short, one):
        sweep.profile(subjects.parse_all(SHAPES[:1]), wanted, tmp_path / "a")
    phases = {row.key.phase for row in rows(tmp_path / "a")}
    assert phases == {"loaded", "prefill", "decode"}
