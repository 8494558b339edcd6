"""A published number beside a measured figure: inside its interval or not, and why they differ.

The interval is of the measured figure alone: it knows the utterances that could have been drawn,
and nothing of another recogniser. So a number inside it is no reproduction and one outside it no
failure; the reasons are half of the answer, and there is always one.

What a run did is read from the signature of its metric and its recipe. ``recipes.comparison`` goes
further for a run's own transcripts: it works out what another text rule makes of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from mamtra_eval.published import HUMAN, Published, registry
from mamtra_eval.statistics.bootstrap import Estimate

Verdict = Literal["inside", "outside", "no interval"]

TITLES = {
    "wer": "WER", "wer_pooled": "WER, pooled", "similarity": "Similarity", "utmos": "UTMOS",
    "utmosv2": "UTMOSv2",
}  # fmt: skip
"""Figures as reasons call them."""
_VERSION = re.compile(r"-\d[\w.+]*$")


@dataclass(frozen=True)
class Measured:
    """What of a run decides whether a figure of it can stand beside a published one.

    Attributes:
        signature: of the metric.
        recipe: that the run follows, if any.
        n: utterances of its test set.
        repeats: clips of each.
    """

    signature: str
    recipe: str | None
    n: int
    repeats: int = 1

    @property
    def asr(self) -> str | None:
        """The recogniser as ``Protocol.asr`` has it."""
        name, model = self._field("asr"), self._field("model")
        if name and model and "whisper" in name:
            return f"whisper-{model.removeprefix('whisper-')}"
        return name

    @property
    def normalizer(self) -> str | None:
        """The text rule, by its plugin's name."""
        rule = self._field("norm")
        return rule.removesuffix("-normalizer").replace("-", "_") if rule else None

    @property
    def encoder(self) -> str | None:
        """The speaker encoder, by its plugin's name: ``wavlm`` of ``wavlm-large-ecapa``."""
        name = self._field("encoder")
        return name.partition("-")[0] if name else None

    def _field(self, key: str) -> str | None:
        """A field of the signature without the version at its end."""
        for part in self.signature.split("|"):
            name, _, value = part.partition(":")
            if name == key:
                # A model's name ends in a version, too, which is no other model's.
                return value if key == "model" else _VERSION.sub("", value)
        return None


@dataclass(frozen=True)
class Comparison:
    """What may be said of a published number and a measured figure."""

    verdict: Verdict
    reasons: tuple[str, ...]


def compare(number: Published, estimate: Estimate | None, measured: Measured) -> Comparison:
    """Whether the number lies in the interval of the estimate, and why the two differ."""
    return Comparison(_verdict(number.value, estimate), tuple(reasons(number, measured)))


def _verdict(value: float, estimate: Estimate | None) -> Verdict:
    if estimate is None or estimate.low is None or estimate.high is None:
        return "no interval"
    return "inside" if estimate.low <= value <= estimate.high else "outside"


def reasons(number: Published, measured: Measured) -> list[str]:
    """Sentences on what differs and on what is not on record; never none.

    They name no system, so that the same sentence of several numbers needs to be said once.
    """
    unknown = _unknown(number)
    found = [*_differences(number, measured), *([number.note] if number.note else [])]
    if unknown:
        found.append(f"{TITLES[number.metric]}, not on record: {', '.join(unknown)}.")
    return [*found, _never_told(number, measured)]


def _differences(number: Published, measured: Measured) -> list[str]:
    """Where both sides are on record and differ."""
    told, title = number.protocol, TITLES[number.metric]
    pairs = {
        "wer": (
            ("recogniser", told.asr, measured.asr),
            ("text rule", told.normalizer, measured.normalizer),
        ),
        "similarity": (("speaker encoder", told.encoder, measured.encoder),),
    }.get(_metric(number), ())
    found = [
        f"{title}: {what} {theirs} there, {ours or 'unknown'} here."
        for what, theirs, ours in pairs
        if theirs and theirs != ours
    ]
    if told.recipe:
        found.append(
            f"Both follow recipe {told.recipe}; where the run departs from it, its notes say so."
            if told.recipe == measured.recipe
            else f"Recipe {told.recipe} there, {measured.recipe or 'none'} here."
        )
    known = registry().testsets[number.testset].n
    if known is not None and known != measured.n:
        found.append(f"The run has {measured.n} utterances, {number.testset} has {known}.")
    return found


def _unknown(number: Published) -> list[str]:
    """What decides this figure and is not on record."""
    told = number.protocol
    wanted: dict[str, dict[str, str | bool | None]] = {
        "wer": {
            "the recogniser": told.asr,
            "how it decodes": told.recipe or not told.asr,  # of an unknown one, that is said
            "the text rule": told.normalizer,
            "whether it is the mean of utterances or all errors by all words": told.aggregate,
        },
        "similarity": {"the speaker encoder": told.encoder},
        "utmos": {"which weights the predictor has": None},
    }
    return [what for what, known in wanted[_metric(number)].items() if not known]


def _never_told(number: Published, measured: Measured) -> str:
    """What no number has on record."""
    if number.system == HUMAN:
        return "Not on record: how many recordings entered."
    return (
        "Not on record: how many clips entered, the version of the weights, seeds, and how many "
        f"runs were averaged (here {measured.repeats})."
    )


def _metric(number: Published) -> str:
    """The metric that a figure is of."""
    return "utmos" if number.metric == "utmosv2" else number.metric.removesuffix("_pooled")
