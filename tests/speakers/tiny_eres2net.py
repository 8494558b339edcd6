"""Helpers of the tests of the speaker encoder eres2net: small sizes, another implementation."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from mamtra_eval import audio
from mamtra_eval.speakers._eres2net import ERes2Net, ERes2NetConfig

BASE = ERes2NetConfig(channels=8, embedding=10, blocks=(1, 2, 2, 1))
"""Blocks as in the model trained on VoxCeleb, at small sizes."""
THREE = ERes2NetConfig(
    channels=16, embedding=7, expansion=4, base_width=24, slices=3, blocks=(2, 1, 1, 2), bands=16
)
"""Blocks as in the large model of 200,000 speakers."""

State = dict[str, torch.Tensor]
Array = npt.NDArray[np.float64]


def loud() -> audio.Samples:
    """1 s of noise without a pause, far above the floor of the features in every band."""
    noise = np.random.default_rng(5).standard_normal(16000)
    return np.convolve(noise, 0.05 * 0.7 ** np.arange(20), mode="same").astype(np.float32)


def random_state(config: ERes2NetConfig) -> State:
    """A checkpoint's tensors, all of them random, so large that ReLU's ceiling is reached."""
    generator = torch.Generator().manual_seed(0)

    def draw(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dtype == torch.int64:  # a batch norm's count
            return torch.tensor(7)
        drawn = torch.randn(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            return drawn.abs() + 0.5
        if drawn.ndim > 1:
            return drawn * 1.5 / tensor[0].numel() ** 0.5
        return 0.1 * drawn + (1.0 if name.endswith(".weight") else 0.0)

    return {name: draw(name, tensor) for name, tensor in ERes2Net(config).state_dict().items()}


def save(path: Path, state: State) -> Path:
    torch.save(state, path)
    return path


def signal() -> audio.Samples:
    """0.2 s of noise, a rising tone and an offset, with 40 ms of zeros: the same everywhere."""
    state, noise = 1, np.empty(3200)
    for index in range(3200):
        state = (1103515245 * state + 12345) % 2**31
        noise[index] = state / 2**30 - 1
    t = np.arange(3200) / 16000
    samples = 0.05 * noise + 0.2 * np.sin(2 * np.pi * (200 + 3000 * t) * t) + 0.03
    samples[1600:2240] = 0.0
    return samples.astype(np.float32)


class NumPyNetwork:
    """The network once more, of one clip, in NumPy and float64, from the paper and its figures."""

    def __init__(self, state: State, config: ERes2NetConfig, ceiling: float = 20.0) -> None:
        self.w = {name: tensor.double().numpy() for name, tensor in state.items()}
        self.config, self.ceiling = config, ceiling

    def embed(self, features: Array) -> Array:
        """(T, bands) to (embedding,)."""
        image = np.asarray(features, np.float64).T[None]
        x = np.maximum(self._norm(self._convolve(image, "conv1"), "bn1"), 0.0)
        outputs = []
        for stage in range(1, 5):
            for index in range(self.config.blocks[stage - 1]):
                first = index == 0 and stage > 1
                x = self._block(x, f"layer{stage}.{index}", 2 if first else 1, stage > 2)
            outputs.append(x)
        fused = outputs[0]
        for number, place in enumerate(("fuse_mode12", "fuse_mode123", "fuse_mode1234"), 1):
            lower = self._convolve(fused, f"layer{number}_downsample", 2)
            fused = self._fuse(outputs[number], lower, place)
        spread = np.sqrt(fused.var(axis=2, ddof=1) + 1e-8)
        pooled = np.concatenate([fused.mean(axis=2).ravel(), spread.ravel()])
        return self.w["seg_1.weight"] @ pooled + self.w["seg_1.bias"]

    def _block(self, x: Array, name: str, stride: int, fuses: bool) -> Array:
        inner = self._relu(self._norm(self._convolve(x, f"{name}.conv1", stride), f"{name}.bn1"))
        done: list[Array] = []
        for index, part in enumerate(np.split(inner, self.config.slices)):
            heard = part
            if done and fuses:
                heard = self._fuse(done[-1], part, f"{name}.fuse_models.{index - 1}")
            elif done:
                heard = done[-1] + part
            made = self._norm(self._convolve(heard, f"{name}.convs.{index}"), f"{name}.bns.{index}")
            done.append(self._relu(made))
        joined = np.concatenate(done)
        out = self._norm(self._convolve(joined, f"{name}.conv3"), f"{name}.bn3")
        if f"{name}.shortcut.0.weight" in self.w:
            x = self._norm(self._convolve(x, f"{name}.shortcut.0", stride), f"{name}.shortcut.1")
        return self._relu(out + x)

    def _fuse(self, x: Array, y: Array, name: str) -> Array:
        path = f"{name}.local_att"
        hidden = self._norm(self._convolve(np.concatenate([x, y]), f"{path}.0"), f"{path}.1")
        hidden = hidden * 0.5 * (1.0 + np.tanh(hidden / 2.0))  # SiLU
        attention = np.tanh(self._norm(self._convolve(hidden, f"{path}.3"), f"{path}.4"))
        return (1.0 + attention) * x + (1.0 - attention) * y

    def _convolve(self, x: Array, name: str, stride: int = 1) -> Array:
        kernel = self.w[f"{name}.weight"]
        reach = kernel.shape[2] // 2
        padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[2:], axis=(1, 2))
        out = np.tensordot(kernel, windows[:, ::stride, ::stride], axes=((1, 2, 3), (0, 3, 4)))
        bias = self.w.get(f"{name}.bias")
        return out if bias is None else out + bias[:, None, None]

    def _norm(self, x: Array, name: str) -> Array:
        mean, variance = self.w[f"{name}.running_mean"], self.w[f"{name}.running_var"]
        scale = self.w[f"{name}.weight"] / np.sqrt(variance + 1e-5)
        offset = self.w[f"{name}.bias"] - mean * scale
        return x * scale[:, None, None] + offset[:, None, None]

    def _relu(self, x: Array) -> Array:
        return np.clip(x, 0.0, self.ceiling)


def official_shapes(
    channels: int, embedding: int, expansion: int, base_width: int, slices: int
) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor, written by rule from 3D-Speaker's code."""
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, n_out: int, n_in: int, kernel: int, *, bias: bool = False) -> None:
        shapes[f"{name}.weight"] = (n_out, n_in, kernel, kernel)
        if bias:
            shapes[f"{name}.bias"] = (n_out,)

    def norm(name: str, size: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (size,)
        shapes[f"{name}.num_batches_tracked"] = ()

    def fusion(name: str, size: int) -> None:
        convolution(f"{name}.local_att.0", size // 4, 2 * size, 1, bias=True)
        norm(f"{name}.local_att.1", size // 4)
        convolution(f"{name}.local_att.3", size, size // 4, 1, bias=True)
        norm(f"{name}.local_att.4", size)

    convolution("conv1", channels, 1, 3)
    norm("bn1", channels)
    before = channels
    for stage, n_blocks in enumerate((3, 4, 6, 3)):
        planes = channels * 2**stage
        width, out = math.floor(planes * base_width / 64), planes * expansion
        for index in range(n_blocks):
            name = f"layer{stage + 1}.{index}"
            convolution(f"{name}.conv1", width * slices, before, 1)
            norm(f"{name}.bn1", width * slices)
            for part in range(slices):
                convolution(f"{name}.convs.{part}", width, width, 3)
                norm(f"{name}.bns.{part}", width)
            for part in range(slices - 1 if stage >= 2 else 0):
                fusion(f"{name}.fuse_models.{part}", width)
            convolution(f"{name}.conv3", out, width * slices, 1)
            norm(f"{name}.bn3", out)
            if index == 0:
                convolution(f"{name}.shortcut.0", out, before, 1)
                norm(f"{name}.shortcut.1", out)
            before = out
    first = channels * expansion
    for stage, name in enumerate(("fuse_mode12", "fuse_mode123", "fuse_mode1234"), 1):
        convolution(f"layer{stage}_downsample", first * 2**stage, first * 2 ** (stage - 1), 3)
        fusion(name, first * 2**stage)
    shapes["seg_1.weight"] = (embedding, 2 * 10 * first * 8)
    shapes["seg_1.bias"] = (embedding,)
    return shapes
