"""What a run of shards still lacks, shard by shard."""

from __future__ import annotations

from mamtra_eval import parts
from mamtra_eval.reader import RunReader
from mamtra_eval.systems import Request


def missing(store: RunReader, count: int, *, failed: bool = False) -> dict[int, int]:
    """How many clips of each of ``count`` parts are planned or lack readings.

    Args:
        store: of the whole run.
        count: of parts.
        failed: whether clips and readings that failed are counted as well.
    """
    found: dict[int, int] = {}
    metrics = {row.name for row in store.metrics()}
    keys = store.reading_keys(failed=not failed)
    owners = {row.name: _owners(store, row.name, count) for row in store.systems()}
    for clip in store.clips():
        key = clip.key
        complete = clip.status == "failed" and not failed
        complete |= clip.status == "done" and all((key, name) in keys for name in metrics)
        if not complete:
            part = owners[key.system][key.utterance, key.repeat]
            found[part] = found.get(part, 0) + 1
    return dict(sorted(found.items()))


def _owners(store: RunReader, system: str, count: int) -> dict[tuple[str, int], int]:
    repeats = store.meta("testset")["repeats"]
    asked = [Request(item.id, item.text, repeat=repeat)
             for item in store.utterances() for repeat in range(repeats)]  # fmt: skip
    return parts.owners(asked, system, count)
