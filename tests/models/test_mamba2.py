"""The Mamba-2 mixer: where its weights start, and that its parts stay apart."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812

from mamtra_eval.models.cache import MambaCache
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.kernels import TorchKernels
from mamtra_eval.models.mamba2 import Mamba2

KERNELS = TorchKernels()


def _mixer(config: DecoderConfig) -> Mamba2:
    torch.manual_seed(0)
    return Mamba2(config).eval()


def test_step_sizes_and_decays_start_in_mamba2s_ranges() -> None:
    """dt log-uniform from 0.001 to 0.1 and A uniform from -16 to -1, as in mamba_ssm's Mamba2."""
    torch.manual_seed(0)
    config = DecoderConfig(
        layers=1, hidden=2, heads=4000, kv_heads=1, head_dim=2, mlp=1,
        speech_codes=1, text_vocabulary=0, transformer=(),
    )  # fmt: skip
    mixer = Mamba2(config)
    dt, a = F.softplus(mixer.dt_bias.detach()), mixer.decay().detach()
    assert dt.min() >= 0.999e-3
    assert dt.max() <= 0.1001
    torch.testing.assert_close(dt.log().mean().exp().item(), 0.01, rtol=0.05, atol=0)
    assert a.min() >= -16.001
    assert a.max() <= -0.999
    torch.testing.assert_close(a.mean().item(), -8.5, rtol=0.03, atol=0)
    assert (mixer.D == 1).all()


def test_heads_of_a_group_share_x_and_b_and_nothing_else(tiny: DecoderConfig) -> None:
    """A change in the rows of the first x or B reaches heads 0 and 1, one of C a single head."""
    mixer = _mixer(tiny)
    mixer.out_proj = torch.nn.Identity()  # type: ignore[assignment]
    x = torch.randn(1, 9, tiny.hidden)
    z_x_b_c = {"x": (tiny.inner, {0, 1}), "B": (tiny.inner + tiny.kv_inner, {0, 1}),
               "C": (tiny.inner + 2 * tiny.kv_inner + 2 * tiny.head_dim, {2}),
               "z": (tiny.head_dim, {1})}  # fmt: skip
    with torch.no_grad():
        before = mixer(x, None, None, KERNELS)
        for name, (row, expected) in z_x_b_c.items():
            kept = mixer.in_proj.weight[row].clone()
            mixer.in_proj.weight[row] += 1
            after = mixer(x, None, None, KERNELS)
            mixer.in_proj.weight[row] = kept
            changed = (after != before).view(-1, tiny.heads, tiny.head_dim).any(-1).any(0)
            assert set(changed.nonzero().flatten().tolist()) == expected, name


def test_the_convolution_remembers_its_last_inputs_alone(tiny: DecoderConfig) -> None:
    mixer = _mixer(tiny)
    width, sizes = tiny.conv_width, (tiny.heads, tiny.head_dim, tiny.head_dim)
    for length in (1, 2, width, 9):
        cache = MambaCache(
            torch.full((2, width, tiny.conv_channels), 9.0), torch.full((2, *sizes), 9.0)
        )
        x = torch.randn(2, length, tiny.hidden)
        with torch.no_grad():
            mixer(x, None, cache, KERNELS)
            inputs = mixer.in_proj(x)[..., tiny.inner : -tiny.heads]
        padded = F.pad(inputs, (0, 0, width, 0))[:, -width:]
        torch.testing.assert_close(cache.conv, padded)


def test_a_large_decay_stays_finite_in_half_precision(tiny: DecoderConfig) -> None:
    mixer = _mixer(tiny)
    torch.nn.init.constant_(mixer.A_log, 12.0)  # exp(12) is beyond float16
    assert mixer.half().decay().isfinite().all()


def test_output_is_scaled_within_each_head(tiny: DecoderConfig) -> None:
    """The gated norm makes the mean square of every head that of its own scale."""
    y, z = torch.randn(3, 5, tiny.inner), torch.randn(3, 5, tiny.inner)
    weight = torch.rand(tiny.inner) + 0.5
    normed = KERNELS.gated_norm(y, z, weight, 1e-8, tiny.heads)
    for head in range(tiny.heads):
        part = slice(head * tiny.head_dim, (head + 1) * tiny.head_dim)
        gated = y[..., part] * z[..., part] / (1 + torch.exp(-z[..., part]))
        expected = weight[part] * gated / gated.square().mean(-1, keepdim=True).sqrt()
        torch.testing.assert_close(normed[..., part], expected, rtol=1e-5, atol=1e-5)
