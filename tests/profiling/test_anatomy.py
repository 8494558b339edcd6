"""Memory by phase, in real processes, and what becomes of processes that die."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.models import cost, layout
from mamtra_eval.models.config import preset
from mamtra_eval.models.layout import Ratio
from mamtra_eval.profiling import anatomy
from mamtra_eval.profiling.anatomy import Cell
from mamtra_eval.profiling.rows import ProfileKey, ProfileRow

CONTEXT = 96


def by_quantity(rows: list[ProfileRow], phase: str) -> dict[str, float]:
    return {row.key.quantity: row.value or 0.0 for row in rows if row.key.phase == phase}


@pytest.fixture(scope="module")
def hybrid() -> list[ProfileRow]:
    """A small hybrid, two streams."""
    return anatomy.run(Cell("x", "shape:mini:1:3", CONTEXT, 2), "s")


@pytest.mark.parametrize("phase", ["loaded", "prefill", "decode"])
def test_parts_sum_to_the_total(hybrid: list[ProfileRow], phase: str) -> None:
    found = by_quantity(hybrid, phase)
    parts = [found[f"memory.{part}"] for part in anatomy.PARTS if f"memory.{part}" in found]
    assert found["memory.total"] == sum(parts)
    assert abs(found["memory.rest"]) < 150e6  # what no part explains: a library's own buffers
    assert found["memory.base"] > 50e6


def test_weights_and_caches_are_the_closed_form(hybrid: list[ProfileRow]) -> None:
    config = preset("mini")
    config = config.with_layout(layout.transformer_layers(Ratio.parse("1:3"), 24))
    found = by_quantity(hybrid, "decode")
    assert found["memory.weights"] == 4 * cost.parameters(config)["total"]
    assert found["memory.kv"] == 2 * cost.kv_bytes(config, CONTEXT, 4)
    assert found["memory.state"] == 2 * cost.state_bytes(config, 4)
    assert found["memory.state"] == found["memory.state.ssm"] + found["memory.state.conv"]


def test_activations_of_a_pass_hold_at_least_the_mlp_of_one_layer(
    hybrid: list[ProfileRow],
) -> None:
    config = preset("mini")
    gate_and_up = 2 * CONTEXT * 2 * config.mlp * 4  # both streams
    prefill = by_quantity(hybrid, "prefill")["memory.activations"]
    assert gate_and_up < prefill < 40 * gate_and_up
    assert by_quantity(hybrid, "decode")["memory.activations"] < prefill


def test_a_whole_system_is_walked() -> None:
    cell = Cell("x", "mini:1:1", 0, text="A short one.")
    rows = anatomy.run(cell, "s")
    speaking = next(row for row in rows if row.key.phase == "speaking"
                    and row.key.quantity == "memory.weights")  # fmt: skip
    assert set(speaking.detail) >= {"decoder", "codec"}
    assert speaking.value == sum(speaking.detail.values())


def test_a_cache_of_the_wrong_size_ends_it() -> None:
    config = preset("mini")
    cell = Cell("x", "shape:mini", 100)
    right = {"kv": cost.kv_bytes(config, 100, 4), "state.ssm": 0, "state.conv": 0}
    anatomy.check_cache(config, right, cell)
    anatomy.check_cache(config, {**right, "kv": int(1.009 * right["kv"])}, cell)
    with pytest.raises(UserError, match="keys and values take"):
        anatomy.check_cache(config, {**right, "kv": int(1.011 * right["kv"])}, cell)
    with pytest.raises(UserError, match="states take"):
        anatomy.check_cache(config, {**right, "state.ssm": 10}, cell)


def program(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a shell script stand in the place of Python."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    monkeypatch.setattr(anatomy.sys, "executable", str(path))


@pytest.mark.parametrize(
    ("text", "phase", "reason"),
    [
        ("kill -9 $$", "loaded", "killed, most likely for want of memory"),
        ("echo 'no such module' >&2; exit 3", "loaded", "ended with 3: no such module"),
        ('echo \'{"phase": "loaded", "peak": {"total": 1}, "parts": {}}\'; kill -9 $$',
         "prefill", "killed"),
        ('echo \'{"out_of_memory": "CUDA out of memory"}\'', "loaded", "CUDA out of memory"),
        ("exec sleep 60", "loaded", "longer than 0.5 s"),
    ],
)  # fmt: skip
def test_a_process_that_dies_leaves_a_row_that_says_so(
    text: str, phase: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, text, monkeypatch)
    rows = anatomy.run(Cell("x", "shape:mini", 100), "s", timeout_s=0.5)
    [row] = [row for row in rows if row.error]
    assert (row.value, row.key.phase) == (None, phase)
    assert reason in str(row.error)


def test_what_was_read_before_memory_ran_out_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [
        {"phase": "loaded", "peak": {"total": 9}, "parts": {"weights": 4}},
        {"phase": "prefill", "out_of_memory": "no room"},
        {"phase": "decode", "peak": {"total": 11}, "parts": {"weights": 4, "kv": 2}},
    ]
    program(tmp_path, "\n".join(f"echo '{json.dumps(one)}'" for one in told), monkeypatch)
    rows = anatomy.run(Cell("x", "shape:mini", 100), "s", timeout_s=5)
    totals = {row.key.phase: row for row in rows if row.key.quantity == "memory.total"}
    assert (totals["loaded"].value, totals["decode"].value) == (9, 11)
    assert totals["prefill"].error == "no room"


def test_a_death_in_decoding_is_no_failed_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = {"phase": "loaded", "peak": {"total": 9}, "parts": {"weights": 4}}
    program(tmp_path, f"echo '{json.dumps(loaded)}'; kill -9 $$", monkeypatch)
    rows = anatomy.run(Cell("x", "shape:mini", 100, prefill=False), "s", timeout_s=5)
    [failed] = [row for row in rows if row.error]
    assert failed.key.phase == "decode"


def test_what_the_user_did_wrong_is_told_from_the_process() -> None:
    with pytest.raises(UserError, match="no preset"):
        anatomy.run(Cell("x", "shape:minni", 100), "s")


def test_a_device_splits_into_context_fragmentation_and_rest() -> None:
    found = {
        "peak": {"total": 1000, "allocated": 700, "reserved": 800},
        "parts": {"context": 100, "weights": 500, "kv": 50, "state.ssm": 10, "state.conv": 5,
                  "activations": 135},
    }  # fmt: skip
    rows = [*anatomy.rows("decode", found, ProfileKey("s", "x", ""))]
    sizes = by_quantity(rows, "decode")
    assert sizes["memory.fragmentation"] == 100
    assert sizes["memory.rest"] == 1000 - 100 - 700 - 100
    assert sizes["memory.total"] == 1000


def test_it_runs_on_this_interpreter() -> None:
    assert anatomy.sys.executable == sys.executable
