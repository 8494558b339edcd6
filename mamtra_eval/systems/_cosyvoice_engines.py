"""Text and prompt to speech tokens: our decoder, or the loop of the official package.

Both take the same ids and obey the same bounds: from twice to twenty times as many speech tokens as
the target text has ids; the end token is kept back up to the least. ``OwnEngine`` runs teacher and
hybrids alike; ``UpstreamEngine`` runs the teacher as the package does, one text at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

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

T = TypeVar("T")


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
        drawn = stream(self.decoder, [self._item(ask)], self._config)
        for emitted in _each(drawn, lambda: _half(self.decoder.device, self._autocast)):
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

        tokens = self._llm.inference(
            text=row(ask.text), text_len=length(ask.text),
            prompt_text=row(ask.prompt.text), prompt_text_len=length(ask.prompt.text),
            prompt_speech_token=row(ask.prompt.speech),
            prompt_speech_token_len=length(ask.prompt.speech),
            embedding=ask.prompt.inputs["llm_embedding"],
        )  # fmt: skip
        dice = _Dice(ask.seed, self._device)
        yield from _each(iter(tokens), lambda: dice, lambda: _half(self._device, self._autocast))


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

    from mamtra_eval.codecs._cosyvoice_folder import configuration, fill

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


class _Dice:
    """A state of torch's global generators that holds within its blocks alone.

    Between two tokens of a stream the vocoder draws from them, too.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed: int | None = seed
        self._device = device

    def __enter__(self) -> None:
        import torch

        self._theirs = self._states()
        if self._seed is None:
            self._put(self._own)
        else:
            torch.manual_seed(self._seed)
            self._seed = None

    def __exit__(self, *error: object) -> None:
        self._own = self._states()
        self._put(self._theirs)

    def _states(self) -> list[torch.Tensor]:
        import torch

        on_card = [torch.cuda.get_rng_state(self._device)] if self._device.type == "cuda" else []
        return [torch.get_rng_state(), *on_card]

    def _put(self, states: list[torch.Tensor]) -> None:
        import torch

        torch.set_rng_state(states[0])
        for state in states[1:]:
            torch.cuda.set_rng_state(state, self._device)


def _each(drawn: Iterator[T], *around: Callable[[], AbstractContextManager[object]]) -> Iterator[T]:
    """The same, each made within fresh contexts that are left before it is handed over."""
    while True:
        with ExitStack() as stack:
            for enter in around:
                stack.enter_context(enter())
            try:
                one = next(drawn)
            except StopIteration:
                return
        yield one


def _likeliest(scores: torch.Tensor, _said: list[int], _sampling: int) -> int:
    return int(scores.argmax())


def _half(device: torch.device, wanted: bool) -> AbstractContextManager[object]:
    import torch

    return torch.autocast(device.type, torch.float16) if wanted else nullcontext()
