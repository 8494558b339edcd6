"""How the next speech token is drawn from the logits, batched and seeded by item.

============  =====================================================================================
``greedy``    the most likely token
``top-p``     nucleus: the smallest set of most likely tokens that holds ``top_p``, at most
              ``top_k`` of them (0: any number)
``ras``       repetition-aware sampling of CosyVoice 2 (after VALL-E 2): a nucleus draw; if the
              token occurred at least ``tau * window`` times among the item's last ``window``
              ones, another draw from the whole distribution takes its place. ``ras-2024`` is the
              behaviour up to 2026-02; in ``ras-2026`` (commit f2ddcbe) the repeated token can't
              be drawn again
============  =====================================================================================

Every item has its own stream of uniform numbers, two a token, fixed by its seed; a draw inverts
the distribution at one of them. So a token depends on the item's own logits, seed and history, on
any device, whatever else is in the batch. The eos alone is kept back up to an item's minimum
length, as in the teacher.

The state is tensors of fixed size and ``draw`` never waits for the device, so that a step can be
captured as a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mamtra_eval.errors import UserError, unknown_name

KINDS = ("greedy", "top-p", "ras-2024", "ras-2026")

LIKELY = 128
"""Tokens among which a nucleus is looked for first."""

MIN_TEMPERATURE = 1e-3
"""Smaller ones could leave the range of float32."""


@dataclass(frozen=True)
class SamplerConfig:
    """Which sampler, with its parameters; the defaults are CosyVoice 2's.

    Attributes:
        kind: see the module.
        top_p, top_k: of the nucleus; ``top_k`` 0 for no bound.
        window, tau: of the repetition rule.
        temperature: logits are divided by it before anything else; CosyVoice 2 has none (1.0).
    """

    kind: str = "ras-2026"
    top_p: float = 0.8
    top_k: int = 25
    window: int = 10
    tau: float = 0.1
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("sampler", self.kind, KINDS)
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p must lie above 0 and at most at 1, not {self.top_p:g}")
        if self.top_k < 0 or self.window < 1:
            raise UserError("top_k must be at least 0 and window at least 1")
        if type(self.top_k) is not int or type(self.window) is not int:
            raise UserError("top_k and window must be integers")
        if not MIN_TEMPERATURE <= self.temperature <= 1 / MIN_TEMPERATURE or not self.tau > 0:
            raise UserError(
                f"temperature must lie from {MIN_TEMPERATURE:g} to {1 / MIN_TEMPERATURE:g}, and "
                "tau be positive",
                fix="For no randomness: kind=greedy.",
            )

    @property
    def watches_repetition(self) -> bool:
        """Whether the history decides."""
        return self.kind.startswith("ras")


class Sampler:
    """Draws for one batch. The step counter is a tensor, one for all items.

    Args:
        config: what to draw.
        seeds: one an item.
        minimum: tokens before eos is allowed, one an item.
        steps: tokens that will be drawn at the most.
        eos: the id that is kept back.
        device: of the logits.
    """

    def __init__(
        self,
        config: SamplerConfig,
        seeds: Sequence[int],
        minimum: Sequence[int],
        steps: int,
        eos: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config = config
        self.eos = eos
        streams = np.stack([uniforms(seed, steps) for seed in seeds], axis=1)
        self._uniforms = torch.from_numpy(streams).to(device)  # (steps, B, 2)
        self._minimum = torch.tensor(list(minimum), device=device)
        self._longest_minimum = max(minimum)
        self._history = torch.full((len(seeds), config.window), -1, device=device)
        self.count = torch.zeros(1, dtype=torch.int64, device=device)
        self._trace = torch.zeros(len(seeds), device=device)

    def draw(self, logits: Tensor) -> Tensor:
        """The next token of each item, int64 (B,), from logits (B, V)."""
        scores = logits.float()
        if self.config.temperature != 1.0 and self.config.kind != "greedy":
            scores = scores / self.config.temperature
        if scores.device.type != "cpu" or int(self.count) < self._longest_minimum:
            scores = scores.clone()  # the caller's logits stay as they are
            scores[:, self.eos].masked_fill_(self.count < self._minimum, -torch.inf)
        token = self._choose(scores)
        if self.config.watches_repetition:
            self._history.copy_(torch.cat([self._history[:, 1:], token[:, None]], dim=1))
        self.count += 1
        return token

    def select(self, rows: Tensor) -> None:
        """Keep these items only, int64 (n,)."""
        self._uniforms = self._uniforms[:, rows]
        self._minimum, self._history = self._minimum[rows], self._history[rows]
        self._trace = self._trace[rows]

    def state(self) -> list[Tensor]:
        """The tensors that a draw changes."""
        return [self._history, self.count, self._trace]

    def broken(self) -> Tensor:
        """Items that had logits without a finite maximum (NaN, infinity), bool (B,)."""
        return self._trace.isnan()

    def _note(self, peak: Tensor) -> None:
        # Nought times a number is nought, and NaN for all that is not finite: one operation.
        self._trace.add_(peak, alpha=0)

    def _choose(self, scores: Tensor) -> Tensor:
        if self.config.kind == "greedy":
            peak, token = scores.max(dim=-1)
            self._note(peak)
            return token
        self._note(scores.amax(dim=-1))
        first, second = self._uniforms.index_select(0, self.count)[0].unbind(-1)
        probabilities = scores.softmax(dim=-1)
        token = nucleus_draw(probabilities, first, self.config.top_p, self.config.top_k)
        if not self.config.watches_repetition:
            return token
        hits = (self._history == token[:, None]).sum(dim=-1)
        repeated = hits >= self.config.window * self.config.tau
        if repeated.device.type == "cpu" and not repeated.any():
            return token  # nothing to draw again; on a device the question would cost a wait
        if self.config.kind == "ras-2026":
            scored = scores.scatter(1, token[:, None], -torch.inf)
            probabilities = scored.softmax(dim=-1)
        return torch.where(repeated, inverse_draw(probabilities, second), token)


def uniforms(seed: int, steps: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """An item's uniform numbers below 1, float32 (steps, 2): a prefix of one endless stream."""
    return np.random.Generator(np.random.Philox(seed)).random((steps, 2), dtype=np.float32)


