"""The two DNSMOS networks in torch, arranged so that overlapping windows share their work.

Both are plain stacks of 3x3 convolutions with ReLU (zero padding 1), three 2x2 poolings, a maximum
over the whole map and three dense layers. A clip is scored in windows of 9 s that start 1 s apart,
so that nearly every instant is seen nine times. In the signal network, window starts fall on
whole frames (100) and on whole columns after the second pooling (25), so up to there the windows'
maps are excerpts of one map of the whole clip. Only what the zero padding at a window's ends
touches differs; those columns are computed apart. The result is the window's own up to rounding.

The P.808 network hears spectrograms that are scaled by each window's maximum: nothing is shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from mamtra_eval.audio import Samples
from mamtra_eval.features import Floats
from mamtra_eval.metrics._onnx_weights import read_float_tensors

HOP = 160
FRAME = 320
FRAMES_PER_S = 100
WINDOW_FRAMES = 900
POWER_FLOOR = 1e-12

COLUMN = 4  # frames that two poolings make one
# A column depends on 10 frames to either side of its own 4: 4 (four convolutions) + 2 + 4.
HALO_COLUMNS = 3
TILE_COLUMNS = 75  # bounds the memory (3 s at a time); larger is not faster

Layer = tuple[Tensor, Tensor]


class SignalNetwork:
    """Speech, background and overall quality (before their polynomials) from samples."""

    def __init__(self, path: Path) -> None:
        weights = read_float_tensors(path)
        kernels = (weights[f"time2freq/stft-{part}/kernel:0"][:, :, 0] for part in ("real", "imag"))
        self._real, self._imag = kernels
        convolutions = [
            _convolution(weights, f"conv2d{end}")
            for end in ("", "_1", "_2", "_3", "_4", "_5", "_6")
        ]
        self._trunk, self._head = convolutions[:6], convolutions[6]
        prefix = "mos_estimator_logpow"
        self._dense = [
            _dense(weights, f"{prefix}/{name}") for name in ("dense", "dense_1", "dense_3")
        ]

    @torch.inference_mode()
    def scores(self, samples: Samples, starts_s: Sequence[int]) -> Floats:
        """Raw scores, float32 (windows, 3): sig, bak, ovrl. ``samples`` must hold the windows."""
        offset = starts_s[0]
        first, last = offset * FRAMES_PER_S, starts_s[-1] * FRAMES_PER_S + WINDOW_FRAMES
        spectrum = self._log_power(samples[first * HOP : (last + 1) * HOP])
        starts = [(start - offset) * FRAMES_PER_S for start in starts_s]
        shared = self._map_of_all(spectrum)
        left, right = self._edges(spectrum, starts)
        scores = []
        for index, start in enumerate(starts):
            window = shared[:, :, start // COLUMN : (start + WINDOW_FRAMES) // COLUMN].clone()
            window[:, :, :HALO_COLUMNS] = left[index]
            window[:, :, -HALO_COLUMNS:] = right[index]
            pooled = functional.max_pool2d(window, 2)
            scores.append(_score(_convolve(pooled, self._head), self._dense))
        return np.concatenate(scores)

    def _log_power(self, samples: Samples) -> Tensor:
        """Spectrum as the network makes it, (1, 1, frames, 161)."""
        frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
        power = (frames @ self._real.T) ** 2 + (frames @ self._imag.T) ** 2
        level = np.log10(np.maximum(power, np.float32(POWER_FLOOR)))
        return torch.from_numpy(level.astype(np.float32))[None, None]

    def _map_of_all(self, spectrum: Tensor) -> Tensor:
        """The trunk over the whole span, tile by tile: (1, 32, columns, 40)."""
        n_columns = spectrum.shape[2] // COLUMN
        tiles = []
        for begin in range(0, n_columns, TILE_COLUMNS):
            end = min(begin + TILE_COLUMNS, n_columns)
            low, high = max(0, begin - HALO_COLUMNS), min(n_columns, end + HALO_COLUMNS)
            tile = self._run_trunk(spectrum[:, :, low * COLUMN : high * COLUMN])
            tiles.append(tile[:, :, begin - low : end - low])
        return torch.cat(tiles, dim=2)

    def _edges(self, spectrum: Tensor, starts: Sequence[int]) -> tuple[Tensor, Tensor]:
        """First and last columns of every window, beyond which it sees zeros."""
        reach = 2 * HALO_COLUMNS * COLUMN
        ends = [start + WINDOW_FRAMES - reach for start in starts]
        strips = torch.cat([spectrum[:, :, at : at + reach] for at in [*starts, *ends]])
        maps = self._run_trunk(strips)
        n = len(starts)
        return maps[:n, :, :HALO_COLUMNS], maps[n:, :, -HALO_COLUMNS:]

    def _run_trunk(self, spectrum: Tensor) -> Tensor:
        maps = _image(spectrum)
        for layer in self._trunk[:4]:
            maps = _convolve(maps, layer)
        maps = _convolve(functional.max_pool2d(maps, 2), self._trunk[4])
        return _convolve(functional.max_pool2d(maps, 2), self._trunk[5])


class P808Network:
    """The mean opinion that listeners of a P.808 test would give, from a log-mel spectrogram."""

    def __init__(self, path: Path) -> None:
        weights = read_float_tensors(path)
        self._convolutions = [_convolution(weights, f"conv2d_{index}") for index in range(5, 10)]
        prefix = "mos_estimator_small_1"
        self._dense = [_dense(weights, f"{prefix}/dense_{index}") for index in (3, 4, 5)]

    @torch.inference_mode()
    def score(self, log_mel: Floats) -> float:
        """Score of one window, (900, 120)."""
        maps = _image(torch.from_numpy(log_mel)[None, None])
        first, second, third, fourth, last = self._convolutions
        maps = functional.max_pool2d(_convolve(maps, first), 2)
        maps = functional.max_pool2d(_convolve(maps, second), 2)
        maps = functional.max_pool2d(_convolve(_convolve(maps, third), fourth), 2)
        return float(_score(_convolve(maps, last), self._dense)[0, 0])


def _convolution(weights: dict[str, Floats], name: str) -> Layer:
    kernel = torch.from_numpy(weights[f"{name}/kernel:0"])
    bias = torch.from_numpy(weights[f"{name}/bias:0"])
    if kernel.shape[1] == 1:
        kernel = functional.pad(kernel, (0, 0, 0, 0, 0, 1))
    return kernel.contiguous(memory_format=torch.channels_last), bias


def _image(spectrum: Tensor) -> Tensor:
    """The input with a second channel of zeros, in the memory order that convolves fastest.

    With one channel the two memory orders are the same, and torch takes the slower one.
    """
    padded = functional.pad(spectrum, (0, 0, 0, 0, 0, 1))
    return padded.contiguous(memory_format=torch.channels_last)


def _dense(weights: dict[str, Floats], name: str) -> Layer:
    kernel = weights[f"{name}/MatMul/ReadVariableOp/resource:0"]
    bias = weights[f"{name}/BiasAdd/ReadVariableOp/resource:0"]
    return torch.from_numpy(kernel), torch.from_numpy(bias)


def _convolve(maps: Tensor, layer: Layer) -> Tensor:
    return functional.relu_(functional.conv2d(maps, *layer, padding=1))


def _score(maps: Tensor, dense: Sequence[Layer]) -> Floats:
    values = maps.amax(dim=(2, 3))
    for kernel, bias in dense[:-1]:
        values = functional.relu(values @ kernel + bias)
    kernel, bias = dense[-1]
    return np.asarray((values @ kernel + bias).numpy(), dtype=np.float32)
