"""The scripts of ``training/mini``, which are no package: imported from their folder."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "training" / "mini"
NAMES = (
    "_spoken", "by_step", "family", "gain", "held_out", "placements", "right_voice", "sentences",
    "sequences",
)  # fmt: skip


@pytest.fixture(scope="package")
def scripts() -> dict[str, ModuleType]:
    """By name."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        return {name: import_module(name) for name in NAMES}
    finally:
        sys.path.remove(str(SCRIPTS))
