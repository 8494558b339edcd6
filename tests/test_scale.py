"""What a large run costs grows with its size and no faster: counted in calls, not in seconds."""

from __future__ import annotations

import cProfile
import importlib.util
import pstats
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mamtra_eval import results
from mamtra_eval.reader import RunReader

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "scale.py"
SYSTEMS = 3


@pytest.fixture(scope="module")
def scale() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scale", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["scale"] = module
    spec.loader.exec_module(module)
    return module


def _made(scale: ModuleType, folder: Path, size: int) -> Path:
    folder.mkdir()
    scale.write_list(folder / "meta.lst", size)
    scale.plan(folder, SYSTEMS)
    scale.fill(folder, SYSTEMS)
    return folder


def _calls(step: str, scale: ModuleType, folder: Path) -> int:
    profile = cProfile.Profile()
    profile.runcall(getattr(scale, step), folder, SYSTEMS)
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_calls_grow_linearly_with_the_number_of_utterances(
    scale: ModuleType, tmp_path: Path
) -> None:
    small = _made(scale, tmp_path / "small", 400)
    large = _made(scale, tmp_path / "large", 1600)
    for step in ("resume", "statistics", "leaderboard", "records", "page"):
        _calls(step, scale, small)  # what is done once a process
        few, many = (_calls(step, scale, folder) for folder in (small, large))
        assert many < 4.3 * few, f"{step}: {many:,} calls for four times {few:,}"


@pytest.mark.slow
def test_every_row_of_the_benchmark_is_in_the_figures(scale: ModuleType, tmp_path: Path) -> None:
    folder = _made(scale, tmp_path / "run", 1000)
    with RunReader(folder / "run") as store:
        found = results.collect(store)
    assert len(found.clips) == SYSTEMS * 1000
    for system in found.systems:
        wer = system.values["wer"]
        assert wer.n + wer.n_failed == system.n_done + system.n_failed == 1000
        assert wer.estimate is not None
        assert 0.02 < wer.estimate.value < 0.06
