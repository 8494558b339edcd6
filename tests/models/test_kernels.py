"""The twin's operations, how the fused ones are called, and which are chosen.

The packages' kernels need a CUDA device. In their place stand functions of the same signatures
that compute what their documentation says, naively, and refuse what the real ones refuse
(mamba-ssm 2.3.2, causal-conv1d 1.4 and later). ``test_gpu`` has the real ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mamtra_eval.errors import MissingExtra, UserError
from mamtra_eval.models import fused, kernels
from mamtra_eval.models.cache import Cache
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.fused import FusedKernels
from mamtra_eval.models.kernels import TorchKernels
from mamtra_eval.models.stepping import Stepper

Make = Callable[..., Decoder]
TWIN = TorchKernels()
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def causal_conv1d_fn(x: Tensor, weight: Tensor, bias: Tensor, *, activation: str) -> Tensor:
    """x (batch, dim, length)."""
    assert activation == "silu"
    assert x.stride(1) == 1 or x.stride(2) == 1
    if x.stride(1) == 1 and x.stride(2) > 1:
        assert [size % 8 for size in (x.shape[1], x.stride(0), x.stride(2))] == [0, 0, 0]
    rows = []
    for t in range(x.shape[2]):
        taps = [x[:, :, t - i] * weight[:, -1 - i] for i in range(weight.shape[1]) if t >= i]
        rows.append(F.silu(sum(taps) + bias))
    return torch.stack(rows, dim=2)


def causal_conv1d_update(
    x: Tensor, conv_state: Tensor, weight: Tensor, bias: Tensor, activation: str
) -> Tensor:
    """x (batch, dim), conv_state (batch, dim, width), which takes it in."""
    assert activation == "silu"
    assert conv_state.dtype == x.dtype
    conv_state.copy_(torch.cat([conv_state[:, :, 1:], x[:, :, None]], dim=2))
    return F.silu((conv_state * weight).sum(-1) + bias)


def selective_state_update(
    state: Tensor, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor,  # noqa: N803
    *, dt_bias: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """state (b, h, p, n); x and dt (b, h, p); A (h, p, n); B and C (b, g, n); D (h, p)."""
    batch, heads, size, states = state.shape
    assert x.shape == dt.shape == (batch, heads, size)
    assert A.shape == (heads, size, states)
    assert B.shape == C.shape
    assert heads % B.shape[1] == 0
    assert D.shape == (heads, size)
    if A.stride()[1:] == (0, 0) and dt.stride(-1) == 0:
        assert dt_bias is not None  # or the real one raises AttributeError
    if dt_bias is not None:
        assert dt_bias.shape == (heads, size)
        dt = dt + dt_bias
    B, C = (part.repeat_interleave(heads // part.shape[1], 1) for part in (B, C))  # noqa: N806
    new = torch.exp(dt[..., None] * A) * state + dt[..., None] * x[..., None] * B[:, :, None]
    state.copy_(new)
    return ((new * C[:, :, None]).sum(-1) + D * x).to(x.dtype)


def mamba_chunk_scan_combined(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk_size: int,  # noqa: N803
    *, D: Tensor, return_final_states: bool,  # noqa: N803
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """x (b, l, h, p), dt (b, l, h), A (h), B and C (b, l, g, n), D (h)."""
    batch, length, heads, size = x.shape
    assert dt.shape == (batch, length, heads)
    assert A.shape == D.shape == (heads,)
    assert B.shape == C.shape
    assert return_final_states
    assert chunk_size > 0
    state = x.new_zeros(batch, heads, size, B.shape[3])
    rows = []
    for t in range(length):
        rows.append(
            selective_state_update(
                state, x[:, t], dt[:, t, :, None].expand(-1, -1, size).contiguous(),
                A[:, None, None].expand(-1, size, B.shape[3]), B[:, t], C[:, t],
                D[:, None].expand(-1, size),
            )
        )  # fmt: skip
    return torch.stack(rows, dim=1), state


def rmsnorm_fn(
    x: Tensor, weight: Tensor, bias: None, *, z: Tensor, eps: float, group_size: int,
    norm_before_gate: bool,
) -> Tensor:  # fmt: skip
    """Norm of ``x * silu(z)`` within groups."""
    assert bias is None
    assert not norm_before_gate
    gated = (x * F.silu(z)).unflatten(-1, (-1, group_size))
    return (gated / (gated.square().mean(-1, keepdim=True) + eps).sqrt()).flatten(-2) * weight


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both packages, as far as they are used."""
    triton = "mamba_ssm.ops.triton"
    functions = {
        "causal_conv1d": [causal_conv1d_fn, causal_conv1d_update],
        f"{triton}.ssd_combined": [mamba_chunk_scan_combined],
        f"{triton}.selective_state_update": [selective_state_update],
        f"{triton}.layernorm_gated": [rmsnorm_fn],
    }
    for parent in ("mamba_ssm", "mamba_ssm.ops", triton):
        monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
    for name, members in functions.items():
        module = ModuleType(name)
        for member in members:
            setattr(module, member.__name__, member)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(fused, "extra_version", lambda _, package, __: f"of {package}")


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither package, whatever this machine has."""
    for name in ("mamba_ssm", "causal_conv1d"):
        monkeypatch.setitem(sys.modules, name, None)


def _scan_inputs(length: int) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {
        "x": torch.randn(2, length, 2, 5), "dt": torch.rand(2, length, 6), "a": -torch.rand(6) * 3,
        "b": torch.randn(2, length, 2, 4), "c": torch.randn(2, length, 6, 4), "d": torch.randn(6),
    }  # fmt: skip


@pytest.mark.usefixtures("packages")
def test_fused_scan_and_steps_are_the_twins() -> None:
    inputs = _scan_inputs(11)
    ours, fused_ones = (k.scan(**inputs, chunk=4) for k in (TWIN, FusedKernels()))
    for mine, other in zip(ours, fused_ones, strict=True):
        torch.testing.assert_close(mine, other, **CLOSE)
    states = [torch.zeros(2, 6, 5, 4), torch.zeros(2, 6, 5, 4)]
    for t in range(11):
        step = {n: part[:, t] if part.ndim > 1 else part for n, part in inputs.items()}
        y, other = (
            k.scan_step(s, **step) for k, s in zip((TWIN, FusedKernels()), states, strict=True)
        )
        torch.testing.assert_close(y, other, **CLOSE)
        torch.testing.assert_close(*states, **CLOSE)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("width", [2, 3, 4])
@pytest.mark.parametrize(("batch", "length"), [(1, 1), (3, 1), (1, 9), (3, 2)])
def test_fused_convolution_is_the_twins(width: int, batch: int, length: int) -> None:
    projected = torch.randn(batch, length, 30)  # x is a slice of it, in strides of 30
    x, weight, bias = projected[..., 3:27], torch.randn(24, width), torch.randn(24)
    whole = TWIN.convolve(x, weight, bias)
    torch.testing.assert_close(FusedKernels().convolve(x, weight, bias), whole, **CLOSE)
    for kernel in (TWIN, FusedKernels()):
        memory = torch.zeros(batch, width, 24)
        steps = [kernel.convolve_step(x[:, t], memory, weight, bias) for t in range(length)]
        torch.testing.assert_close(torch.stack(steps, dim=1), whole, **CLOSE)
        assert memory[:, -1].equal(x[:, -1])


@pytest.mark.usefixtures("packages")
def test_fused_gated_norm_is_the_twins() -> None:
    y, z, weight = torch.randn(2, 3, 24), torch.randn(2, 3, 24), torch.rand(24)
    norms = [k.gated_norm(y, z, weight, 1e-5, 4) for k in (TWIN, FusedKernels())]
    torch.testing.assert_close(*norms, **CLOSE)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("state", [torch.float32, torch.bfloat16])
def test_a_decoder_on_fused_kernels_is_the_same(
    tiny: DecoderConfig, make_decoder: Make, state: torch.dtype
) -> None:
    decoder = make_decoder(tiny.with_layout((0, 2)))
    following = torch.randint(0, tiny.vocabulary, (10, 2))
    results = []
    for chosen in (TWIN, FusedKernels()):
        decoder.kernels = chosen
        cache = Cache(decoder.config, 2, 20, state_dtype=state)
        with torch.inference_mode():
            logits = [decoder.prefill([[1, 2, 3], [4]], cache)]
            stepper = Stepper(decoder)
            logits += [stepper.advance(ids, cache, masked=True) for ids in following]
        results.append(torch.stack(logits))
    tolerance = CLOSE if state == torch.float32 else {"rtol": 0.0, "atol": 0.02}
    torch.testing.assert_close(*results, **tolerance)


def test_the_twin_tells_the_version() -> None:
    assert kernels.choose("torch", "cpu").description == f"torch {torch.__version__}"


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("name", ["auto", "fused"])
def test_both_packages_are_taken_on_cuda_and_tell_their_versions(name: str) -> None:
    chosen = kernels.choose(name, "cuda")
    assert isinstance(chosen, FusedKernels)
    assert chosen.description == "mamba-ssm of mamba-ssm, causal-conv1d of causal-conv1d"
    assert isinstance(kernels.choose("torch", torch.device("cuda", 0)), TorchKernels)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(
    ("module", "package"), [("mamba_ssm", "mamba-ssm"), ("causal_conv1d", "causal-conv1d")]
)
def test_one_absent_package_is_named_and_not_half_replaced(
    monkeypatch: pytest.MonkeyPatch, module: str, package: str
) -> None:
    for name in [name for name in sys.modules if name.startswith(module)]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=rf"package {package}, which.*\[mamba\]"):
        kernels.choose("fused", "cuda")
    assert isinstance(kernels.choose("auto", "cuda"), TorchKernels)


@pytest.mark.usefixtures("absent")
def test_fused_is_never_replaced_in_silence() -> None:
    with pytest.raises(MissingExtra, match=r"implementation 'fused' .* package mamba-ssm"):
        kernels.choose("fused", "cuda")
    assert isinstance(kernels.choose("auto", "cuda"), TorchKernels)


@pytest.mark.usefixtures("packages")
def test_fused_on_a_cpu_is_an_error_and_auto_is_the_twin(tiny: DecoderConfig) -> None:
    with pytest.raises(UserError, match=r"need a CUDA device, not cpu\. Choose kernels=torch"):
        kernels.choose("fused", "cpu")
    assert isinstance(kernels.choose("auto", "cpu"), TorchKernels)
    with pytest.raises(UserError, match="need a CUDA device"):
        Decoder(tiny, kernels="fused")


def test_an_unknown_name_has_near_matches() -> None:
    with pytest.raises(UserError, match=r"no kernels named 'fuse'\. Did you mean fused"):
        kernels.choose("fuse", "cpu")
