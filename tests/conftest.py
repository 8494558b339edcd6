"""Fixtures for all tests: the small test set, lists made on the spot, the command as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parent))  # for helper modules beside this file
REPOSITORY = Path(__file__).parent.parent
MINI = REPOSITORY / "testsets" / "mini-en"

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests, and processes that they start, leave the user's cache alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def mini() -> Path:
    """The folder of the committed test set."""
    return MINI


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Run ``mamtra-eval`` as a real process, in a folder of its own."""

    def run(*arguments: object, cwd: Path = tmp_path, timeout: float = 300) -> object:
        command = [sys.executable, "-m", "mamtra_eval", *map(str, arguments)]
        environment = {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(REPOSITORY)}
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout,
            check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def make_list(tmp_path: Path) -> Callable[..., Path]:
    """Write a list of ``n`` utterances with recordings of noise bursts; returns its path."""

    def make(n: int = 4, folder: str = "set", words: str = "zero one two") -> Path:
        root = tmp_path / folder
        (root / "wavs").mkdir(parents=True)
        rng = np.random.default_rng(0)
        for index in range(n):
            samples = 0.1 * rng.standard_normal(16000 + 100 * index)
            soundfile.write(root / "wavs" / f"u{index}.wav", samples, 16000)
        soundfile.write(root / "prompt.wav", 0.1 * rng.standard_normal(16000), 16000)
        lines = [f"u{index}|a prompt|prompt.wav|{words}" for index in range(n)]
        (root / "meta.lst").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return root / "meta.lst"

    return make


@pytest.fixture(scope="session")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of Whisper's true architecture, small and with random weights."""
    pytest.importorskip("transformers")
    from tiny_whisper import write_model

    return write_model(tmp_path_factory.mktemp("tiny-whisper"))
