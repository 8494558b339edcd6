"""The same transcripts under every recipe, and the words that made the difference.

Published rates differ by recipe as much as by model: another text rule, the mean of utterances or
all errors by all words, missing clips left out or refused. ``compare`` works out every recipe from
the transcripts that a run already has, so nothing is heard again, and finds the words that made the
difference to Seed-TTS-eval's. What it can't redo is the hearing: each recipe names its recogniser,
and where the run's is another one, a figure says what the recipe's rules make of these transcripts,
and is not that laboratory's number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mamtra_eval import registry
from mamtra_eval.errors import UserError
from mamtra_eval.figures import combine
from mamtra_eval.metrics import Aggregate, Reading
from mamtra_eval.metrics.wer import count_edits
from mamtra_eval.normalize import Normalizer
from mamtra_eval.recipes import OFFICIAL, RECIPES
from mamtra_eval.resampling import Ratios, Resampling
from mamtra_eval.results import Results
from mamtra_eval.statistics.bootstrap import Estimate

Edit = tuple[str, str, str]
"""(operation, word of the text, word that was heard); the absent side is empty."""


MISSING, PENDING, WORDLESS = "missing", "pending", "without words"


@dataclass(frozen=True)
class Outcome:
    """One system under one recipe.

    Attributes:
        estimate: absent where the recipe refuses, or nothing entered.
        n: clips that entered.
        left_out: how many did not, by reason: ``MISSING`` (no clip or no transcript of it),
            ``PENDING`` (the run is unfinished), ``WORDLESS`` (the rule leaves no word of the text).
    """

    system: str
    recipe: str
    estimate: Estimate | None
    n: int
    left_out: dict[str, int]


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


Scores = dict[tuple[str, str, int], Reading | str]
"""By (system, utterance, repeat): edits of a clip, or why there are none."""


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
        rule = RECIPES[name].rule(str(results.testset["language"]))
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
        reading, reference = results.readings.get((key, "wer")), references[key.utterance]
        place = key.system, key.utterance, key.repeat
        if not reference.strip():
            found[place] = WORDLESS
        elif isinstance(reading, Reading):
            heard = rule.heard(reading.evidence["transcript"], language)
            found[place] = count_edits(reference, heard, {})
        else:
            failed = clip.status == "failed" or isinstance(reading, str)
            found[place] = MISSING if failed else PENDING
    return found


def _outcomes(results: Results, name: str, scores: Scores) -> list[Outcome]:
    recipe = RECIPES[name]
    resampling = Resampling([*results.utterances])
    counted: dict[str, tuple[int, dict[str, int]]] = {}
    for system in results.systems:
        own = {key[1:]: found for key, found in scores.items() if key[0] == system.row.name}
        there = {key: found for key, found in own.items() if isinstance(found, Reading)}
        left_out = Counter(found for found in own.values() if isinstance(found, str))
        counted[system.row.name] = len(there), dict(left_out)
        if recipe.missing != "refused" or not left_out[MISSING]:
            resampling.want(system.row.name, _ratios(there, recipe.aggregate))
    resampling.run(**results.statistics)
    return [
        Outcome(system, name, resampling.estimates.get(system), n, left_out)
        for system, (n, left_out) in counted.items()
    ]


def _ratios(found: Mapping[tuple[str, int], Reading], aggregate: Aggregate) -> Ratios:
    """Numerator and denominator by utterance, its repeats together."""
    repeats: dict[str, list[tuple[float, float]]] = {}
    for (utterance, _), reading in found.items():
        pair = reading.counts["errors"], reading.counts["words"]
        repeats.setdefault(utterance, []).append(pair)
    return {utterance: combine(pairs, aggregate) for utterance, pairs in repeats.items()}


def _differences(name: str, scores: Scores, official: Scores) -> Iterable[Difference]:
    for (system, utterance, repeat), mine in scores.items():
        theirs = official.get((system, utterance, repeat))
        if not isinstance(mine, Reading) or not isinstance(theirs, Reading):
            continue
        rate, official_rate = (
            found.counts["errors"] / found.counts["words"] for found in (mine, theirs)
        )
        if rate != official_rate:
            yield Difference(
                name, system, utterance, repeat, rate, official_rate, _edits(mine), _edits(theirs)
            )


def words(differences: Iterable[Difference]) -> list[tuple[str, str, int]]:
    """Words of text and transcript that one side counts as an error and the other does not.

    An error that both count, in other spelling (``dry`` heard as ``nine`` or as ``9``), is none.

    Returns:
        (word of the text, word heard, balance), the commonest first: a balance of -3 is an error of
        the official rule that the other recipe does not count, three times.
    """
    balance: Counter[tuple[str, str]] = Counter()
    for difference in differences:
        mine = Counter((word, heard) for _, word, heard in difference.edits)
        theirs = Counter((word, heard) for _, word, heard in difference.official_edits)
        more, fewer = mine - theirs, theirs - mine
        respelled = Counter(word for word, _ in more.elements()) & Counter(
            word for word, _ in fewer.elements()
        )
        for sign, edits in ((1, more), (-1, fewer)):
            left = respelled.copy()
            for word, heard in edits.elements():
                if word and left[word]:
                    left[word] -= 1
                else:
                    balance[word, heard] += sign
    rows = [(word, heard, n) for (word, heard), n in balance.items() if n]
    return sorted(rows, key=lambda row: (-abs(row[2]), row[:2]))


def _edits(reading: Reading) -> tuple[Edit, ...]:
    return tuple(edit for edit in reading.evidence["alignment"] if edit[0] != "equal")
