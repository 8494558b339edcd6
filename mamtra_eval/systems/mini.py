"""The embedded synthesizer: a small teacher and its Mamba-2 students of every ratio.

Options:

``ratio``        ``1:0`` (the teacher, default), ``1:1``, ``1:3``, ``1:5`` or ``1:11``
``checkpoint``   a checkpoint folder of one's own, in place of a ratio
``temperature``  logits are divided by it; 0.01 to 5, default 0.5. 0 is greedy
``top_p``        of the nucleus that tokens are drawn from; default 0.9

Target: ``mini``, ``mini:1:3``, ``mini:1:3,temperature=0.8``. English, 16 kHz.

Text becomes phones (``frontend``), phones and speech tokens take turns through the decoder
(``frontend.interleave``), and the mini codec makes samples of the tokens. The prompt chooses among
the trained voices: the one whose mean speaker embedding is nearest to the prompt's; without a
prompt it is the first voice.

``stream`` draws the same tokens as ``speak`` and decodes them a second of speech at a time
(``_mini_stream``). Its samples are not those that ``evaluate`` scores: a piece is decoded before
what follows it is known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamtra_eval.audio import Clip
from mamtra_eval.errors import MissingExtra, SynthesisError, UserError
from mamtra_eval.frontend import lexicon
from mamtra_eval.stage_times import stage
from mamtra_eval.systems import Request, System, _mini_options
from mamtra_eval.systems._mini_batches import fitting
from mamtra_eval.systems._mini_options import FOLDERS, WEIGHTS, Settings
from mamtra_eval.systems._mini_voices import Voices, hashes, load_codec

if TYPE_CHECKING:
    from mamtra_eval.codecs.mini import MiniCodec
    from mamtra_eval.footprint import Footprint
    from mamtra_eval.models.config import DecoderConfig
    from mamtra_eval.models.decoder import Decoder
    from mamtra_eval.models.generate import Generated, Item

SHORTHAND = "ratio"
"""The option that a target may give without its name."""
RATIOS = tuple(FOLDERS)
"""Those that it has without a checkpoint: what a family may ask for."""

LONGEST_PHONES = 1500
"""Phones of the longest text, about two minutes of speech: far beyond what was trained on."""

ELEMENT_BYTES = 4
"""Of a parameter and of an element of the caches: it runs in float32."""

SILENT = "the decoder ended before it said anything"

TOKENS_A_PHONE = 12
"""Speech tokens a phone at the most, on average over a text (half a second): beyond it speech has
run away."""


class Mini(System):
    """Speaks with one checkpoint of the family."""

    batch_size = 32

    first_chunk = 25
    """Tokens of the first piece of a stream, and of each later one: one second of speech."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.settings = folder, settings
        if not (folder / WEIGHTS).is_file():
            raise UserError("no checkpoint there", where=str(folder), fix="Name its folder.")

    def identity(self, requests: Sequence[Request]) -> dict[str, Any]:
        """Weights and shape of the decoder, codec, voices, front end, and the sampler."""
        from mamtra_eval import frontend
        from mamtra_eval.models import checkpoint

        config = checkpoint.read_config(self.folder)
        self._refuse_strangers(config)
        shape = json.dumps(config.to_dict(), sort_keys=True)
        return {
            "decoder": checkpoint.weights_hash(self.folder),
            "shape": hashlib.sha256(shape.encode()).hexdigest(),
            **hashes(with_prompts=any(request.prompt_audio for request in requests)),
            **frontend.identity(),
            "temperature": self.settings.temperature,
            "top_p": self.settings.top_p if self.settings.temperature else None,  # greedy has none
        }

    def footprint(self) -> Footprint:
        """Of its decoder, which runs in float32."""
        from mamtra_eval import footprint
        from mamtra_eval.models import checkpoint

        return footprint.of(checkpoint.read_config(self.folder), ELEMENT_BYTES)

    def checkpoint(self) -> Path:
        """Where its decoder lies."""
        return self.folder

    def speak(self, request: Request) -> Clip:
        """One clip; SynthesisError for a text with nothing to say."""
        [(_, made)] = self.speak_many([request])
        if isinstance(made, Exception):
            raise made
        return made

    def speak_many(self, requests: Sequence[Request]) -> Iterator[tuple[int, Clip | Exception]]:
        """A batch; what one text does wrong is that clip's failure alone."""
        self.prepare()
        items: dict[int, tuple[int, Item]] = {}
        for index, request in enumerate(requests):
            try:
                with stage("front_end"):
                    items[index] = self._item(request)
            except SynthesisError as error:
                yield index, error
        for group in fitting({index: item for index, (_, item) in items.items()}):
            with stage("decoder"):
                made = self._generate([items[index][1] for index in group])
            for index, one in zip(group, made, strict=True):
                voice, item = items[index]
                if one.tokens:
                    with stage("vocoder"):
                        clip = self._codec.decode(one.tokens, voice)
                    cost = self._cost(item, len(one.tokens), not one.stopped)
                    yield index, replace(clip, cost=cost)
                else:
                    yield index, SynthesisError(SILENT)

    def stream(self, request: Request) -> Iterator[Clip]:
        """Pieces of ``first_chunk`` tokens each; SynthesisError as in ``speak``.

        The samples are not quite those of ``speak``, which sees the whole; the tokens, and so the
        length, are.
        """
        from mamtra_eval.models.generate import stream
        from mamtra_eval.systems._mini_stream import Joiner

        self.prepare()
        with stage("front_end"):
            voice, item = self._item(request)
        tokens = (
            emitted.token for emitted in stream(self._decoder, [item], self.settings.decoding())
        )
        with stage("prefill"):
            piece = list(islice(tokens, 1))
        if not piece:
            raise SynthesisError(SILENT)
        with stage("decode"):
            piece += islice(tokens, self.first_chunk - 1)
        joiner, said = Joiner(self._codec, voice), 0
        while len(piece) == self.first_chunk:
            said += len(piece)
            with stage("vocoder"):
                samples = joiner.add(piece)
            yield Clip(samples, joiner.rate_hz)
            with stage("decode"):
                piece = list(islice(tokens, self.first_chunk))
        said += len(piece)
        with stage("vocoder"):
            samples = joiner.finish(piece)
        cut = said >= (item.maximum or 0)
        yield Clip(samples, joiner.rate_hz, cost=self._cost(item, said, cut))

    def prepare(self) -> None:
        """Load decoder, codec and lexicon; the speaker encoder waits for a prompt."""
        _ = self._decoder, self._codec, lexicon.pronounce("a")

    def _cost(self, item: Item, tokens: int, cut: bool) -> dict[str, float]:
        """Tokens, bytes of the clip's own caches at the end (float32), whether it was cut."""
        from mamtra_eval.models import cost

        config = self._decoder.config
        context = len(item.prompt) + len(item.feed) + tokens
        kept = cost.kv_bytes(config, context, ELEMENT_BYTES)
        kept += cost.state_bytes(config, ELEMENT_BYTES)
        return {"tokens": tokens, "cache_bytes": kept, "cut": float(cut)}

    def _item(self, request: Request) -> tuple[int, Item]:
        """The voice for a request, and the decoder's input; SynthesisError if it is at fault."""
        try:
            return self._read(request)
        except MissingExtra:
            raise  # no clip can be made without it
        except UserError as error:
            raise SynthesisError(str(error)) from error

    def _read(self, request: Request) -> tuple[int, Item]:
        from mamtra_eval.frontend import transcribe
        from mamtra_eval.frontend.interleave import interleave
        from mamtra_eval.frontend.phones import PAUSE, to_id
        from mamtra_eval.models.generate import Item

        if not request.language.startswith("en"):
            raise UserError(f"mini speaks English, not {request.language!r}")
        phones = [PAUSE, *(to_id(phone) for phone in transcribe(request.text)), PAUSE]
        if len(phones) > LONGEST_PHONES:
            raise UserError(f"a text of {len(phones)} phones; mini says {LONGEST_PHONES} at most")
        voice = self._voices.nearest(request.prompt_audio)
        spoken = interleave(self._decoder.config, voice, phones)
        longest = TOKENS_A_PHONE * len(phones)
        return voice, Item(spoken.prompt, request.seed, maximum=longest, feed=spoken.feed)

    def _generate(self, items: list[Item]) -> list[Generated]:
        from mamtra_eval.models.generate import generate

        return generate(self._decoder, items, self.settings.decoding())

    @cached_property
    def _voices(self) -> Voices:
        return Voices()

    @cached_property
    def _decoder(self) -> Decoder:
        from mamtra_eval.models import checkpoint

        decoder = checkpoint.load(self.folder)
        self._refuse_strangers(decoder.config)
        return decoder

    def _refuse_strangers(self, own: DecoderConfig) -> None:
        """UserError for a decoder of other tokens than the family's."""
        from mamtra_eval.models.config import preset

        family = preset("mini")
        if (own.speech_codes, own.text_vocabulary) != (family.speech_codes, family.text_vocabulary):
            raise UserError(
                f"mini speaks with {family.speech_codes} speech codes and {family.text_vocabulary} "
                f"text tokens; this checkpoint has {own.speech_codes} and {own.text_vocabulary}",
                where=str(self.folder),
                fix="CosyVoice 2's speak as cosyvoice2:checkpoint=FOLDER; see also training/mini.",
            )

    @cached_property
    def _codec(self) -> MiniCodec:
        return load_codec()


def create(options: Mapping[str, Any]) -> Mini:
    """The system; see the module for its options."""
    return Mini(*_mini_options.read(options))
