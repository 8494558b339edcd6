"""Outlines of clips: what they say, and that runs made before them stay what they were."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval import config as configuration
from mamtra_eval import envelope, pipeline
from mamtra_eval.reader import DATABASE, RunReader
from mamtra_eval.store import Store

MakeList = Callable[..., Path]


def _levels(text: str) -> list[int]:
    return [envelope.LEVELS.index(character) for character in text]


def _run(make_list: MakeList, tmp_path: Path, n: int = 3) -> Path:
    config = configuration.build(
        {"testset": str(make_list(n=n)), "systems": {"r": "recorded"}, "metrics": ["health"]}
    )
    return pipeline.evaluate(config, tmp_path / "run")


def _age(folder: Path) -> None:
    """Make it a run of the time before outlines."""
    with sqlite3.connect(folder / DATABASE) as database:
        database.execute("ALTER TABLE clips DROP COLUMN envelope")
    database.close()


def _outlines(folder: Path) -> list[str | None]:
    with RunReader(folder) as store:
        return [clip.envelope for clip in store.clips()]


def test_speech_and_silence_can_be_told_apart():
    samples = np.zeros(16000, np.float32)
    samples[4000:8000] = 0.25
    levels = _levels(envelope.of(samples))
    assert levels == [0] * 25 + [round(63 * 0.5)] * 25 + [0] * 50


@given(st.integers(1, 400))
def test_every_sample_is_in_one_slice(n):
    for place in {0, n // 3, n // 2, n - 1}:
        samples = np.zeros(n, np.float32)
        samples[place] = -1.0
        levels = _levels(envelope.of(samples))
        assert len(levels) == min(n, envelope.POINTS)
        assert sorted(levels)[-2:] in ([63], [0, 63])


def test_what_is_no_number_or_over_full_scale_counts_as_full_scale():
    samples = np.array([0.0, np.nan, np.inf, -np.inf, -3.0], np.float32)
    assert _levels(envelope.of(samples)) == [0, 63, 63, 63, 63]


def test_a_clip_without_samples_has_none():
    assert envelope.of(np.zeros(0, np.float32)) == ""


def test_a_run_keeps_the_outline_of_every_clip(make_list, tmp_path):
    folder = _run(make_list, tmp_path)
    samples, _ = soundfile.read(tmp_path / "set" / "wavs" / "u0.wav", dtype="float32")
    assert _outlines(folder)[0] == envelope.of(samples)
    assert None not in _outlines(folder)


def test_an_older_run_can_be_read_and_continued(make_list, tmp_path):
    folder = _run(make_list, tmp_path)
    before = _outlines(folder)
    _age(folder)
    assert _outlines(folder) == [None] * 3
    (folder / "clips" / "r" / "u1.wav").unlink()  # is made again
    config = configuration.load(str(folder / "run.yaml"))
    pipeline.evaluate(config, folder)
    assert _outlines(folder) == [None, before[1], None]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_an_older_run_can_be_read_where_nothing_can_be_written(make_list, tmp_path):
    folder = _run(make_list, tmp_path)
    _age(folder)
    folder.chmod(0o555)
    try:
        assert _outlines(folder) == [None] * 3
    finally:
        folder.chmod(0o755)


def test_a_copy_of_an_older_run_can_be_read(make_list, tmp_path, monkeypatch):
    folder = _run(make_list, tmp_path)
    _age(folder)
    monkeypatch.setattr(os, "access", lambda *_: False)  # as a read-only folder answers
    assert _outlines(folder) == [None] * 3


def test_an_outline_can_be_added_later(make_list, tmp_path):
    folder = _run(make_list, tmp_path, n=1)
    _age(folder)
    with Store(folder) as store:
        (clip,) = store.clips()
        store.set_envelope(clip.key, "ABC")
    assert _outlines(folder) == ["ABC"]
