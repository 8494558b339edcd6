"""Servers of the four shapes and their systems; a prompt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from shaped_servers import Make, Server, asking, running, with_prompt

from mamtra_eval.systems import Request


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    with running() as found:
        yield found


@pytest.fixture
def system(servers: dict[str, Server], monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes the system that asks one of the servers."""
    with asking(servers, monkeypatch) as make:
        yield make


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    return with_prompt(tmp_path)


@pytest.fixture
def prompt(tmp_path: Path) -> Path:
    """Half a second at 16 kHz, all of one value."""
    path = tmp_path / "prompt.wav"
    soundfile.write(path, np.full(8000, 0.25, np.float32), 16000)
    return path
