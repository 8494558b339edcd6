"""Recipes: how other laboratories make a word error rate of the same clips.

Published rates differ by recipe as much as by model: another text rule, the mean of utterances or
all errors by all words, missing clips left out or refused. ``compare`` works out every recipe from
the transcripts that a run already has, so nothing is heard again, and finds the words that made the
difference to Seed-TTS-eval's. What it can't redo is the hearing: each recipe names its recogniser,
and where the run's is another one, a figure says what the recipe's rules make of these transcripts,
and is not that laboratory's number.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mamtra_eval import registry
from mamtra_eval.errors import UserError
from mamtra_eval.metrics import Reading
from mamtra_eval.metrics.wer import count_edits
from mamtra_eval.normalize import Normalizer
from mamtra_eval.resampling import Ratios, Resampling
from mamtra_eval.results import Results
from mamtra_eval.statistics.bootstrap import Estimate

Missing = Literal["left out", "refused"]
Edit = tuple[str, str, str]
"""(operation, word of the text, word that was heard); the absent side is empty."""


@dataclass(frozen=True)
class Recipe:
    """A named evaluation protocol, as far as it concerns words.

    Attributes:
        normalizer: of both sides, a plugin of ``normalize``.
        aggregate: ``mean`` of the utterances' rates, or ``pooled``.
        missing: a clip without a transcript is ``left out``, or the recipe ``refused``.
        english, chinese: the recogniser it prescribes.
        source: where it is published.
    """

    name: str
    title: str
    normalizer: str
    aggregate: Literal["mean", "pooled"]
    missing: Missing
    english: str
    chinese: str
    source: str


HF_WHISPER = "Whisper large-v3 (transformers), greedy, float32, one clip at a time, 30 s"
PARAFORMER = "paraformer-zh (FunASR)"
RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("seed-tts-eval", "Seed-TTS-eval's official scripts", "seed_tts", "mean",
               "left out", HF_WHISPER, PARAFORMER, "BytedanceSpeech/seed-tts-eval 752f429"),
        Recipe("pooled", "all errors by all words", "seed_tts", "pooled",
               "left out", HF_WHISPER, PARAFORMER, "printed beside the mean by k2-fsa/OmniVoice"),
        Recipe("f5-tts", "F5-TTS: no apostrophes", "f5_tts", "mean", "left out",
               "faster-whisper large-v3, float16, beam 5", PARAFORMER,
               "SWivid/F5-TTS src/f5_tts/eval"),
        Recipe("cv3-eval", "CV3-Eval of the CosyVoice authors", "seed_tts", "mean", "left out",
               "openai-whisper large-v3, transcribe with fallback, any length", PARAFORMER,
               "FunAudioLLM/CV3-Eval"),
        Recipe("zipvoice", "ZipVoice: a missing clip ends it", "seed_tts", "mean", "refused",
               HF_WHISPER, PARAFORMER, "k2-fsa/ZipVoice"),
        Recipe("omnivoice", "OmniVoice: batches of 16", "seed_tts", "mean", "left out",
               "Whisper large-v3 (transformers), float16, batches of 16, 30 s", PARAFORMER,
               "k2-fsa/OmniVoice, July 2026"),
        Recipe("whisper-normalized", "the Whisper paper's text rule", "whisper",
               "mean", "left out", HF_WHISPER, PARAFORMER, "sgl-project/sglang-omni, April 2026"),
    )
}  # fmt: skip
OFFICIAL = "seed-tts-eval"


@dataclass(frozen=True)
class Outcome:
    """One system under one recipe; ``estimate`` is absent where the recipe refuses, or none is."""

    system: str
    recipe: str
    estimate: Estimate | None
    n: int
    n_missing: int


@dataclass(frozen=True)
class Difference:
    """A clip whose rate another recipe changes, with the edits of both."""

    recipe: str
    system: str
    utterance: str
    repeat: int
    rate: float
    official_rate: float
    edits: tuple[Edit, ...]
    official_edits: tuple[Edit, ...]


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` found; ``unusable`` recipes with the reason."""

    asr: str
    outcomes: tuple[Outcome, ...]
    differences: tuple[Difference, ...]
    unusable: dict[str, str]


Scores = dict[tuple[str, str, int], Reading | None]
"""By (system, utterance, repeat): edits of a clip; ``None`` where it has no transcript."""


