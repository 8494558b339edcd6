"""results.parquet: a table with a row a clip, for notebooks (``_records`` has the columns).

    pandas.read_parquet("reports/example/results.parquet").groupby("system").wer.mean()

Signatures of the metrics are in the file's own metadata, under ``mamtra_eval``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mamtra_eval.report._records import records
from mamtra_eval.results import Results

FILE = "results.parquet"


def write(results: Results) -> Path:
    """Write ``results.parquet`` into the run folder; returns its path."""
    import pyarrow as pa
    from pyarrow import parquet

    rows = list(records(results))
    columns = {name: _column([row[name] for row in rows]) for name in (rows[0] if rows else ())}
    told = {
        "version": results.version,
        "testset": results.testset,
        "baseline": next((s.row.name for s in results.systems if s.is_baseline), None),
        "signatures": {metric.name: metric.signature for metric in results.metrics},
    }
    table = pa.table(columns).replace_schema_metadata({"mamtra_eval": json.dumps(told)})
    path = results.folder / FILE
    parquet.write_table(table, path, compression="zstd")
    return path


def _column(values: list[Any]) -> list[Any]:
    """Values of one type: numbers as floating point where they differ, anything else as text."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) < 2:
        return values
    if kinds <= {int, float}:
        return [None if value is None else float(value) for value in values]
    return [None if value is None else str(value) for value in values]
