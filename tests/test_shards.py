"""Shards by the command line: together they are the run, each says that it is one, all resume."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from run_rows import rows
from shard_runs import carry_out, command, files, leaderboard, merging, script, start

from mamtra_eval import config, pipeline, results
from mamtra_eval.errors import UserError
from mamtra_eval.parts import Part
from mamtra_eval.reader import RunReader
from mamtra_eval.rescue import rescue
from mamtra_eval.systems import Request

MINI = Path(__file__).parent.parent / "testsets" / "mini-en"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run on one machine."""
    root = tmp_path_factory.mktemp("whole")
    carry_out(command("--out", "run"), root)
    return root / "run"


@pytest.mark.parametrize("count", [1, 2, pytest.param(7, marks=pytest.mark.slow)])
def test_shards_merged_are_the_whole_run(count: int, whole: Path, tmp_path: Path) -> None:
    names = [tmp_path / f"s{index}" for index in range(1, count + 1)]
    for index, name in enumerate(names, start=1):
        carry_out(command("--out", name, "--shard", f"{index}/{count}"), tmp_path)
    carry_out(merging(tmp_path / "out", *names), tmp_path)
    assert rows(tmp_path / "out") == rows(whole)
    assert files(tmp_path / "out") == files(whole)
    assert leaderboard(tmp_path / "out") == leaderboard(whole)


def test_a_shard_says_that_it_is_one_and_shows_no_real_time_factor(
    whole: Path, tmp_path: Path
) -> None:
    done = carry_out(command("--out", "s", "--shard", "2/3"), tmp_path)
    assert "This is shard 2/3 of a plan, 4 of its clips" in done.stderr
    text = (tmp_path / "s" / "leaderboard.md").read_text(encoding="utf-8")
    assert "Note: This is shard 2/3" in text
    assert "Note: Real-time factors are not shown" in text
    assert "Unfinished" not in text
    assert "Real-time factor |" in (whole / "leaderboard.md").read_text(encoding="utf-8")
    assert "Real-time factor |" not in text
    with RunReader(tmp_path / "s") as store:
        assert store.meta("part") == {"index": 2, "count": 3}
        assert all(system.cost.rtf is None for system in results.collect(store).systems)
        assert all(row.synthesis_s is not None for row in store.clips() if row.key.system == "es")


def test_identities_and_signatures_of_a_shard_are_those_of_the_whole_plan(
    whole: Path, tmp_path: Path
) -> None:
    carry_out(command("--out", "s", "--shard", "1/5"), tmp_path)
    with RunReader(tmp_path / "s") as shard, RunReader(whole) as run:
        assert shard.systems() == run.systems()  # recorded hashes the files of all requests
        assert shard.metrics() == run.metrics()
        assert shard.utterances() == run.utterances()
        assert shard.meta("testset") == run.meta("testset")
        assert 0 < len(shard.clips()) < len(run.clips())


def test_another_shard_in_the_same_folder_is_refused(cli: Callable, tmp_path: Path) -> None:
    carry_out(command("--out", "s", "--shard", "1/3"), tmp_path)
    before = rows(tmp_path / "s")
    for shard, said in ((["--shard", "2/3"], "shard 2/3"), (["--shard", "1/4"], "shard 1/4"),
                        ([], "all clips")):  # fmt: skip
        done = carry_out(command("--out", "s", *shard), tmp_path, expected=2)
        assert f"the run there has shard 1/3, this command {said}" in done.stderr
    done = carry_out(command("--out", "s", "--shard", "1/3", limit=7), tmp_path, expected=2)
    assert "of 6 x 1, this command of 7 x 1" in done.stderr or "6 utterances" in done.stderr
    carry_out(command("--out", "s", "--shard", "1/3"), tmp_path)
    assert rows(tmp_path / "s") == before
    carry_out(command("--out", "run"), tmp_path)
    done = carry_out(command("--out", "run", "--shard", "1/3"), tmp_path, expected=2)
    assert "the run there has all clips, this command shard 1/3" in done.stderr


def test_wrong_shards_are_refused(tmp_path: Path) -> None:
    for text in ("0/3", "4/3", "three"):
        done = carry_out(command("--out", "s", "--shard", text), tmp_path, expected=2)
        assert "no shard" in done.stderr
    assert not (tmp_path / "s").exists()


def test_a_shard_without_a_folder_lies_in_that_of_its_run(tmp_path: Path) -> None:
    carry_out(command("--shard", "3/3"), tmp_path)
    [shard] = (tmp_path / "reports").glob("*/shards/003")
    assert (shard / "run.sqlite").is_file()
    done = carry_out([*merging(shard.parents[1])], tmp_path, expected=1)
    assert "of the shards 1/3, 2/3" in done.stderr


def test_more_shards_than_clips_leave_some_empty_and_harmless(whole: Path, tmp_path: Path) -> None:
    settings = config.build(
        {"testset": str(MINI / "digits.lst"), "limit": 2, "metrics": ["health"],
         "systems": {"recorded": "recorded"}, "execution": {"workers": 1}}
    )  # fmt: skip
    asked = [Request("rms-d000", ""), Request("rms-d001", "")]
    sizes = []
    for index in range(1, 5):
        part = Part(index, 4)
        folder = pipeline.evaluate(settings, tmp_path / f"s{index}", part=part)
        with RunReader(folder) as store:
            sizes.append(len(store.clips()))
            assert len(results.collect(store).systems) == 1
    assert sorted(sizes) == [0, 0, 1, 1]
    assert sum(len(Part(index, 4).of(asked, "recorded")) for index in range(1, 5)) == 2
    names = [tmp_path / f"s{index}" for index in range(1, 5)]
    carry_out(merging(tmp_path / "out", *names), tmp_path)


def test_a_damaged_shard_is_rescued_as_a_shard(tmp_path: Path) -> None:
    carry_out(command("--out", "s", "--shard", "1/3"), tmp_path)
    before = rows(tmp_path / "s")
    database = tmp_path / "s" / "run.sqlite"
    data = bytearray(database.read_bytes())
    data[:16] = b"garbage garbage!"
    database.write_bytes(data)
    rescue(tmp_path / "s")
    carry_out(command("--out", "s", "--shard", "1/3"), tmp_path)
    assert rows(tmp_path / "s") == before


def test_a_run_from_python_takes_a_part(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no shard 5 of 3"):
        Part(5, 3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_shard_killed_at_any_moment_goes_on(seed: int, tmp_path: Path) -> None:
    target = script(tmp_path, 0.05)
    systems = ("recorded", "es=espeak:voice=en-us", target)
    extra = ("--max-failures", "1")
    carry_out(command("--out", "whole", *extra, systems=systems, limit=12), tmp_path)
    torn = command("--out", "s1", "--shard", "1/2", *extra, systems=systems, limit=12)
    rng, kills = random.Random(seed), 0
    for _ in range(4):
        process = start(torn, tmp_path)
        time.sleep(rng.uniform(0.5, 3.0))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait(30)
    assert kills > 0
    other = command("--out", "s2", "--shard", "2/2", *extra, systems=systems, limit=12)
    carry_out(other, tmp_path)
    early = carry_out(merging(tmp_path / "out", tmp_path / "s1", tmp_path / "s2"), tmp_path, None)
    assert early.returncode in (0, 1), early.stderr
    carry_out(torn, tmp_path)
    carry_out(merging(tmp_path / "out", tmp_path / "s1", tmp_path / "s2"), tmp_path)
    assert rows(tmp_path / "out") == rows(tmp_path / "whole")
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert leaderboard(tmp_path / "out") == leaderboard(tmp_path / "whole")