def compare(results: Results, names: Iterable[str] = RECIPES) -> Comparison:
    """Every recipe on the transcripts of a run; UserError for a run without any."""
    metric = next((metric for metric in results.metrics if metric.name == "wer"), None)
    if metric is None:
        raise UserError(
            "the run has no transcripts: wer was not measured",
            where=str(results.folder),
            fix="Add --metrics wer to its command, with the same --out.",
        )
    scores: dict[str, Scores] = {}
    unusable: dict[str, str] = {}
    by_rule: dict[str, Scores] = {}
    for name in dict.fromkeys([OFFICIAL, *names]):
        rule = RECIPES[name].normalizer
        try:
            if rule not in by_rule:
                by_rule[rule] = _scores(results, registry.create("normalize", rule, {}))
        except UserError as error:
            unusable[name] = str(error)
            continue
        scores[name] = by_rule[rule]
    outcomes = [
        outcome for name, found in scores.items() for outcome in _outcomes(results, name, found)
    ]
    official = scores.get(OFFICIAL, {})
    differences = [
        difference
        for name, found in scores.items()
        if found is not official
        for difference in _differences(name, found, official)
    ]
    return Comparison(metric.signature, tuple(outcomes), tuple(differences), unusable)


def _scores(results: Results, rule: Normalizer) -> Scores:
    """Edits of each clip's transcript under a text rule."""
    language = str(results.testset["language"])
    rule.check(language)
    references = {
        name: rule(utterance.text, language) for name, utterance in results.utterances.items()
    }
    found: Scores = {}
    for clip in results.clips:
        key = clip.key
        reading = results.readings.get((key, "wer"))
        reference = references[key.utterance]
        scored = isinstance(reading, Reading) and reference.strip()
        found[key.system, key.utterance, key.repeat] = (
            count_edits(reference, rule.heard(reading.evidence["transcript"], language), {})
            if scored and isinstance(reading, Reading)
            else None
        )
    return found


def _outcomes(results: Results, name: str, scores: Scores) -> list[Outcome]:
    recipe = RECIPES[name]
    resampling = Resampling([*results.utterances])
    counted: dict[str, tuple[int, int]] = {}
    for system in results.systems:
        own = {key[1:]: found for key, found in scores.items() if key[0] == system.row.name}
        there = {key: found for key, found in own.items() if found is not None}
        counted[system.row.name] = len(there), len(own) - len(there)
        if recipe.missing != "refused" or len(there) == len(own):
            resampling.want(system.row.name, _ratios(there, pooled=recipe.aggregate == "pooled"))
    resampling.run(**results.statistics)
    return [
        Outcome(system, name, resampling.estimates.get(system), n, missing)
        for system, (n, missing) in counted.items()
    ]


def _ratios(found: Mapping[tuple[str, int], Reading], *, pooled: bool) -> Ratios:
    """Numerator and denominator by utterance, its repeats together."""
    repeats: dict[str, list[tuple[float, float]]] = {}
    for (utterance, _), reading in found.items():
        pair = reading.counts["errors"], reading.counts["words"]
        repeats.setdefault(utterance, []).append(pair)
    return {utterance: _together(pairs, pooled=pooled) for utterance, pairs in repeats.items()}


def _together(pairs: Sequence[tuple[float, float]], *, pooled: bool) -> tuple[float, float]:
    if pooled:
        return math.fsum(errors for errors, _ in pairs), math.fsum(words for _, words in pairs)
    return math.fsum(errors / words for errors, words in pairs) / len(pairs), 1.0


def _differences(name: str, scores: Scores, official: Scores) -> Iterable[Difference]:
    for (system, utterance, repeat), mine in scores.items():
        theirs = official.get((system, utterance, repeat))
        if mine is None or theirs is None:
            continue
        rate, official_rate = (
            found.counts["errors"] / found.counts["words"] for found in (mine, theirs)
        )
        if rate != official_rate:
            yield Difference(
                name, system, utterance, repeat, rate, official_rate, _edits(mine), _edits(theirs)
            )


def words(differences: Iterable[Difference]) -> list[tuple[str, str, int]]:
    """Words of text and transcript that one side counts and the other does not.

    Returns:
        (word of the text, word heard, balance), the commonest first: a balance of -3 is an error of
        the official rule that the other recipe does not count, three times.
    """
    balance: Counter[tuple[str, str]] = Counter()
    for difference in differences:
        balance.update((word, heard) for _, word, heard in difference.edits)
        balance.subtract((word, heard) for _, word, heard in difference.official_edits)
    rows = [(word, heard, n) for (word, heard), n in balance.items() if n]
    return sorted(rows, key=lambda row: (-abs(row[2]), row[:2]))


def _edits(reading: Reading) -> tuple[Edit, ...]:
    return tuple(edit for edit in reading.evidence["alignment"] if edit[0] != "equal")
