"""Test sets in the Seed-TTS-eval list format: read, validate, hash.

One utterance a line, columns split on ``|``, audio paths relative to the list:

=======  ====================================================
columns  meaning
=======  ====================================================
5        utt | prompt text | prompt audio | text | ground truth
4        utt | prompt text | prompt audio | text
3        utt | text | prompt audio
2        utt | text
=======  ====================================================

A path may be absolute or lead upwards: a list reads what its user may read (an archive may not:
``importing``). ``.wav`` is stripped from the utterance id. Where a list has no fifth column, a
ground truth is taken from ``wavs/<utt>.wav`` beside it, as the official archive lays it out.

A named set is a folder with ``testset.yaml`` (name, language, licence, source, default, lists);
a list there may carry options for the evaluators, such as the grammar of its recogniser. Its
``speaker`` declares whose voice an utterance is to be spoken in: ``prompt`` for one speaker a
prompt recording, or a regular expression whose group is found in the utterance's id.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from mamtra_eval import list_file
from mamtra_eval.errors import UserError

COLUMNS = "utt|prompt_text|prompt_wav|text[|ground_truth], utt|text|prompt_wav or utt|text"
MAX_SHOWN = 5
LONGEST_PATH = 500
"""Characters of a path that an error shows."""

_CJK = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True)
class Utterance:
    """One line of a test set. Paths are absolute; ``None`` where the list has no such column."""

    id: str
    text: str
    prompt_text: str | None = None
    prompt_audio: Path | None = None
    ground_truth: Path | None = None


@dataclass(frozen=True)
class TestSet:
    """Utterances in list order, with what the evaluators must know about them."""

    __test__ = False  # pytest: not a test class

    name: str
    path: Path
    language: str
    utterances: tuple[Utterance, ...]
    options: dict[str, dict[str, str]] = field(default_factory=dict)
    """Options of evaluators set by the list, by section: ``{"asr": {"grammar": "digits"}}``."""
    speaker: str | None = None
    """How the speaker of an utterance is told, where the set declares it: ``prompt`` or a regular
    expression on the id."""

    def first(self, limit: int | None) -> TestSet:
        """The set cut to its first ``limit`` utterances (all for ``None``)."""
        return self if limit is None else replace(self, utterances=self.utterances[:limit])

    def fingerprints(self) -> dict[str, str]:
        """By id: hash of everything that results depend on, texts and the audio's bytes."""
        audio_hashes: dict[Path, str] = {}
        found = {}
        for utterance in self.utterances:
            fields = [utterance.id, utterance.text, utterance.prompt_text or ""]
            for path in (utterance.prompt_audio, utterance.ground_truth):
                fields.append(_audio_hash(path, audio_hashes) if path else "")
            found[utterance.id] = hashlib.sha256("\x1f".join(fields).encode()).hexdigest()
        return found

    def speakers(self) -> dict[str, str]:
        """Speaker by utterance; empty where none is declared. UserError where one can't be told."""
        if self.speaker is None:
            return {}
        return {item.id: self._speaker(item) for item in self.utterances}

    def _speaker(self, utterance: Utterance) -> str:
        if self.speaker == "prompt" and utterance.prompt_audio:
            return os.path.relpath(utterance.prompt_audio, self.path.parent)
        found = re.search(self.speaker or "", utterance.id) if self.speaker != "prompt" else None
        if found is None or not found.groups():
            raise UserError(
                f"the speaker of {utterance.id} can't be told by {self.speaker!r}",
                where=str(self.path),
                fix="Give the test set's card a speaker that fits every utterance: prompt, or a "
                "regular expression with a group, such as '^([a-z]+)-'.",
            )
        return found[1]

    def sha256(self) -> str:
        """Hash of the whole set: of the fingerprints in list order."""
        return combine(self.fingerprints())


def combine(fingerprints: dict[str, str]) -> str:
    """One hash for a set, from the fingerprints of its utterances."""
    return hashlib.sha256("\n".join(fingerprints.values()).encode()).hexdigest()


@dataclass(frozen=True)
class Problem:
    """Something wrong with one line of a list."""

    line: int
    what: str
    fix: str


def read_meta(
    path: Path, *, name: str | None = None, language: str | None = None, audio: bool = True
) -> TestSet:
    """Read and validate a list; UserError names the file, the line and what to do.

    Without ``audio`` prompts and recordings are left out, whether they are there or not.
    """
    rows, problems = parse(path)
    if audio:
        problems += missing_prompts(rows)
    else:
        rows = [(n, replace(one, prompt_audio=None, ground_truth=None)) for n, one in rows]
    if problems:
        raise _as_error(path, sorted(problems, key=lambda problem: problem.line))
    if not rows:
        raise UserError("the list holds no utterance", where=str(path), fix=f"Lines are {COLUMNS}.")
    utterances = tuple(utterance for _, utterance in rows)
    return TestSet(
        name=name or _name_of(path),
        path=path,
        language=language or _guess_language(utterances),
        utterances=utterances,
    )


