"""The embedded recogniser: CMU pocketsphinx with its packaged US-English model, no download.

Options: ``grammar`` is the name of a packaged JSGF grammar (``digits``) or the path of a ``.jsgf``
file, and replaces the language model. A test set may set it for its lists.

Two states survive from one utterance to the next in a decoder and made 1 of 30 hypotheses depend
on the history: the running cepstral mean, and the estimate of the noise spectrum, which
``start_utt`` does not reset (cmusphinx/pocketsphinx, issue 498). So the mean is taken over each
utterance (``cmn=batch``) and the feature extraction is made anew before each, which costs
nothing; hypotheses, scores and order are then the same to the bit as with a fresh decoder a file.
The whole clip is handed over in one call: in small chunks the same model does clearly worse.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mamtra_eval.asr import Recognizer, Transcript
from mamtra_eval.audio import Samples
from mamtra_eval.errors import MeasurementError, UserError, unknown_name
from mamtra_eval.registry import read_options

PACKAGES = ("pocketsphinx",)
GRAMMARS = Path(__file__).parent / "grammars"
MIN_SAMPLES = 1600
"""0.1 s: below, the decoder has no frames to search."""


class PocketSphinx(Recognizer):
    """A long-lived decoder that forgets each utterance."""

    languages = frozenset({"en"})

    def __init__(self, grammar: str | None = None) -> None:
        self.grammar = _find_grammar(grammar) if grammar else None
        self._decoder: Any = None

    def signature(self) -> str:
        """Version, model and grammar (with the first digits of its hash)."""
        language = "lm:en-us"
        if self.grammar:
            digest = hashlib.sha256(self.grammar.read_bytes()).hexdigest()[:8]
            language = f"grammar:{self.grammar.stem}-{digest}"
        return f"asr:pocketsphinx-{version('pocketsphinx')}|am:en-us|{language}|cmn:batch"

    def transcribe(self, samples_16k: Samples, language: str) -> Transcript:
        """Best hypothesis; empty text if the decoder finds no path through the audio."""
        if language not in self.languages:
            raise MeasurementError(
                f"pocketsphinx's packaged model knows English only, the text is {language!r}; "
                "choose another recogniser with --set asr.backend=NAME"
            )
        if len(samples_16k) < MIN_SAMPLES:
            return Transcript("", {"reason": "shorter than 0.1 s"})
        if not samples_16k.any():  # the decoder finds words even in digital silence
            return Transcript("", {"reason": "digital silence"})
        decoder = self._fresh()
        pcm = np.clip(np.round(samples_16k * 32768), -32768, 32767).astype("<i2")
        decoder.start_utt()
        decoder.process_raw(pcm.tobytes(), no_search=False, full_utt=True)
        decoder.end_utt()
        best = decoder.hyp()
        return Transcript(best.hypstr if best else "")

    def _fresh(self) -> Any:  # noqa: ANN401 -- the package has no types
        if self._decoder is None:
            from pocketsphinx import Decoder

            search = {"jsgf": str(self.grammar)} if self.grammar else {}
            self._decoder = Decoder(cmn="batch", loglevel="FATAL", **search)
        self._decoder.reinit_feat()
        return self._decoder


def create(options: Mapping[str, Any]) -> PocketSphinx:
    """A recogniser with the given options."""
    return PocketSphinx(**read_options("pocketsphinx", options, {"grammar": None}))


def _find_grammar(name: str) -> Path:
    packaged = {path.stem: path for path in GRAMMARS.glob("*.jsgf")}
    if name in packaged:
        return packaged[name]
    if name.endswith(".jsgf"):
        if Path(name).is_file():
            return Path(name).absolute()
        raise UserError("no such grammar file", where=name, fix="Give the path of a .jsgf file.")
    raise unknown_name("grammar", name, packaged)
