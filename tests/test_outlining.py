"""Outlines for runs that were made before runs kept them."""

from __future__ import annotations

import os
import sqlite3

import pytest

from mamtra_eval import config as configuration
from mamtra_eval import outlining, pipeline
from mamtra_eval.reader import DATABASE, RunReader
from mamtra_eval.store import Store


@pytest.fixture
def older(make_list, tmp_path):
    """A run without outlines, and those that it had."""
    config = configuration.build(
        {"testset": str(make_list(n=3)), "systems": {"r": "recorded"}, "metrics": ["health"]}
    )
    run = pipeline.evaluate(config, tmp_path / "run")
    before = _outlines(run)
    with sqlite3.connect(run / DATABASE) as database:
        database.execute("ALTER TABLE clips DROP COLUMN envelope")
    database.close()
    return run, before


def _outlines(run):
    with RunReader(run) as store:
        return [clip.envelope for clip in store.clips()]


def test_the_report_draws_what_is_missing_once(older, cli):
    run, before = older
    first, second = cli("report", run), cli("report", run)
    assert "waveforms of 3 clips" in first.stderr
    assert second.stderr == ""
    assert _outlines(run) == before


def test_clips_without_a_readable_file_get_none(older):
    run, before = older
    (run / "clips/r/u0.wav").unlink()
    (run / "clips/r/u1.wav").write_bytes(b"no audio")
    clips = outlining.missing(run)
    assert [clip.key.utterance for clip in clips] == ["u1", "u2"]
    assert outlining.fill(run, clips) == 1
    assert _outlines(run) == [None, None, before[2]]


def test_a_run_that_cannot_be_written_stays_as_it_is(older, monkeypatch):
    run, _ = older
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert outlining.missing(run) == []


def test_a_run_that_another_process_writes_is_left_alone(older):
    run, _ = older
    clips = outlining.missing(run)
    with Store(run) as store, store.lock():
        assert outlining.fill(run, clips) == 0
    assert _outlines(run) == [None] * 3
