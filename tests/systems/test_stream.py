"""Streaming from systems that do not stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mamtra_eval import registry
from mamtra_eval.errors import UserError
from mamtra_eval.systems import Request

REQUEST = Request("u1", "hello")


def test_a_clip_comes_as_a_whole() -> None:
    system = registry.create("systems", "noise", {})
    [piece] = system.stream(REQUEST)
    assert np.array_equal(piece.samples, system.speak(REQUEST).samples)
    assert not system.concurrent
    assert system.at_a_time is None


def test_transcripts_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "heard.jsonl"
    file.write_text('{"id": "u1", "text": "hello"}\n', "utf-8")
    system = registry.create("systems", "transcripts", {"file": str(file)})
    with pytest.raises(UserError, match="nothing to time"):
        next(system.stream(REQUEST))
