"""Write the front end's lexicon: the words of pocketsphinx's dictionary as flite says them.

    python training/mini/lexicon.py [--out mamtra_eval/frontend/lexicon.txt.gz] [--limit N]

Takes some two minutes with one core, and prints what was covered. Needs Debian's flite (2.2), which
the front end itself doesn't. The same flite and the same dictionary give the same file.

Words are said in batches, as a list with commas; a batch whose pauses don't part it into its words
is split in halves, and a word that is left alone and still has a pause within is dropped. So are
words with a hyphen or a full stop (``frontend.spoken`` takes those apart), second pronunciations,
and whatever ``frontend.morphology`` makes of another entry: ``'s`` with the same phones. Single
letters are there by their names, and ``a.`` is the letter, as in the CMU's dictionary, ``a`` the
article.
"""

from __future__ import annotations

import argparse
import gzip
import re
import string
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pocketsphinx import get_model_path

from mamtra_eval.frontend import morphology
from mamtra_eval.frontend.phones import SILENCE, SYMBOLS

OUT = Path(__file__).parents[2] / "mamtra_eval" / "frontend" / "lexicon.txt.gz"

VOICE = "kal16"
"""The quickest that has all phones: kal says ``aa`` for every ``ah``, the others take minutes."""

BATCH = 80
"""Words that flite says at a time."""

WORD = re.compile(r"[a-z]+('[a-z]+)*")

RUNNING = {
    "a": ["ax"],
    "a.": ["ey"],
    "the": ["dh", "ax"],
    "haven't": ["hh", "ae", "v", "ax", "n", "t"],
}
"""What flite says otherwise in a sentence than alone. Of some 170 frequent function words and
contractions it is only these; ``the`` before a vowel is ``frontend``'s matter, nouns that may be
verbs are that of ``homographs``.
"""

Lexicon = dict[str, list[str]]


def words() -> list[str]:
    """The dictionary's words, in order, once each, without quotes at their ends."""
    lines = Path(get_model_path("en-us/cmudict-en-us.dict")).read_text("utf-8").splitlines()
    names = {line.split()[0].strip("'") for line in lines if line.strip()}
    return sorted({name for name in names if WORD.fullmatch(name)} | set(string.ascii_lowercase))


def say(batch: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Words with flite's phones; the ones that it doesn't say in one go are left out."""
    said = subprocess.run(
        ["flite", "-voice", VOICE, "-ps", "-t", ", ".join(batch), "-o", "none"],
        check=True, capture_output=True, text=True, timeout=60,
    ).stdout  # fmt: skip
    groups = [group.split() for group in re.split(rf"\b{SILENCE}\b", said) if group.strip()]
    if len(groups) == len(batch):
        yield from zip(batch, groups, strict=True)
    elif len(batch) > 1:
        middle = len(batch) // 2
        yield from say(batch[:middle])
        yield from say(batch[middle:])


def without_derived(lexicon: Lexicon) -> Lexicon:
    """The lexicon without the possessives that follow from their nouns."""
    kept = {}
    for word, phones in lexicon.items():
        noun = lexicon.get(word.removesuffix("'s"))
        if not word.endswith("'s") or noun is None or morphology.plural(noun) != phones:
            kept[word] = phones
    return kept


def write(lexicon: Lexicon, out: Path) -> None:
    """The packed file, the same bytes for the same lexicon."""
    lines = [f"{word} {' '.join(lexicon[word])}\n" for word in sorted(lexicon)]
    packed = gzip.compress("".join(lines).encode("ascii"), compresslevel=9, mtime=0)
    out.write_bytes(packed)


def main() -> None:
    """Say all words and write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--limit", type=int, help="only so many words (all)")
    given = parser.parse_args()
    wanted = words()[: given.limit]
    lexicon: Lexicon = {}
    for begin in range(0, len(wanted), BATCH):
        lexicon.update(say(wanted[begin : begin + BATCH]))
    if strange := {phone for said in lexicon.values() for phone in said} - set(SYMBOLS):
        raise SystemExit(f"flite said phones that aren't in the table: {sorted(strange)}")
    covered = len(lexicon)
    lexicon = without_derived(lexicon) | RUNNING
    write(lexicon, given.out)
    missing = [word for word in wanted if word not in lexicon and "'" not in word]
    print(f"{covered} of {len(wanted)} words ({covered / len(wanted):.2%}); not said in one go:")
    print(" ".join(missing) or "none")
    print(f"{len(lexicon)} entries in {given.out}, {given.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
