"""Claims of measured memory and time, from the profiles of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from mamtra_eval.claims import Checked, Profiles, check_all
from mamtra_eval.claims.checks.profiled import measured_saving
from mamtra_eval.errors import UserError
from mamtra_eval.models.config import preset
from mamtra_eval.models.layout import Ratio, transformer_layers
from mamtra_eval.profiling.rows import ProfileKey, ProfileRow
from mamtra_eval.store import Store

TEACHER = preset("cosyvoice2")
HYBRID = TEACHER.with_layout(transformer_layers(Ratio.parse("1:1")))


def _row(
    system: str, value: float | None, quantity: str = "memory.total", **key: object
) -> ProfileRow:
    about = ProfileKey("s1", system, quantity, context=350, **key)  # type: ignore[arg-type]
    error = "out of memory" if value is None else None
    return ProfileRow(about, "bytes", "measured", value, error=error)


def _run(folder: Path, rows: Iterable[ProfileRow], device: str = "cuda") -> Path:
    systems = {
        "teacher": {"target": "mini", "config": TEACHER.to_dict()},
        "hybrid": {"target": "mini:1:1", "config": HYBRID.to_dict()},
        "other": {"target": "espeak", "config": None},
    }
    identity = {"device": "A Device", "device_type": device}
    with Store(folder) as store:
        store.set_meta("profile", {"systems": systems, "sessions": {"s1": identity}})
        for row in rows:
            store.add_profile(row)
    return folder


def _checked(folder: Path, claim: str = "vram-measured") -> Checked:
    (found,) = check_all(Profiles.of_run(folder), only=claim)
    return found


def test_a_third_less_in_every_phase(tmp_path: Path) -> None:
    rows = [
        _row("teacher", 3e8, phase="prefill"), _row("hybrid", 1.9e8, phase="prefill"),
        _row("teacher", 2e8, phase="decode"), _row("hybrid", 1.32e8, phase="decode"),
        _row("other", 1e8, phase="decode"),
    ]  # fmt: skip
    found = _checked(_run(tmp_path, rows))
    assert (found.verdict, found.finding.how) == ("holds", "measured in a run")
    assert found.finding.figure == "+34.0 % to +36.7 % saved"
    for part in ("A Device", "width 896", "in 2 of 2 settings", "132.00 MB against 200.00 MB"):
        assert part in found.finding.told


def test_a_third_less_in_one_phase(tmp_path: Path) -> None:
    rows = [
        _row("teacher", 3e8, phase="prefill"), _row("hybrid", 1.9e8, phase="prefill"),
        _row("teacher", 2e8, phase="decode"), _row("hybrid", 2.1e8, phase="decode"),
    ]  # fmt: skip
    found = _checked(_run(tmp_path, rows))
    assert found.verdict == "holds in part"
    assert "−5.0 % to +36.7 %" in found.finding.told


def test_memory_of_a_processor_is_not_a_gpus(tmp_path: Path) -> None:
    rows = [_row("teacher", 3e8), _row("hybrid", 1.9e8)]
    found = _checked(_run(tmp_path, rows, device="cpu"))
    assert (found.verdict, found.finding.how) == (
        "not checkable here", "measured in a run, on a CPU",
    )  # fmt: skip
    assert not found.finding.comparisons
    assert found.finding.figure == "+36.7 % saved on a CPU"
    for part in ("figures of a CPU", "A Device", "190.00 MB against 300.00 MB"):
        assert part in found.finding.told


@pytest.mark.parametrize("claim", ["faster-step", "faster-prefill"])
@pytest.mark.parametrize("hybrid", [3e-3, 5e-3])
def test_speed_of_a_processor_is_not_a_gpus(tmp_path: Path, claim: str, hybrid: float) -> None:
    quantity = "time.step" if claim == "faster-step" else "time.prefill"
    rows = [_row("teacher", 4e-3, quantity), _row("hybrid", hybrid, quantity)]
    found = _checked(_run(tmp_path, rows, device="cpu"), claim)
    assert found.verdict == "not checkable here"
    assert "figures of a CPU" in found.finding.told


def test_a_gpus_rows_decide_beside_a_processors(tmp_path: Path) -> None:
    rows = [_row("teacher", 3e8), _row("hybrid", 1.9e8)]
    other = [replace(row, key=replace(row.key, session="s2"), value=1e8) for row in rows]
    folder = _run(tmp_path, [*rows, *other])
    with Store(folder) as store:
        kept = store.meta("profile")
        kept["sessions"]["s2"] = {"device": "A Processor", "device_type": "cpu"}
        store.set_meta("profile", kept)
    found = _checked(folder)
    assert (found.verdict, found.finding.how) == ("holds", "measured in a run")
    assert found.finding.figure == "+36.7 % saved"
    assert "in 1 of 1 settings" in found.finding.told
    assert "Beside that (A Processor): of memory.total, 1:1 saves +0.0 %" in found.finding.told


def test_kept_tensors_are_the_same_on_a_processor(tmp_path: Path) -> None:
    rows = [_row("teacher", 3e8, "memory.kv"), _row("hybrid", 1.5e8, "memory.kv")]
    profiles = Profiles.of_run(_run(tmp_path, rows, device="cpu"))
    (claim,) = (one.claim for one in check_all(only="vram-measured"))
    of_cache = replace(claim, settings={**claim.settings, "quantity": "memory.kv"})
    found = measured_saving(of_cache, profiles)
    assert (found.verdict, found.how) == ("holds", "measured in a run")


def test_a_system_on_the_processor_of_a_gpus_session_is_no_pair(tmp_path: Path) -> None:
    rows = [
        replace(_row(name, value, "time.step"), detail={"device": "cpu"})
        for name, value in (("teacher", 4e-3), ("hybrid", 3e-3))
    ]
    found = _checked(_run(tmp_path, rows), "faster-step")
    assert found.verdict == "not checkable here"
    assert "has no time.step of a 1:1 hybrid" in found.finding.told


def test_another_decoder_decides_nothing(tmp_path: Path) -> None:
    small = preset("mini")
    folder = _run(tmp_path, [_row("teacher", 3e8), _row("hybrid", 3.1e8)])
    with Store(folder) as store:
        kept = store.meta("profile")
        kept["systems"]["teacher"]["config"] = small.to_dict()
        kept["systems"]["hybrid"]["config"] = small.with_layout(HYBRID.transformer).to_dict()
        store.set_meta("profile", kept)
    found = _checked(folder)
    assert found.verdict == "not checkable here"
    assert found.finding.figure == "−3.3 % saved"
    assert "width 128" in found.finding.told
    assert "says nothing of the claim" in found.finding.told


def test_times(tmp_path: Path) -> None:
    rows = [
        _row("teacher", 4e-3, "time.step"), _row("hybrid", 5e-3, "time.step"),
        _row("teacher", 4e-2, "time.prefill"), _row("hybrid", 3e-2, "time.prefill"),
    ]  # fmt: skip
    folder = _run(tmp_path, rows)
    slower, faster = _checked(folder, "faster-step"), _checked(folder, "faster-prefill")
    assert (slower.verdict, faster.verdict) == ("does not hold", "holds")
    assert (
        "5.00 ms against 4.00 ms (width 896, 350 tokens, 1 sequence, eager)" in slower.finding.told
    )


def test_only_like_is_paired_with_like(tmp_path: Path) -> None:
    hybrid = _row("hybrid", 1e8)
    elsewhere = [
        replace(hybrid, key=replace(hybrid.key, **change))
        for change in (
            {"session": "s2"}, {"phase": "decode"}, {"context": 351}, {"streams": 2},
            {"workload": "replay"}, {"engine": "graph"},
        )
    ]  # fmt: skip
    computed = replace(hybrid, source="closed form")
    found = _checked(_run(tmp_path, [_row("teacher", 3e8), *elsewhere, computed]))
    assert found.verdict == "not checkable here"
    assert "under the same conditions" in found.finding.told


def test_failures_are_told(tmp_path: Path) -> None:
    rows = [
        _row("teacher", 3e8), _row("hybrid", 1.9e8),
        _row("teacher", None, streams=64), _row("hybrid", 2e9, streams=64),
    ]  # fmt: skip
    found = _checked(_run(tmp_path, rows))
    assert "in 1 of 1 settings" in found.finding.told
    assert "Failed rows of it, left out: 1." in found.finding.told


def test_without_a_run_the_command_is_told() -> None:
    (found,) = check_all(only="faster-step")
    assert found.verdict == "not checkable here"
    assert "mamtra-eval profile measures time.step" in found.finding.told


def test_a_run_without_profile_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "run").close()
    with pytest.raises(UserError, match=r"no profile.*Measure one with mamtra-eval profile"):
        Profiles.of_run(tmp_path / "run")
