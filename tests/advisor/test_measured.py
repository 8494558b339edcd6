"""Which rows of a run's profile say something of a decoder on a device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mamtra_eval.advisor import measured
from mamtra_eval.advisor.cards import find
from mamtra_eval.advisor.deployment import Deployment, parse_variants
from mamtra_eval.advisor.latency import first_audio
from mamtra_eval.models.config import preset
from mamtra_eval.profiling.rows import ProfileKey, ProfileRow
from mamtra_eval.reader import RunReader
from mamtra_eval.store import Store

CARD = find("A100-40GB")


def _read(folder: Path, rows: list[ProfileRow], device_type: str = "cuda") -> measured.Profile:
    systems = {"t": {"config": preset("cosyvoice2").to_dict(), "bits": None}}
    identity = {"device": "NVIDIA A100-SXM4-40GB", "device_type": device_type, "weights": "fp16"}
    with Store(folder) as store:
        store.set_meta("profile", {"systems": systems, "sessions": {"s": identity}})
        for row in rows:
            store.add_profile(row)
    with RunReader(folder) as reader:
        return measured.read(reader, CARD)


def _row(
    quantity: str, value: float, phase: str = "", context: int = 0, **detail: Any
) -> ProfileRow:
    key = ProfileKey("s", "t", quantity, phase, context, 1)
    return ProfileRow(key, "x", "measured", value, detail=detail)


def test_memory_of_a_whole_system_is_no_decoders(tmp_path: Path) -> None:
    profile = _read(tmp_path / "p", [
        _row("memory.weights", 9e9, "loaded"), _row("memory.weights", 1e9, "loaded", 64),
        _row("memory.activations", 9e9, ""), _row("memory.state", 9e9, "loaded"),
        _row("time.front_end", 0.1),
    ])  # fmt: skip
    (source,) = profile.sources
    assert source.points == {"memory.weights": {(64, 1): 1e9}, "time.front_end": {(0, 1): 0.1}}


@pytest.mark.parametrize(
    ("detail", "wanted"),
    [({}, 0.3), ({"device": "cuda"}, 0.3), ({"device": "cuda:1"}, 0.3), ({"device": None}, 0.3),
     ({"device": "cpu"}, None)],
)  # fmt: skip
def test_a_system_on_a_cpu_says_nothing_of_a_cuda_session(
    tmp_path: Path, detail: dict[str, Any], wanted: float | None
) -> None:
    profile = _read(tmp_path / "p", [_row("time.first_audio", 0.3, **detail)])
    load = Deployment(CARD, (), streams=1, context=1024, latency_s=0.5)
    assert first_audio(parse_variants(["teacher"])[0], load, profile).measured == wanted


def test_a_cpu_tells_kept_tensors_alone(tmp_path: Path) -> None:
    rows = [_row(f"memory.{name}", 1e8, "decode", 64) for name in ("kv", "activations")]
    (source,) = _read(tmp_path / "p", rows, "cpu").sources
    assert source.at("memory.kv", 64, 1) == (1e8, 1e8)
    assert source.at("memory.activations", 64, 1) is None
