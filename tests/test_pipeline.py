"""Whole runs: rows, failures, order and worker count, growing, refusing what does not fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mamtra_eval import config as configuration
from mamtra_eval import results
from mamtra_eval.config import RunConfig
from mamtra_eval.errors import UserError
from mamtra_eval.pipeline import evaluate
from mamtra_eval.reader import RunReader
from mamtra_eval.store import Store

MakeList = Callable[..., Path]


def _config(meta: Path, *overrides: str, **values: object) -> RunConfig:
    base = {"testset": str(meta), "systems": {"rec": "recorded"}, "metrics": ["health"],
            "execution": {"workers": 1}}  # fmt: skip
    return configuration.build({**base, **values}, overrides)


def rows(folder: Path) -> dict[str, object]:
    """Everything in a run that must not depend on when and how it was made."""
    with Store(folder) as store:
        return {
            "clips": store.clips(),
            "readings": list(store.readings()),
            "systems": store.systems(),
            "metrics": store.metrics(),
            "utterances": [(item.id, item.text) for item in store.utterances()],
        }


def test_every_planned_clip_has_a_row_and_every_metric_a_reading(
    make_list: MakeList, tmp_path: Path
) -> None:
    folder = evaluate(_config(make_list(5)), tmp_path / "run")
    found = rows(folder)
    assert [clip.status for clip in found["clips"]] == ["done"] * 5
    assert len(found["readings"]) == 5
    for clip in found["clips"]:
        assert (folder / clip.path).is_file()


def test_rows_do_not_depend_on_the_number_of_workers(make_list: MakeList, tmp_path: Path) -> None:
    meta = make_list(6)
    systems = {"systems": {"rec": "recorded", "es": "espeak"}}
    found = [
        rows(evaluate(_config(meta, **systems, execution={"workers": n}), tmp_path / f"run{n}"))
        for n in (1, 3)
    ]
    assert found[0] == found[1]


def test_failures_are_rows_and_figures_say_n_of_n(make_list: MakeList, tmp_path: Path) -> None:
    meta = make_list(4)
    wavs = meta.parent / "wavs"
    (wavs / "u1.wav").write_bytes(b"RIFF")
    (wavs / "u2.wav").unlink()
    folder = evaluate(_config(meta, systems={"f": str(wavs)}), tmp_path / "run")
    by_utterance = {clip.key.utterance: clip for clip in rows(folder)["clips"]}
    assert by_utterance["u1"].status == "failed"
    assert "u1.wav: not readable as audio" in by_utterance["u1"].error
    assert "missing: no u2.wav" in by_utterance["u2"].error
    with Store(folder) as store:
        (system,) = results.collect(store).systems
    assert (system.n_done, system.n_failed) == (2, 2)
    assert (system.values["health"].n, system.values["health"].n_failed) == (2, 2)


def test_the_same_call_again_repeats_nothing(make_list: MakeList, tmp_path: Path) -> None:
    meta, log = make_list(3), tmp_path / "calls"
    script = tmp_path / "speak.sh"
    source = meta.parent / "wavs" / "u0.wav"
    script.write_text(f'#!/bin/sh\necho x >> {log}\ncp {source} "$1"\n')
    script.chmod(0o755)
    config = _config(meta, systems={"cmd": f"command:{script} {{out}} {{text}}"})
    folder = evaluate(config, tmp_path / "run")
    before = rows(folder)
    evaluate(config, tmp_path / "run")
    assert log.read_text() == "x\n" * 3
    assert rows(folder) == before


def test_a_run_grows_by_systems_metrics_utterances_and_repeats(
    make_list: MakeList, tmp_path: Path
) -> None:
    meta, folder = make_list(4), tmp_path / "run"
    evaluate(_config(meta, "limit=2"), folder)
    evaluate(_config(meta, "limit=2", systems={"es": "espeak"}), folder)
    evaluate(_config(meta, systems={"rec": "recorded", "es": "espeak"}, repeats=2), folder)
    found = rows(folder)
    assert len(found["clips"]) == 2 * 4 * 2
    assert [row.name for row in found["systems"]] == ["rec", "es"]
    failed = [clip for clip in found["clips"] if clip.status == "failed"]
    assert failed == []  # the set's own recordings serve every repeat
    assert len(found["readings"]) == 16


def test_what_does_not_fit_the_run_is_refused(make_list: MakeList, tmp_path: Path) -> None:
    meta, folder = make_list(3), tmp_path / "run"
    evaluate(_config(meta), folder)
    other = make_list(3, folder="other", words="four five six")
    for config, message in (
        (_config(meta, "limit=2"), "has 3 utterances x 1, this command 2 x 1"),
        (_config(meta, "seed=7"), "seed 0, this command seed 7"),
        (_config(other), "another text, prompt or recording of u0"),
        (_config(meta, "health.min_duration_s=9.0"), "metric health"),
        (_config(meta, systems={"rec": "espeak"}), "system rec"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            evaluate(config, folder)
        assert "--out" in str(caught.value)


def test_a_longer_list_with_other_utterances_or_prompts_is_refused(
    make_list: MakeList, tmp_path: Path
) -> None:
    meta = make_list(2)
    evaluate(_config(meta), tmp_path / "run")
    lines = meta.read_text().splitlines()
    meta.write_text(
        "\n".join([lines[0], *(line.replace("u", "v", 1) for line in lines), *lines[2:]])
    )
    with pytest.raises(UserError, match="without u1"):
        evaluate(_config(meta), tmp_path / "run")
    meta.write_text("\n".join([*lines, "u9|a prompt|prompt.wav|zero"]))
    soundfile.write(meta.parent / "prompt.wav", np.zeros(100), 16000)
    with pytest.raises(UserError, match="prompt or recording of u0"):
        evaluate(_config(meta), tmp_path / "run")


def test_a_repeat_and_another_utterance_never_share_a_file(tmp_path: Path) -> None:
    meta = tmp_path / "meta.lst"
    meta.write_text("u1|one two\nu1.1|three four\n")
    with pytest.raises(UserError, match="same file name"):
        evaluate(_config(meta, systems={"e": "espeak"}, repeats=2), tmp_path / "run")


@pytest.mark.slow
def test_a_test_set_that_moved_is_found_at_its_new_place(
    make_list: MakeList, tmp_path: Path
) -> None:
    meta = make_list(2)
    evaluate(_config(meta, "limit=1"), tmp_path / "run")
    moved = meta.parent.rename(tmp_path / "moved") / "meta.lst"
    folder = evaluate(_config(moved, metrics=["health", "similarity"]), tmp_path / "run")
    errors = [row.error for row in rows(folder)["readings"] if row.metric == "similarity"]
    assert len(errors) == 2
    assert not any("No such file" in (error or "") for error in errors)


def test_order_of_systems_keeps_the_folder_and_moves_the_baseline(
    make_list: MakeList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    meta = make_list(1)
    first = evaluate(_config(meta, systems={"a": "recorded", "b": "espeak"}))
    second = evaluate(_config(meta, systems={"b": "espeak", "a": "recorded"}))
    assert first == second
    with Store(first) as store:
        assert store.meta("baseline") == "b"
    evaluate(_config(meta, systems={"c": "espeak:voice=en-gb"}), first)
    with Store(first) as store:
        assert store.meta("baseline") == "b"  # an addition does not move it


def test_a_clip_that_no_container_takes_is_a_failure_row(
    make_list: MakeList, tmp_path: Path
) -> None:
    meta = make_list(2)
    fast = tmp_path / "fast.wav"
    soundfile.write(fast, np.zeros(8000), 800_000)
    folder = evaluate(_config(meta, systems={"c": f"command:cp {fast} {{out}}"}), tmp_path / "run")
    assert {clip.status for clip in rows(folder)["clips"]} == {"done"}  # as float WAV


def test_changed_recordings_under_the_same_name_are_refused(
    make_list: MakeList, tmp_path: Path
) -> None:
    meta = make_list(2)
    config = _config(meta, systems={"f": str(meta.parent / "wavs")})
    evaluate(config, tmp_path / "run")
    samples, rate = soundfile.read(meta.parent / "wavs" / "u0.wav")
    soundfile.write(meta.parent / "wavs" / "u0.wav", samples * 0.5, rate)
    with pytest.raises(UserError, match="new folder"):
        evaluate(config, tmp_path / "run")


def test_a_deleted_clip_is_made_again(make_list: MakeList, tmp_path: Path) -> None:
    config = _config(make_list(3))
    folder = evaluate(config, tmp_path / "run")
    before = rows(folder)
    (folder / before["clips"][1].path).unlink()
    evaluate(config, folder)
    assert rows(folder) == before


def test_failed_clips_are_kept_or_retried_as_asked(make_list: MakeList, tmp_path: Path) -> None:
    meta, gate = make_list(2), tmp_path / "gate"
    script = tmp_path / "speak.sh"
    source = meta.parent / "wavs" / "u0.wav"
    script.write_text(f'#!/bin/sh\ntest -e {gate} || exit 5\ncp {source} "$1"\n')
    script.chmod(0o755)
    config = _config(meta, systems={"cmd": f"command:{script} {{out}} {{text}}"})
    folder = evaluate(config, tmp_path / "run")
    assert {clip.status for clip in rows(folder)["clips"]} == {"failed"}
    gate.touch()
    evaluate(config, folder)
    assert {clip.status for clip in rows(folder)["clips"]} == {"failed"}
    evaluate(config, folder, retry_failed=True)
    assert {clip.status for clip in rows(folder)["clips"]} == {"done"}
    assert len(rows(folder)["readings"]) == 2


@pytest.mark.slow
def test_metrics_that_the_set_does_not_allow_are_left_out_with_a_note_or_refused(
    tmp_path: Path, make_list: MakeList
) -> None:
    meta = make_list(2)
    plain = meta.parent / "plain.lst"
    plain.write_text("u0|one two\nu1|two three\n")
    folder = evaluate(_config(plain, metrics=None), tmp_path / "run")
    with Store(folder) as store:
        assert "similarity" not in {row.name for row in store.metrics()}
        assert "similarity was left out" in store.notes()[0]
    with pytest.raises(UserError, match="prompt"):
        evaluate(_config(plain, metrics=["similarity"]), tmp_path / "other")


def test_a_second_process_on_the_same_run_is_refused(make_list: MakeList, tmp_path: Path) -> None:
    folder = evaluate(_config(make_list(1)), tmp_path / "run")
    with Store(folder) as first, first.lock(), Store(folder) as second:  # noqa: SIM117
        with pytest.raises(UserError, match="another process"), second.lock():
            pass


def test_a_folder_that_holds_something_else_is_left_alone(
    make_list: MakeList, tmp_path: Path
) -> None:
    other = tmp_path / "holiday"
    other.mkdir()
    (other / "photo.jpg").write_bytes(b"x")
    with pytest.raises(UserError, match="not empty and holds no run"):
        evaluate(_config(make_list(1)), other)
    assert [path.name for path in other.iterdir()] == ["photo.jpg"]


def test_a_damaged_database_is_said(make_list: MakeList, tmp_path: Path) -> None:
    folder = evaluate(_config(make_list(1)), tmp_path / "run")
    (folder / "run.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(UserError, match="database is damaged"):
        evaluate(_config(make_list(1, folder="b")), folder)


def test_a_retry_forgets_only_what_it_retries(make_list: MakeList, tmp_path: Path) -> None:
    meta, folder = make_list(2, words="..."), tmp_path / "run"
    evaluate(_config(meta, metrics=["wer", "health"]), folder)
    failed = [row.error for row in rows(folder)["readings"] if row.error]
    assert len(failed) == 2  # a text without words
    evaluate(_config(meta), folder, retry_failed=True)
    assert [row.error for row in rows(folder)["readings"] if row.error] == failed


def test_run_yaml_continues_the_whole_run(make_list: MakeList, tmp_path: Path) -> None:
    meta, folder = make_list(2), tmp_path / "run"
    both = {"a": "recorded", "b": "espeak"}
    evaluate(
        _config(meta, "asr.grammar=digits", systems=both, baseline="b", metrics=["wer"]), folder
    )
    evaluate(_config(meta, systems={"c": "espeak:voice=en-gb"}), folder)
    evaluate(configuration.load(str(folder / "run.yaml")), folder)
    found = rows(folder)
    assert len(found["readings"]) == 3 * 2 * 2  # every system has every metric now
    with Store(folder) as store:
        assert store.meta("baseline") == "b"


def test_a_killed_run_in_a_read_only_folder_is_read_with_its_log(
    make_list: MakeList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = evaluate(_config(make_list(2)), tmp_path / "run")
    copy = tmp_path / "copy"
    with Store(folder) as store:
        store.set_meta("notes", ["only in the log"])
        shutil.copytree(folder, copy)  # as a kill would leave it: the log not merged
    assert (copy / "run.sqlite-wal").stat().st_size > 0
    monkeypatch.setattr("mamtra_eval.reader.os.access", lambda *_: False)
    before = sorted(path.name for path in copy.iterdir())
    with RunReader(copy) as reader:
        assert reader.meta("notes") == ["only in the log"]
        assert len(reader.clips()) == 2
    assert sorted(path.name for path in copy.iterdir()) == before


def test_clips_that_fail_in_a_later_start_count_for_the_metrics_of_earlier_ones(
    make_list: MakeList, tmp_path: Path
) -> None:
    meta, folder = make_list(3), tmp_path / "run"
    wavs = meta.parent / "wavs"
    (wavs / "u2.wav").unlink()
    systems = {"f": str(wavs)}
    digits = ("limit=2", "asr.grammar=digits")
    evaluate(_config(meta, *digits, systems=systems, metrics=["wer"]), folder)
    evaluate(_config(meta, systems=systems), folder)
    with Store(folder) as store:
        (system,) = results.collect(store).systems
        assert store.failed_counts("wer")["u2"] == {"words": 3.0}
    assert system.values["wer"].n == 2
    assert system.values["wer_incl_failed"].n == 3
