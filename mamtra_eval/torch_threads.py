"""How many threads torch computes with, for the length of a block.

Small networks gain nothing from a second thread and lose a lot as soon as another process wants
the same core: torch's threads wait for each other at every step of an LSTM. Evaluators therefore
bind themselves to one thread and take their parallelism from the workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def torch_threads(count: int = 1) -> Iterator[None]:
    """Let torch use ``count`` threads inside the block, and as many as before after it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
