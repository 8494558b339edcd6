"""What listeners said of a run's systems, as its reports show it.

``listen analyse --into`` keeps the scores of a listening test with the run. They are no readings:
a clip has many votes or none, and an interval must know raters and sentences (two-way clustered),
which no resampling of utterances does. So estimates and differences come as they are, beside the
figures that are worked out from readings. Of a clip the sum of its votes is kept, to be shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from mamtra_eval.metrics import Figure, Reading
from mamtra_eval.rows import MetricRow
from mamtra_eval.statistics.bootstrap import Estimate
from mamtra_eval.statistics.equivalence import Verdict, verdict

META = "opinions"
"""Key of the run's metadata."""


@dataclass(frozen=True)
class Difference:
    """One system minus another.

    Attributes:
        shown: with the interval that readers see.
        tested: with the narrower one of two one-sided tests.
    """

    shown: Estimate
    tested: Estimate

    def turned(self) -> Difference:
        """The other minus the one."""
        return Difference(_negative(self.shown), _negative(self.tested))


@dataclass(frozen=True)
class Opinion:
    """One listening test.

    Attributes:
        figure: name of its column, ``nmos``.
        unit: as of ``metrics.Figure``.
        signature: everything that the scores depend on.
        note: raters, votes, screening, in words.
        margin: largest loss that counts as none, declared before there were ratings.
        scores: by system.
        differences: by (system, other).
        votes: by (system, utterance), their sum and their number.
    """

    figure: str
    title: str
    unit: str
    signature: str
    note: str
    margin: float | None
    scores: dict[str, Estimate]
    differences: dict[tuple[str, str], Difference]
    votes: dict[tuple[str, str], tuple[float, int]]

    @property
    def row(self) -> MetricRow:
        """As reports want it."""
        figure = Figure(self.figure, "rating", "votes", unit=self.unit, title=self.title)
        return MetricRow(self.figure, self.signature, self.note, (figure,))

    def reading(self, system: str, utterance: str) -> Reading | None:
        """What was said of one clip."""
        if (system, utterance) not in self.votes:
            return None
        rating, votes = self.votes[system, utterance]
        return Reading({"rating": rating, "votes": float(votes)})

    def difference(self, system: str, other: str) -> Difference | None:
        """Of two systems, where both were heard."""
        if found := self.differences.get((system, other)):
            return found
        found = self.differences.get((other, system))
        return found.turned() if found else None

    def told_apart(self, system: str, other: str) -> bool | None:
        """Whether the interval of their difference excludes zero; ``None`` where there is none."""
        found = self.difference(system, other)
        if found is None or found.shown.low is None or found.shown.high is None:
            return None
        return found.shown.low > 0 or found.shown.high < 0

    def verdict(self, system: str, other: str) -> Verdict | None:
        """On the difference against the margin."""
        found = self.difference(system, other)
        if found is None or not self.margin:
            return None
        return verdict(found.tested, self.margin, higher_is_better=True, shown=found.shown)

    def renamed(self, new: Mapping[str, str]) -> Opinion:
        """The same under other names of systems."""
        return replace(
            self,
            scores={new[name]: one for name, one in self.scores.items()},
            differences={(new[a], new[b]): one for (a, b), one in self.differences.items()},
            votes={(new[name], utt): sums for (name, utt), sums in self.votes.items()},
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            **asdict(self),
            "scores": {name: [*one] for name, one in self.scores.items()},
            "differences": [
                [*pair, [*one.shown], [*one.tested]] for pair, one in self.differences.items()
            ],
            "votes": [[*key, *sums] for key, sums in self.votes.items()],
        }


def of_dict(values: Mapping[str, Any]) -> Opinion:
    """The opinion of ``Opinion.to_dict``."""
    return Opinion(
        **{
            **values,
            "scores": {name: Estimate(*one) for name, one in values["scores"].items()},
            "differences": {
                (one, other): Difference(Estimate(*shown), Estimate(*tested))
                for one, other, shown, tested in values["differences"]
            },
            "votes": {
                (system, utterance): (float(rating), int(votes))
                for system, utterance, rating, votes in values["votes"]
            },
        }
    )


def _negative(estimate: Estimate) -> Estimate:
    low, high = estimate.low, estimate.high
    return Estimate(-estimate.value, None if high is None else -high, None if low is None else -low)
