"""Training sequences of the mini family: phones and their codes, interleaved.

    python training/mini/sequences.py SPEECH CODEC OUT [--noise 0.1] [--shards N]

SPEECH is a folder of ``speech.py``, CODEC one of ``codec.py``. OUT gets ``train.jsonl`` and
``held_out.jsonl`` (the last shard), examples for ``mamtra-eval distill``.

Noise: the decoder must go on well from its own mistakes. So a share of the input codes (never of
the targets) is replaced, two in three by a neighbour in the code space, one in three by a random
code.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from _data import TOKEN_S, Utterance, utterances
from pocketsphinx import get_model_path

from mamtra_eval.codecs import mini
from mamtra_eval.codecs._mini_network import LEVELS
from mamtra_eval.frontend.interleave import interleave, training_sequence
from mamtra_eval.frontend.phones import Phone, to_id
from mamtra_eval.models.config import DecoderConfig, preset
from mamtra_eval.models.sequences import IGNORE

Dictionary = dict[str, list[str]]


def dictionary() -> Dictionary:
    """Words of the recogniser's dictionary with their phones in lower case."""
    lines = Path(get_model_path("en-us/cmudict-en-us.dict")).read_text("utf-8").splitlines()
    parts = (line.split() for line in lines if line)
    return {word: [phone.lower() for phone in phones] for word, *phones in parts}


def starts(text: str, phones: Sequence[str], words: Dictionary) -> list[bool]:
    """Which phones begin a word: by the best alignment with the dictionary's phones."""
    expected: list[Phone] = []
    for word in re.findall(r"[a-z']+", text.lower()):
        for index, symbol in enumerate(words.get(word.strip("'"), [])):
            expected.append(Phone(symbol, index == 0))
    pairs = align([phone.symbol for phone in expected], phones)
    marks = [False] * len(phones)
    for left, right in pairs:
        marks[right] |= expected[left].initial
    return marks


def align(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of places of the cheapest alignment; a pause takes no partner."""
    rows, columns = len(left) + 1, len(right) + 1
    cost = [[float(i + j) for j in range(columns)] for i in range(rows)]
    for i in range(1, rows):
        above, here, symbol = cost[i - 1], cost[i], left[i - 1]
        for j in range(1, columns):
            other = right[j - 1]
            unlike = 0.0 if symbol == other else (9.0 if other == "pau" else 1.1)
            here[j] = min(above[j - 1] + unlike, above[j] + 1, here[j - 1] + 1)
    found = []
    i, j = rows - 1, columns - 1
    while i and j:
        other = right[j - 1]
        unlike = 0.0 if left[i - 1] == other else (9.0 if other == "pau" else 1.1)
        if cost[i][j] == cost[i - 1][j - 1] + unlike:
            found.append((i - 1, j - 1))
            i, j = i - 1, j - 1
        elif cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return found[::-1]


def split(codes: Sequence[int], ends_s: Sequence[float]) -> list[list[int]]:
    """The codes of each phone, by its end; the last takes what is left."""
    bounds = [min(round(end / TOKEN_S), len(codes)) for end in ends_s]
    bounds[-1] = len(codes)
    return [list(codes[a:b]) for a, b in zip([0, *bounds], bounds, strict=False)]


def noisy(code: int, rng: random.Random, noise: float) -> int:
    """The code, or now and then another one."""
    if rng.random() >= noise:
        return code
    if rng.random() < 1 / 3:
        return rng.randrange(math.prod(LEVELS))
    which = rng.randrange(len(LEVELS))
    place = math.prod(LEVELS[:which])
    digit = code // place % LEVELS[which]
    moved = min(LEVELS[which] - 1, max(0, digit + rng.choice((-1, 1))))
    return code + (moved - digit) * place


def example(
    utterance: Utterance, codes: list[int], words: Dictionary, config: DecoderConfig
) -> tuple[list[int], list[int]]:
    """Inputs and targets of an utterance."""
    symbols = [symbol for symbol, _ in utterance.phones]
    marks = starts(utterance.text, symbols, words)
    ids = [to_id(Phone(s, m)) for s, m in zip(symbols, marks, strict=True)]
    spoken = interleave(config, utterance.voice, ids)
    speech = split(codes, [end for _, end in utterance.phones])
    return training_sequence(config, spoken, speech, IGNORE)


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("codec", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--noise", type=float, default=0.1, help="share of input codes (0.1)")
    parser.add_argument("--shards", type=int, help="only so many shards (all)")
    given = parser.parse_args()
    codec = mini.load(given.codec)
    config, words, rng = preset("mini"), dictionary(), random.Random(0)
    count = min(len(list(given.speech.glob("[0-9]*.npz"))), given.shards or 10**9)
    given.out.mkdir(parents=True, exist_ok=True)
    tokens = 0
    with (
        (given.out / "train.jsonl").open("w") as train,
        (given.out / "held_out.jsonl").open("w") as held,
    ):
        for shard in range(count):
            last = shard == count - 1
            for utterance in utterances(given.speech, shard, shard + 1):
                with torch.inference_mode():
                    codes = codec.network.encode(utterance.mel.float()[None])[0].tolist()
                ids, targets = example(utterance, codes, words, config)
                if not last:
                    ids = [
                        noisy(i, rng, given.noise) if i < config.speech_codes else i for i in ids
                    ]
                tokens += len(ids)
                row = json.dumps({"ids": ids, "targets": targets}, separators=(",", ":"))
                (held if last else train).write(row + "\n")
            print(f"shard {shard + 1} of {count}, {tokens} tokens", flush=True)


if __name__ == "__main__":
    main()
