"""Reading the shards of ``speech.py``, and the frames that phones fall on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mamtra_eval.frontend.phones import SILENCE, SYMBOLS

TOKEN_S = 0.04
"""Seconds a speech token."""


class Utterance(NamedTuple):
    """A training utterance: log-mel float16 (4T, 80), voice, text, phones with their ends in s."""

    mel: Tensor
    voice: int
    text: str
    phones: list[tuple[str, float]]

    @property
    def tokens(self) -> int:
        """Speech tokens it has."""
        return len(self.mel) // 4


def utterances(folder: Path, first: int = 0, last: int | None = None) -> Iterator[Utterance]:
    """All utterances of the shards ``first`` … ``last`` - 1, padded to whole tokens."""
    for path in sorted(folder.glob("[0-9]*.npz"))[first:last]:
        with np.load(path) as shard:
            mel, lengths, voices = shard["mel"], shard["lengths"], shard["voices"]
            rows = json.loads(str(shard["rows"]))
        begin = 0
        for length, voice, row in zip(lengths, voices, rows, strict=True):
            frames = mel[begin : begin + length]
            begin += length
            frames = np.pad(frames, ((0, -length % 4), (0, 0)), mode="edge")
            phones = [(str(symbol), float(end)) for symbol, end in row["phones"]]
            yield Utterance(torch.from_numpy(frames), int(voice), row["text"], phones)


def labels(utterance: Utterance) -> Tensor:
    """The index of the phone that each token's middle falls on, int64 (T,)."""
    ends = np.array([end for _, end in utterance.phones])
    middles = (np.arange(utterance.tokens) + 0.5) * TOKEN_S
    at = np.minimum(np.searchsorted(ends, middles), len(ends) - 1)
    names = [*SYMBOLS, SILENCE]
    index = np.array([names.index(symbol) for symbol, _ in utterance.phones])
    return torch.from_numpy(index[at])
