"""Word error rate by a recogniser: substitutions, deletions and insertions against the text.

Options (section ``asr`` of a configuration): ``backend`` names the recogniser (``pocketsphinx``),
``normalizer`` the text rule of both sides (``seed_tts``), ``resample`` the way to 16 kHz (``soxr``;
``fft`` as Seed-TTS-eval has it); all others are the recogniser's own (``grammar``). Edit distance
by jiwer.

``wer`` is the mean of the utterances' rates, as Seed-TTS-eval has it; ``wer_pooled`` divides all
errors by all words. Neither is clipped at 100 %: a runaway clip counts in full. Each stands also
with failed clips counted as 100 % (``…_incl_failed``), so that a system can't win by failing.
``--json`` and the page of the report have the spread too: median, standard deviation, 95th
percentile and worst of the utterances' rates, the share above 50 %, and the mean of the others.
For Chinese the words are characters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from mamtra_eval import rates, registry
from mamtra_eval.asr import Recognizer, Transcript
from mamtra_eval.audio import Samples
from mamtra_eval.batching import attempt, by_size, in_batches, one_by_one
from mamtra_eval.errors import MeasurementError, UserError
from mamtra_eval.metrics import Aggregate, Figure, Item, Metric, Reading
from mamtra_eval.normalize import Normalizer
from mamtra_eval.testset import TestSet

OPTION_SECTION = "asr"
DEFAULT_BACKEND = "pocketsphinx"


def _figure(
    name: str,
    title: str,
    aggregate: Aggregate = "mean",
    numerator: str = "errors",
    *,
    failed: float | None = None,
    headline: bool = False,
    at: float = 0.0,
) -> Figure:
    """Something by the words of the text."""
    return Figure(
        name, numerator, "words", aggregate, unit="fraction", higher_is_better=False,
        failed=failed, headline=headline, title=title, at=at,
    )  # fmt: skip


class WordErrorRate(Metric):
    """Transcribe, normalise both sides, count the edits."""

    figures: tuple[Figure, ...] = (
        _figure("wer", "WER, mean of utterances", headline=True),
        _figure("wer_pooled", "WER, pooled", "pooled", headline=True),
        _figure("wer_incl_failed", "WER, failed clips as 100 %", failed=1.0),
        _figure(
            "wer_pooled_incl_failed", "WER pooled, failed clips as 100 %", "pooled", failed=1.0
        ),
        _figure("wer_substitutions", "Substitutions, pooled", "pooled", "substitutions"),
        _figure("wer_deletions", "Deletions, pooled", "pooled", "deletions"),
        _figure("wer_insertions", "Insertions, pooled", "pooled", "insertions"),
        _figure("wer_median", "WER, median", "median"),
        _figure("wer_sd", "WER, standard deviation over utterances", "sd"),
        _figure("wer_p95", "WER, 95th percentile", "p95"),
        _figure("wer_max", "WER, worst utterance", "max"),
        _figure("wer_over_50", "Utterances with WER over 50 %", "share_above", at=0.5),
        _figure("wer_up_to_50", "WER, mean of those up to 50 %", "mean_up_to", at=0.5),
    )

    def __init__(
        self, recognizer: Recognizer, normalizer: Normalizer, resampler: str = "soxr"
    ) -> None:
        rates.check(resampler)
        self.recognizer = recognizer
        self.normalizer = normalizer
        self.resampler = resampler
        self.batch_size = recognizer.batch_size
        self.device, self.on_device = recognizer.device, recognizer.on_device

    def signature(self) -> str:
        """Recogniser, normaliser and the version of the edit distance."""
        distance = f"jiwer-{version('jiwer')}"
        return f"{self.recognizer.signature()}|norm:{self.normalizer.signature}|edit:{distance}"

    def check(self, testset: TestSet) -> None:
        """UserError if the recogniser does not know the language, or can't work here."""
        known = self.recognizer.languages
        if known is not None and testset.language not in known:
            raise UserError(
                f"the recogniser knows {', '.join(sorted(known))}, the test set is in "
                f"{testset.language}",
                fix="Choose another with --set asr.backend=NAME (mamtra-eval list asr).",
            )
        self.recognizer.check()
        self.normalizer.check(testset.language)

    def measure(self, item: Item) -> Reading:
        """Counts of errors and words, with transcript and alignment as evidence."""
        self._reference(item.text, item.language)  # what has no words need not be heard
        heard = self.recognizer.of_file(item.path) or self.recognizer.transcribe(
            item.at_16k(self.resampler), item.language
        )
        return self._count(item, heard)

    def measure_many(self, items: Sequence[Item]) -> list[Reading | Exception]:
        """The same of several clips; those with about as much to say are heard together."""
        if self.batch_size == 1:
            return one_by_one(self.measure, items)
        lengths = [len(item.text) for item in items]
        return in_batches(self._measure_batch, items, by_size(lengths, self.batch_size))

    def _measure_batch(self, items: list[Item]) -> list[Reading | Exception]:
        """Clips of one test set, hence of one language."""
        found: list[Reading | Exception | None] = [None] * len(items)
        there: list[int] = []
        clips = []
        for position, item in enumerate(items):
            samples = attempt(self._audible, item)
            if isinstance(samples, Exception):
                found[position] = samples
            else:
                there.append(position)
                clips.append(samples)
        heard = self.recognizer.transcribe_many(clips, items[0].language) if clips else []
        for position, transcript in zip(there, heard, strict=True):
            found[position] = (
                transcript
                if isinstance(transcript, Exception)
                else self._count(items[position], transcript)
            )
        return [result for result in found if result is not None]

    def _audible(self, item: Item) -> Samples:
        self._reference(item.text, item.language)
        return item.at_16k(self.resampler)

    def _count(self, item: Item, heard: Transcript) -> Reading:
        hypothesis = self.normalizer.heard(heard.text, item.language)
        reference = self._reference(item.text, item.language)
        evidence: dict[str, Any] = {"transcript": heard.text, **heard.evidence}
        if item.prompt_text:
            evidence["prompt"] = self.normalizer(item.prompt_text, item.language)
        return count_edits(reference, hypothesis, evidence)

    def failed_counts(self, text: str, language: str) -> dict[str, float]:
        """The words of the reference."""
        return {"words": len(self._reference(text, language).split(" "))}

    def _reference(self, text: str, language: str) -> str:
        reference = self.normalizer(text, language)
        if not reference.strip():  # a no-break space alone: jiwer sees no word in it
            raise MeasurementError(f"the text {text!r} has no words left after normalisation")
        return reference


