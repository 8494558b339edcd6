"""ECAPA-TDNN over the hidden states of WavLM: the network of Seed-TTS-eval's similarity.

All hidden states are averaged with learned weights and every channel is brought to mean 0 and
variance 1 over the clip. Four layers of convolutions follow (the last three in steps of channels
that build on each other, with gates by channel), and a pooling over time in which every channel
weighs the frames for itself. Statistics over time are of the whole clip: zeros at its end would
change them.

Modules and parameters have the names of UniSpeech's speaker verification checkpoints. In the
convolutions ReLU comes before the batch norm.

Letters: B clips, N samples, T frames, D width of WavLM, C channels, P channels of the pooling.
Method: Desplanques et al., "ECAPA-TDNN: Emphasized Channel Attention, Propagation and Aggregation
in TDNN Based Speaker Verification", 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from mamtra_eval.speakers._wavlm import LARGE, WavLM, WavLMConfig

OFFSET = 1e-6
"""Added to the averaged hidden states, as the original does."""
MIN_VARIANCE = 1e-9
"""Of a channel under the pooling's weights."""


@dataclass(frozen=True)
class EcapaConfig:
    """Sizes of the network behind WavLM; by default those that UniSpeech calls small."""

    channels: int = 512
    pooled: int = 1536
    embedding: int = 256
    steps: int = 8
    gate: int = 128
    attention: int = 128
    dilations: tuple[int, ...] = (2, 3, 4)


SMALL = EcapaConfig()


class SpeakerNetwork(nn.Module):
    """WavLM and the ECAPA-TDNN on it: samples to embeddings."""

    def __init__(self, wavlm: WavLMConfig = LARGE, ecapa: EcapaConfig = SMALL) -> None:
        super().__init__()
        self.feature_extract = nn.ModuleDict({"model": WavLM(wavlm)})
        self.feature_weight = nn.Parameter(torch.zeros(wavlm.layers + 1))
        self.layer1 = ConvReluNorm(wavlm.width, ecapa.channels, kernel=5)
        second, third, fourth = ecapa.dilations
        self.layer2 = SteppedBlock(ecapa, second)
        self.layer3 = SteppedBlock(ecapa, third)
        self.layer4 = SteppedBlock(ecapa, fourth)
        self.conv = nn.Conv1d(3 * ecapa.channels, ecapa.pooled, 1)
        self.pooling = AttentivePooling(ecapa.pooled, ecapa.attention)
        self.bn = nn.BatchNorm1d(2 * ecapa.pooled)
        self.linear = nn.Linear(2 * ecapa.pooled, ecapa.embedding)

    def forward(self, waves: Tensor) -> Tensor:
        """Embeddings as they come, (B, embedding), of 16 kHz clips of one length, (B, N)."""
        return self.embed_states(self.feature_extract["model"](waves))

    def embed_states(self, states: list[Tensor]) -> Tensor:
        """Embeddings (B, embedding) of WavLM's hidden states, each (B, T, D)."""
        weights = torch.softmax(self.feature_weight, dim=0)
        mean = torch.zeros_like(states[0])
        for weight, state in zip(weights, states, strict=True):
            mean += weight * state
        x = functional.instance_norm(mean.transpose(1, 2) + OFFSET)
        first = self.layer1(x)
        second = self.layer2(first)
        third = self.layer3(second)
        fourth = self.layer4(third)
        joined = torch.cat([second, third, fourth], dim=1)
        pooled = self.pooling(functional.relu(self.conv(joined)))
        embeddings: Tensor = self.linear(self.bn(pooled))
        return embeddings


class ConvReluNorm(nn.Module):
    """Convolution that keeps the length, ReLU, batch norm."""

    def __init__(self, n_in: int, n_out: int, kernel: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_in, n_out, kernel, padding=kernel // 2)
        self.bn = nn.BatchNorm1d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, T) to (B, out, T)."""
        output: Tensor = self.bn(functional.relu(self.conv(x)))
        return output


class Steps(nn.Module):
    """Convolutions of slices of the channels, each of which hears the result of the one before."""

    def __init__(self, channels: int, steps: int, dilation: int) -> None:
        super().__init__()
        self.steps, width = steps, channels // steps
        self.convs = nn.ModuleList(
            [
                nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
                for _ in range(steps - 1)
            ]
        )
        self.bns = nn.ModuleList([nn.BatchNorm1d(width) for _ in range(steps - 1)])

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) to (B, C, T); the last slice passes as it is."""
        *slices, last = x.chunk(self.steps, dim=1)
        made: list[Tensor] = []
        for part, conv, norm in zip(slices, self.convs, self.bns, strict=True):
            heard = part + made[-1] if made else part
            made.append(norm(functional.relu(conv(heard))))
        return torch.cat([*made, last], dim=1)


class ChannelGate(nn.Module):
    """Scales every channel by a gate that the means over time decide."""

    def __init__(self, channels: int, bottleneck: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(channels, bottleneck)
        self.linear2 = nn.Linear(bottleneck, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) to (B, C, T)."""
        hidden = functional.relu(self.linear1(x.mean(dim=2)))
        return x * torch.sigmoid(self.linear2(hidden))[:, :, None]


class SteppedBlock(nn.Module):
    """Steps between two convolutions over channels, a gate, and a shortcut around it all."""

    def __init__(self, config: EcapaConfig, dilation: int) -> None:
        super().__init__()
        self.Conv1dReluBn1 = ConvReluNorm(config.channels, config.channels)
        self.Res2Conv1dReluBn = Steps(config.channels, config.steps, dilation)
        self.Conv1dReluBn2 = ConvReluNorm(config.channels, config.channels)
        self.SE_Connect = ChannelGate(config.channels, config.gate)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) to (B, C, T)."""
        inner = self.Conv1dReluBn2(self.Res2Conv1dReluBn(self.Conv1dReluBn1(x)))
        gated: Tensor = self.SE_Connect(inner)
        return x + gated


class AttentivePooling(nn.Module):
    """Mean and spread over time, with weights of the frames for every channel."""

    def __init__(self, channels: int, bottleneck: int) -> None:
        super().__init__()
        self.linear1 = nn.Conv1d(channels, bottleneck, 1)
        self.linear2 = nn.Conv1d(bottleneck, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, P, T) to (B, 2P): means, then standard deviations."""
        weights = torch.softmax(self.linear2(torch.tanh(self.linear1(x))), dim=2)
        mean = (weights * x).sum(dim=2)
        variance = (weights * x**2).sum(dim=2) - mean**2
        return torch.cat([mean, variance.clamp(min=MIN_VARIANCE).sqrt()], dim=1)
