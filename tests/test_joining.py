"""Joining: what is taken over, what is refused, and that it may be killed and done again."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from run_rows import rows
from shard_runs import carry_out, command, files, leaderboard, merging, start

from mamtra_eval import agreement, config, joining, pipeline
from mamtra_eval.config import RunConfig
from mamtra_eval.errors import UserError
from mamtra_eval.joining import join
from mamtra_eval.parts import Part
from mamtra_eval.reader import RunReader
from mamtra_eval.run_folder import lock

N = 6


def _config(**more: object) -> RunConfig:
    values = {
        "testset": str(MINI / "digits.lst"), "limit": N, "metrics": ["health"],
        "systems": {"recorded": "recorded", "es": "espeak"}, "execution": {"workers": 1}, **more,
    }  # fmt: skip
    return config.build(values)


MINI = Path(__file__).parent.parent / "testsets" / "mini-en"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run, and its three shards; not to be changed."""
    root = tmp_path_factory.mktemp("made")
    pipeline.evaluate(_config(), root / "whole")
    for index in (1, 2, 3):
        pipeline.evaluate(_config(), root / f"s{index}", part=Part(index, 3))
    return root


@pytest.fixture
def shards(made: Path, tmp_path: Path) -> list[Path]:
    """Copies of the shards, to be changed."""
    return [shutil.copytree(made / name, tmp_path / name) for name in ("s1", "s2", "s3")]


@contextmanager
def _database(folder: Path) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(folder / "run.sqlite")
    with database:
        yield database
    database.close()


def test_all_shards_joined_are_the_whole_run(made: Path, tmp_path: Path) -> None:
    joined = join(tmp_path / "out", [made / name for name in ("s3", "s1", "s2")])
    assert (joined.clips, joined.missing, joined.damaged) == (2 * N, {}, [])
    assert rows(tmp_path / "out") == rows(made / "whole")
    assert files(tmp_path / "out") == files(made / "whole")
    with RunReader(tmp_path / "out") as out, RunReader(made / "whole") as whole:
        for key in joining.FROM_FIRST:
            if key != "starts":
                assert out.meta(key) == whole.meta(key), key
        assert out.meta("finished") is not None
        assert out.utterances() == whole.utterances()


def test_clips_are_linked_where_that_can_be(made: Path, tmp_path: Path) -> None:
    join(tmp_path / "out", [made / "s1"])
    clips = [path for path in (made / "s1" / "clips").rglob("*") if path.is_file()]
    assert clips
    for clip in clips:
        other = tmp_path / "out" / clip.relative_to(made / "s1")
        same_disk = tmp_path.stat().st_dev == made.stat().st_dev
        assert clip.samefile(other) or not same_disk