def nucleus_draw(probabilities: Tensor, uniform: Tensor, top_p: float, top_k: int) -> Tensor:
    """One token an item of the nucleus: probabilities (B, V), uniform (B,) → int64 (B,).

    A token belongs to it while the more likely ones hold less than ``top_p`` together, and while
    there are fewer than ``top_k`` of them.
    """
    size = probabilities.shape[-1]
    size = min(top_k, size) if top_k else size
    if size <= LIKELY or probabilities.device.type != "cpu":
        return _draw_of_top(probabilities, uniform, top_p, size)[0]
    # A whole vocabulary takes long to sort on a CPU, and a nucleus seldom needs it.
    token, whole = _draw_of_top(probabilities, uniform, top_p, LIKELY)
    if not whole.all():
        rest = ~whole
        token[rest] = _draw_of_top(probabilities[rest], uniform[rest], top_p, size)[0]
    return token


def _draw_of_top(
    probabilities: Tensor, uniform: Tensor, top_p: float, size: int
) -> tuple[Tensor, Tensor]:
    """A token an item of its ``size`` likeliest ones, and whether these hold ``top_p``."""
    ordered, ids = probabilities.topk(size, dim=-1)
    cumulated = ordered.cumsum(dim=-1)
    kept = ordered.masked_fill(cumulated - ordered >= top_p, 0.0)
    # Drawn in the order of the ids: where two tokens are equally likely but for rounding, their
    # order by probability could change with the batch, and the draw with it.
    ids, order = ids.sort(dim=-1)
    token = ids.gather(1, inverse_draw(kept.gather(1, order), uniform)[:, None])[:, 0]
    return token, cumulated[:, -1] >= top_p


def inverse_draw(weights: Tensor, uniform: Tensor) -> Tensor:
    """The index where the cumulated weights first exceed ``uniform`` of their sum; (B, V) → (B,).

    An index of weight zero is never drawn. The sum is taken in float64, for thousands of weights.
    """
    cumulated = weights.double().cumsum(dim=-1)
    total = cumulated[:, -1:]
    # Just below the total at the most: rounding must not lead past the last positive weight.
    point = torch.minimum(uniform.double()[:, None] * total, torch.nextafter(total, total * 0))
    found = torch.searchsorted(cumulated, point, right=True)[:, 0]
    return found.clamp_(max=weights.shape[-1] - 1)  # beyond it only with NaN: see Sampler.broken
