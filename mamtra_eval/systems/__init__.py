"""Systems: anything that speaks a text, optionally in the voice of a prompt. One file each.

A plugin module offers ``create(options) -> System``. Making a system must be cheap: it is made in
the parent process to learn its ``identity``, and again in every worker that runs it. Models are
loaded at the first ``speak``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamtra_eval.audio import Clip
from mamtra_eval.errors import UserError
from mamtra_eval.footprint import Footprint


@dataclass(frozen=True)
class Request:
    """One clip to be made.

    Attributes:
        utterance: its id in the test set.
        text: what to say.
        prompt_text, prompt_audio: the voice to say it in, where the set has prompts.
        ground_truth: the recording of this very text, where the set has one.
        language: of the text, as in the test set (``en``, ``zh``).
        repeat: 0, 1, …: which of several clips of the same text.
        seed: for everything random; it belongs to (system, utterance, repeat), not to a worker.
    """

    utterance: str
    text: str
    prompt_text: str | None = None
    prompt_audio: Path | None = None
    ground_truth: Path | None = None
    language: str = "en"
    repeat: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Words:
    """What was heard of a clip that is not here: a transcript in place of audio."""

    text: str


def clip_stem(utterance: str, repeat: int) -> str:
    """File name of a clip, without suffix: ``<utt>``, and ``<utt>.<repeat>`` from repeat 1 on."""
    return utterance if repeat == 0 else f"{utterance}.{repeat}"


class System(ABC):
    """A speech synthesizer, or a source of speech that stands in the place of one."""

    batch_size: int = 1
    """Most requests handed over in one call of ``speak_many``."""

    max_processes: int | None = None
    """Most worker processes that may run it side by side; ``None`` leaves it to the executor."""

    on_device: bool = False
    """Whether it computes on a GPU where there is one: then ``max_processes`` is per device."""

    at_home: bool = False
    """Whether only the machine on which the run was started may run it: what it needs, a key say,
    is not to travel."""

    concurrent: bool = False
    """Whether ``speak`` and ``stream`` may be called from several threads at once."""

    at_a_time: int | None = None
    """Most calls that get on at a time, further ones wait within it; ``None`` is no bound."""

    @abstractmethod
    def identity(self, requests: Sequence[Request]) -> dict[str, Any]:
        """Everything its output depends on (options, versions, hashes), as plain JSON values.

        Kept as provenance. A run folder is not continued with a system of another identity.
        """

    def footprint(self) -> Footprint | None:
        """Closed form of what its decoder takes, if it knows it; read without loading weights."""
        return None

    def checkpoint(self) -> Path | None:
        """Folder of its decoder's checkpoint, if it speaks with a decoder of this package."""
        return None

    @abstractmethod
    def speak(self, request: Request) -> Clip | Words:
        """Make one clip; SynthesisError if it can't be made."""

    def stream(self, request: Request) -> Iterator[Clip]:
        """Make one clip and hand over its pieces as they come; by default all of it in one.

        It is what profiles time: work begins with the first ``next``. ``cost`` of the whole stands
        on the last piece. UserError for a system without audio.
        """
        made = self.speak(request)
        if isinstance(made, Words):
            raise UserError(
                "this system gives transcripts, not audio: there is nothing to time",
                fix="Take a system that speaks.",
            )
        yield made

    def speak_many(
        self, requests: Sequence[Request]
    ) -> Iterator[tuple[int, Clip | Words | Exception]]:
        """Make several, as they come: (index into ``requests``, clip or what went wrong)."""
        for index, request in enumerate(requests):
            try:
                yield index, self.speak(request)
            except Exception as error:  # a failure is a row, never the run's end
                yield index, error

    def prepare(self) -> None:  # noqa: B027 -- most have nothing to load
        """Load what speaking needs, so that no clip's time holds it. Called again and again."""

    def close(self) -> None:  # noqa: B027 -- most have nothing to release
        """Release what it holds."""
