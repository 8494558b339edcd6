"""Single values out of foreign files: numbers, times, and how they are shown in messages."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def shown(value: object) -> str:
    """A foreign value for a message: quoted, short, printable."""
    text = value if isinstance(value, str) else str(value)[:100]
    return repr(text[:60] + ("…" if len(text) > 60 else ""))


def number(value: object) -> float | None:
    """A finite number out of a number or a decimal text; ``None`` where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        value = value.strip()
        if not _DECIMAL.fullmatch(value):
            return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def moment(value: object) -> datetime | None:
    """A time out of ISO 8601, UTC where it names no zone; ``None`` where it is none."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def stamp(time: datetime) -> str:
    """A time as sessions have it: UTC, ISO 8601 with milliseconds."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
