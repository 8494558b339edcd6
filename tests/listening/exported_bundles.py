"""Bundles from the committed example run, with audio as small as it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mamtra_eval import rundata
from mamtra_eval.listening import kinds
from mamtra_eval.listening.building import exporting
from mamtra_eval.listening.building.loudness import Level
from mamtra_eval.listening.building.settling import Options
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.reader import RunReader
from mamtra_eval.rundata import RunData

RUN = Path(__file__).parents[2] / "reports" / "example"
SYSTEMS = ("recordings", "teacher", "1-1", "1-11")
CREATED = "2026-11-27T00:00:00Z"


def data() -> RunData:
    """The example run's rows."""
    with RunReader(RUN) as store:
        return rundata.read(store)


def export(folder: Path, kind: str = "mos", **options: Any) -> Bundle:
    """A bundle of four systems and eight sentences at 8 kHz."""
    chosen: dict[str, Any] = {
        "systems": SYSTEMS, "items": 8, "seed": 0, "headphones": 1, "created": CREATED,
        "level": Level(8000), **options,
    }  # fmt: skip
    return exporting.export(data(), folder, Options(kinds.find(kind), **chosen))
