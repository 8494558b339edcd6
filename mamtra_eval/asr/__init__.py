"""Speech recognisers behind ``wer``. One file each.

A plugin module offers ``create(options) -> Recognizer``. A transcript depends on the audio alone:
never on what was recognised before, nor on what shares its batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mamtra_eval.audio import Samples


@dataclass(frozen=True)
class Transcript:
    """What was recognised, as the recogniser wrote it, with its own evidence (scores, flags)."""

    text: str
    evidence: dict[str, Any] = field(default_factory=dict)


class Recognizer(ABC):
    """Speech to text. Models are loaded at the first ``transcribe``."""

    languages: frozenset[str] | None = None
    """Languages it understands; ``None`` for any."""

    @abstractmethod
    def signature(self) -> str:
        """Everything that a transcript depends on, as ``key:value|key:value``."""

    @abstractmethod
    def transcribe(self, samples_16k: Samples, language: str) -> Transcript:
        """Recognise mono float32 (n,) at 16 kHz, full scale ±1."""

    def of_file(self, path: Path) -> Transcript | None:
        """The transcript of a clip's file that holds one; ``None`` where it is to be heard."""
        del path
        return None

    def check(self) -> None:  # noqa: B027 -- most have nothing to check
        """UserError if it can't work here (MissingExtra for a broken package)."""
