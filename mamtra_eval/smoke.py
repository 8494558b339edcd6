"""The smoke sentence: one clip of a system, looked at and listened to, with a verdict in words.

A wrong release of one package can make a model speak another text, or noise. So before hours are
spent the first sentence of the packaged test set mini-en is spoken in the voice of its prompt, its
samples go through ``metrics/health``, and the embedded recogniser says what it hears.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamtra_eval.errors import MeasurementError, describe

if TYPE_CHECKING:
    from mamtra_eval.audio import Clip
    from mamtra_eval.metrics import Item
    from mamtra_eval.systems import Request, System, Words
    from mamtra_eval.targets import SystemSpec

TESTSET = "mini-en"
NOT_UNDERSTOOD = 0.6
"""WER of the sentence above which it was not understood."""
HARD_TO_UNDERSTAND = {"espeak": 0.9}
"""The same for systems whose voices the recogniser understands badly when all is well.

Of eSpeak NG's formant voices 62 to 84 % of the words are wrong, over 30 sentences.
"""


@dataclass(frozen=True)
class Smoke:
    """What became of the sentence.

    Attributes:
        text: that was to be said.
        error: why there is no clip, or none that can be measured.
        duration_s: of the clip.
        heard: by the recogniser.
        wer: of what was heard.
        problems: in words; of a healthy clip there are none.
    """

    text: str
    error: str | None = None
    duration_s: float | None = None
    heard: str | None = None
    wer: float | None = None
    problems: tuple[str, ...] = field(default=())

    @property
    def healthy(self) -> bool:
        """Whether there is a clip, and nothing wrong with it."""
        return self.error is None and not self.problems


def speak(spec: SystemSpec) -> Smoke:
    """Make the system, let it say the sentence, and judge the clip; no error leaves here."""
    from mamtra_eval import catalogue, registry
    from mamtra_eval.systems import Request

    testset = catalogue.load(TESTSET)
    first = testset.utterances[0]
    request = Request(
        first.id, first.text, first.prompt_text, first.prompt_audio, first.ground_truth,
        testset.language,
    )  # fmt: skip
    try:
        system: System = registry.create("systems", spec.kind, spec.options)
        try:
            system.prepare()
            made = system.speak(request)
        finally:
            system.close()
        with tempfile.TemporaryDirectory() as folder:
            bound = HARD_TO_UNDERSTAND.get(spec.kind, NOT_UNDERSTOOD)
            return judge(request, made, Path(folder), bound)
    except Exception as error:  # a doctor tells of what is broken, and does not break
        return Smoke(first.text, error=describe(error))


def judge(
    request: Request, made: Clip | Words, folder: Path, bound: float = NOT_UNDERSTOOD
) -> Smoke:
    """What is wrong with a clip or a transcript of the request, if anything.

    Args:
        request: what was asked for.
        made: the system's answer.
        folder: takes the clip's file.
        bound: WER above which it was not understood.

    MeasurementError if it can't be heard.
    """
    from mamtra_eval import registry
    from mamtra_eval.metrics import Item
    from mamtra_eval.systems import Words

    path = _stored(made, folder / "smoke")
    item = Item(request.utterance, request.text, path, request.prompt_audio, request.language)
    duration, problems, recogniser = None, [], "supplied"
    if not isinstance(made, Words):
        duration, recogniser = float(made.duration_s), "pocketsphinx"
        if duration == 0:
            return Smoke(request.text, duration_s=0.0, problems=("the clip is empty: no speech",))
        problems = faults(item)
    try:
        heard = registry.create("metrics", "wer", {"backend": recogniser}).measure(item)
    except MeasurementError as error:
        return Smoke(request.text, str(error), duration, problems=tuple(problems))
    rate = heard.counts["errors"] / heard.counts["words"]
    if rate > bound:
        problems = [*problems, f"not understood: {100 * rate:.0f} % of its words are wrong"]
    text = str(heard.evidence["transcript"])
    return Smoke(request.text, None, duration, text, rate, tuple(problems))


def faults(item: Item) -> list[str]:
    """What the samples of a clip show of it, in words."""
    from mamtra_eval import registry

    evidence = registry.create("metrics", "health", {}).measure(item).evidence
    return [words(flag, evidence) for flag in evidence["flags"]]


def words(flag: str, evidence: Mapping[str, Any]) -> str:
    """A health flag in words, with the numbers that raised it."""
    lasts = f"it lasts {evidence['duration_s']:.2f} s"
    told = {
        "silent": "no speech: its peak is at {peak_dbfs} dBFS, its RMS at {rms_dbfs}",
        "clipped": "clipped: {clipped_run} samples in a row at its own maximum",
        "not_finite": "it holds samples that are no numbers (NaN or infinite)",
        "too_short": f"too short for its text: {lasts}",
        "runaway": f"too long for its text: {lasts}",
        "speaking_rate": "spoken too fast or too slowly for its text",
        "repeated_tail": "its end goes round in a loop",
        "long_silence": "a silence of {longest_silence_s} s",
    }
    return told[flag].format_map(evidence)


def _stored(made: Clip | Words, stem: Path) -> Path:
    from mamtra_eval import audio
    from mamtra_eval.systems import Words

    return audio.write_text(made.text, stem) if isinstance(made, Words) else audio.write(made, stem)
