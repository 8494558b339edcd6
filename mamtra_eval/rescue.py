"""What can be saved of a run whose database is damaged.

``rescue`` puts the database aside, reads every row of it that can still be read, and makes a new
one. The plan comes from ``run.yaml``; what the rows that are left say of test set, systems and
metrics must agree with it, as it must when a run is continued. Clips whose row is lost and whose
file is there are taken back by looking at the files: their seed is the plan's, their system's
identity that of now, and the run says so. Everything else is planned again, so that the same
command finishes it.

Rows are read by their number: where a page can't be read, the next number that can is searched,
so that a bad page costs the rows on it and no others.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mamtra_eval import audio, entering, envelope, parts
from mamtra_eval import config as configuration
from mamtra_eval import plan as planning
from mamtra_eval.errors import UserError
from mamtra_eval.plan import Plan
from mamtra_eval.reader import DATABASE
from mamtra_eval.rows import ClipKey
from mamtra_eval.run_folder import lock
from mamtra_eval.store import Store
from mamtra_eval.systems import clip_stem

CONFIGURATION = "run.yaml"
TABLES = ("meta", "utterances", "systems", "metrics", "failed_counts", "clips", "readings",
          "profiles")  # fmt: skip
HEADER_BYTES = 100
"""Of an SQLite file, before the first page's content."""
MAX_ROW = 2**40

Row = dict[str, Any]


@dataclass(frozen=True)
class Rescued:
    """What became of a run.

    Attributes:
        aside: the damaged database.
        clips, readings: rows that were saved.
        adopted: clips whose row was lost and whose file is there.
        planned: clips that are to be made again.
    """

    aside: Path
    clips: int
    readings: int
    adopted: int
    planned: int


def rescue(folder: Path) -> Rescued:
    """Make a run's database anew from what is left of it; UserError if that can't be done."""
    if not (folder / DATABASE).is_file() and not (folder / "clips").is_dir():
        raise UserError("no run here", where=str(folder), fix="Give the folder of a run.")
    plan = _plan(folder)
    with lock(folder):
        found = _salvage(folder / DATABASE)
        aside = _put_aside(folder)
        try:
            return _rebuild(plan, folder, found, aside)
        except BaseException:
            _put_back(folder, aside)
            raise


def _plan(folder: Path) -> Plan:
    path = folder / CONFIGURATION
    if not path.is_file():
        raise UserError(
            "run.yaml is missing, so that nobody knows what the run was to be",
            where=str(folder),
            fix="Put it back from a copy; what evaluate was called with is enough to write it.",
        )
    return planning.make(configuration.load(str(path)))


def _salvage(path: Path) -> dict[str, list[Row]]:
    """Every row that can be read, by table; read from a copy, whose log is played into it."""
    with TemporaryDirectory() as spare:
        for part in path.parent.glob(f"{path.name}*"):
            if part.name in (path.name, f"{path.name}-wal"):
                shutil.copy(part, spare)
        copy = Path(spare) / path.name
        found = _tables(copy)
        if not any(found.values()) and _mend_header(copy):
            found = _tables(copy)
    return found


def _tables(path: Path) -> dict[str, list[Row]]:
    if not path.is_file():
        return {table: [] for table in TABLES}
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.row_factory = sqlite3.Row
        database.text_factory = lambda data: data.decode("utf-8", "replace")
        return {table: [*_rows(database, table)] for table in TABLES}


def _rows(database: sqlite3.Connection, table: str) -> Iterator[Row]:
    """Rows of a table in the order of their numbers, around what can't be read."""
    after = 0
    query = f"SELECT rowid AS number, * FROM {table} WHERE rowid > ? ORDER BY rowid"  # noqa: S608
    while True:
        try:
            for row in database.execute(query, (after,)):
                after = row["number"]
                yield {key: row[key] for key in row.keys() if key != "number"}  # noqa: SIM118
            return
        except sqlite3.DatabaseError:
            readable = _next_readable(database, table, after)
            if readable is None:
                return
            after = readable - 1


def _next_readable(database: sqlite3.Connection, table: str, after: int) -> int | None:
    """The number of the first row beyond a gap; found by strides that double, then halve."""
    low, stride = after + 1, 1
    while low + stride < MAX_ROW and (found := _first(database, table, low + stride)) is None:
        low += stride
        stride *= 2
    if low + stride >= MAX_ROW or found == 0:
        return None
    high = low + stride
    while high - low > 1:
        middle = (low + high) // 2
        reached = _first(database, table, middle)
        low, high = (low, middle) if reached else (middle, high)
    return _first(database, table, high) or None


def _first(database: sqlite3.Connection, table: str, number: int) -> int | None:
    """The first row with this number or a higher one: 0 if there is none, None if unreadable."""
    query = f"SELECT rowid, * FROM {table} WHERE rowid >= ? ORDER BY rowid LIMIT 1"  # noqa: S608
    try:
        row = database.execute(query, (number,)).fetchone()
    except sqlite3.DatabaseError:
        return None
    return int(row[0]) if row else 0


