"""The driver's readings, from a program that stands in for it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mamtra_eval.profiling import anatomy, identity
from mamtra_eval.profiling.anatomy import Cell
from mamtra_eval.profiling.nvml import MIB, Sampler

ENDLESS = """#!/bin/sh
n=100
while true; do echo "$(date '+%Y/%m/%d %H:%M:%S.%3N'), $n"; n=$((n + 1)); sleep 0.01; done
"""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / identity.SMI
    program.write_text(ENDLESS)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return program


def test_the_most_of_a_phase_is_found(driver: Path) -> None:
    with Sampler("cuda") as sampler:
        time.sleep(0.3)
        middle = time.time()
        time.sleep(0.3)
        end = time.time()
    first, second = sampler.most(0, middle), sampler.most(middle, end)
    assert first is not None and second is not None  # noqa: PT018
    assert 100 * MIB <= first < second
    assert sampler.most(end + 5, end + 6) is None


def test_a_processor_has_no_such_samples(driver: Path) -> None:
    with Sampler("cpu") as sampler:
        pass
    assert sampler.most(0, 1e12) is None


def test_without_the_program_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with Sampler("cuda") as sampler:
        pass
    assert sampler.most(0, 1e12) is None


def test_a_phase_that_the_driver_saw_higher_is_as_high(
    driver: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "python"
    script.write_text(
        "#!/bin/sh\nsleep 0.3\n"
        'echo \'{"phase": "loaded", "peak": {"total": 5, "allocated": 4, "reserved": 4}, '
        '"parts": {"context": 1, "weights": 4}, "began": 0, "ended": 1e12}\'\n'
    )
    script.chmod(0o755)
    monkeypatch.setattr(anatomy.sys, "executable", str(script))
    rows = anatomy.run(Cell("x", "shape:mini", 100, device="cuda", used_before=90 * MIB), "s")
    total = next(row for row in rows if row.key.quantity == "memory.total")
    rest = next(row for row in rows if row.key.quantity == "memory.rest")
    assert total.value is not None and rest.value is not None  # noqa: PT018
    assert total.value >= 10 * MIB
    assert "lower bound" in total.notes[0]
    assert rest.value == total.value - 5
