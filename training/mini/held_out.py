"""Held-out lists of mini-en: 200 open sentences and 200 digit strings that no training saw.

    python training/mini/held_out.py SENTENCES.txt [--recordings DIR]

The open sentences are those of ``open.txt``, written for this; the digit strings those of
``more-digits.lst``, drawn at random once. One that is also among SENTENCES (what trainings read) is
an error. Prompts are those of mini-en in turn. With ``--recordings`` flite speaks them too, into
DIR with lists that name the recordings, for the topline.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import soundfile
from speech import VOICES, speak

FOLDER = Path(__file__).parents[2] / "testsets" / "mini-en"
LISTS = {"open": "o", "more-digits": "e"}
"""Lists, and the letter of their utterances."""


def open_sentences(texts: Sequence[str]) -> list[str]:
    """Those of the file; SystemExit if one was trained on."""
    return unseen((FOLDER / "open.txt").read_text("utf-8").splitlines(), texts)


def unseen(found: list[str], texts: Sequence[str]) -> list[str]:
    """What was found; SystemExit if one of them is among the texts."""
    seen = {text.strip(".?! ").lower() for text in texts}
    if known := [text for text in found if text.strip(".?! ").lower() in seen]:
        raise SystemExit(f"trained on: {known}")
    return found


def digit_strings(texts: Sequence[str]) -> list[str]:
    """Those of the list, once drawn by ``sentences.digits``; SystemExit likewise."""
    rows = (FOLDER / "more-digits.lst").read_text("utf-8").splitlines()
    return unseen([row.split("|")[3] for row in rows], texts)


def prompts() -> list[tuple[str, str, str]]:
    """(voice, text, file) of mini-en's prompts, a voice after another."""
    rows = (line.split("|") for line in (FOLDER / "meta.lst").read_text("utf-8").splitlines())
    found = dict.fromkeys((row[0].rpartition("-")[0], row[1], row[2]) for row in rows)
    return sorted(found, key=lambda row: (row[2].rpartition("-")[2], VOICES.index(row[0])))


def main() -> None:
    """Write the lists, and the recordings where asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sentences", type=Path)
    parser.add_argument("--recordings", type=Path)
    given = parser.parse_args()
    texts = given.sentences.read_text("utf-8").splitlines()
    spoken = {"open": open_sentences(texts), "more-digits": digit_strings(texts)}
    voices = prompts()
    for name, letter in LISTS.items():
        rows = []
        for number, text in enumerate(spoken[name], start=1):
            voice, prompt_text, prompt = voices[(number - 1) % len(voices)]
            rows.append((f"{voice}-{letter}{number:03d}", prompt_text, prompt, text))
        lines = ["|".join(row) for row in rows]
        (FOLDER / f"{name}.lst").write_text("\n".join(lines) + "\n", "utf-8")
        if given.recordings:
            record(rows, given.recordings, name)


def record(rows: Sequence[tuple[str, str, str, str]], folder: Path, name: str) -> None:
    """Recordings of a list, and the list with them."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for utterance, prompt_text, prompt, text in rows:
        samples, _ = speak(text, utterance.rpartition("-")[0], folder)
        soundfile.write(folder / f"{utterance}.flac", samples, 16000, subtype="PCM_16")
        lines.append("|".join((utterance, prompt_text, str(FOLDER / prompt), text,
                               f"{utterance}.flac")))  # fmt: skip
    (folder / f"{name}.lst").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
