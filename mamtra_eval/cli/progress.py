"""Progress bars on standard error, where that is a terminal and the work takes its time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mamtra_eval.progress import Advance, Progress, Silent


class Bars:
    """One bar a stage, with the count and the time left."""

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Advance]:
        """Show a bar until the stage is over."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Bar(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(title, total=total)
            yield lambda: bar.advance(task)


def choose() -> Progress:
    """Bars on a terminal, nothing elsewhere."""
    return Bars() if sys.stderr.isatty() else Silent()
