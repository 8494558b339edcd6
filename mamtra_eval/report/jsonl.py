"""results.jsonl: a JSON object a clip, for whatever reads lines (``_records`` has the keys)."""

from __future__ import annotations

import json
from pathlib import Path

from mamtra_eval.report._records import records
from mamtra_eval.results import Results

FILE = "results.jsonl"


def write(results: Results) -> Path:
    """Write ``results.jsonl`` into the run folder; returns its path."""
    path = results.folder / FILE
    with path.open("w", encoding="utf-8") as file:
        for record in records(results):
            file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
    return path
