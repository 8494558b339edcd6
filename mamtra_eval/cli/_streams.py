"""Standard streams that a command can write to whatever becomes of them.

A reader that goes away (``| head -1``), a closed stream (``>&-``) or a terminal without arrows must
change neither what is done nor the exit code.
"""

from __future__ import annotations

import codecs
import io
import os
from typing import Any, TextIO, cast


def tolerant(stream: TextIO | None) -> TextIO:
    """A stream like this one that swallows a broken pipe and replaces what it can't encode."""
    if stream is None:
        # Inheritable, as standard streams are: a worker must find its place taken, too.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.set_inheritable(nothing, True)
        return os.fdopen(nothing, "w", encoding="utf-8")
    if isinstance(stream, io.TextIOWrapper):
        # The command-line library goes around a stream that says it is ASCII.
        ascii_only = codecs.lookup(stream.encoding).name == "ascii"
        stream.reconfigure(encoding="utf-8" if ascii_only else None, errors="replace")
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
