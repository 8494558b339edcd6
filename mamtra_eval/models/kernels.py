"""The four operations of the Mamba-2 mixer, in two implementations with one interface.

``torch``
    The readable twin: plain torch, any device, with gradients.
``fused``
    The kernels of the ``mamba-ssm`` and ``causal-conv1d`` packages (extra ``[mamba]``; CUDA).

Which one runs is chosen by name and told by ``Kernels.description``. ``auto`` takes the fused ones
on a CUDA device where both packages import, else the twin. Asking for ``fused`` where it can't
run is an error; nothing falls back in silence.

Shapes: ``B`` batch, ``T`` tokens, ``H`` heads (each has its own C and step size), ``G`` distinct x
and B, shared by ``H / G`` heads each, ``P`` head size, ``N`` state size, ``W`` taps of the
convolution, ``K`` its channels. The recurrence of a head is, with the step size ``dt`` > 0::

    state[t] = exp(dt[t] * A) * state[t-1] + dt[t] * outer(x[t], B[t])
    y[t]     = state[t] @ C[t] + D * x[t]

after Dao and Gu, "Transformers are SSMs", 2024 (arXiv 2405.21060).
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mamtra_eval.errors import MissingExtra, UserError, unknown_name
from mamtra_eval.models.layers import rms_norm
from mamtra_eval.models.ssd import chunked_scan

NAMES = ("auto", "torch", "fused")


class Kernels(Protocol):
    """What a Mamba-2 mixer computes with."""

    description: str
    """Implementation and versions, for provenance."""

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """SiLU of the causal depthwise convolution: x (B, T, K), weight (K, W) → (B, T, K)."""
        ...

    def convolve_step(self, x: Tensor, memory: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The same for one token, (B, K); ``memory`` (B, W, K) takes it in at its end."""
        ...

    def scan(
        self, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, chunk: int
    ) -> tuple[Tensor, Tensor]:
        """The recurrence over a sequence, from a state of zeros.

        Args:
            x: (B, T, G, P).
            dt: (B, T, H), positive; zero leaves a token out.
            a: (H,), negative.
            b: (B, T, G, N).
            c: (B, T, H, N).
            d: (H,).
            chunk: tokens taken at once.

        Returns:
            y (B, T, H, P) and the last state (B, H, P, N).
        """
        ...

    def scan_step(
        self, state: Tensor, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor
    ) -> Tensor:
        """The recurrence for one token; shapes as in ``scan`` without T. ``state`` changes."""
        ...

    def gated_norm(self, y: Tensor, z: Tensor, weight: Tensor, eps: float, heads: int) -> Tensor:
        """RMS norm of ``y * silu(z)`` within each head, (…, H * P), scaled by weight (H * P)."""
        ...


class TorchKernels:
    """The readable twin."""

    description = f"torch {torch.__version__}"

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """See ``Kernels.convolve``."""
        taps = weight.shape[1]
        padded = F.pad(x.transpose(1, 2), (taps - 1, 0))
        return F.silu(F.conv1d(padded, weight[:, None], bias, groups=len(weight)).transpose(1, 2))

    def convolve_step(self, x: Tensor, memory: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """See ``Kernels.convolve_step``."""
        inputs = torch.cat([memory[:, 1:], x[:, None].to(memory.dtype)], dim=1)
        memory.copy_(inputs)
        return F.silu((inputs.to(x.dtype) * weight.t()).sum(dim=1) + bias)

    def scan(
        self, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, chunk: int
    ) -> tuple[Tensor, Tensor]:
        """See ``Kernels.scan``."""
        return chunked_scan(x, dt, a, b, c, d, chunk)

    def scan_step(
        self, state: Tensor, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor
    ) -> Tensor:
        """See ``Kernels.scan_step``."""
        batch, groups, size = x.shape
        shape = (batch, groups, dt.shape[1] // groups, 1, 1)
        kept = state.to(dt.dtype)  # itself if it has that type
        x, c = x.to(dt.dtype), c.to(dt.dtype)
        # Heads of a group share x and B, so their outer product is made once a group.
        outer = x.unsqueeze(3) * b.to(dt.dtype).unsqueeze(2)
        grouped = kept.view(batch, groups, -1, size, outer.shape[-1])
        grouped.mul_((dt * a).exp_().view(shape)).addcmul_(outer.unsqueeze(2), dt.view(shape))
        if kept is not state:
            state.copy_(kept)
        y = torch.matmul(kept, c.unsqueeze(3)).view(batch, groups, -1, size)
        return torch.addcmul(y, d.view(groups, -1, 1), x.unsqueeze(2)).view(batch, -1, size)

    def gated_norm(self, y: Tensor, z: Tensor, weight: Tensor, eps: float, heads: int) -> Tensor:
        """See ``Kernels.gated_norm``."""
        gated = (y * F.silu(z)).view(*y.shape[:-1], heads, -1)
        if y.device.type == "cpu" and not torch.is_grad_enabled() and y.dtype == torch.float32:
            # torch's own norm takes three times as long for a few short rows.
            scale = gated.square().mean(dim=-1, keepdim=True).add_(eps).rsqrt_()
            return gated.mul_(scale).flatten(-2).mul_(weight)
        return rms_norm(gated, weight.view(heads, -1), eps).flatten(-2)


def choose(name: str, device: torch.device | str) -> Kernels:
    """The kernels of a name for a device.

    Raises:
        UserError: for an unknown name, or for ``fused`` on another device than CUDA.
        MissingExtra: for ``fused`` where its packages are absent or broken.
    """
    if name not in NAMES:
        raise unknown_name("kernels", name, NAMES)
    on_cuda = torch.device(device).type == "cuda"
    if name == "fused" and not on_cuda:
        raise UserError(
            f"the fused kernels need a CUDA device, not {device}",
            fix="Choose kernels=torch, or device=cuda.",
        )
    if name == "torch" or not on_cuda:
        return TorchKernels()
    from mamtra_eval.models.fused import FusedKernels

    try:
        return FusedKernels()
    except MissingExtra:
        if name == "fused":
            raise
        return TorchKernels()
