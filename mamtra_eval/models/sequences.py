"""What a decoder reads and learns: token sequences and their targets.

A zero-shot input is laid out as CosyVoice 2 has it: the text of prompt and target as one, then the
speech tokens of the prompt, which the decoder goes on from::

    sos  prompt text  text  task  prompt speech  ►  speech  eos

``Example`` holds a finished sequence with its targets, whatever its order (interleaved text and
speech, say); ``collate`` makes batches of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mamtra_eval.errors import UserError
from mamtra_eval.models.config import DecoderConfig

IGNORE = -100
"""Target of a position that is not scored; torch's cross-entropy leaves it out."""


class Example(NamedTuple):
    """One training sequence.

    Attributes:
        ids: inputs, rows of the embedding table.
        targets: what is to be predicted at each position, a speech token or stop, or ``IGNORE``.
    """

    ids: list[int]
    targets: list[int]


class Batch(NamedTuple):
    """Examples padded at their end.

    Attributes:
        ids: int64 (B, T).
        targets: int64 (B, T), ``IGNORE`` where nothing is scored.
        real: bool (B, T), false at padding.
    """

    ids: Tensor
    targets: Tensor
    real: Tensor


def zero_shot(
    config: DecoderConfig,
    text: Sequence[int],
    prompt_text: Sequence[int] = (),
    prompt_speech: Sequence[int] = (),
) -> list[int]:
    """The input from which speech of ``text`` is generated in the voice of a prompt.

    Args:
        config: of the decoder.
        text: ids of the text tokenizer, 0 … text_vocabulary-1.
        prompt_text: the same for what the prompt says.
        prompt_speech: speech tokens, 0 … speech_codes-1.
    """
    words = _checked([*prompt_text, *text], config.text_vocabulary, "text token")
    speech = _checked(prompt_speech, config.speech_codes, "speech token")
    return [config.sos, *(config.text_offset + word for word in words), config.task, *speech]


def example(config: DecoderConfig, text: Sequence[int], speech: Sequence[int]) -> Example:
    """Text and its speech as a training sequence; the speech and the final eos are scored."""
    prefix = zero_shot(config, text)
    codes = _checked(speech, config.speech_codes, "speech token")
    return Example([*prefix, *codes], [IGNORE] * (len(prefix) - 1) + [*codes, config.eos])


def collate(examples: Sequence[Example], device: torch.device | str = "cpu") -> Batch:
    """Examples as one batch, padded at the end; padding is not scored."""
    length = max(len(one.ids) for one in examples)
    ids = torch.zeros(len(examples), length, dtype=torch.int64)
    targets = torch.full((len(examples), length), IGNORE, dtype=torch.int64)
    for row, one in enumerate(examples):
        ids[row, : len(one.ids)] = torch.tensor(one.ids)
        targets[row, : len(one.targets)] = torch.tensor(one.targets)
    lengths = torch.tensor([len(one.ids) for one in examples])
    real = torch.arange(length) < lengths[:, None]
    return Batch(ids.to(device), targets.to(device), real.to(device))


def read_examples(path: Path, config: DecoderConfig) -> list[Example]:
    """Examples of a JSON-lines file; UserError names file and line of what is wrong.

    A line is ``{"text": [ids], "speech": [ids]}`` in the tokenizers' own numbers, or a finished
    sequence ``{"ids": [rows], "targets": [ids or -100]}``.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"can't be read ({error})", where=str(path)) from error
    found = [
        _read(line, f"{path}, line {number}", config)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not found:
        raise UserError("no example in it", where=str(path), fix="Give one JSON object a line.")
    return found


def refuse_unscored(examples: Sequence[Example], where: str) -> None:
    """UserError if no example has a target: there would be nothing to learn or to measure."""
    if all(target == IGNORE for example in examples for target in example.targets):
        raise UserError(
            "not one token in it is scored", where=where, fix="Give targets other than -100."
        )


def _read(line: str, where: str, config: DecoderConfig) -> Example:
    fix = 'Write {"text": [ids], "speech": [ids]} or {"ids": [rows], "targets": [ids or -100]}.'
    try:
        row = json.loads(line)
        if "ids" in row:
            ids = _checked(row["ids"], config.vocabulary, "input id")
            targets = list(row["targets"])
            _checked([t for t in targets if t != IGNORE], config.speech_rows, "target")
            if len(ids) != len(targets) or not ids:
                raise UserError(f"{len(ids)} ids with {len(targets)} targets")
            return Example(ids, targets)
        return example(config, row["text"], row["speech"])
    except UserError as error:
        raise UserError(error.what, where=where, fix=fix) from None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        what = f"no example ({type(error).__name__}: {error})"
        raise UserError(what, where=where, fix=fix) from error


def _checked(values: Iterable[int], size: int, what: str) -> list[int]:
    numbers = list(values)
    for number in numbers:
        if type(number) is not int or not 0 <= number < size:
            raise UserError(f"{what} {number!r} is not one of 0 … {size - 1}")
    return numbers
