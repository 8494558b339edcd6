"""One more token an item: the decoder as plain functions over the cache.

A step of a small model is dozens of operations of a few microseconds each, so what surrounds them
counts: a ``Stepper`` looks up all weights once, adds residuals within the matrix products, and
lets the query heads that share a key head stand side by side as that many queries, so that no key
is copied. It computes what ``Decoder.forward`` computes; tests hold the two together. Quantised
matrices are unpacked for every product, since kept unpacked they would save nothing.

Under ``torch.autocast`` (asked when the ``Stepper`` is made) products are taken in half precision
while residuals and states stay as they are, as in ``forward``: adding within a product would round
them too.

Nothing in ``step`` depends on a value that the host would have to wait for.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mamtra_eval.models.attention import Attention
from mamtra_eval.models.cache import AttentionCache, Cache, MambaCache
from mamtra_eval.models.decoder import Decoder, Layer
from mamtra_eval.models.kernels import Kernels
from mamtra_eval.models.layers import RmsNorm, rotation_matrix
from mamtra_eval.models.mamba2 import Mamba2
from mamtra_eval.models.quantize import QuantizedLinear

Weight = Tensor | QuantizedLinear
"""The right factor of a product: a matrix (in, out), or what unpacks to its transpose."""


class StepContext(NamedTuple):
    """What every layer needs to know of a step.

    Attributes:
        slot: int64 (1,), the cache slot of the token.
        window: how many slots attention looks at, from the first.
        mask: added to the scores, (B, 1, 1, window); ``None`` if all of the window is visible.
        rotation: matrices that turn heads to the token's position in each item, (B, P, P).
    """

    slot: Tensor
    window: int
    mask: Tensor | None
    rotation: Tensor


class Stepper:
    """Single-token steps of a decoder with the weights that it has now."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        half = _autocasting(decoder.device)
        self._layers = [
            _LayerStep(layer, decoder.kernels, half)
            for layer in decoder.layers
            if isinstance(layer, Layer)
        ]
        self._norm = _NormStep(decoder.norm)
        self._embedding = decoder.embedding.weight
        self._head = (decoder.head.bias, decoder.head.weight.t())

    def advance(self, ids: Tensor, cache: Cache, *, masked: bool) -> Tensor:
        """Feed ids int64 (B,) into the next slot of the cache; logits (B, speech_rows)."""
        if cache.length >= cache.capacity:
            raise IndexError(f"the cache of {cache.capacity} slots is full")
        slot = torch.full((1,), cache.length, dtype=torch.int64, device=ids.device)
        logits = self.step(ids, self.context(slot, cache.length + 1, cache, masked=masked), cache)
        cache.length += 1
        return logits

    def step(self, ids: Tensor, context: StepContext, cache: Cache) -> Tensor:
        """Logits after ids int64 (B,), kept at ``context.slot``; ``cache.length`` stays."""
        x = F.embedding(ids, self._embedding)
        for layer, part in zip(self._layers, cache.layers, strict=True):
            x = layer(x, context, part)
        return torch.addmm(self._head[0], self._norm(x), self._head[1])

    def context(self, slot: Tensor, window: int, cache: Cache, *, masked: bool) -> StepContext:
        """What the layers need to know of a token at ``slot``, int64 (1,).

        ``masked`` hides the slots of the window that are padding or lie behind ``slot``; without
        it all of the window must be visible.
        """
        dtype = self._embedding.dtype
        mask = None
        if masked:
            slots = torch.arange(window, device=slot.device)
            hidden = (slots < cache.starts[:, None]) | (slots > slot)
            mask = torch.zeros(hidden.shape, dtype=dtype, device=slot.device)
            mask = mask.masked_fill_(hidden, -torch.inf)[:, None, None]
        positions = slot - cache.starts if masked else slot
        rotation = self._decoder.rotation(positions, dtype, cache.capacity)
        matrices = rotation_matrix(rotation).expand(cache.batch, -1, -1)
        return StepContext(slot, window, mask, matrices)


class _NormStep:
    """A root-mean-square norm of (B, D).

    On a CPU the mean is a product with a constant vector: torch's own norm takes twice the time
    there, and a step has 49 of them.
    """

    def __init__(self, norm: RmsNorm) -> None:
        self._weight, self._eps = norm.weight, norm.eps
        width = len(norm.weight)
        self._by_product = norm.weight.device.type == "cpu" and norm.weight.dtype == torch.float32
        self._mean = torch.full((width,), 1.0 / width) if self._by_product else None
        self._offset = torch.full((1,), norm.eps)

    def __call__(self, x: Tensor) -> Tensor:
        if self._mean is None:
            return F.rms_norm(x, self._weight.shape, self._weight, self._eps)
        scale = torch.addmv(self._offset, x * x, self._mean).rsqrt_()
        return (x * scale.unsqueeze(1)).mul_(self._weight)


class _LayerStep:
    """One layer: (B, D) in, (B, D) out, its cache changed."""

    def __init__(self, layer: Layer, kernels: Kernels, half: bool) -> None:
        mixer = layer.mixer
        self._add = _add_product if half else _addmm
        self._mixer_norm = _NormStep(layer.mixer_norm)
        self._mixer = (
            _AttentionStep(mixer, half)
            if isinstance(mixer, Attention)
            else _MambaStep(mixer, kernels, half)
        )
        self._mlp_norm = _NormStep(layer.mlp_norm)
        self._gate_up = _weight(layer.mlp.gate_up)
        self._down = _weight(layer.mlp.down)

    def __call__(
        self, x: Tensor, context: StepContext, cache: AttentionCache | MambaCache
    ) -> Tensor:
        x = self._mixer(x, self._mixer_norm(x), context, cache)
        gate, up = _mm(self._mlp_norm(x), self._gate_up).chunk(2, dim=-1)
        return self._add(x, F.silu(gate).mul_(up), self._down)


