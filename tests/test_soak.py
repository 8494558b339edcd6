"""The soak, for half a minute."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_half_a_minute_of_kills_and_restarts_ends_with_the_rows_of_an_undisturbed_run() -> None:
    script = Path(__file__).parent / "soak.py"
    command = [sys.executable, script, "--minutes", "0.5", "--utterances", "12", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    assert "All rows as undisturbed." in done.stdout
    assert "killed" in done.stdout
