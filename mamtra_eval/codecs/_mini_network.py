"""The mini codec's network: log-mel frames to codes and back, in convolutions.

::

    log-mel (B, 80, 4T) ─ encoder ─► (B, T, 4) ─ FSQ ─► codes (B, T)
    codes, voice ─ decoder ─► log-mel (B, 80, 4T)

The voice reaches the decoder alone, so that codes need not carry it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mamtra_eval.codecs._fsq import FiniteScalarQuantizer

LEVELS = (8, 8, 8, 8)
N_MELS = 80
STRIDE = 4
"""Mel frames a token."""


@dataclass(frozen=True)
class CodecConfig:
    """Sizes of the network."""

    width: int = 192
    voices: int = 4
    voice_width: int = 64


class Block(nn.Module):
    """A residual block over time: depthwise convolution, norm, two pointwise layers."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(
            width, width, 5, padding=2 * dilation, dilation=dilation, groups=width
        )
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 3 * width)
        self.narrow = nn.Linear(3 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        y = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        change: Tensor = self.narrow(F.gelu(self.wide(self.norm(y))))
        return x + change


class Encoder(nn.Module):
    """Log-mel (B, 4T, 80) to unbounded values (B, T, 4)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = nn.Linear(N_MELS, width)
        self.fine = nn.Sequential(Block(width), Block(width))
        self.down = nn.Linear(STRIDE * width, width)
        self.coarse = nn.Sequential(Block(width), Block(width))
        self.leave = nn.Linear(width, len(LEVELS))

    def forward(self, mel: Tensor) -> Tensor:
        """See the class."""
        fine: Tensor = self.fine(self.enter(mel))
        batch, frames, width = fine.shape
        coarse = self.coarse(self.down(fine.reshape(batch, frames // STRIDE, STRIDE * width)))
        values: Tensor = self.leave(coarse)
        return values


class Decoder(nn.Module):
    """Quantized values (B, T, 4) and voices (B,) to log-mel (B, 4T, 80)."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        width = config.width
        self.voice = nn.Embedding(config.voices, config.voice_width)
        self.enter = nn.Linear(len(LEVELS) + config.voice_width, width)
        self.coarse = nn.Sequential(*(Block(width, d) for d in (1, 2, 4, 1)))
        self.up = nn.Linear(width, STRIDE * width)
        self.fine = nn.Sequential(Block(width), Block(width), Block(width))
        self.leave = nn.Linear(width, N_MELS)

    def forward(self, quantized: Tensor, voice: Tensor) -> Tensor:
        """See the class."""
        batch, tokens, _ = quantized.shape
        spread = self.voice(voice)[:, None].expand(-1, tokens, -1)
        coarse = self.coarse(self.enter(torch.cat([quantized, spread], dim=-1)))
        fine = self.fine(self.up(coarse).reshape(batch, tokens * STRIDE, -1))
        mel: Tensor = self.leave(fine)
        return mel


class CodecNetwork(nn.Module):
    """Encoder, quantizer and decoder."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.width)
        self.quantizer = FiniteScalarQuantizer(LEVELS)
        self.decoder = Decoder(config)

    def encode(self, mel: Tensor) -> Tensor:
        """Codes int64 (B, T) of log-mel (B, 4T, 80)."""
        return self.quantizer.to_codes(self.quantizer(self.encoder(mel)))

    def decode(self, codes: Tensor, voice: Tensor) -> Tensor:
        """Log-mel (B, 4T, 80) of codes int64 (B, T) in voices int64 (B,)."""
        mel: Tensor = self.decoder(self.quantizer.from_codes(codes), voice)
        return mel
