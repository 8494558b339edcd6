"""Recordings that give a voice: bounds, and features that are computed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mamtra_eval import prompts
from mamtra_eval.errors import SynthesisError
from mamtra_eval.prompts import Bounds, Kept


def recording(folder: Path, seconds: float = 1.0, rate: int = 16_000, value: float = 0.1) -> Path:
    path = folder / f"{seconds}-{rate}-{value}.wav"
    soundfile.write(path, np.full(round(seconds * rate), value, np.float32), rate, subtype="FLOAT")
    return path


@pytest.mark.parametrize(
    ("seconds", "rate", "value", "told"),
    [
        (0.05, 16_000, 0.1, "lasts 0.05 s; this system takes 0.1 s at the least"),
        (0.0, 16_000, 0.1, "holds no samples"),
        (3.0, 16_000, 0.1, "lasts 3 s; this system takes 2 s at the most"),
        (1.0, 8_000, 0.1, "8000 Hz"),
        (1.0, 16_000, np.nan, "no finite numbers"),
        (1.0, 16_000, np.inf, "no finite numbers"),
    ],
)
def test_what_gives_no_voice_is_told(
    tmp_path: Path, seconds: float, rate: int, value: float, told: str
) -> None:
    with pytest.raises(SynthesisError, match=told):
        prompts.read(recording(tmp_path, seconds, rate, value), Bounds(most_s=2, least_hz=16_000))


def test_no_recording_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no audio")
    for path in (broken, tmp_path / "absent.wav"):
        with pytest.raises(SynthesisError, match="the prompt can't be read"):
            Kept[int]().get(path, lambda _: 1)


def test_features_are_computed_once_for_a_content_and_what_stands_beside_it(tmp_path: Path) -> None:
    kept, made = Kept[int](), []
    path, other = recording(tmp_path), recording(tmp_path, value=0.2)
    copy = tmp_path / "copy.wav"
    copy.write_bytes(path.read_bytes())
    for one, beside in ((path, "a"), (copy, "a"), (path, "b"), (other, "a"), (path, "a")):
        kept.get(one, lambda clip: made.append(clip.duration_s) or len(made), beside=beside)
    assert len(made) == 3


def test_the_prompts_of_the_longest_ago_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompts, "KEPT", 2)
    kept, made = Kept[int](), []
    one, two, three = (recording(tmp_path, value=value) for value in (0.1, 0.2, 0.3))
    for path in (one, two, one, three, one, two):  # two was not asked for as lately as one
        kept.get(path, lambda _, path=path: made.append(path) or 0)
    assert made == [one, two, three, two]


def test_what_fails_is_not_kept(tmp_path: Path) -> None:
    kept, path = Kept[int](), recording(tmp_path)
    with pytest.raises(ZeroDivisionError):
        kept.get(path, lambda _: 1 // 0)
    assert kept.get(path, lambda _: 7) == 7
