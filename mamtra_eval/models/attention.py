"""Grouped-query attention with rotary positions, as in Qwen2, through torch's fused attention.

q, k and v are one projection with bias, in this order; the output projection has none. Over a
whole sequence the mixer is causal; the step that reads the cache is in ``stepping``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mamtra_eval.models.cache import AttentionCache
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.layers import Rotation, rotate

SHORT = 1024
"""Longest sequence whose attention weights are kept for a backward pass on a CPU."""


class Attention(nn.Module):
    """The mixer of a Transformer layer."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.kv_heads = config.kv_heads
        self.head_dim = config.head_dim
        self.qkv = nn.Linear(config.hidden, config.inner + 2 * config.kv_inner)
        self.out = nn.Linear(config.inner, config.hidden, bias=False)

    def forward(
        self, x: Tensor, rotation: Rotation, mask: Tensor | None, cache: AttentionCache | None
    ) -> Tensor:
        """Mix a whole sequence, (B, T, D).

        ``mask`` is boolean (B, 1, T, T), true where a query sees a key; ``None`` means causal.
        Keys and values go into the first T slots of ``cache``.
        """
        batch, length, _ = x.shape
        q, k, v = self._project(x, rotation)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        if cache is not None:
            cache.keys[:, :, :length] = k
            cache.values[:, :, :length] = v
        if mask is None and length <= SHORT and torch.is_grad_enabled() and x.device.type == "cpu":
            mixed = short_attention(q, k, v)
        else:
            mixed = F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=True
            )
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, -1))
        return out

    def _project(self, x: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated q (B, T, heads, P), rotated k and plain v (B, T, kv_heads, P)."""
        heads = self.qkv(x).view(*x.shape[:2], -1, self.head_dim)
        turned = rotate(heads[:, :, : self.heads + self.kv_heads], rotation)
        return (
            turned[:, :, : self.heads],
            turned[:, :, self.heads :],
            heads[:, :, self.heads + self.kv_heads :],
        )


def short_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention in plain products: q (B, H, T, P), k and v (B, KV, T, P) → (B, H, T, P).

    What torch's fused attention computes, for training on a CPU: its backward pass there took half
    of a training step (T = 125, width 128), this one a tenth. It keeps the weights, B·H·T² numbers.
    """
    batch, heads, length, size = q.shape
    sharing = heads // k.shape[1]
    scores = q.reshape(batch, -1, sharing * length, size) @ k.transpose(-1, -2) * size**-0.5
    later = torch.full((length, length), -torch.inf, device=q.device).triu(1)
    weights = (scores.view(batch, heads, length, length) + later).softmax(-1).to(v.dtype)
    mixed = weights.view(batch, -1, sharing * length, length) @ v
    out: Tensor = mixed.view(batch, heads, length, size)
    return out


def padding_mask(starts: Tensor, length: int) -> Tensor:
    """Boolean (B, 1, T, T) of a causal mask that hides the slots before ``starts``.

    A padded slot sees itself, since a row that sees nothing has no softmax.
    """
    slots = torch.arange(length, device=starts.device)
    causal = slots[None, :] <= slots[:, None]
    real = slots[None, None, :] >= starts[:, None, None]
    return ((causal & real) | torch.eye(length, dtype=torch.bool, device=starts.device))[:, None]
