"""What must be the same in two runs of the same thing, however they came about."""

from __future__ import annotations

from pathlib import Path

from mamtra_eval.reader import RunReader

ROW_TABLES = {
    "clips": "system, utterance, repeat, seed, status, path, sha256, duration_s, error",
    "readings": "system, utterance, repeat, metric, status, counts, evidence, error",
    "systems": "name, position, kind, target, folder, identity",
    "metrics": "name, position, signature, note, figures",
    "utterances": "id, position, text",
    "failed_counts": "metric, utterance, counts",
}
"""Columns by table: all but times and durations, which are never the same."""


def rows(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of a run, sorted, without its times."""
    with RunReader(folder) as store:
        return {
            table: sorted(store._db.execute(f"SELECT {columns} FROM {table}").fetchall(), key=repr)
            for table, columns in ROW_TABLES.items()
        }