class _AttentionStep:
    """Attention of one token to the window of the cache, added to the residual."""

    def __init__(self, mixer: Attention, half: bool) -> None:
        self._half, self._add = half, _add_product if half else _addmm
        self._heads, self._kv_heads, self._size = mixer.heads, mixer.kv_heads, mixer.head_dim
        self._qkv = (mixer.qkv.bias, _weight(mixer.qkv))
        self._out = _weight(mixer.out)

    def __call__(
        self, residual: Tensor, x: Tensor, context: StepContext, cache: AttentionCache | MambaCache
    ) -> Tensor:
        assert isinstance(cache, AttentionCache)
        batch, turning = len(x), self._heads + self._kv_heads
        heads = _addmm(self._qkv[0], x, self._qkv[1]).view(batch, -1, self._size)
        turned = torch.bmm(heads[:, :turning], context.rotation)
        key, value = turned[:, self._heads :, None], heads[:, turning:, None]
        keys, values = cache
        seen, told = keys.narrow(2, 0, context.window), values.narrow(2, 0, context.window)
        if self._half:
            keys.index_copy_(2, context.slot, key.to(keys.dtype))
            values.index_copy_(2, context.slot, value.to(values.dtype))
        elif keys.dtype is not x.dtype:  # asked first: a conversion to the same type takes its time
            keys.index_copy_(2, context.slot, key.to(keys.dtype))
            values.index_copy_(2, context.slot, value.to(values.dtype))
            seen, told = seen.to(x.dtype), told.to(x.dtype)
        else:
            keys.index_copy_(2, context.slot, key)
            values.index_copy_(2, context.slot, value)
        queries = turned[:, : self._heads].view(batch, self._kv_heads, -1, self._size)
        mixed = F.scaled_dot_product_attention(queries, seen, told, attn_mask=context.mask)
        return self._add(residual, mixed.reshape(batch, -1), self._out)


class _MambaStep:
    """The recurrence of one token, added to the residual."""

    def __init__(self, mixer: Mamba2, kernels: Kernels, half: bool) -> None:
        config = mixer.config
        self._half, self._add = half, _add_product if half else _addmm
        self._kernels = kernels
        self._in = (mixer.in_proj.bias, _weight(mixer.in_proj))
        self._inner, self._heads, self._size = config.inner, config.heads, config.head_dim
        self._shared = 2 * config.kv_inner
        self._conv = (mixer.conv_weight, mixer.conv_bias)
        self._dt_bias = mixer.dt_bias.float()
        self._a, self._d = mixer.decay(), mixer.D.float()
        self._norm = (mixer.norm.weight, mixer.norm.eps, config.heads)
        self._out = _weight(mixer.out_proj)

    def __call__(
        self, residual: Tensor, x: Tensor, context: StepContext, cache: AttentionCache | MambaCache
    ) -> Tensor:
        assert isinstance(cache, MambaCache)
        batch = len(x)
        bias, weight = self._in
        projected = _mm(x, weight) if bias is None else _addmm(bias, x, weight)
        z, mixed = projected[:, : self._inner], projected[:, self._inner : -self._heads]
        dt = F.softplus(projected[:, -self._heads :].float() + self._dt_bias)
        convolved = self._kernels.convolve_step(mixed, cache.conv, *self._conv)
        shared = convolved[:, : self._shared].view(batch, 2, -1, self._size)
        c = convolved[:, self._shared :].view(batch, -1, self._size)
        arguments = (cache.state, shared[:, 0], dt, self._a, shared[:, 1], c, self._d)
        if self._half:
            with torch.autocast(x.device.type, enabled=False):
                y = self._kernels.scan_step(*arguments)
        else:
            y = self._kernels.scan_step(*arguments)
        normed = self._kernels.gated_norm(y.reshape(batch, -1).to(x.dtype), z, *self._norm)
        return self._add(residual, normed, self._out)


def _autocasting(device: torch.device) -> bool:
    """Whether autocast is on; of devices without one (meta) torch refuses to say."""
    return device.type in ("cpu", "cuda") and torch.is_autocast_enabled(device.type)


def _weight(linear: nn.Module) -> Weight:
    """What a product with this layer's matrix takes, looked up once."""
    if isinstance(linear, QuantizedLinear):
        return linear
    assert isinstance(linear, nn.Linear)
    return linear.weight.t()


def _mm(x: Tensor, weight: Weight) -> Tensor:
    """Product of x (B, in) and the matrix, (B, out)."""
    if isinstance(weight, QuantizedLinear):
        weight = weight.unpack(x.dtype).t()
    return torch.mm(x, weight)


def _add_product(added: Tensor, x: Tensor, weight: Weight) -> Tensor:
    """The product and ``added``, in the wider type of the two."""
    return added + _mm(x, weight)


def _addmm(added: Tensor, x: Tensor, weight: Weight) -> Tensor:
    """The same product and ``added``, (out,) or (B, out)."""
    if isinstance(weight, QuantizedLinear):
        weight = weight.unpack(x.dtype).t()
    return torch.addmm(added, x, weight)