def count_edits(reference: str, hypothesis: str, evidence: dict[str, Any]) -> Reading:
    """Edit counts between normalised texts; ``reference`` must not be empty."""
    import jiwer

    # Words are what spaces separate, on both sides; jiwer's own transforms do nothing more here.
    output = jiwer.process_words(reference, hypothesis)
    words = output.hits + output.substitutions + output.deletions
    edits = output.substitutions + output.deletions + output.insertions
    counts: dict[str, float] = {
        "errors": edits,
        "words": words,
        "substitutions": output.substitutions,
        "deletions": output.deletions,
        "insertions": output.insertions,
    }
    return Reading(counts, {**evidence, "alignment": _alignment(output)})


def _alignment(output: Any) -> list[tuple[str, str, str]]:  # noqa: ANN401 -- jiwer.WordOutput
    """(operation, reference word, heard word) in order; the absent side is empty."""
    reference, hypothesis = output.references[0], output.hypotheses[0]
    rows: list[tuple[str, str, str]] = []
    for chunk in output.alignments[0]:
        left = reference[chunk.ref_start_idx : chunk.ref_end_idx]
        right = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
        length = max(len(left), len(right))
        left += [""] * (length - len(left))
        right += [""] * (length - len(right))
        rows += [(chunk.type, *pair) for pair in zip(left, right, strict=True)]
    return rows


def fast(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the recogniser in fast mode."""
    backend = str(options.get("backend") or DEFAULT_BACKEND)
    return dict(getattr(registry.load("asr", backend), "FAST", {}))


def defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """The plugin's options with their defaults, as far as it tells them."""
    module = registry.load("asr", str(options.get("backend") or DEFAULT_BACKEND))
    return dict(getattr(module, "DEFAULTS", {}))


def create(options: Mapping[str, Any]) -> WordErrorRate:
    """The metric with its recogniser and text rule."""
    rest = dict(options)
    backend = str(rest.pop("backend", None) or DEFAULT_BACKEND)
    rule = str(rest.pop("normalizer", None) or "seed_tts")
    resampler = str(rest.pop("resample", None) or "soxr")
    recognizer: Recognizer = registry.create("asr", backend, rest)
    return WordErrorRate(recognizer, registry.create("normalize", rule, {}), resampler)
