"""The Mamba-2 recurrence over a whole sequence at once, in chunks (structured state-space duality).

Within a chunk the recurrence is a masked product like attention; between chunks only states are
handed on. The result is that of the step by step recurrence in ``kernels`` up to rounding.

Method: Dao and Gu, "Transformers are SSMs", 2024 (arXiv 2405.21060), section 6. Letters as in
``kernels``; besides, ``C`` chunks of ``Q`` tokens and ``R = H / G`` heads a group. Decays are
products of exp(dt * A) ≤ 1 and are formed as differences of sums, in float32.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def chunked_scan(
    x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, chunk: int
) -> tuple[Tensor, Tensor]:
    """The recurrence from a state of zeros; arguments and results as ``kernels.Kernels.scan``.

    All of it is float32, whatever comes in and whatever autocast is set to: a state adds up over
    hundreds of tokens.
    """
    with torch.autocast(x.device.type, enabled=False):
        y, state = _scan(x.float(), dt.float(), a.float(), b.float(), c.float(), d.float(), chunk)
    return y.to(x.dtype), state


def _scan(
    x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, chunk: int
) -> tuple[Tensor, Tensor]:
    batch, length, groups, size = x.shape
    heads = dt.shape[2]
    chunk = min(chunk, length)
    padding = -length % chunk
    skip = d.view(groups, -1, 1) * x.unsqueeze(3)

    def cut(tensor: Tensor, *shape: int) -> Tensor:
        """(B, T, …) to (B, C, Q, …); padding has dt = 0 and changes nothing."""
        padded = F.pad(tensor, (0, 0) * (tensor.ndim - 2) + (0, padding))
        return padded.view(batch, -1, chunk, *shape)

    steps = cut(dt, groups, heads // groups).permute(0, 1, 3, 4, 2)  # (B, C, G, R, Q)
    inputs = cut(x, groups, size).transpose(2, 3)  # (B, C, G, Q, P)
    keys = cut(b, groups, b.shape[-1]).transpose(2, 3)  # (B, C, G, Q, N)
    queries = cut(c, groups, heads // groups, c.shape[-1]).permute(0, 1, 3, 4, 2, 5)

    log_decay = (steps * a.view(groups, -1, 1)).cumsum(-1)  # (B, C, G, R, Q)
    inner = _within_chunks(queries, keys, inputs, steps, log_decay)
    states, last = _between_chunks(keys, inputs, steps, log_decay)
    # What the chunk's first state still adds: (B, C, G, R, Q, N) x (B, C, G, R, N, P)
    outer = (queries * log_decay.exp()[..., None]) @ states.transpose(-1, -2)
    y = (inner + outer).permute(0, 1, 4, 2, 3, 5).reshape(batch, -1, groups, heads // groups, size)
    y = y[:, :length] + skip
    return y.flatten(2, 3), last.flatten(1, 2)


def _within_chunks(
    queries: Tensor, keys: Tensor, inputs: Tensor, steps: Tensor, log_decay: Tensor
) -> Tensor:
    """What the tokens of a chunk add to each other, (B, C, G, R, Q, P)."""
    scores = queries @ keys.transpose(-1, -2).unsqueeze(3)
    chunk = log_decay.shape[-1]
    later = torch.ones(chunk, chunk, dtype=torch.bool, device=steps.device).triu(1)
    spans = log_decay[..., :, None] - log_decay[..., None, :]
    weights = spans.masked_fill(later, -torch.inf).exp() * steps[..., None, :]
    return (scores * weights) @ inputs.unsqueeze(3)


def _between_chunks(
    keys: Tensor, inputs: Tensor, steps: Tensor, log_decay: Tensor
) -> tuple[Tensor, Tensor]:
    """States at the beginning of each chunk, (B, C, G, R, P, N), and the last one of all."""
    totals = log_decay[..., -1]  # (B, C, G, R)
    remaining = (totals[..., None] - log_decay).exp() * steps
    weighted = inputs.unsqueeze(3) * remaining[..., None]  # (B, C, G, R, Q, P)
    added = weighted.transpose(-1, -2) @ keys.unsqueeze(3)  # (B, C, G, R, P, N)
    state = torch.zeros_like(added[:, 0])
    states = []
    for index in range(added.shape[1]):
        states.append(state)
        state = torch.addcmul(added[:, index], state, totals[:, index].exp()[..., None, None])
    return torch.stack(states, dim=1), state
