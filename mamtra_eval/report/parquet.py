"""results.parquet: a table with a row a clip, for notebooks (``_records`` has the columns).

    pandas.read_parquet("reports/example/results.parquet").groupby("system").wer.mean()

Signatures of the metrics are in the file's own metadata, under ``mamtra_eval``. Rows are written
some at a time, so that memory does not hold them all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from mamtra_eval.report._records import columns, records
from mamtra_eval.results import Results

FILE = "results.parquet"
ROWS = 50_000
"""Of a group: few enough for memory, many enough to be compressed well."""


def write(results: Results) -> Path:
    """Write ``results.parquet`` into the run folder; returns its path."""
    import pyarrow as pa
    from pyarrow import parquet

    told = {
        "version": results.version,
        "testset": results.testset,
        "baseline": next((s.row.name for s in results.systems if s.is_baseline), None),
        "signatures": {metric.name: metric.signature for metric in results.metrics},
    }
    kinds = {name: _kind(found) for name, found in columns(results).items()}
    types = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
    fields = [pa.field(name, types[kind] if kind else pa.null()) for name, kind in kinds.items()]
    schema = pa.schema(fields, metadata={"mamtra_eval": json.dumps(told)})
    path = results.folder / FILE
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in _groups(records(results)):
            values = {name: [_as(row[name], kind) for row in rows] for name, kind in kinds.items()}
            writer.write_table(pa.table(values, schema=schema))
    return path


def _groups(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while group := [*islice(rows, ROWS)]:
        yield group


def _kind(found: Iterable[type]) -> type | None:
    """The type of a column: numbers as floating point where they differ, else text."""
    kinds = {*found}
    if len(kinds) < 2:
        return next(iter(kinds), None)
    return float if kinds == {int, float} else str


def _as(value: Any, kind: type | None) -> Any:  # noqa: ANN401 -- of whatever column
    if value is None or kind is None or type(value) is kind:
        return value
    return kind(value)
