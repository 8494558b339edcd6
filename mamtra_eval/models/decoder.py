"""The decoder: embeddings, layers that are Transformer or Mamba-2, final norm and speech head.

Teacher and hybrid are one class; the layout decides which mixer a layer has. Three ways in:

``forward``
    A batch of whole sequences (training, scoring). Padding at the end needs no mask, for the
    decoder is causal; what is computed there is to be ignored.
``prefill``
    Prompts of unequal length, padded at the beginning, into a ``Cache``.
``stepping.Stepper``
    One more token an item.

There is one head, for speech. The text logits of the teacher's original code, 151,936 a position
and never used, are not computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mamtra_eval.errors import UserError
from mamtra_eval.models import kernels as kernel_choice
from mamtra_eval.models.attention import Attention, padding_mask
from mamtra_eval.models.cache import AttentionCache, Cache, LayerCache, MambaCache
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.kernels import Kernels
from mamtra_eval.models.layers import Mlp, RmsNorm, Rotation, rotation_table
from mamtra_eval.models.mamba2 import Mamba2

EMBEDDING_STD = 0.02


class Output(NamedTuple):
    """What a pass over whole sequences gives.

    Attributes:
        logits: over speech tokens and stops, (B, T, speech_rows).
        hidden: outputs of the layers, each (B, T, D); empty unless asked for.
    """

    logits: Tensor
    hidden: list[Tensor]


class Layer(nn.Module):
    """A mixer and an MLP, each behind a norm and added to the residual stream."""

    def __init__(self, config: DecoderConfig, index: int) -> None:
        super().__init__()
        self.mixer_norm = RmsNorm(config.hidden, config.norm_eps)
        self.mixer = Attention(config) if index in config.transformer else Mamba2(config)
        self.mlp_norm = RmsNorm(config.hidden, config.norm_eps)
        self.mlp = Mlp(config.hidden, config.mlp)

    @property
    def is_transformer(self) -> bool:
        """Whether the mixer is attention."""
        return isinstance(self.mixer, Attention)

    def forward(
        self,
        x: Tensor,
        rotation: Rotation,
        mask: Tensor | None,
        real: Tensor | None,
        cache: LayerCache | None,
        kernels: Kernels,
    ) -> Tensor:
        """Whole sequences, (B, T, D); see the mixers for the arguments."""
        normed = self.mixer_norm(x)
        if isinstance(self.mixer, Attention):
            assert not isinstance(cache, MambaCache)
            x = x + self.mixer(normed, rotation, mask, cache)
        else:
            assert not isinstance(cache, AttentionCache)
            x = x + self.mixer(normed, real, cache, kernels)
        mixed: Tensor = self.mlp(self.mlp_norm(x))
        return x + mixed


class Decoder(nn.Module):
    """A speech language model of any layout.

    Args:
        config: its shape.
        kernels: those of the Mamba-2 mixers; ``auto`` chooses at every ``use``.
    """

    def __init__(self, config: DecoderConfig, kernels: str = "auto") -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.hidden)
        nn.init.normal_(self.embedding.weight, std=EMBEDDING_STD)
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.layers))
        self.norm = RmsNorm(config.hidden, config.norm_eps)
        self.head = nn.Linear(config.hidden, config.speech_rows)
        self.use(kernels)
        self._rotations = torch.empty(2, 0, config.head_dim)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embedding.weight.device

    def use(self, kernels: str) -> Decoder:
        """Choose the kernels by name for the device that the weights are on now."""
        self.kernels = kernel_choice.choose(kernels, self.device)
        return self

    def forward(self, ids: Tensor, *, keep_hidden: bool = False) -> Output:
        """Logits at every position of sequences padded at their end, ids int64 (B, T)."""
        x = self.embedding(ids)
        rotation = self.rotation(torch.arange(ids.shape[1], device=ids.device), x.dtype)
        hidden = []
        for layer in self.layers:
            x = layer(x, rotation, None, None, None, self.kernels)
            if keep_hidden:
                hidden.append(x)
        return Output(self.head(self.norm(x)), hidden)

    @torch.inference_mode()
    def prefill(self, prompts: Sequence[Sequence[int]], cache: Cache) -> Tensor:
        """Read prompts into an empty cache; logits after the last id of each, (B, speech_rows)."""
        ids, starts = self._pad_left(prompts)
        length = ids.shape[1]
        if cache.batch != len(prompts) or cache.length or length > cache.capacity:
            raise UserError(
                f"a cache of {cache.batch} x {cache.capacity} with {cache.length} filled does not "
                f"take {len(prompts)} prompts of up to {length} tokens"
            )
        cache.starts.copy_(starts)
        cache.length = length
        padded = bool((starts > 0).any())
        slots = torch.arange(length, device=self.device)
        x = self.embedding(ids)
        real = (slots >= starts[:, None])[..., None].to(x.dtype) if padded else None
        mask = padding_mask(starts, length) if padded else None
        positions = (slots - starts[:, None]).clamp_min(0) if padded else slots
        rotation = self.rotation(positions, x.dtype)
        for layer, part in zip(self.layers, cache.layers, strict=True):
            x = layer(x, rotation, mask, real, part, self.kernels)
        logits: Tensor = self.head(self.norm(x[:, -1]))
        return logits

    def rotation(self, positions: Tensor, dtype: torch.dtype, largest: int = 0) -> Rotation:
        """Of positions (T,) or (B, T), for broadcasting over heads.

        The table grows to ``largest``, or else to the number of positions asked for, which in a
        whole sequence are none beyond that.
        """
        needed = max(largest, positions.shape[-1])
        table = self._rotations
        if table.shape[1] < needed or table.device != positions.device or table.dtype != dtype:
            made = rotation_table(needed, self.config.head_dim, self.config.rope_theta)
            table = self._rotations = made.to(positions.device, dtype)
        return Rotation(*table[:, positions].unsqueeze(-2))

    @property
    def rotations(self) -> Tensor:
        """The table of rotary positions as it is now."""
        return self._rotations

    def _pad_left(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Ids (B, T) and the first real slot of each item (B,)."""
        if not prompts or not all(len(prompt) for prompt in prompts):
            raise UserError("every prompt needs at least one token")
        largest = max(max(prompt) for prompt in prompts)
        if largest >= self.config.vocabulary or min(min(prompt) for prompt in prompts) < 0:
            raise UserError(
                f"a token id lies outside the vocabulary of {self.config.vocabulary}",
                fix="Build inputs with models.sequences.",
            )
        length = max(len(prompt) for prompt in prompts)
        starts = torch.tensor([length - len(prompt) for prompt in prompts])
        ids = torch.zeros(len(prompts), length, dtype=torch.int64)
        for row, prompt in enumerate(prompts):
            ids[row, length - len(prompt) :] = torch.as_tensor(prompt, dtype=torch.int64)
        return ids.to(self.device), starts.to(self.device)


def parameter_count(module: nn.Module) -> int:
    """Numbers in all parameters, each tensor once."""
    return sum(parameter.numel() for parameter in module.parameters())
