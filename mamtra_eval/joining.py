"""Shards of one plan joined into one run folder.

Every shard is a run folder with its part of the clips (``parts``). ``join`` takes over what they
have: a clip's file is hashed, then linked or copied, then its row and its readings are written.
What is there already and the same is left alone, so that joining may be killed and done again, and
done again when more shards have come to their end. The result is the run folder that one
undisturbed run on one machine would have left, times aside; what no shard has yet stands in it as
planned, and the same ``evaluate`` with its folder makes that.

Only shards of one plan are joined: test set, systems by identity, evaluators by signature, seed,
recipe, mode and margins must be the same. Of the same clip twice with different content nothing is
taken: that is refused before anything is written.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mamtra_eval import _same, agreement, audio, lacking, parts
from mamtra_eval._same import differs
from mamtra_eval._snapshot import Snapshot, snapshot
from mamtra_eval.errors import UserError
from mamtra_eval.parts import Part
from mamtra_eval.plan import item_seed
from mamtra_eval.reader import DATABASE, RunReader
from mamtra_eval.rows import ClipKey
from mamtra_eval.store import Store

AT_ONCE = 200
"""Clips of one transaction."""
CONFIGURATION = "run.yaml"
FROM_FIRST = (
    "testset", "baseline", "statistics", "context", "speakers", "footprints", "notes", "recipe",
    "mode", "margins", "margins_late", "options", "declared", "starts",
)  # fmt: skip
"""What a new run folder takes over of its shards, in which these are the same."""

Row = dict[str, Any]


@dataclass
class Joined:
    """What a run folder has after joining.

    Attributes:
        clips, readings: that were taken over now; done and failed ones alike.
        missing: by part, clips that are still planned or lack readings; parts counted from 1.
        count: of all parts.
        damaged: files of shards that are not what was made, with which nothing is done.
        running: shards that had not begun, or were being written.
    """

    folder: Path
    count: int = 1
    clips: int = 0
    readings: int = 0
    missing: dict[int, int] = field(default_factory=dict)
    damaged: list[Path] = field(default_factory=list)
    running: list[Path] = field(default_factory=list)


def found_shards(folder: Path) -> list[Path]:
    """The shards that lie in a run folder and have begun."""
    return sorted(path.parent for path in (folder / parts.SHARDS).glob(f"*/{DATABASE}"))


def join(folder: Path, shards: Sequence[Path]) -> Joined:
    """Put what shards have into a run folder.

    Args:
        folder: new, or joined or begun before.
        shards: run folders of ``evaluate --shard``, finished or not; they are only read. One that
            is being written is left for the next time.

    Raises:
        UserError: if they are not shards of one plan, or say different things of one clip.
    """
    if not shards:
        raise UserError(
            "no shards to join",
            where=str(folder),
            fix="Name their folders, or put them into the folder's shards/.",
        )
    with TemporaryDirectory() as spare:
        taken = [snapshot(path, Path(spare) / str(n)) for n, path in enumerate(shards)]
        begun = [one for one in taken if one is not None]
        running = [path for path, one in zip(shards, taken, strict=True) if one is None]
        if not begun and not (folder / DATABASE).exists():
            raise UserError(
                "these shards have not begun, or are being written",
                where=", ".join(map(str, shards[:3])),
                fix="Wait for one of them.",
            )
        if begun:
            _check(folder, begun)
        with Store(folder) as store, store.lock():
            return _join(store, begun, running)


def _check(folder: Path, shards: Sequence[Snapshot]) -> None:
    """UserError unless all can be joined; nothing has been written."""
    first: dict[Part, Snapshot] = {}
    for shard in shards:
        with shards[0].read() as model, shard.read() as reader:
            _same.check_shard(reader, model)
            part = _part(reader)
            if (other := first.setdefault(part, shard)) is not shard:
                with other.read() as known:
                    _check_repeated(reader, known)
            if (folder / DATABASE).exists():
                with RunReader(folder) as target:
                    _same.check_target(target, reader)
                    _check_contradiction(target, reader)


def _join(store: Store, shards: Sequence[Snapshot], running: list[Path]) -> Joined:
    joined = Joined(store.folder, running=running)
    for one in shards:
        with one.read() as shard:
            _plan(store, shard)
            clips = shard.rows("clips", "status != 'planned'")
            while batch := [*islice(clips, AT_ONCE)]:
                taken = [row for row in batch if _bring(store, shard, row, joined)]
                with store.transaction():
                    for row in taken:
                        _take(store, shard, row, joined)
            _keep_provenance(store, shard)
    _finish(store, joined)
    return joined


def _plan(store: Store, shard: RunReader) -> None:
    """The plan of the whole, as far as the shard knows it and the folder does not."""
    testset, utterances = shard.meta("testset"), shard.utterances()
    new = store.meta("testset") is None
    with store.transaction():
        if new:
            for key in FROM_FIRST:
                if (value := shard.meta(key)) is not None:
                    store.set_meta(key, value)
            store.set_meta(parts.DISTRIBUTED, parts.SHARDS)
            store.add_utterances(utterances, shard.fingerprints())
        known = {row.name for row in store.systems()}
        for system in shard.systems():
            if system.name in known:
                continue
            store.add_system(system)
            for item in utterances:
                for repeat in range(testset["repeats"]):
                    seed = item_seed(testset["seed"], system.name, item.id, repeat)
                    store.add_clip(ClipKey(system.name, item.id, repeat), seed)
        for metric in shard.metrics():
            store.add_metric(metric)
            for utterance, counts in shard.failed_counts(metric.name).items():
                store.add_failed_counts(metric.name, utterance, counts)
    configuration = store.folder / CONFIGURATION
    if not configuration.exists() and (shard.folder / CONFIGURATION).is_file():
        _copy(shard.folder / CONFIGURATION, configuration)


def _bring(store: Store, shard: RunReader, row: Row, joined: Joined) -> bool:
    """Have a clip's file in place; False if the clip is not to be taken."""
    before = _clip(store, _key(row))
    if before is not None and before["status"] == "done" and row["status"] == "failed":
        return False  # made elsewhere meanwhile
    if row["status"] == "failed":
        return True
    source, target = shard.folder / row["path"], store.folder / row["path"]
    if before is not None and before["status"] == "done" and target.is_file():
        return True
    try:
        intact = audio.sha256(source) == row["sha256"]
    except OSError:
        intact = False
    if not intact:
        joined.damaged.append(source)
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    _copy(source, target, link=True)
    return True