def _mend_header(path: Path) -> bool:
    """Give a file whose first bytes are garbled those of a database like it; False if it has none.

    The schema behind them may be whole.
    """
    data = bytearray(path.read_bytes()) if path.is_file() else bytearray()
    if len(data) <= HEADER_BYTES:
        return False
    with TemporaryDirectory() as spare:
        with Store(Path(spare) / "run"):
            pass
        model = (Path(spare) / "run" / DATABASE).read_bytes()[:HEADER_BYTES]
    data[:HEADER_BYTES] = model
    page = int.from_bytes(model[16:18], "big") or 65536
    data[28:32] = (len(data) // page).to_bytes(4, "big")
    data[18:20] = b"\1\1"  # no log: it has been played in, or is gone
    path.write_bytes(data)
    path.with_name(f"{path.name}-wal").unlink(missing_ok=True)
    return True


def _put_aside(folder: Path) -> Path:
    number = 1
    while (aside := folder / f"{DATABASE}.damaged-{number}").exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        part = folder / f"{DATABASE}{suffix}"
        if part.exists():
            part.rename(f"{aside}{suffix}")
    return aside


def _put_back(folder: Path, aside: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        (folder / f"{DATABASE}{suffix}").unlink(missing_ok=True)
        part = Path(f"{aside}{suffix}")
        if part.exists():
            part.rename(folder / f"{DATABASE}{suffix}")


def _rebuild(plan: Plan, folder: Path, found: dict[str, list[Row]], aside: Path) -> Rescued:
    (folder / DATABASE).touch()  # a folder with files and no database is not taken for a run
    with Store(folder) as store:
        _restore(store, found)
        plan = replace(plan, part=parts.of_meta(store.meta(parts.META)))
        entering.enter(plan, store)
        _forget_changed(store)
        lost = _lost(store, found["clips"])
        adopted = _adopt(store, lost)
        readings = _check_readings(store)
        planned = sum(row.status == "planned" for row in store.clips())
        result = Rescued(aside, len(found["clips"]), readings, adopted, planned)
        store.set_meta("rescued", [*store.meta("rescued", []), _note(result)])
    return result


def _restore(store: Store, found: dict[str, list[Row]]) -> None:
    """Write the rows that were saved."""
    with store.transaction():
        for table, rows in found.items():
            store.restore(table, rows)


def _forget_changed(store: Store) -> None:
    """Plan clips again whose files are not what their rows say: whoever did this did more."""
    for row in store.clips():
        if row.status == "done" and row.path is not None:
            path = store.folder / row.path
            if not path.is_file() or audio.sha256(path) != row.sha256:
                store.forget_clip(row.key)


def _lost(store: Store, saved: list[Row]) -> list[ClipKey]:
    """Clips of the plan that have no row among the saved ones."""
    known = {ClipKey(row["system"], row["utterance"], row["repeat"]) for row in saved}
    return [row.key for row in store.clips() if row.key not in known]


def _adopt(store: Store, keys: list[ClipKey]) -> int:
    """Take clips back whose files are there; how many."""
    folders = {row.name: row.folder for row in store.systems()}
    adopted = 0
    for key in keys:
        stem = store.folder / "clips" / folders[key.system] / clip_stem(key.utterance, key.repeat)
        for path in sorted(stem.parent.glob("*")):
            if path.stem == stem.name and _take(store, key, path):
                adopted += 1
                break
    return adopted


def _take(store: Store, key: ClipKey, path: Path) -> bool:
    relative = path.relative_to(store.folder).as_posix()
    if path.suffix == audio.TEXT_SUFFIX:
        store.finish_clip(key, path=relative, sha256=audio.sha256(path), duration_s=None,
                          sample_rate_hz=None, synthesis_s=None)  # fmt: skip
        return True
    try:
        clip = audio.read(path)
    except audio.AudioError:  # cut off, say: it is made again
        return False
    store.finish_clip(
        key, path=relative, sha256=audio.sha256(path), duration_s=clip.duration_s,
        sample_rate_hz=clip.sample_rate_hz, synthesis_s=None,
        envelope=envelope.of(clip.samples),
    )  # fmt: skip
    return True


def _check_readings(store: Store) -> int:
    """Drop readings of clips that are not done; how many are left."""
    done = {row.key for row in store.clips() if row.status == "done"}
    keys = store.reading_keys()
    for key, metric in keys:
        if key not in done:
            store.forget_reading(key, metric)
    return sum(key in done for key, _ in keys)


def _note(result: Rescued) -> str:
    note = f"The database was damaged and made anew ({result.aside.name}): {result.clips} clips"
    note += f" and {result.readings} readings were saved."
    if result.adopted:
        note += (
            f" Of {result.adopted} clips only the files were left; that they are of the systems "
            "and seeds of this run is taken from their names."
        )
    return note
