"""How work tells how far it is, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Advance = Callable[[], None]


class Progress(Protocol):
    """Whoever wants to know how far a stage is."""

    def stage(self, title: str, total: int) -> AbstractContextManager[Advance]:
        """A stage begins; call what it yields after each of ``total`` items."""
        ...


class Silent:
    """Progress that tells nobody."""

    def stage(self, title: str, total: int) -> AbstractContextManager[Advance]:
        """Nothing is shown."""
        return nullcontext(lambda: None)
