"""Outlines for clips that were made before runs kept them (``envelope``): decoded once, then kept.

A run that can't be written, or that another process is writing, stays as it is: its report shows
the waveforms that are there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mamtra_eval import audio, envelope
from mamtra_eval.errors import UserError
from mamtra_eval.reader import DATABASE, RunReader
from mamtra_eval.rows import ClipRow
from mamtra_eval.store import Store

TOGETHER = 500
"""Clips whose outlines are written at once."""


def missing(folder: Path) -> list[ClipRow]:
    """Clips that could get an outline; none where nothing can be written."""
    with RunReader(folder) as store:
        found = [
            clip
            for clip in store.clips()
            if clip.envelope is None and clip.duration_s is not None and _file(folder, clip)
        ]
    writable = os.access(folder, os.W_OK) and os.access(folder / DATABASE, os.W_OK)
    return found if writable else []


def fill(folder: Path, clips: Sequence[ClipRow]) -> int:
    """Draw and keep the outlines of these clips; returns how many, 0 while another writes."""
    with Store(folder) as store:
        try:
            with store.lock():
                parts = (clips[i : i + TOGETHER] for i in range(0, len(clips), TOGETHER))
                return sum(_fill(store, part) for part in parts)
        except UserError:  # the lock's: the report does not wait for a run to end
            return 0


def _fill(store: Store, clips: Sequence[ClipRow]) -> int:
    drawn = {clip.key: found for clip in clips if (found := _outline(store.folder, clip))}
    with store.transaction():
        for key, outline in drawn.items():
            store.set_envelope(key, outline)
    return len(drawn)


def _file(folder: Path, clip: ClipRow) -> Path | None:
    path = folder / clip.path if clip.path else None
    return path if path and path.is_file() else None


def _outline(folder: Path, clip: ClipRow) -> str | None:
    """``None`` for what is no audio (any more): ``verify`` says so."""
    path = _file(folder, clip)
    try:
        return envelope.of(audio.read(path).samples) if path else None
    except audio.AudioError:
        return None
