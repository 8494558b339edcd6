"""Text and prompt to speech tokens: our decoder, or the loop of the official package.

Both take the same ids and obey the same bounds: from twice to twenty times as many speech tokens as
the target text has ids; the end token is kept back up to the least. ``OwnEngine`` runs teacher and
hybrids alike; ``UpstreamEngine`` runs the teacher as the package does, one text at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mamtra_eval.codecs.cosyvoice2 import Prompt
from mamtra_eval.models.generate import (
    DecodingConfig,
    Generated,
    Item,
    generate,
    length_bounds,
    stream,
)
from mamtra_eval.models.sampling import SamplerConfig

if TYPE_CHECKING:
    import torch

    from mamtra_eval.codecs._cosyvoice_source import Source
    from mamtra_eval.models.decoder import Decoder

LLM = "llm.pt"


@dataclass(frozen=True, eq=False)
class Ask:
    """One piece of text in a prompt's voice, with the seed of its random numbers."""

    text: list[int]
    prompt: Prompt
    seed: int


class Engine(Protocol):
    """Whatever makes speech tokens."""

    def generate(self, asks: Sequence[Ask]) -> list[Generated]:
        """Tokens of every piece, and whether each ended by itself."""

    def stream(self, ask: Ask) -> Iterator[int]:
        """Tokens of one piece as they are drawn."""


class OwnEngine:
    """Our decoder, of any layout.

    Args:
        decoder: on its device, in its precision.
        sampler: how tokens are drawn.
        autocast: whether matrix products run in half precision, as the package's ``fp16`` means it.
    """

    def __init__(self, decoder: Decoder, sampler: SamplerConfig, autocast: bool = False) -> None:
        import torch

        self.decoder, self._autocast = decoder, autocast
        element = next(decoder.parameters()).dtype
        kept = torch.float16 if autocast else element  # keys and values come from half products
        # Captured graphs would hold autocast's copies of weights that are gone when it ends.
        self._config = DecodingConfig(
            sampler, kv_dtype=kept, state_dtype=element, graphs=not autocast
        )

    def generate(self, asks: Sequence[Ask]) -> list[Generated]:
        """A batch at once; an item's tokens do not depend on its company."""
        with _half(self.decoder.device, self._autocast):
            return generate(self.decoder, [self._item(ask) for ask in asks], self._config)

    def stream(self, ask: Ask) -> Iterator[int]:
        """As they are drawn."""
        with _half(self.decoder.device, self._autocast):
            for emitted in stream(self.decoder, [self._item(ask)], self._config):
                yield emitted.token

    def _item(self, ask: Ask) -> Item:
        from mamtra_eval.models.sequences import zero_shot

        ids = zero_shot(self.decoder.config, ask.text, ask.prompt.text, ask.prompt.speech)
        least, most = length_bounds(len(ask.text))
        return Item(ids, ask.seed, minimum=least, maximum=most)


class UpstreamEngine:
    """The package's own language model and loop.

    Args:
        llm: its ``Qwen2LM``, on its device.
        autocast: as the package's ``fp16``.
    """

    def __init__(self, llm: Any, device: torch.device, autocast: bool = False) -> None:  # noqa: ANN401
        self._llm, self._device, self._autocast = llm, device, autocast

    def generate(self, asks: Sequence[Ask]) -> list[Generated]:
        """One after the other."""
        found = []
        for ask in asks:
            tokens = list(self.stream(ask))
            found.append(Generated(tokens, len(tokens) < length_bounds(len(ask.text))[1]))
        return found

    def stream(self, ask: Ask) -> Iterator[int]:
        """As the package yields them; it draws from torch's global generator."""
        import torch

        def row(ids: list[int]) -> torch.Tensor:
            return torch.tensor([ids], dtype=torch.int32, device=self._device)

        def length(ids: list[int]) -> torch.Tensor:
            return torch.tensor([len(ids)], dtype=torch.int32, device=self._device)

        torch.manual_seed(ask.seed)
        with _half(self._device, self._autocast):
            yield from self._llm.inference(
                text=row(ask.text), text_len=length(ask.text),
                prompt_text=row(ask.prompt.text), prompt_text_len=length(ask.prompt.text),
                prompt_speech_token=row(ask.prompt.speech),
                prompt_speech_token_len=length(ask.prompt.speech),
                embedding=ask.prompt.inputs["llm_embedding"],
            )  # fmt: skip


def own(
    decoder: Decoder, sampler: SamplerConfig, device: str, autocast: bool, kernels: str
) -> OwnEngine:
    """Our decoder, moved to a device."""
    return OwnEngine(decoder.to(device).eval().use(kernels), sampler, autocast)


def upstream(
    folder: Path, source: Source, sampler: SamplerConfig, device: str, autocast: bool
) -> UpstreamEngine:
    """The package's engine with the folder's ``llm.pt``.

    The sampler's parameters are the ones given, its rule is the source's; ``greedy`` takes the
    likeliest token.
    """
    import torch

    from mamtra_eval.codecs.cosyvoice2 import configuration, fill

    llm = configuration(folder, source, without=("flow", "hift"))["llm"]
    place = torch.device(device)
    fill(llm, folder / LLM, place)
    if sampler.kind == "greedy":
        llm.sampling = _likeliest
    else:
        common: Any = source.module("cosyvoice.utils.common")
        llm.sampling = partial(
            common.ras_sampling, top_p=sampler.top_p, top_k=sampler.top_k,
            win_size=sampler.window, tau_r=sampler.tau,
        )  # fmt: skip
    return UpstreamEngine(llm, place, autocast)


def _likeliest(scores: torch.Tensor, _said: list[int], _sampling: int) -> int:
    return int(scores.argmax())


def _half(device: torch.device, wanted: bool) -> AbstractContextManager[object]:
    import torch

    return torch.autocast(device.type, torch.float16) if wanted else nullcontext()
