"""Cells of profile.md's tables: sizes, times, crossings as people read them."""

from __future__ import annotations

from mamtra_eval.profiles import Crossing
from mamtra_eval.profiling.rows import ProfileRow

MB = 1e6


def quartiles(row: ProfileRow | None, factor: float, decimals: int) -> str:
    """A median with its quartiles, and whether it is unstable; a dash without a value."""
    if row is None or row.value is None:
        return "–"
    shown = f"{factor * row.value:.{decimals}f}"
    if row.low is not None and row.high is not None and row.n > 1:
        shown += f" [{factor * row.low:.{decimals}f}, {factor * row.high:.{decimals}f}]"
    mark = " (unstable)" if any(note.startswith("unstable") for note in row.notes) else ""
    return f"{shown}{mark}"


def crossing(one: Crossing | None) -> str:
    """From which context on, with its interval."""
    if one is None:
        return "–"
    if one.at is None:
        return "never"
    if one.at < 1:
        return "always"
    ends = [f"{end:,.0f}" if end is not None else "∞" for end in (one.low, one.high)]
    spread = " (single samples)" if one.single else f" [{', '.join(ends)}]"
    return f"{one.at:,.0f}{spread}{', extrapolated' if one.beyond else ''}"


def tokens(value: float | None) -> str:
    """A break-even context by closed form."""
    return "never" if value is None else f"{value:,.0f}"


def megabytes(value: float | None) -> str:
    """Bytes in MB, one decimal."""
    return "–" if value is None else f"{value / MB:,.1f}".replace("-", "−")


def megabytes_2(value: float | None) -> str:
    """Bytes in MB, two decimals."""
    return "–" if value is None else f"{value / MB:,.2f}"


def share(value: float) -> str:
    """A share with its sign, in percent."""
    return f"{100 * value:+.1f} %".replace("-", "−")