def test_clips_are_copied_where_links_are_not_possible(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(source: object, target: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_link)
    join(tmp_path / "out", [made / f"s{index}" for index in (1, 2, 3)])
    assert files(tmp_path / "out") == files(made / "whole")


def test_shards_are_not_touched(shards: list[Path], tmp_path: Path) -> None:
    def content() -> dict[str, tuple[str, int]]:
        return {
            str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
            for shard in shards for path in sorted(shard.rglob("*")) if path.is_file()
        }  # fmt: skip

    before = content()
    join(tmp_path / "out", shards)
    assert content() == before


def test_what_is_missing_is_told_and_the_same_run_finishes_it(made: Path, tmp_path: Path) -> None:
    joined = join(tmp_path / "out", [made / "s1", made / "s2"])
    assert list(joined.missing) == [3]
    with RunReader(tmp_path / "out") as store:
        planned = [row.key for row in store.clips() if row.status == "planned"]
        assert len(planned) == joined.missing[3] == 2 * N - joined.clips
        assert store.meta("finished") is None
    with RunReader(made / "s3") as store:
        assert {row.key for row in store.clips()} == {*planned}
    pipeline.evaluate(_config(), tmp_path / "out")
    assert rows(tmp_path / "out") == rows(made / "whole")


def test_joining_again_changes_nothing_and_takes_in_what_came_later(
    made: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    join(out, [made / "s1"])
    before = rows(out)
    again = join(out, [made / "s1", made / "s1"])
    assert (again.clips, again.readings) == (0, 0)
    assert rows(out) == before
    later = join(out, [made / "s2", made / "s3"])
    assert later.missing == {}
    assert rows(out) == rows(made / "whole")


def test_a_shard_that_was_killed_gives_what_it_has(
    shards: list[Path], made: Path, tmp_path: Path
) -> None:
    with _database(shards[0]) as database:  # as it stood before its last clip
        system, utterance = database.execute(
            "SELECT system, utterance FROM clips ORDER BY rowid DESC LIMIT 1"
        ).fetchone()
        database.execute(
            "UPDATE clips SET status = 'planned', path = NULL WHERE system = ? AND utterance = ?",
            (system, utterance),
        )
        database.execute(
            "DELETE FROM readings WHERE system = ? AND utterance = ?", (system, utterance)
        )
    joined = join(tmp_path / "out", shards)
    assert joined.missing == {1: 1}
    pipeline.evaluate(_config(), shards[0], part=Part(1, 3))
    assert join(tmp_path / "out", shards).missing == {}
    assert rows(tmp_path / "out") == rows(made / "whole")


def test_a_clip_that_is_not_what_was_made_is_left_out_and_named(
    shards: list[Path], tmp_path: Path
) -> None:
    clip = sorted((shards[1] / "clips").rglob("*.flac"))[0]
    clip.write_bytes(clip.read_bytes()[:-7])
    gone = sorted((shards[2] / "clips").rglob("*.flac"))[0]
    gone.unlink()
    joined = join(tmp_path / "out", shards)
    assert joined.damaged == [clip, gone]
    assert joined.missing == {2: 1, 3: 1}
    for path, index in ((clip, 2), (gone, 3)):
        path.unlink(missing_ok=True)
        pipeline.evaluate(_config(), path.parents[2], part=Part(index, 3))
    assert join(tmp_path / "out", shards).missing == {}


def test_failures_are_rows_and_a_retry_mends_them(shards: list[Path], tmp_path: Path) -> None:
    with _database(shards[0]) as database:
        key = database.execute("SELECT system, utterance FROM clips LIMIT 1").fetchone()
        kept = database.execute(
            "SELECT path, sha256 FROM clips WHERE system = ? AND utterance = ?", key
        ).fetchone()
        database.execute(
            "UPDATE clips SET status = 'failed', error = 'out of luck', path = NULL, sha256 = NULL "
            "WHERE system = ? AND utterance = ?",
            key,
        )
    joined = join(tmp_path / "out", shards)
    assert joined.missing == {}
    with RunReader(tmp_path / "out") as store:
        assert [row.error for row in store.clips() if row.status == "failed"] == ["out of luck"]
    with _database(shards[0]) as database:
        database.execute(
            "UPDATE clips SET status = 'done', error = NULL, path = ?, sha256 = ? "
            "WHERE system = ? AND utterance = ?",
            (*kept, *key),
        )
    assert join(tmp_path / "out", shards).clips == 1
    with RunReader(tmp_path / "out") as store:
        assert all(row.status == "done" for row in store.clips())


CHANGES: dict[str, tuple[str, str]] = {
    "UPDATE meta SET value = json_set(value, '$.sha256', 'x') WHERE key = 'testset'": (
        "test set's sha256", "x",
    ),
    "UPDATE meta SET value = json_set(value, '$.seed', 7) WHERE key = 'testset'": (
        "test set's seed", "7",
    ),
    "UPDATE meta SET value = json_set(value, '$.repeats', 2) WHERE key = 'testset'": (
        "test set's repeats", "2",
    ),
    "UPDATE systems SET identity = json_set(identity, '$.voice', 'other') WHERE name = 'es'": (
        "system es", 'voice "other"',
    ),
    "UPDATE systems SET name = 'fr' WHERE name = 'es'": ("set of systems", "recorded, fr"),
    "UPDATE metrics SET signature = 'health|v99'": ("metric health", "health|v99"),
    "UPDATE meta SET value = '\"seed-tts-eval\"' WHERE key = 'recipe'": ("recipe", "seed-tts"),
    "UPDATE meta SET value = '\"fast\"' WHERE key = 'mode'": ("mode", "fast"),
    "UPDATE meta SET value = '{\"wer\": 0.5}' WHERE key = 'margins'": ("margins", "0.5"),
    "UPDATE meta SET value = json_set(value, '$.count', 9) WHERE key = 'part'": (
        "number of shards", "9",
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_shards_of_another_plan_are_refused_with_what_differs(
    change: str, shards: list[Path], tmp_path: Path
) -> None:
    with _database(shards[1]) as database:
        assert database.execute(change).rowcount == 1
    with pytest.raises(UserError) as caught:
        join(tmp_path / "out", shards)
    assert str(shards[1]) in str(caught.value)
    for word in CHANGES[change]:
        assert word in str(caught.value)
    assert not (tmp_path / "out").exists()  # nothing was written
    join(tmp_path / "out", [shards[0]])
    before = rows(tmp_path / "out")
    with pytest.raises(UserError, match=CHANGES[change][0]):
        join(tmp_path / "out", [shards[1]])
    assert rows(tmp_path / "out") == before


def test_the_same_clip_twice_with_other_content_is_refused_and_named(
    shards: list[Path], tmp_path: Path
) -> None:
    twin = shutil.copytree(shards[0], tmp_path / "twin")
    assert join(tmp_path / "fine", [*shards, twin]).missing == {}  # equal content is harmless
    with _database(twin) as database:
        key = database.execute("SELECT system, utterance FROM clips LIMIT 1").fetchone()
        database.execute("UPDATE clips SET sha256 = 'abc' WHERE system = ? AND utterance = ?", key)
    for given in ([*shards, twin], [twin, *shards]):
        with pytest.raises(UserError, match=f"another clip for {key[0]}, {key[1]}"):
            join(tmp_path / "out", given)
        assert not (tmp_path / "out").exists()
    join(tmp_path / "out", shards)
    with pytest.raises(UserError, match=f"another clip for {key[0]}, {key[1]}"):
        join(tmp_path / "out", [twin])


def test_another_reading_of_the_same_clip_is_refused_and_named(
    shards: list[Path], tmp_path: Path
) -> None:
    twin = shutil.copytree(shards[0], tmp_path / "twin")
    with _database(twin) as database:
        database.execute("UPDATE readings SET counts = '{}' WHERE rowid = 1")
    for out, given in (("new", [shards[0], twin]), ("out", [twin])):
        if out == "out":
            join(tmp_path / out, [shards[0]])
        with pytest.raises(UserError, match="another health reading of"):
            join(tmp_path / out, given)


def test_what_is_no_shard_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no shard"):
        join(tmp_path / "out", [made / "s1", made / "whole"])
    with pytest.raises(UserError, match="no run here"):
        join(tmp_path / "out", [tmp_path])
    with pytest.raises(UserError, match="no shards to join"):
        join(tmp_path / "out", [])
    with pytest.raises(UserError, match="is shard 1/3 itself"):
        join(made / "s1", [made / "s2"])


def test_a_shard_that_is_being_written_is_left_for_the_next_time(
    shards: list[Path], made: Path, tmp_path: Path
) -> None:
    with lock(shards[0]):
        joined = join(tmp_path / "out", shards)
        assert joined.running == [shards[0]]
        with pytest.raises(UserError, match="being written"):
            join(tmp_path / "other", [shards[0]])
    assert list(joined.missing) == [1]
    assert join(tmp_path / "out", shards).missing == {}
    assert rows(tmp_path / "out") == rows(made / "whole")


def test_a_shard_that_has_just_begun_is_left_for_the_next_time(
    shards: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "run.sqlite").touch()
    joined = join(tmp_path / "out", [*shards, tmp_path / "new"])
    assert (joined.missing, joined.running) == ({}, [tmp_path / "new"])


def test_a_plan_that_grew_in_some_shards_only_is_joined(shards: list[Path], tmp_path: Path) -> None:
    grown = _config(
        systems={"recorded": "recorded", "es": "espeak", "gb": "espeak:voice=en-gb"}
    )  # fmt: skip
    pipeline.evaluate(grown, shards[1], part=Part(2, 3))
    joined = join(tmp_path / "out", shards)
    assert sorted(joined.missing) == [1, 3]
    for index in (1, 3):
        pipeline.evaluate(grown, shards[index - 1], part=Part(index, 3))
    assert join(tmp_path / "out", shards).missing == {}
    whole = pipeline.evaluate(grown, tmp_path / "whole")
    assert rows(tmp_path / "out") == rows(whole)


def test_shards_in_read_only_folders(shards: list[Path], made: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere; the mount below shows it for root")
    for shard in shards:
        for path in [*shard.rglob("*"), shard]:
            path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        join(tmp_path / "out", shards)
        assert rows(tmp_path / "out") == rows(made / "whole")
    finally:
        for shard in shards:
            for path in [shard, *shard.rglob("*")]:
                path.chmod(0o755 if path.is_dir() else 0o644)


def test_shards_on_a_read_only_mount(shards: list[Path], made: Path, tmp_path: Path) -> None:
    mount = ["mount", "--bind", "-o", "ro", str(tmp_path), str(tmp_path / "seen")]
    (tmp_path / "seen").mkdir()
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no leave to mount")
    try:
        if os.access(tmp_path / "seen" / "s1", os.W_OK):
            pytest.skip("bind mounts are not read-only here")
        join(tmp_path / "out", [tmp_path / "seen" / shard.name for shard in shards])
        assert rows(tmp_path / "out") == rows(made / "whole")
    finally:
        subprocess.run(["umount", str(tmp_path / "seen")], check=True)


def test_memory_does_not_hold_the_rows(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clips are handed over in small batches, each written before the next is read."""
    monkeypatch.setattr(joining, "AT_ONCE", 2)
    sizes: list[int] = []
    bring = joining._bring

    def counted(store: object, *rest: object) -> bool:
        sizes.append(len([row for row in store.clips() if row.status != "planned"]))  # type: ignore[attr-defined]
        return bring(store, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(joining, "_bring", counted)
    join(tmp_path / "out", [made / f"s{index}" for index in (1, 2, 3)])
    assert sizes == sorted(sizes)
    assert all(seen - written < 2 for seen, written in enumerate(sizes))


def test_samples_of_fast_mode_are_pooled() -> None:
    one = {
        "n": 3, "n_sampled": 4, "n_failed_fast": 1, "n_failed_strict": 0, "n_differing": 1,
        "differing_at_most": 0.8, "n_transcripts_differing": 1, "figure": "wer", "unit": "fraction",
        "fast": 0.3, "strict": 0.2, "largest_difference": 0.5, "examples": [{"utterance": "a"}],
        "asked": "x",
    }  # fmt: skip
    none = {**one, "n": 0, "n_sampled": 1, "n_differing": 0, "differing_at_most": None,
            "fast": None, "strict": None, "largest_difference": None, "examples": []}  # fmt: skip
    other = {**one, "n": 1, "n_sampled": 1, "n_failed_fast": 0, "n_differing": 0, "fast": 0.7,
             "strict": 0.6, "largest_difference": 0.1}  # fmt: skip
    found = agreement.pool([{"wer": one}, {}, {"wer": other}, {"wer": none}])["wer"]
    assert (found["n"], found["n_sampled"], found["n_differing"]) == (4, 6, 1)
    assert found["fast"] == pytest.approx((3 * 0.3 + 0.7) / 4)
    assert found["strict"] == pytest.approx((3 * 0.2 + 0.6) / 4)
    assert found["largest_difference"] == 0.5
    assert 0.25 < found["differing_at_most"] < 0.8
    assert agreement.note({"wer": found})
    assert agreement.pool([]) == {}


def test_the_command_joins_reports_and_tells_what_is_missing(
    made: Path, cli: Callable, tmp_path: Path
) -> None:
    done = cli("merge", "out", made / "s1", made / "s3")
    assert done.returncode == 1
    assert "of the shards 2/3" in done.stderr
    assert "mamtra-eval run out/run.yaml --out out" in done.stderr
    assert "no shard" in cli("merge", "out").stderr
    shutil.copytree(made / "s2", tmp_path / "out" / "shards" / "002")
    done = cli("merge", "out")
    assert done.returncode == 0, done.stderr
    assert "Missing" not in done.stderr
    assert cli("report", made / "whole").returncode == 0
    assert leaderboard(tmp_path / "out") == leaderboard(made / "whole")
    assert "Nothing changed" in cli("verify", "out").stdout


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_merge_killed_at_any_moment_and_done_again(seed: int, tmp_path: Path) -> None:
    carry_out(command("--out", "whole", limit=40), tmp_path)
    for index in (1, 2):
        carry_out(command("--out", f"s{index}", "--shard", f"{index}/2", limit=40), tmp_path)
    names = [tmp_path / "s1", tmp_path / "s2"]
    started = time.monotonic()
    carry_out(merging(tmp_path / "once", *names), tmp_path)
    duration = time.monotonic() - started
    rng, kills = random.Random(seed), 0
    for _ in range(6):
        process = start(merging(tmp_path / "out", *names), tmp_path)
        time.sleep(rng.uniform(0.1, 0.9) * duration)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait(30)
    assert kills > 0
    carry_out(merging(tmp_path / "out", *names), tmp_path)
    for name in ("once", "out"):
        assert rows(tmp_path / name) == rows(tmp_path / "whole")
        assert files(tmp_path / name) == files(tmp_path / "whole")
        assert leaderboard(tmp_path / name) == leaderboard(tmp_path / "whole")
