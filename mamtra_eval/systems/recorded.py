"""Speech that is there already: a folder of ``<utt>.wav``, or the test set's own recordings.

Option ``dir``: the folder. Files are looked for as ``<utt>.wav``, then ``.flac``, ``.ogg``,
``.mp3``; with repeats, as ``<utt>.<repeat>.wav`` from repeat 1 on. Without ``dir`` it plays the
ground-truth recordings of the test set (fifth column of its list): the topline of a report.

Files are copied into the run as they are, byte for byte. ``mamtra-eval evaluate FOLDER --testset
META_LST`` takes the two arguments of the official Seed-TTS-eval scripts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mamtra_eval import audio
from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.registry import read_options
from mamtra_eval.systems import Request, System, clip_stem

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


class Recorded(System):
    """Finds, checks and hands over files."""

    def __init__(self, folder: str | None = None) -> None:
        self.folder = Path(folder).absolute() if folder else None
        if self.folder and not self.folder.is_dir():
            raise UserError("no such folder", where=folder, fix="Give a folder of <utt>.wav files.")

    def identity(self, requests: Sequence[Request]) -> dict[str, Any]:
        """Hash over the names and bytes of the files that the requests ask for."""
        digest = hashlib.sha256()
        found = 0
        for request in requests:
            path = self._find(request)
            if path is not None:
                found += 1
                digest.update(f"{path.name}\x1f{audio.sha256(path)}\x1e".encode())
        if not found:
            raise UserError(
                self._nothing(), where=str(self.folder or "recorded"), fix=self._remedy(requests)
            )
        return {"files": found, "sha256": digest.hexdigest()}

    def speak(self, request: Request) -> audio.Clip:
        """The file for the request; SynthesisError if it is missing or not readable."""
        path = self._find(request)
        if path is None:
            raise SynthesisError(self._missing(request))
        try:
            return replace(audio.read(path, path.name), source=path)
        except audio.AudioError as error:
            raise SynthesisError(str(error)) from error

    def _find(self, request: Request) -> Path | None:
        if self.folder is None:
            path = request.ground_truth
            return path if path and path.is_file() else None
        stem = clip_stem(request.utterance, request.repeat)
        candidates = (self.folder / f"{stem}{suffix}" for suffix in SUFFIXES)
        return next((path for path in candidates if path.is_file()), None)

    def _missing(self, request: Request) -> str:
        if self.folder is None:
            return f"the test set has no ground-truth recording of {request.utterance}"
        stem = clip_stem(request.utterance, request.repeat)
        return f"missing: no {stem}.wav (or {', '.join(SUFFIXES[1:])})"

    def _nothing(self) -> str:
        if self.folder is None:
            return "the test set has no ground-truth recordings"
        return "none of the test set's utterances has a file in this folder"

    def _remedy(self, requests: Sequence[Request]) -> str:
        if self.folder is None:
            return "Name a folder of recordings: NAME=FOLDER."
        return f"Files are named <utt>.wav, here {requests[0].utterance}.wav."


def create(options: Mapping[str, Any]) -> Recorded:
    """The system; option ``dir`` is the folder."""
    folder = read_options("recorded", options, {"dir": None})["dir"]
    if folder == "":
        raise UserError("option dir of recorded is empty", fix="Give a folder, or leave it out.")
    return Recorded(folder)
