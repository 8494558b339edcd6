"""Speech recognisers behind ``wer``. One file each.

A plugin module offers ``create(options) -> Recognizer``. A transcript depends on the audio alone:
never on what was recognised before, nor on what shares its batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mamtra_eval.audio import Samples
from mamtra_eval.batching import one_by_one


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

    device: str | None = None
    """Device of its network, where asked for; see ``on_device``."""
    on_device: bool = False
    """Whether it holds a network that goes to a GPU where there is one."""
    batch_size: int = 1
    """Most clips handed over in one call of ``transcribe_many``."""

    def transcribe_many(
        self, clips: Sequence[Samples], language: str
    ) -> Sequence[Transcript | Exception]:
        """The same of several clips at once, in their order; what went wrong with one, in place."""
        return one_by_one(lambda samples: self.transcribe(samples, language), clips)

    def of_file(self, path: Path) -> Transcript | None:
        """The transcript of a clip's file that holds one; ``None`` where it is to be heard."""
        del path
        return None

    def check(self) -> None:  # noqa: B027 -- most have nothing to check
        """UserError if it can't work here (MissingExtra for a broken package)."""