def parse(path: Path) -> tuple[list[tuple[int, Utterance]], list[Problem]]:
    """The list's utterances with their line numbers, and every problem of its form."""
    rows: list[tuple[int, Utterance]] = []
    problems: list[Problem] = []
    first_line: dict[str, int] = {}
    width: int | None = None
    for number, line in list_file.lines(path):
        columns = line.split("|")
        width = width or len(columns)
        problem = _column_problem(number, columns, width)
        utterance = None if problem else _utterance(columns, path.parent)
        if utterance is not None:
            problem = _utterance_problem(number, utterance, first_line)
        if problem:
            problems.append(problem)
        elif utterance is not None:
            first_line[utterance.id] = number
            rows.append((number, utterance))
    return rows, problems


def missing_prompts(rows: list[tuple[int, Utterance]]) -> list[Problem]:
    """A problem for every prompt recording that a list names and the disk lacks."""
    return [
        Problem(
            number,
            f"prompt audio {str(utterance.prompt_audio)[:LONGEST_PATH]} is missing",
            "Paths are relative to the list: unpack the prompts beside it or mend the path",
        )
        for number, utterance in rows
        if utterance.prompt_audio and not _is_file(utterance.prompt_audio)
    ]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, a folder that may not be looked into
        return False


def _column_problem(number: int, columns: list[str], width: int) -> Problem | None:
    if not 2 <= len(columns) <= 5:
        return Problem(number, f"{len(columns)} columns", f"A line is {COLUMNS}")
    if len(columns) != width:
        return Problem(
            number,
            f"{len(columns)} columns where the lines before have {width}",
            "Give every line the same columns; a text can't hold the character |",
        )
    return None


def _utterance(columns: list[str], folder: Path) -> Utterance:
    utt = columns[0].strip().removesuffix(".wav")

    def audio(column: str) -> Path | None:
        return (folder / column.strip()).absolute() if column.strip() else None

    if len(columns) == 2:
        found = Utterance(utt, columns[1].strip())
    elif len(columns) == 3:
        found = Utterance(utt, columns[1].strip(), prompt_audio=audio(columns[2]))
    else:
        truth = audio(columns[4]) if len(columns) == 5 else None
        found = Utterance(utt, columns[3].strip(), columns[1].strip(), audio(columns[2]), truth)
    official = (folder / "wavs" / f"{utt}.wav").absolute()
    if found.ground_truth is None and _safe_id(utt) and official.is_file():
        found = replace(found, ground_truth=official)
    return found


def _utterance_problem(number: int, utterance: Utterance, seen: dict[str, int]) -> Problem | None:
    if not _safe_id(utterance.id):
        return Problem(
            number,
            f"the utterance id {utterance.id!r} can't be a file name",
            "Use an id without path separators and control characters",
        )
    if utterance.id in seen:
        return Problem(
            number,
            f"the id {utterance.id!r} stands in line {seen[utterance.id]} already",
            "Give every utterance an id of its own",
        )
    if not utterance.text:
        return Problem(number, "the text is empty", "Fill in the text or delete the line")
    return None


def _safe_id(utt: str) -> bool:
    plain = utt not in {"", ".", ".."} and len(utt.encode()) <= 200 and utt.isprintable()
    return plain and not any(character in utt for character in "/\\")


def _as_error(path: Path, problems: list[Problem]) -> UserError:
    shown = "; ".join(f"line {problem.line}: {problem.what}" for problem in problems[:MAX_SHOWN])
    more = len(problems) - MAX_SHOWN
    fixes = Counter(problem.fix for problem in problems)
    return UserError(
        shown + (f"; and {more} more" if more > 0 else ""),
        where=str(path),
        fix=". ".join(fixes) + ".",
    )


def _name_of(path: Path) -> str:
    stem = path.stem
    return (
        path.absolute().parent.name if stem == "meta" else f"{path.absolute().parent.name}/{stem}"
    )


def _guess_language(utterances: tuple[Utterance, ...]) -> str:
    chinese = sum(bool(_CJK.search(utterance.text)) for utterance in utterances)
    return "zh" if 2 * chinese > len(utterances) else "en"


def _audio_hash(path: Path, known: dict[Path, str]) -> str:
    if path not in known:
        try:
            with path.open("rb") as file:
                known[path] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            known[path] = "missing"
    return known[path]
