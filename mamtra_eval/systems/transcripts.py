"""Transcripts in place of speech: word error rates without audio and without a recogniser.

    mamtra-eval evaluate transcripts --transcripts FILE --testset META_LST
    mamtra-eval evaluate A=transcripts:a.jsonl B=transcripts:b.jsonl --testset META_LST

FILE holds a JSON object a line, ``{"id": UTT, "text": TRANSCRIPT}``; ``"repeat": 1`` for a second
clip of an utterance. Other keys and empty lines are skipped, as are ids that the test set lacks. An
utterance without a line is a failed clip: it is never left out in silence. An empty text is a clip
in which nothing was heard.

Words are what spaces separate, as in the official scripts: a tab or a line break inside a text
stays inside a word. A mended file is another run: give it another ``--out``.

Such a run has ``wer`` alone, by the recogniser ``supplied``, and no other systems beside them: what
was transcribed elsewhere is not comparable with what is transcribed here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.registry import read_options
from mamtra_eval.systems import Request, System, Words

WHOLE = "file"
"""The option that a target's rest is, whatever stands in it: paths may hold commas."""
LINE = '{"id": "utterance", "text": "what was heard"}'


class Transcripts(System):
    """Reads the file once, and hands out its lines."""

    max_processes = 1

    def __init__(self, path: Path) -> None:
        self.path = path

    def identity(self, requests: Sequence[Request]) -> dict[str, Any]:
        """Hash over the transcripts that the requests ask for."""
        digest = hashlib.sha256()
        found = 0
        for request in requests:
            text = self._texts.get((request.utterance, request.repeat))
            if text is not None:
                found += 1
                digest.update(f"{request.utterance}\x1f{request.repeat}\x1f{text}\x1e".encode())
        if not found:
            raise UserError(
                "none of the test set's utterances has a line in this file",
                where=str(self.path),
                fix=f"Lines are {LINE}; the first id of the test set is {requests[0].utterance!r}.",
            )
        return {"transcripts": found, "sha256": digest.hexdigest()}

    def speak(self, request: Request) -> Words:
        """The transcript; SynthesisError if the file has none."""
        text = self._texts.get((request.utterance, request.repeat))
        if text is None:
            repeat = f" (repeat {request.repeat})" if request.repeat else ""
            raise SynthesisError(f"missing: no transcript of {request.utterance}{repeat}")
        return Words(text)

    @cached_property
    def _texts(self) -> dict[tuple[str, int], str]:
        found: dict[tuple[str, int], str] = {}
        lines = self._read().split("\n")  # not splitlines: U+2028 may stand in a JSON string
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            key, text = _parse(line, f"{self.path}:{number}")
            if key in found:
                raise UserError(
                    f"a second transcript of {key[0]} (repeat {key[1]})",
                    where=f"{self.path}:{number}",
                    fix='Remove one, or number clips of one utterance: "repeat": 1.',
                )
            found[key] = text
        return found

    def _read(self) -> str:
        if self.path.exists() and not self.path.is_file():  # a pipe could be read once
            raise UserError(
                "no regular file", where=str(self.path), fix="Save the transcripts in a file first."
            )
        try:
            return self.path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError("not UTF-8", where=str(self.path), fix="Save it as UTF-8.") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"the file can't be read ({reason})", where=str(self.path)) from error


def create(options: Mapping[str, Any]) -> Transcripts:
    """The system; option ``file`` is the file."""
    file = read_options("transcripts", options, {"file": None})["file"]
    if not file:
        raise UserError(
            "transcripts needs a file", fix=f"Add --transcripts FILE, with a line {LINE} a clip."
        )
    return Transcripts(Path(file).absolute())


def _parse(line: str, where: str) -> tuple[tuple[str, int], str]:
    """((utterance, repeat), transcript) of a line."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"no JSON ({error})", where=where, fix=f"Write {LINE}.") from error
    if not isinstance(row, dict):
        raise UserError("no JSON object", where=where, fix=f"Write {LINE}.")
    utterance, text, repeat = row.get("id"), row.get("text"), row.get("repeat", 0)
    whole = isinstance(repeat, int) and not isinstance(repeat, bool) and repeat >= 0
    if not isinstance(utterance, str) or not isinstance(text, str) or not whole:
        raise UserError(
            "id and text must be texts, repeat a number from 0", where=where, fix=f"Write {LINE}."
        )
    try:
        (utterance + text).encode()
    except UnicodeEncodeError as error:  # JSON can write half a surrogate pair
        raise UserError(f"no text ({error})", where=where, fix="Write it as UTF-8.") from error
    return (utterance.removesuffix(".wav"), repeat), text
