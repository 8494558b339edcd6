"""On a CUDA device: anatomy, times with graphs, quantised graphs. ``nox -s gpu``; else skipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mamtra_eval.models import cost
from mamtra_eval.models.config import preset
from mamtra_eval.models.generate import DecodingConfig, Item, generate
from mamtra_eval.models.quantize import quantize
from mamtra_eval.models.sampling import SamplerConfig
from mamtra_eval.profiling import anatomy, subjects, sweep
from mamtra_eval.profiling.anatomy import Cell
from mamtra_eval.profiling.meter import Rules
from mamtra_eval.profiling.sweep import Sweep
from mamtra_eval.profiling.timing import Timing
from mamtra_eval.reader import RunReader

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


def test_parts_sum_to_the_total_on_a_device() -> None:
    cell = Cell("x", "shape:mini:1:1", 256, 2, "cuda", "bf16", "bf16", "fp32")
    rows = anatomy.run(cell, "s")
    for phase in ("loaded", "prefill", "decode"):
        found = {row.key.quantity: row.value or 0 for row in rows if row.key.phase == phase}
        parts = [found[f"memory.{part}"] for part in anatomy.PARTS if f"memory.{part}" in found]
        assert sum(parts) == found["memory.total"]
        assert found["memory.context"] > 0
    assert found["memory.weights"] == 2 * cost.parameters(subjects.parse("x", cell.target).config or
                                                          preset("mini"))["total"]  # fmt: skip


def test_times_have_eager_and_graph_rows(tmp_path: Path) -> None:
    rules = Rules(runs=3, seconds=0.1, limit_s=2, warm_up_runs=1, warm_up_s=0)
    timing = Timing("cuda", "bf16", "fp32", steps=8, graphs=True, rules=rules)
    small = Sweep(contexts=(64, 300), streams=(1, 2), weights="bf16", timing=timing,
                  parts=("time",), allow_busy=True)  # fmt: skip
    found = subjects.parse_all(["t=shape:mini", "h=shape:mini:1:1"])
    session = sweep.profile(found, small, tmp_path / "run")
    with RunReader(tmp_path / "run") as store:
        rows = [row for row in store.profiles() if row.key.quantity == "time.step"]
    assert {row.key.session for row in rows} == {session}
    assert {(row.key.workload, row.key.engine) for row in rows} == {
        ("replay", "eager"), ("fixed", "eager"), ("fixed", "graph"),
    }  # fmt: skip
    assert all(row.value for row in rows)


@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_steps_are_captured(bits: int) -> None:
    subject = subjects.parse("x", "shape:mini:1:1")
    decoder = quantize(subject.decoder("cuda", torch.float32), bits)
    items = [Item([1, 2, 3], seed=1, maximum=40)]
    eager = DecodingConfig(SamplerConfig("greedy"), graphs=False)
    one = generate(decoder, items, eager)
    two = generate(decoder, items, replace(eager, graphs=True))
    assert one == two
