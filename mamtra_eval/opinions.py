"""What listeners said of a run's systems, as its reports show it.

``listen analyse --into`` keeps the scores of a listening test with the run. They are no readings:
a clip has many votes or none, and an interval must know raters and sentences (two-way clustered),
which no resampling of utterances does. So estimates and differences come as they are, beside the
figures that are worked out from readings. Of a clip the sum of its votes is kept, to be shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
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
        shown: with the interval that readers see, of this pair by itself.
        tested: with the narrower one of two one-sided tests.
        p_holm: of no difference, corrected over all pairs of the test; ``None`` where there is no
            interval, or it was not kept.
        apart: whether that is below 1 - level; ``None`` with it.
    """

    shown: Estimate
    tested: Estimate
    p_holm: float | None = None
    apart: bool | None = None

    @property
    def told_apart(self) -> bool | None:
        """Over all pairs of the test; of a difference without ``apart`` by its own interval.

        ``None`` where there is no interval.
        """
        return self.apart if self.apart is not None else self.excludes_zero

    @property
    def excludes_zero(self) -> bool | None:
        """Whether the pair's own interval does; ``None`` where there is none."""
        if self.shown.low is None or self.shown.high is None:
            return None
        return self.shown.low > 0 or self.shown.high < 0

    def turned(self) -> Difference:
        """The other minus the one."""
        return replace(self, shown=_negative(self.shown), tested=_negative(self.tested))


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
        pairs: of systems of the test that p is corrected over, also of those that are not the
            run's; 0 where that was not kept.
        baseline: of the test.
        heard: by system, its name in the test, where it has another here.
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
    pairs: int = 0
    baseline: str | None = None
    heard: dict[str, str] = field(default_factory=dict)

    @property
    def row(self) -> MetricRow:
        """As reports want it."""
        figure = Figure(self.figure, "rating", "votes", unit=self.unit, title=self.title)
        told = " ".join(filter(None, (self.note, self.corrected)))
        return MetricRow(self.figure, self.signature, told, (figure,))

    @property
    def corrected(self) -> str:
        """Which differences to the baseline stand after the correction, in words; or nothing."""
        against = {
            name: difference.told_apart
            for name in self.scores
            if self.baseline is not None and name != self.baseline
            and (difference := self.difference(name, self.baseline)) is not None
        }  # fmt: skip
        if not self.pairs or not against:
            return ""
        apart = [name for name, told in against.items() if told]
        rest = [name for name, told in against.items() if not told]
        told = [
            f"{_listed(names)} {word}"
            for names, word in ((apart, f"told apart from {self.baseline}"), (rest, "not"))
            if names
        ] if apart else [f"none told apart from {self.baseline}"]  # fmt: skip
        return (
            f"Marks and verdicts are by each pair's own interval; with p corrected over the "
            f"{self.pairs} pairs of systems of the test (Holm): {'; '.join(told)}."
        )

    def also(self, system: str, other: Opinion) -> str | None:
        """Under which name this has a system of another opinion on the same test."""
        wanted = other.heard.get(system, system)
        names = (name for name in self.scores if self.heard.get(name, name) == wanted)
        return next(names, None)

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
        """As of ``Difference.told_apart``; ``None`` where not both were heard."""
        found = self.difference(system, other)
        return None if found is None else found.told_apart

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
            baseline=None if self.baseline is None else new.get(self.baseline, self.baseline),
            heard={new[name]: self.heard.get(name, name) for name in self.scores},
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            **asdict(self),
            "scores": {name: [*one] for name, one in self.scores.items()},
            "differences": [
                [*pair, [*one.shown], [*one.tested], one.p_holm, one.apart]
                for pair, one in self.differences.items()
            ],
            "votes": [[*key, *sums] for key, sums in self.votes.items()],
        }


def of_dict(values: Mapping[str, Any]) -> Opinion:
    """The opinion of ``Opinion.to_dict``; of earlier versions, too, which kept no ``p_holm``."""
    return Opinion(
        **{
            **values,
            "scores": {name: Estimate(*one) for name, one in values["scores"].items()},
            "differences": {
                (one, other): Difference(Estimate(*shown), Estimate(*tested), *more)
                for one, other, shown, tested, *more in values["differences"]
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


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
