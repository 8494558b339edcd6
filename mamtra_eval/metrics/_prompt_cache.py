"""Embeddings of prompts in the user's cache, so that all systems and all runs share them.

A file an embedding, ``mamtra-eval/embeddings/<encoder>/<prompt>.npy``: ``<encoder>`` is a hash of
everything that embeddings depend on (signature, way of resampling, version of torch, device),
``<prompt>`` that of the audio file. A file that can't be read is made anew; a cache that can't be
written to is done without.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np

from mamtra_eval import __version__, devices, weights
from mamtra_eval.speakers import Embedding


class PromptCache:
    """The embeddings of one encoder."""

    def __init__(self, signature: str, device: str | None) -> None:
        made_by = f"{signature}|mamtra_eval:{__version__}|torch:{version('torch')}"
        name = hashlib.sha256(f"{made_by}|{devices.choose(device)}".encode()).hexdigest()[:16]
        self.folder = weights.cache() / "mamtra-eval" / "embeddings" / name

    def get(self, sha256: str, embed: Callable[[], Embedding]) -> Embedding:
        """The embedding of the audio file with this hash; made and kept if it is not there."""
        path = self.folder / f"{sha256}.npy"
        found = _read(path)
        if found is None:
            found = embed()
            _write(path, found)
        return found


def _read(path: Path) -> Embedding | None:
    try:
        with path.open("rb") as file:
            found = np.lib.format.read_array(file, allow_pickle=False)
        good = found.ndim == 1 and found.dtype == np.float32
        return found if good and abs(float(np.linalg.norm(found)) - 1.0) < 1e-3 else None
    except Exception:  # not there, cut off, or anything else: it is a cache
        return None


def _write(path: Path, embedding: Embedding) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.save(file, embedding, allow_pickle=False)
        part.replace(path)
    except OSError:  # full, or not ours to write: it is a cache
        with suppress(OSError):
            part.unlink()
