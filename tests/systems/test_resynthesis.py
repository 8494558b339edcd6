"""Recordings through the mini codec."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mamtra_eval import audio, registry
from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.systems import Request


@pytest.fixture
def request_of_one(mini: Path) -> Request:
    row = (mini / "meta.lst").read_text().splitlines()[0].split("|")
    return Request(row[0], row[3], row[1], mini / row[2], mini / row[4])


def test_it_is_the_recording_in_another_sound(request_of_one: Request) -> None:
    system = registry.create("systems", "resynthesis", {})
    assert request_of_one.ground_truth is not None
    recording = audio.read(request_of_one.ground_truth)
    clip = system.speak(request_of_one)
    seconds = len(recording.samples) / recording.sample_rate_hz
    assert len(clip.samples) / clip.sample_rate_hz == pytest.approx(seconds, abs=0.06)
    assert not np.array_equal(clip.samples[:1000], recording.samples[:1000])
    level = np.sqrt(np.mean(recording.samples**2))
    assert 0.5 * level < np.sqrt(np.mean(clip.samples**2)) < 2 * level
    assert np.array_equal(system.speak(request_of_one).samples, clip.samples)


def test_without_recordings_there_is_nothing_to_say(
    request_of_one: Request, tmp_path: Path
) -> None:
    system = registry.create("systems", "resynthesis", {})
    bare = Request("a", "Good morning.")
    gone = Request(**{**vars(request_of_one), "ground_truth": tmp_path / "gone.wav"})
    for requests in ([bare], [gone], []):
        with pytest.raises(UserError, match="no ground-truth recordings"):
            system.identity(requests)
    for request in (bare, gone):
        with pytest.raises(SynthesisError):
            system.speak(request)
    assert len(system.identity([request_of_one, bare])["recordings"]) == 1
