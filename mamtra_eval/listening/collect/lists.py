"""Which list a new session gets."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

_FILLING = """
SELECT list, count(DISTINCT CASE participant WHEN '' THEN 's ' || session
                            ELSE 'p ' || participant END)
FROM sessions WHERE complete OR (ended = '' AND last_at >= ?) GROUP BY list
"""


def choose(db: sqlite3.Connection, participant: str, lists: Sequence[str], since: str) -> str:
    """The list that the fewest people have; their own for those who come again.

    Args:
        db: the collector's database, in a transaction that writes.
        participant: identifier; empty where there is none.
        lists: names of all, in the order of the design.
        since: time stamp; sessions that were silent before it have left.
    """
    earlier: list[tuple[str, int]] = []
    if participant:
        earlier = db.execute(
            "SELECT list, complete FROM sessions WHERE participant = ? "
            "ORDER BY started_at DESC, rowid DESC",
            (participant,),
        ).fetchall()
    done = {name for name, complete in earlier if complete}
    for name, _ in earlier:
        if name in lists and name not in done:
            return name
    filling = dict(db.execute(_FILLING, (since,)).fetchall())
    open_lists = [name for name in lists if name not in done] or lists
    return min(open_lists, key=lambda name: filling.get(name, 0))  # the first of equals
