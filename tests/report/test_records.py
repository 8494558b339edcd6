"""Tables for notebooks hold what the rows hold."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pyarrow.parquet
import pytest
from written_runs import N, run

from mamtra_eval import results
from mamtra_eval.report import jsonl, parquet


@pytest.fixture
def found(tmp_path: Path) -> results.Results:
    return results.assemble(run(tmp_path / "a", {"t": 0, "x": 2}, repeats=2))


def test_a_line_a_clip(found: results.Results) -> None:
    lines = jsonl.write(found).read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 2 * N * 2 == len(found.clips)
    row = next(row for row in rows if (row["system"], row["utterance"]) == ("x", "u01"))
    assert row["wer"] == pytest.approx(0.3)
    assert (row["wer.errors"], row["wer.words"]) == (3, 10)
    assert row["wer.transcript"].startswith("four five")
    assert json.loads(row["wer.alignment"])[0][0] == "delete"
    assert (row["duration_s"], row["cost.synthesis_s"], row["speaker"]) == (None, None, None)


def test_the_table_is_the_lines(found: results.Results) -> None:
    rows = [json.loads(line) for line in jsonl.write(found).read_text().splitlines()]
    table = pyarrow.parquet.read_table(parquet.write(found))
    assert table.to_pylist() == rows
    values = found.systems[1].values["wer"].estimate
    mean = [row["wer"] for row in rows if row["system"] == "x" and row["status"] == "done"]
    assert values is not None
    assert math.fsum(mean) / len(mean) == pytest.approx(values.value)
    told = json.loads(table.schema.metadata[b"mamtra_eval"])
    assert told["signatures"]["wer"] == found.metrics[0].signature
    assert told["baseline"] == "t"


@pytest.mark.parametrize(
    ("values", "stored"),
    [([1, 2.5, None], [1.0, 2.5, None]), ([1, "a"], ["1", "a"]), ([True, 1], ["True", "1"]),
     ([None, 3], [None, 3]), ([None], [None])],
)  # fmt: skip
def test_columns_of_several_types_become_one(values: list[object], stored: list[object]) -> None:
    kind = parquet._kind({type(value) for value in values if value is not None})
    found = [parquet._as(value, kind) for value in values]
    assert found == stored
    assert [type(value) for value in found] == [type(value) for value in stored]
