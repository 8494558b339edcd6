"""Text that enters while speech is drawn: interleaved orders.

CosyVoice 2 streams by turns of text and speech: the model draws ``fill`` when it wants more text.
An item with a ``feed`` works so. While ids are left to be fed it can't end, and each ``fill`` that
is drawn is replaced by the next of them as the following input; afterwards it can end, and not
draw ``fill``. So no text is skipped and none is said twice.

The state is tensors of fixed size and nothing waits for the device (see ``graphs``).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mamtra_eval.models.config import DecoderConfig


class Feeder:
    """The ids to be fed to each item of a batch, and how many of them went in.

    Args:
        feeds: input ids, one sequence an item; an item without any draws as if there were no
            feeder.
        config: of the decoder, for its stops.
        device: of the logits.
    """

    def __init__(
        self, feeds: Sequence[Sequence[int]], config: DecoderConfig, device: torch.device | str
    ) -> None:
        longest = max(len(feed) for feed in feeds)
        rows = [[*feed, *[0] * (longest + 1 - len(feed))] for feed in feeds]
        self._ids = torch.tensor(rows, device=device)  # one more, so that the end can be read
        self._lengths = torch.tensor([len(feed) for feed in feeds], device=device)
        self._at = torch.zeros_like(self._lengths)
        self._fill = config.fill
        self._ends = [stop for stop in config.stops if stop != config.fill]

    def swap(self, drawn: Tensor) -> Tensor:
        """What to feed after the drawn tokens, int64 (B,): a fill becomes the next id."""
        asked = (drawn == self._fill) & (self._at < self._lengths)
        following = self._ids.gather(1, self._at[:, None])[:, 0]
        self._at += asked
        return torch.where(asked, following, drawn)

    def allow(self, logits: Tensor) -> Tensor:
        """Logits (B, V) without ends while something is left, without fill afterwards."""
        fed, left = self._lengths > 0, self._at < self._lengths
        allowed = logits.clone()
        for stop in self._ends:
            allowed[:, stop].masked_fill_(left, -torch.inf)
        allowed[:, self._fill].masked_fill_(fed & ~left, -torch.inf)
        return allowed

    def select(self, rows: Tensor) -> None:
        """Keep these items only, int64 (n,)."""
        self._ids, self._lengths, self._at = self._ids[rows], self._lengths[rows], self._at[rows]

    def state(self) -> list[Tensor]:
        """The tensors that a step changes."""
        return [self._at]
