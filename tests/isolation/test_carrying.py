"""Requests, clips and errors come out as they went in; files are checked and gone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mamtra_eval.audio import Clip
from mamtra_eval.errors import MissingExtra, SynthesisError, UserError
from mamtra_eval.isolation import carrying
from mamtra_eval.isolation.carrying import OutOfMemory, Unloadable
from mamtra_eval.isolation.messages import ProtocolError
from mamtra_eval.systems import Request, Words


def _across(result, folder: Path):
    sent = json.loads(json.dumps(carrying.pack_result(result, folder, "7")))
    return carrying.unpack_result(sent, folder)


def test_a_request_comes_out_as_it_went_in() -> None:
    for request in (
        Request("u", "Hé\udce9"),
        Request("u.1", "t", "p", Path("a/b c.wav"), Path("/x.flac"), "zh", 3, 2**31 - 1),
    ):
        sent = json.loads(json.dumps(carrying.pack_request(request)))
        assert carrying.unpack_request(sent) == request


@pytest.mark.parametrize("samples", [[], [0.25, -1, np.nan, np.inf, 3e38, 1e-45, -0.0]])
def test_a_clip_is_the_same_bit_for_bit_and_its_file_gone(samples, tmp_path: Path) -> None:
    clip = Clip(np.array(samples, np.float32), 24000, Path("x.wav"), {"tokens": 5, "cut": 1.0})
    got = _across(clip, tmp_path)
    assert got.samples.tobytes() == clip.samples.tobytes()
    assert (got.sample_rate_hz, got.source, got.cost) == (24000, Path("x.wav"), clip.cost)
    assert list(tmp_path.iterdir()) == []
    strided = Clip(np.arange(10, dtype=np.float32)[::2], 8000)
    assert _across(strided, tmp_path).samples.tolist() == [0, 2, 4, 6, 8]


def test_a_file_of_another_length_is_refused_and_gone(tmp_path: Path) -> None:
    sent = carrying.pack_result(Clip(np.ones(5, np.float32), 8000), tmp_path, "1")
    for size in (0, 19, 24):
        (tmp_path / "1.f32").write_bytes(b"x" * size)
        with pytest.raises(ProtocolError, match=f"{size} bytes of audio where 20"):
            carrying.unpack_result(sent, tmp_path)
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProtocolError, match="no audio where it was announced"):
        carrying.unpack_result(sent, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"clip": "../7"}, {"clip": "٧"}, {"clip": 7}, {"clip": ""}, {"samples": -1},
        {"samples": 10**12}, {"rate_hz": 0}, {"rate_hz": 16000.5}, {"cost": None},
        {"cost": {"tokens": "5"}}, {"source": 5}, {"error": {}}, {"error": "x"},
        {"error": {"kind": "odd", "what": "x"}}, {"error": {"kind": "user", "what": "x", "fix": 1}},
        {"words": 1},
    ],
)  # fmt: skip
def test_messages_of_the_wrong_shape_are_refused(change: dict, tmp_path: Path) -> None:
    sent = carrying.pack_result(Clip(np.ones(5, np.float32), 8000), tmp_path, "7")
    with pytest.raises(ProtocolError):
        carrying.unpack_result({**sent, **change}, tmp_path)


def test_errors_are_what_they_were(tmp_path: Path) -> None:
    error = _across(UserError("w", where="here", fix="do"), tmp_path)
    assert (type(error), error.what, error.where, error.fix) == (UserError, "w", "here", "do")
    error = _across(MissingExtra("w"), tmp_path)
    assert (type(error), error.where, error.fix) == (MissingExtra, None, None)
    for sent, kind, said in (
        (SynthesisError("too long"), SynthesisError, "too long"),
        (ValueError("a\nbug"), SynthesisError, "ValueError: a bug"),
        (ImportError("no x"), Unloadable, "ImportError: no x"),
        (MemoryError(), OutOfMemory, "out of memory: MemoryError"),
    ):
        error = _across(sent, tmp_path)
        assert (type(error), str(error)) == (kind, said)
    assert _across(Words("hé"), tmp_path) == Words("hé")


def test_memory_that_is_short_is_known_by_class_word_or_cause() -> None:
    class OutOfMemoryError(RuntimeError):
        """As torch calls it."""

    wrapped = SynthesisError("front end failed")
    wrapped.__cause__ = OutOfMemoryError("x")
    for error in (
        MemoryError(), OutOfMemoryError("x"), wrapped, RuntimeError("CUDA error: out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        ImportError("libcufft.so.11: failed to map segment from shared object"),
    ):  # fmt: skip
        assert carrying.is_out_of_memory(error)
    circle, other = KeyError("x"), ValueError("y")
    circle.__cause__, other.__cause__ = other, circle
    for error in (
        circle,
        RuntimeError("x"),
        SynthesisError("the text says: out of memory"),
        KeyError("x"),
    ):
        assert not carrying.is_out_of_memory(error)
