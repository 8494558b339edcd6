"""Where the noise of a verdict comes from: texts, synthesis seeds, recognisers.

The differences of a system to the baseline are taken apart, clip by clip (``statistics.variance``).
It takes repeats to see what a seed does, and a second recogniser (metric ``second_wer``) to see
what a recogniser does; the answer says what would help: more utterances, more repeats, another ear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mamtra_eval.metrics import Figure, Reading
from mamtra_eval.results import Results
from mamtra_eval.rows import ClipKey
from mamtra_eval.statistics import variance
from mamtra_eval.statistics.variance import Split

SECOND = {"wer": ("second_wer", "second_wer")}
"""By figure: (metric, figure) of the same by a second recogniser."""


@dataclass(frozen=True)
class Noise:
    """Of one system's differences to the baseline in one figure.

    Attributes:
        utterances, repeats, recognisers: what entered; only utterances that have all of them.
    """

    system: str
    figure: Figure
    split: Split
    utterances: int
    repeats: int
    recognisers: int

    def error(self, utterances: int = 1, repeats: int = 1) -> float:
        """Standard error of the difference with so many times as many of each."""
        return self.split.of_mean(
            self.utterances * utterances, self.repeats * repeats, self.recognisers
        )


def of_headline(results: Results) -> list[Noise]:
    """Of the first figure, by system; empty where nothing was repeated or heard twice."""
    first = next(((m, f) for m, f in results.figures if f.headline), None)
    if first is None or first[1].aggregate != "mean":
        return []
    readers = [(first[0].name, first[1].name)]
    if (second := SECOND.get(first[1].name)) and second[0] in {m.name for m in results.metrics}:
        readers.append(second)
    if results.testset["repeats"] < 2 and len(readers) < 2:
        return []
    baseline = next((s.row.name for s in results.systems if s.is_baseline), None)
    found = []
    for system in results.systems:
        name = system.row.name
        if name == baseline or baseline is None or system.values[first[1].name].foreign:
            continue
        rows = _differences(results, name, baseline, readers)
        if len(rows) > 1:
            table = np.array(rows)
            found.append(Noise(name, first[1], variance.split(table), *table.shape))
    return found


def _differences(
    results: Results, system: str, baseline: str, readers: list[tuple[str, str]]
) -> list[list[list[float]]]:
    """(utterance, repeat, recogniser), of utterances that lack nothing."""
    named = {figure.name: figure for _, figure in results.figures}
    rows = []
    for utterance in results.utterances:
        row = [
            [
                _difference(results, system, baseline, utterance, repeat, metric, named[figure])
                for metric, figure in readers
            ]
            for repeat in range(results.testset["repeats"])
        ]
        whole = [[one for one in values if one is not None] for values in row]
        if all(len(values) == len(readers) for values in whole):
            rows.append(whole)
    return rows


def _difference(
    results: Results, system: str, baseline: str, utterance: str, repeat: int, metric: str,
    figure: Figure,
) -> float | None:  # fmt: skip
    found = []
    for name in (system, baseline):
        reading = results.readings.get((ClipKey(name, utterance, repeat), metric))
        ratio = figure.ratio(reading) if isinstance(reading, Reading) else None
        if ratio is None:
            return None
        found.append(ratio)
    return found[0] - found[1]
