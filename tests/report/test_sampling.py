"""The page of a run that is too large for one shows whole utterances, and says which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from written_runs import N, run

from mamtra_eval import results
from mamtra_eval.report import _html_data, _sampling

SIZE = 12


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> results.Results:
    """A run of three systems, of which two clips failed, and a page that holds 12 utterances."""
    made = results.assemble(run(tmp_path / "a", {"t": 0, "x": 2, "y": 3}))
    monkeypatch.setattr(_sampling, "MOST_CLIPS", SIZE * 3)
    failing = {("x", "u07"), ("y", "u19")}
    clips = tuple(
        replace(clip, status="failed", error="it broke")
        if (clip.key.system, clip.key.utterance) in failing and clip.key.repeat == 0 else clip
        for clip in made.clips
    )  # fmt: skip
    return replace(made, clips=clips)


def test_a_run_that_fits_is_shown_whole(
    found: results.Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sampling, "MOST_CLIPS", N * 3)
    data = _html_data.build(found)
    assert data["sample"] is None
    assert len(data["clips"]) == N * 3


def test_what_is_shown_is_whole_utterances_with_the_failures_among_them(
    found: results.Results,
) -> None:
    data = _html_data.build(found)
    shown = {clip["utterance"] for clip in data["clips"]}
    assert len(shown) == SIZE
    assert len(data["clips"]) == SIZE * 3
    assert {"u07", "u19"} <= shown
    assert data["sample"]["of"] == N * 3
    assert f"12 of {N} utterances" in data["sample"]["note"]
    assert "2 of the 2 in which something failed" in data["sample"]["note"]


def test_the_largest_losses_are_there(found: results.Results) -> None:
    sample = _sampling.choose(found)
    assert sample is not None
    losses = dict.fromkeys(found.utterances, 0.0)
    for clip in found.clips:
        reading = found.readings[clip.key, "wer"]
        if clip.key.system == "y" and not isinstance(reading, str):
            losses[clip.key.utterance] = reading.counts["errors"]
    most = max(losses.values())
    assert any(losses[utterance] == most for utterance in sample.utterances)


def test_the_draw_is_the_same_at_every_writing(found: results.Results) -> None:
    assert _sampling.choose(found) == _sampling.choose(found)
    turned = replace(found, clips=found.clips[::-1])
    assert _sampling.choose(turned) == _sampling.choose(found)


def test_figures_rest_on_all_clips(found: results.Results, monkeypatch: pytest.MonkeyPatch) -> None:
    sampled = _html_data.build(found)["systems"]
    monkeypatch.setattr(_sampling, "MOST_CLIPS", 10**9)
    assert _html_data.build(found)["systems"] == sampled
