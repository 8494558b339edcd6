"""Recordings of a test set that occur among training recordings.

Equal by the hash of their decoded samples, or alike by ``fingerprint``. As in the method's source,
alignments that are worth comparing are those at which a frame's 32 bits are the same, here but for
one of them.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mamtra_eval import audio
from mamtra_eval.contamination import fingerprint
from mamtra_eval.contamination.fingerprint import Fingerprint

THRESHOLD = 0.30
"""Bit error rate below which two recordings are the same; see ``benchmarks/fingerprints.py``."""
CANDIDATES = 64
"""Alignments, those with most equal frames first, that are compared of a recording."""


@dataclass(frozen=True)
class Copy:
    """A test recording met in the training data."""

    key: str
    where: str
    exact: bool
    error_rate: float
    offset_s: float


class SoundIndex:
    """The recordings of a test set by key; shown training recordings one after another."""

    def __init__(self, paths: dict[str, Path]) -> None:
        self._hashes: defaultdict[str, list[str]] = defaultdict(list)
        self._prints: list[tuple[str, Fingerprint]] = []
        owners, places, words = [], [], []
        for key, path in paths.items():
            clip = audio.read(path)
            self._hashes[_hash(clip)].append(key)
            one = fingerprint.of(clip.samples, clip.sample_rate_hz)
            heard = np.flatnonzero(one.heard)
            for flip in (0, *(1 << bit for bit in range(32))):
                words.append(one.words[heard] ^ np.uint32(flip))
                places.append(heard)
                owners.append(np.full(len(heard), len(self._prints)))
            self._prints.append((key, one))
        self._words = np.concatenate(words) if words else np.zeros(0, np.uint32)
        order = np.argsort(self._words, kind="stable")
        self._words = self._words[order]
        self._owners = np.concatenate(owners)[order] if words else np.zeros(0, int)
        self._places = np.concatenate(places)[order] if words else np.zeros(0, int)

    def show(self, path: Path, where: str) -> list[Copy]:
        """Copies of test recordings that a training recording is; ``audio.AudioError``."""
        clip = audio.read(path)
        found = [Copy(key, where, True, 0.0, 0.0) for key in self._hashes.get(_hash(clip), ())]
        exact = {one.key for one in found}
        theirs = fingerprint.of(clip.samples, clip.sample_rate_hz)
        for owner, offsets in self._candidates(theirs).items():
            key, own = self._prints[owner]
            match = fingerprint.compare(own, theirs, offsets)
            if key not in exact and match and match.error_rate < THRESHOLD:
                seconds = match.offset * fingerprint.HOP / fingerprint.RATE_HZ
                found.append(Copy(key, where, False, match.error_rate, seconds))
        return found

    def _candidates(self, theirs: Fingerprint) -> dict[int, list[int]]:
        """Alignments by test recording."""
        heard = np.flatnonzero(theirs.heard)
        low = np.searchsorted(self._words, theirs.words[heard], "left")
        high = np.searchsorted(self._words, theirs.words[heard], "right")
        counts = high - low
        if not counts.sum():
            return {}
        starts = np.repeat(low - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
        index = starts + np.arange(counts.sum())
        offset = self._places[index] - np.repeat(heard, counts)
        pairs, votes = np.unique(
            np.stack([self._owners[index], offset]), axis=1, return_counts=True
        )
        found: defaultdict[int, list[int]] = defaultdict(list)
        for column in np.argsort(-votes, kind="stable")[:CANDIDATES]:
            found[int(pairs[0, column])].append(int(pairs[1, column]))
        return found


def _hash(clip: audio.Clip) -> str:
    return hashlib.sha256(f"{clip.sample_rate_hz}|".encode() + clip.samples.tobytes()).hexdigest()