def _copy(source: Path, target: Path, *, link: bool = False) -> None:
    """Put a file at its place all at once; as a further name of the same file where it can be."""
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        if not link:
            raise OSError
        os.link(source, part)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, part)
    part.replace(target)


def _take(store: Store, shard: RunReader, row: Row, joined: Joined) -> None:
    """Write a clip's row and its readings, where they bring something new."""
    key = _key(row)
    before = _clip(store, key)
    if differs(before, row) or (before is not None and before["status"] == "planned"):
        store.put("clips", row)
        joined.clips += 1
    there = {one["metric"]: one for one in _readings(store, key)}
    for reading in _readings(shard, key):
        known = there.get(reading["metric"])
        if known is None or (known["status"] == "failed" and differs(known, reading)):
            store.put("readings", reading)
            joined.readings += 1


def _keep_provenance(store: Store, shard: RunReader) -> None:
    own = {key: shard.meta(key) for key in ("starts", "finished", "agreement")}
    store.set_meta("shards", {**store.meta("shards", {}), str(_part(shard)): own})
    if store.meta("count") is None:
        store.set_meta("count", _part(shard).count)


def _finish(store: Store, joined: Joined) -> None:
    """Say what is missing; once nothing is, when the last shard was finished."""
    known = store.meta("shards", {}).values()
    pooled = agreement.pool([one["agreement"] or {} for one in known])
    if pooled and not any("asked" in one for one in store.meta("agreement", {}).values()):
        store.set_meta("agreement", pooled)
    joined.count = store.meta("count", 1)
    joined.missing = lacking.missing(store, joined.count)
    ends = [one["finished"] for one in known if one["finished"]]
    if not joined.missing and ends and store.meta("finished") is None:
        store.set_meta("finished", max(ends))


def _check_repeated(shard: RunReader, other: RunReader) -> None:
    """UserError if two folders of the same part say different things of a clip."""
    for row in shard.rows("clips", "status != 'planned'"):
        known = _clip(other, _key(row))
        if known is not None and known["status"] != "planned" and differs(known, row):
            raise _contradiction(_key(row), shard.folder, other.folder)
        _check_readings(shard, other, _key(row), failed=True)


def _check_contradiction(target: RunReader, shard: RunReader) -> None:
    """UserError where the run folder has a clip otherwise than a shard; failures may be mended."""
    for row in shard.rows("clips", "status = 'done'"):
        known = _clip(target, _key(row))
        if known is not None and known["status"] == "done":
            if differs(known, row):
                raise _contradiction(_key(row), shard.folder, target.folder)
            _check_readings(shard, target, _key(row), failed=False)


def _check_readings(shard: RunReader, other: RunReader, key: ClipKey, *, failed: bool) -> None:
    known = {one["metric"]: one for one in _readings(other, key)}
    for reading in _readings(shard, key):
        before = known.get(reading["metric"])
        judged = failed or "failed" not in (reading["status"], before and before["status"])
        if before is not None and judged and differs(before, reading):
            raise _contradiction(key, shard.folder, other.folder, reading["metric"])


def _contradiction(key: ClipKey, shard: Path, other: Path, metric: str = "") -> UserError:
    again = f" ({key.repeat})" if key.repeat else ""
    what = f"another {metric} reading of" if metric else "another clip for"
    return UserError(
        f"it has {what} {key.system}, {key.utterance}{again} than {other}",
        where=str(shard),
        fix="What is made twice must be the same: leave out the folder that is wrong.",
    )


def _part(shard: RunReader) -> Part:
    part = parts.of_meta(shard.meta(parts.META))
    assert part is not None  # checked by ``_same.check_shard``
    return part


def _key(row: Row) -> ClipKey:
    return ClipKey(row["system"], row["utterance"], row["repeat"])


def _clip(store: RunReader, key: ClipKey) -> Row | None:
    return next(store.rows("clips", "system = ? AND utterance = ? AND repeat = ?", _values(key)),
                None)  # fmt: skip


def _readings(store: RunReader, key: ClipKey) -> Iterator[Row]:
    return store.rows("readings", "system = ? AND utterance = ? AND repeat = ?", _values(key))


def _values(key: ClipKey) -> tuple[str, str, int]:
    return key.system, key.utterance, key.repeat
