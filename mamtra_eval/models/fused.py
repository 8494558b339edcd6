"""The Mamba-2 kernels of the packages ``mamba-ssm`` and ``causal-conv1d``, for CUDA devices.

Both are wanted: a scan by one and a convolution by plain torch would be neither of the two
implementations that a measurement can name. Imported by ``kernels.choose`` alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mamtra_eval.extras import extra_version, import_extra

FEATURE = "the implementation 'fused' of the Mamba-2 kernels"


class FusedKernels:
    """The fused implementation. MissingExtra where a package is absent or broken."""

    def __init__(self) -> None:
        mamba = (FEATURE, "mamba-ssm", "mamba")
        conv = (FEATURE, "causal-conv1d", "mamba")
        self._scan = import_extra("mamba_ssm.ops.triton.ssd_combined", *mamba)
        self._update = import_extra("mamba_ssm.ops.triton.selective_state_update", *mamba)
        self._norm = import_extra("mamba_ssm.ops.triton.layernorm_gated", *mamba)
        self._conv = import_extra("causal_conv1d", *conv)
        versions = (f"{package[1]} {extra_version(*package)}" for package in (mamba, conv))
        self.description = ", ".join(versions)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """See ``Kernels.convolve``."""
        # A copy, since the kernel asks for strides that are multiples of 8 and x is a slice; not
        # contiguous(), which leaves the strides of a single token as they are.
        channels_last = x.clone(memory_format=torch.contiguous_format).transpose(1, 2)
        convolved: Tensor = self._conv.causal_conv1d_fn(
            channels_last, weight, bias, activation="silu"
        )
        return convolved.transpose(1, 2)

    def convolve_step(self, x: Tensor, memory: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """See ``Kernels.convolve_step``."""
        kept = memory.to(x.dtype)  # itself if it has that type, which the kernel asks for
        convolved: Tensor = self._conv.causal_conv1d_update(
            x, kept.transpose(1, 2), weight, bias, "silu"
        )
        if kept is not memory:
            memory.copy_(kept)
        return convolved

    def scan(
        self, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, chunk: int
    ) -> tuple[Tensor, Tensor]:
        """See ``Kernels.scan``; shared heads are written out, as the kernel wants them."""
        shared = dt.shape[2] // x.shape[2]
        x, b = (part.repeat_interleave(shared, dim=2) for part in (x, b))
        y, state = self._scan.mamba_chunk_scan_combined(
            x, dt, a, b, c, chunk, D=d, return_final_states=True
        )
        return y, state

    def scan_step(
        self, state: Tensor, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor
    ) -> Tensor:
        """See ``Kernels.scan_step``; what is one number a head is spread without a copy."""
        _, heads, size, states = state.shape
        x, b = (part.repeat_interleave(heads // part.shape[1], dim=1) for part in (x, b))
        y: Tensor = self._update.selective_state_update(
            state,
            x,
            dt[..., None].expand(-1, -1, size),
            a[:, None, None].expand(-1, size, states),
            b,
            c,
            d[:, None].expand(-1, size),
            # Zero, but it must be there: the kernel looks at its strides.
            dt_bias=dt.new_zeros(heads)[:, None].expand(-1, size),
        )
        return y

    def gated_norm(self, y: Tensor, z: Tensor, weight: Tensor, eps: float, heads: int) -> Tensor:
        """See ``Kernels.gated_norm``."""
        normed: Tensor = self._norm.rmsnorm_fn(
            y, weight, None, z=z, eps=eps, group_size=y.shape[-1] // heads, norm_before_gate=False
        )
        return normed
