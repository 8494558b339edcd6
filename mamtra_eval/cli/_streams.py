"""Standard streams that a command can write to whatever becomes of them.

A reader that goes away (``| head -1``), a closed stream (``>&-``) or a terminal without arrows must
change neither what is done nor the exit code.
"""

from __future__ import annotations

import io
import os
from typing import Any, TextIO, cast


def tolerant(stream: TextIO | None) -> TextIO:
    """A stream like this one that swallows a broken pipe and replaces what it can't encode."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 -- lives on
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    return cast(TextIO, _Tolerant(stream))


class _Tolerant:
    """Hands everything on to the stream behind it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write; once the reader is gone, pretend."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._abandon()
            return len(text)

    def flush(self) -> None:
        """Flush; once the reader is gone, do nothing."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._abandon()

    def _abandon(self) -> None:
        # The interpreter flushes once more at its end: into nothing, then.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, self._stream.fileno())
        os.close(nothing)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever the stream has
        return getattr(self._stream, name)
