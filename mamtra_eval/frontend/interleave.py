"""The order of tokens that the mini family reads and speaks: phones a little ahead of their speech.

::

    sos voice p1 p2 p3 task  speech of p1  p4  speech of p2  p5  …  speech of pn  eos

Each phone enters where the model draws ``fill`` (``models.feeding``), so that text is neither
skipped nor repeated; ``AHEAD`` phones beyond the current one are known. This is the turn-taking by
which CosyVoice 2 streams, at the size of a phone. After the last phone ``END`` is fed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from mamtra_eval.frontend.phones import END, VOICE_OFFSET
from mamtra_eval.models.config import DecoderConfig

AHEAD = 2
"""Phones that are known beyond the one that is being spoken."""


class Spoken(NamedTuple):
    """What goes in before speech, and what follows one by one: input ids of the decoder."""

    prompt: list[int]
    feed: list[int]


def interleave(config: DecoderConfig, voice: int, phones: Sequence[int]) -> Spoken:
    """The input of a text: ``phones`` are ids of ``frontend.phones``, ``voice`` counts from 0."""
    if not phones:
        raise ValueError("no phones")
    text = [*phones, *[END] * AHEAD]
    rows = [config.text_offset + token for token in text]
    prompt = [
        config.sos,
        config.text_offset + VOICE_OFFSET + voice,
        *rows[: AHEAD + 1],
        config.task,
    ]
    return Spoken(prompt, rows[AHEAD + 1 :])


def training_sequence(
    config: DecoderConfig, spoken: Spoken, speech: Sequence[Sequence[int]], ignore: int
) -> tuple[list[int], list[int]]:
    """Inputs and targets when phone i is spoken as the codes ``speech[i]``."""
    turns = [[*codes, config.fill] for codes in speech]
    turns[-1][-1] = config.eos
    drawn = [*itertools.chain(*turns)]
    feed = iter(spoken.feed)
    inputs = [next(feed) if token == config.fill else token for token in drawn[:-1]]
    return [*spoken.prompt, *inputs], [*[ignore] * (len(spoken.prompt) - 1), *drawn]
