"""Metrics: what is measured on a clip. One file each.

A plugin module offers ``create(options) -> Metric``. A metric turns one ``Item`` into one
``Reading`` of additive counts; the figures of a report (rates, means, intervals) are derived from
the counts by the recipe in ``figures``, so that they can be pooled, resampled and recomputed.
A metric with ``sources`` is worked out from other metrics' readings of the same clip (``Derived``);
its module names them as ``SOURCES``, too.
A module may offer ``fast(options)``: options that it takes in ``mode: fast``, under the user's; and
``defaults(options)``: what those of its recogniser or encoder are if left out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mamtra_eval import audio, rates
from mamtra_eval.batching import one_by_one
from mamtra_eval.errors import MeasurementError
from mamtra_eval.testset import TestSet


@dataclass
class Item:
    """One clip with what it is measured against. Audio is decoded once for all metrics."""

    utterance: str
    text: str
    path: Path
    prompt_audio: Path | None = None
    language: str = "en"
    prompt_text: str | None = None
    duration_s: float | None = None

    @cached_property
    def clip(self) -> audio.Clip:
        """The clip as it was made; MeasurementError if it can't be read."""
        try:
            return audio.read(self.path, self.path.name)
        except audio.AudioError as error:
            raise MeasurementError(str(error)) from error

    @cached_property
    def samples_16k(self) -> audio.Samples:
        """The clip at 16 kHz, clipped to full scale; MeasurementError if it is not finite."""
        return self.at_16k("soxr")

    def at_16k(self, method: str) -> audio.Samples:
        """The same by one of the methods of ``rates``; made once for all metrics."""
        if method not in self._at_16k:
            if not np.isfinite(self.clip.samples).all():
                raise MeasurementError("the clip holds samples that are not finite (NaN, infinity)")
            clip = self.clip
            samples = rates.resample(clip.samples, clip.sample_rate_hz, 16000, method)
            self._at_16k[method] = np.clip(samples, -1.0, 1.0)
        return self._at_16k[method]

    @cached_property
    def _at_16k(self) -> dict[str, audio.Samples]:
        return {}


@dataclass(frozen=True)
class Reading:
    """What one metric found on one clip.

    Attributes:
        counts: additive numbers (errors and words; a score, to be divided by the readings).
        evidence: what a reader needs to believe them (a transcript, an alignment, flags).
    """

    counts: Mapping[str, float]
    evidence: Mapping[str, Any] = field(default_factory=dict)


Aggregate = Literal["mean", "pooled", "median", "sd", "p95", "max", "share_above", "mean_up_to"]


@dataclass(frozen=True)
class Figure:
    """How a number of the report follows from counts.

    Attributes:
        name: as in tables and ``--json``.
        numerator, denominator: names of counts; without a denominator every reading counts 1.
        aggregate: of the utterances' ratios the ``mean``, ``median``, ``sd``, ``p95`` or ``max``,
            the ``share_above`` the bound ``at``, or the ``mean_up_to`` it; or ``pooled``, the ratio
            of the sums. Of ``mean_up_to`` no difference is told: each system's is over other
            utterances.
        at: bound of ``share_above`` and ``mean_up_to``.
        unit: ``fraction`` (shown in percent), ``cosine``, ``mos``, …
        higher_is_better: direction of the arrow.
        failed: what ratio a clip without a reading counts as in this figure (its denominator comes
            from ``Metric.failed_counts``); ``None`` leaves such clips out.
        failed_if_unmade: that counts only where there is no clip; where it couldn't be measured,
            it is left out.
        headline: whether leaderboards show it.
        title: for people; the name where empty.
    """

    name: str
    numerator: str
    denominator: str | None = None
    aggregate: Aggregate = "mean"
    unit: str = "score"
    higher_is_better: bool = True
    failed: float | None = None
    headline: bool = True
    title: str = ""
    at: float = 0.0
    failed_if_unmade: bool = False

    @property
    def is_share(self) -> bool:
        """Whether it is the share of clips that are so."""
        return self.aggregate == "share_above" or (
            self.unit == "fraction" and self.denominator is None and self.aggregate == "mean"
        )

    def pair(self, reading: Reading) -> tuple[float, float] | None:
        """Numerator and denominator of a reading; ``None`` where there is nothing to divide by."""
        below = reading.counts[self.denominator] if self.denominator else 1.0
        return (reading.counts[self.numerator], below) if below > 0 else None

    def ratio(self, reading: Reading) -> float | None:
        """Their ratio."""
        pair = self.pair(reading)
        return pair[0] / pair[1] if pair else None


class Metric(ABC):
    """One way of measuring a clip."""

    figures: tuple[Figure, ...]
    resampler: str = "soxr"
    """How the audio that it is handed was brought to 16 kHz: a method of ``rates``."""
    note: str = ""
    """What a reader of the report must know about the figures."""
    sources: tuple[str, ...] = ()
    """Metrics from whose readings ``derive`` works its own out; nothing is listened to then."""

    @abstractmethod
    def signature(self) -> str:
        """Everything the readings depend on, as ``key:value|key:value``."""

    @abstractmethod
    def measure(self, item: Item) -> Reading:
        """Take one reading; MeasurementError if the clip does not allow it."""

    device: str | None = None
    """Device of a large network that it holds, where asked for; see ``on_device``."""
    on_device: bool = False
    """Whether it holds a network that goes to a GPU where there is one: then one process has it."""
    batch_size: int = 1
    """Most clips that it takes together; then it is handed several times as many at once."""

    def measure_many(self, items: Sequence[Item]) -> Sequence[Reading | Exception]:
        """Readings of several clips in their order; what went wrong with one, in its place."""
        return one_by_one(self.measure, items)

    def derive(self, item: Item, readings: Mapping[str, Reading]) -> Reading:
        """The reading that follows from those of ``sources``, for a metric that has sources."""
        raise NotImplementedError(f"{type(self).__name__} has no sources")

    def check(self, testset: TestSet) -> None:  # noqa: B027 -- most have nothing to check
        """UserError if no clip of this test set could ever be measured (no prompts, language)."""

    def failed_counts(self, text: str, language: str) -> dict[str, float]:
        """The denominators that a clip without a reading has all the same (its words, say)."""
        del text, language
        return {}


class Derived(Metric):
    """A metric that follows from readings of ``sources``; a clip that lacks one has none of it."""

    def measure(self, item: Item) -> Reading:
        """Never called: there is nothing to listen to."""
        raise MeasurementError(f"{item.utterance}: worked out from {', '.join(self.sources)}")

    @abstractmethod
    def derive(self, item: Item, readings: Mapping[str, Reading]) -> Reading:
        """The reading that follows from those of ``sources``."""
