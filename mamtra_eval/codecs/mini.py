"""The embedded codec: 16 kHz speech to one token each 40 ms out of 4,096, and back.

Log-mel frames go through a small convolutional network with a finite scalar quantizer
(``_mini_network``); back come log-mel frames in one of the trained voices, and Griffin-Lim turns
them into samples. Trained by ``training/mini/codec.py`` on synthetic speech.

A codec folder holds ``codec.safetensors`` and ``codec.json``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from mamtra_eval import audio
from mamtra_eval.audio import Clip
from mamtra_eval.codecs._mini_network import STRIDE, CodecConfig, CodecNetwork
from mamtra_eval.codecs.mini_mel import HOP, SAMPLE_RATE_HZ, invert, log_mel

WEIGHTS, CARD = "codec.safetensors", "codec.json"
TOKENS_PER_S = SAMPLE_RATE_HZ / (HOP * STRIDE)


class MiniCodec:
    """Encodes and decodes; make one with ``load``."""

    def __init__(self, network: CodecNetwork) -> None:
        self.network = network.eval()

    @torch.inference_mode()
    def encode(self, clip: Clip) -> list[int]:
        """Tokens of a clip, ``TOKENS_PER_S`` a second."""
        samples = audio.resample(clip.samples, clip.sample_rate_hz, SAMPLE_RATE_HZ)
        mel = log_mel(samples)
        padding = mel[-1:].expand(-len(mel) % STRIDE, -1)
        codes: list[int] = self.network.encode(torch.cat([mel, padding])[None])[0].tolist()
        return codes

    @torch.inference_mode()
    def decode(self, codes: Sequence[int], voice: int) -> Clip:
        """Speech of tokens in a trained voice (an index), at 16 kHz."""
        if not codes:
            return Clip(np.zeros(0, np.float32), SAMPLE_RATE_HZ)
        mel = self.mel(codes, voice)
        return Clip(invert(mel).clamp(-1, 1).numpy(), SAMPLE_RATE_HZ)

    def mel(self, codes: Sequence[int], voice: int) -> Tensor:
        """Log-mel (4T, 80) of T tokens."""
        return self.network.decode(torch.tensor([list(codes)]), torch.tensor([voice]))[0]


def load(folder: Path) -> MiniCodec:
    """The codec of a folder."""
    card = json.loads((folder / CARD).read_text("utf-8"))
    network = CodecNetwork(CodecConfig(**card["config"]))
    weights = {name: value.float() for name, value in load_file(folder / WEIGHTS).items()}
    network.load_state_dict(weights)
    return MiniCodec(network)
