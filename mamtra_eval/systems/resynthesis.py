"""The test set's own recordings through the mini codec: what its tokens can say at best.

The topline of every system that speaks through that codec. No options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mamtra_eval import audio
from mamtra_eval.audio import Clip
from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.registry import read_options
from mamtra_eval.systems import Request, System
from mamtra_eval.systems._mini_voices import Voices, hashes, load_codec

if TYPE_CHECKING:
    from mamtra_eval.codecs.mini import MiniCodec


class Resynthesis(System):
    """Encodes the ground truth and decodes it in the prompt's voice."""

    def identity(self, requests: Sequence[Request]) -> dict[str, Any]:
        """Hashes of codec and voices, and of the recordings that there are."""
        recordings = [
            r.ground_truth for r in requests if r.ground_truth and r.ground_truth.is_file()
        ]
        if not recordings:
            raise UserError(
                "the test set has no ground-truth recordings",
                where="resynthesis",
                fix="Leave this system out.",
            )
        return {
            **hashes(with_prompts=any(request.prompt_audio for request in requests)),
            "recordings": [audio.sha256(path) for path in recordings],
        }

    def speak(self, request: Request) -> Clip:
        """The recording, encoded and decoded; SynthesisError if there is none."""
        if request.ground_truth is None:
            raise SynthesisError(f"the test set has no recording of {request.utterance}")
        try:
            codes = self._codec.encode(audio.read(request.ground_truth))
            return self._codec.decode(codes, self._voices.nearest(request.prompt_audio))
        except audio.AudioError as error:
            raise SynthesisError(str(error)) from error

    def prepare(self) -> None:
        """Load the codec; the speaker encoder waits for a prompt."""
        _ = self._codec

    @cached_property
    def _codec(self) -> MiniCodec:
        return load_codec()

    @cached_property
    def _voices(self) -> Voices:
        return Voices()


def create(options: Mapping[str, Any]) -> Resynthesis:
    """The system; it takes no options."""
    read_options("resynthesis", options, {})
    return Resynthesis()
