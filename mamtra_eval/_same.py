"""Whether run folders are parts of one plan, and rows the same row; what differs is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mamtra_eval import parts
from mamtra_eval.entering import differing
from mamtra_eval.errors import UserError
from mamtra_eval.reader import RunReader

SETTINGS = ("recipe", "mode", "margins", "statistics", "context", "baseline", "options", "speakers")
"""What is kept of a plan under these keys decides figures, and is the same in all its shards."""
CLIP = ("status", "seed", "path", "sha256", "duration_s", "sample_rate_hz", "error")
READING = ("status", "counts", "evidence", "error")


def check_shard(shard: RunReader, first: RunReader) -> None:
    """UserError unless this is a shard, and of the same plan as another."""
    if shard.meta(parts.META) is None:
        raise UserError(
            "this is a run of its own and no shard",
            where=str(shard.folder),
            fix="Shards are made with evaluate --shard 3/48; runs of their own are put into one "
            "table with leaderboard.",
        )
    for what, theirs, own in _plans(shard, first):
        raise _other(shard, what, theirs, own, first)
    counts = shard.meta(parts.META)["count"], first.meta(parts.META)["count"]
    if counts[0] != counts[1]:
        raise _other(shard, "number of shards", *counts, first)


def check_target(target: RunReader, shard: RunReader) -> None:
    """UserError if a run folder that is there holds something else than the shards' plan."""
    if (part := parts.of_meta(target.meta(parts.META))) is not None:
        raise UserError(
            f"this is shard {part} itself",
            where=str(target.folder),
            fix="Join shards into a new folder.",
        )
    if target.meta("testset") is None:
        return
    for what, theirs, own in _plans(shard, target):
        raise _other(shard, what, theirs, own, target)
    counts = shard.meta(parts.META)["count"], target.meta("count")
    if counts[1] not in (None, counts[0]):
        raise _other(shard, "number of shards", *counts, target)


def differs(row: Mapping[str, Any] | None, other: Mapping[str, Any]) -> bool:
    """Whether two rows of one clip, or of one reading, differ in more than times."""
    keys = READING if "metric" in other else CLIP
    return row is None or any(row[key] != other[key] for key in keys)


def _plans(one: RunReader, other: RunReader) -> Iterator[tuple[str, object, object]]:
    """Where two plans differ: in what, and how. One may have grown by systems or metrics."""
    testsets = one.meta("testset"), other.meta("testset")
    for key in ("sha256", "n", "repeats", "seed", "language", "name"):
        if testsets[0][key] != testsets[1][key]:
            yield f"test set's {key}", testsets[0][key], testsets[1][key]
    systems = [{row.name: {"kind": row.kind, **row.identity} for row in run.systems()}
               for run in (one, other)]  # fmt: skip
    metrics = [{row.name: {"signature": row.signature} for row in run.metrics()}
               for run in (one, other)]  # fmt: skip
    yield from _named("system", *systems)
    yield from _named("metric", *metrics)
    for key in SETTINGS:
        if key == "baseline" and [*systems[0]] != [*systems[1]]:
            continue  # which follows the systems
        if key == "options" and [*metrics[0]] != [*metrics[1]]:
            continue
        if one.meta(key) != other.meta(key):
            yield key, one.meta(key), other.meta(key)


def _named(
    kind: str, one: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]]
) -> Iterator[tuple[str, object, object]]:
    if not (one.keys() <= other.keys() or one.keys() >= other.keys()):
        yield f"set of {kind}s", ", ".join(one), ", ".join(other)
        return
    for name in one.keys() & other.keys():
        if one[name] != other[name]:
            differences = differing(one[name], other[name]), differing(other[name], one[name])
            yield f"{kind} {name}", *differences


def _other(one: RunReader, what: str, theirs: object, own: object, other: RunReader) -> UserError:
    shown = ["none" if value is None else str(value) for value in (theirs, own)]
    return UserError(
        f"it has another {what} ({shown[0]}) than {other.folder} ({shown[1]})",
        where=str(one.folder),
        fix="Only shards of the same plan are joined.",
    )
