"""Transcripts that came with the run: nothing is listened to.

The recogniser of runs of ``transcripts`` (``mamtra_eval.systems.transcripts``), whose clips are
texts. It can't hear: any other clip ends the run with what to choose instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mamtra_eval.asr import Recognizer, Transcript
from mamtra_eval.audio import TEXT_SUFFIX, Samples
from mamtra_eval.errors import UserError
from mamtra_eval.registry import read_options


class Supplied(Recognizer):
    """Reads the clip's file."""

    def signature(self) -> str:
        """That the words come from elsewhere; what they are, the systems' identities tell."""
        return "asr:supplied"

    def of_file(self, path: Path) -> Transcript | None:
        """The text of a clip that is text."""
        if path.suffix != TEXT_SUFFIX:
            return None
        return Transcript(path.read_bytes().decode("utf-8"))

    def transcribe(self, samples_16k: Samples, language: str) -> Transcript:
        """UserError: there is nothing that could hear."""
        del samples_16k, language
        raise UserError(
            "the recogniser supplied reads transcripts and can't hear audio",
            fix="Name another with --set asr.backend=NAME (mamtra-eval list asr).",
        )


def create(options: Mapping[str, Any]) -> Supplied:
    """The recogniser; it takes no options."""
    read_options("supplied", options, {})
    return Supplied()
