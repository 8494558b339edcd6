"""Sentences for the mini family's training data: mined prose, everyday patterns, words, digits.

    python training/mini/sentences.py OUT.txt [--n 24000] [--seed 0]

One sentence a line, none of them in ``testsets/mini-en``. Four kinds, shuffled under the seed:

- prose: sentences of 3 to 14 words from Debian's ``fortunes`` and from installed documentation
  (``/usr/share/doc``, ``/usr/share/games/fortunes``), every word in the recogniser's dictionary;
- patterns: everyday sentences from a small grammar, for plain syntax and frequent words;
- words: 3 to 8 random words of the dictionary with commas here and there, so that rare sequences
  of phones are heard too;
- digits: strings of 3 to 8 digits.

Prose is used until it runs out; the rest of its share goes to patterns.
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from pocketsphinx import get_model_path

PROSE, PATTERNS, WORDS, DIGITS = 0.5, 0.25, 0.15, 0.10
"""Shares of the kinds."""

MINED = ("/usr/share/games/fortunes", "/usr/share/doc", "/usr/share/perl")
DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SENTENCE = re.compile(r"(?<=[.!?])\s+")
PLAIN = re.compile(r"[A-Z][A-Za-z' ,;:-]+[.!?]")

GRAMMAR = {
    symbol: expansions.split() if isinstance(expansions, str) else expansions
    for symbol, expansions in yaml.safe_load(
        Path(__file__).with_name("grammar.yaml").read_text("utf-8")
    ).items()
}


def expand(rng: random.Random, symbol: str = "S") -> str:
    """A random expansion of a symbol."""
    text = rng.choice(GRAMMAR[symbol])
    return re.sub(r"\{(\w+)\}", lambda found: expand(rng, found[1]), text)


def dictionary() -> list[str]:
    """Words of the recogniser's dictionary, in its order; letters and apostrophes alone."""
    lines = Path(get_model_path("en-us/cmudict-en-us.dict")).read_text("utf-8").splitlines()
    words = (line.split(maxsplit=1)[0] for line in lines if line)
    return [word for word in words if re.fullmatch(r"[a-z]+(?:'[a-z]+)?", word)]


def mined(known: set[str]) -> Iterator[str]:
    """Plain sentences of the machine's English texts, each once, in the order of files."""
    seen = set()
    for path in sorted(path for root in MINED for path in Path(root).rglob("*")):
        if not path.is_file() or path.suffix in (".gz", ".dat", ".u8", ".png", ".css", ".js"):
            continue
        paragraphs = re.split(r"\n\s*\n|\n%\n", path.read_text("utf-8", errors="ignore"))
        for paragraph in paragraphs:
            for sentence in SENTENCE.split(" ".join(paragraph.split())):
                words = re.findall(r"[a-z']+", sentence.lower())
                plain = PLAIN.fullmatch(sentence) and 3 <= len(words) <= 14
                if plain and sentence not in seen and known.issuperset(words):
                    seen.add(sentence)
                    yield sentence


def salad(rng: random.Random, words: list[str]) -> str:
    """Random words with a comma here and there."""
    picked = rng.sample(words, rng.randint(3, 8))
    text = "".join(word + (", " if rng.random() < 0.2 else " ") for word in picked)
    return text.strip(", ").capitalize() + "."


def digits(rng: random.Random) -> str:
    """A string of digits, as words."""
    return " ".join(rng.choice(DIGIT_WORDS) for _ in range(rng.randint(3, 8)))


def sentences(n: int, seed: int, reserved: set[str]) -> list[str]:
    """``n`` different sentences of all kinds, none of them reserved."""
    rng = random.Random(seed)
    words = dictionary()
    prose = [*mined(set(words))]
    rng.shuffle(prose)
    counts = [int(n * PROSE), int(n * WORDS), int(n * DIGITS)]
    kinds = [
        iter(prose[: counts[0]]),
        (salad(rng, words) for _ in range(counts[1])),
        (digits(rng) for _ in range(counts[2])),
        (upper_first(expand(rng)) for _ in itertools.count()),
    ]
    kept: dict[str, None] = {}  # an ordered set
    for text in itertools.chain(*kinds):
        if text.strip(".?!").lower() not in reserved:
            kept[text] = None
        if len(kept) == n:
            break
    found = [*kept]
    rng.shuffle(found)
    return found


def upper_first(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[0].upper() + text[1:]


def reserved() -> set[str]:
    """Texts of the mini test set, which no model may have seen."""
    folder = Path(__file__).parents[2] / "testsets" / "mini-en"
    lines = [
        line for name in ("sentences.txt", "prompts.txt", "open.txt")
        if (folder / name).exists()
        for line in (folder / name).read_text("utf-8").splitlines()
    ]  # fmt: skip
    lists = [folder / f"{name}.lst" for name in ("meta", "digits", "more-digits")]
    lists = [path for path in lists if path.exists()]
    lines += [row.split("|")[3] for path in lists for row in path.read_text("utf-8").splitlines()]
    return {line.strip(".?! ").lower() for line in lines}


def main() -> None:
    """Write the sentences and tell how many there are of mined ones."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--n", type=int, default=24000, help="sentences (24000)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    found = sentences(given.n, given.seed, reserved())
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text("\n".join(found) + "\n", "utf-8")
    print(f"{len(found)} sentences, {len(set(' '.join(found).lower().split()))} different words")


if __name__ == "__main__":
    main()
