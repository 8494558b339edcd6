"""One variant in one deployment: its verdict, what binds, how far it goes, and what would flip it.

The verdict is the worse of memory's and latency's. Both only get worse with more streams, so the
largest number that fits is found by halving. Changes that would improve the verdict are tried in
the order of how much they intrude: fewer TensorRT contexts, smaller types, fewer streams, quantised
weights, another card; each is judged by the same rules as the deployment itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mamtra_eval.advisor import cards, latency, memory
from mamtra_eval.advisor.deployment import MAX_STREAMS, QUANTISED, Deployment, Variant
from mamtra_eval.advisor.latency import Latency
from mamtra_eval.advisor.measured import Profile
from mamtra_eval.advisor.quality import FAIL, Quality
from mamtra_eval.advisor.terms import Budget, Term, Verdict
from mamtra_eval.advisor.units import gib

N_LARGEST = 3
MEMORY, LATENCY, QUALITY, NOTHING = "memory", "latency", "quality", "none"


@dataclass(frozen=True)
class Flip:
    """A change that improves the verdict."""

    change: str
    verdict: Verdict


@dataclass(frozen=True)
class Assessment:
    """Everything that is said of one variant.

    Attributes:
        max_streams: the most that fit at the deployment's context; ``None`` if one does not.
        memory_streams: the most that fit by memory alone.
        measured_out: whether that is only where the measurements end.
        flips: changes that improve the verdict, the least intrusive first.
    """

    variant: Variant
    usable: int
    budget: Budget
    latency: Latency
    quality: Quality
    max_streams: int | None
    memory_streams: int | None
    measured_out: bool
    flips: tuple[Flip, ...]

    @property
    def memory(self) -> Verdict:
        """The verdict on memory alone."""
        return self.budget.verdict(self.usable)

    @property
    def verdict(self) -> Verdict:
        """The worse of memory's and latency's."""
        return max(self.memory, self.latency.verdict)

    @property
    def rests_on_defaults(self) -> bool:
        """Whether guesses are why there is no verdict."""
        return self.verdict is Verdict.RISKY and self.budget.rests_on_defaults(self.usable)

    @property
    def binding(self) -> str:
        """What keeps the variant from being fit for use."""
        if self.verdict is Verdict.FITS:
            return QUALITY if self.quality.verdict == FAIL else NOTHING
        return MEMORY if self.memory >= self.latency.verdict else LATENCY

    @property
    def terms(self) -> list[Term]:
        """The terms, the largest first."""
        return sorted(self.budget.terms, key=lambda term: (-term.mid, term.name))

    @property
    def largest(self) -> list[str]:
        """Names of the three largest terms."""
        return [term.name for term in self.terms[:N_LARGEST]]


def assess(
    variant: Variant, deployment: Deployment, profile: Profile, quality: Quality
) -> Assessment:
    """Judge a variant in a deployment, with what would change the verdict."""
    most = max_streams(variant, replace(deployment, latency_s=None), profile)
    beyond = replace(deployment, streams=min(MAX_STREAMS, (most or 0) + 1))
    return Assessment(
        variant=variant,
        usable=deployment.usable,
        budget=memory.budget(variant, deployment, profile),
        latency=latency.first_audio(variant, deployment, profile),
        quality=quality,
        max_streams=max_streams(variant, deployment, profile),
        memory_streams=most,
        measured_out=memory.budget(variant, beyond, profile).bounded,
        flips=tuple(flips(variant, deployment, profile)),
    )


def verdict(variant: Variant, deployment: Deployment, profile: Profile) -> Verdict:
    """The worse of memory's and latency's verdict."""
    held = memory.budget(variant, deployment, profile).verdict(deployment.usable)
    return max(held, latency.first_audio(variant, deployment, profile).verdict)


def max_streams(
    variant: Variant,
    deployment: Deployment,
    profile: Profile,
    wanted: Verdict = Verdict.FITS,
) -> int | None:
    """The most streams with a verdict no worse than ``wanted``; ``None`` if one has a worse."""

    def holds(streams: int) -> bool:
        return verdict(variant, replace(deployment, streams=streams), profile) <= wanted

    if not holds(1):
        return None
    good, bad = 1, MAX_STREAMS + 1
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if holds(middle) else (good, middle)
    return good


def flips(variant: Variant, deployment: Deployment, profile: Profile) -> Iterator[Flip]:
    """Changes that improve the verdict, the least intrusive first."""
    now = verdict(variant, deployment, profile)
    if now is Verdict.FITS:
        return
    for group in _candidates(variant, deployment, profile, now):
        yield from _improving(group, now, profile)


Candidate = tuple[str, Variant, Deployment]


def _improving(group: Iterator[Candidate], best: Verdict, profile: Profile) -> Iterator[Flip]:
    """Of changes of one kind the smallest that helps, and the smallest that helps more."""
    for change, variant, deployment in group:
        found = verdict(variant, deployment, profile)
        if found < best:
            yield Flip(change, found)
            best = found
        if best is Verdict.FITS:
            return


def _candidates(
    variant: Variant, deployment: Deployment, profile: Profile, now: Verdict
) -> Iterator[Iterator[Candidate]]:
    """Groups of changes of one kind, each from the smallest to the largest."""
    fewer = range(deployment.tensorrt - 1, -1, -1)
    yield (
        (f"{n or 'no'} TensorRT context{'s' if n > 1 else ''} instead of {deployment.tensorrt}",
         variant, replace(deployment, tensorrt=n))
        for n in fewer
    )  # fmt: skip
    for now_in, part, changed in (
        (deployment.state, "states", replace(deployment, state="fp16")),
        (deployment.vocoder, "vocoder", replace(deployment, vocoder="fp16")),
        (deployment.weight, "weights", replace(deployment, weight="fp16")),
        (deployment.cache, "keys and values", replace(deployment, cache="fp16")),
    ):
        if now_in == "fp32":
            yield iter([(f"{part} in fp16", variant, changed)])
    yield _fewer_streams(variant, deployment, profile, now)
    if variant.bits is None:
        yield (
            (f"decoder weights in {name}", replace(variant, bits=bits), deployment)
            for name, bits in QUANTISED.items()
        )
    yield (
        (f"{card.name} ({gib(card.low)})", variant, replace(deployment, card=card))
        for card in cards.larger(deployment.card)
    )


def _fewer_streams(
    variant: Variant, deployment: Deployment, profile: Profile, now: Verdict
) -> Iterator[Candidate]:
    for wanted in (Verdict.FITS, Verdict.RISKY):
        most = max_streams(variant, deployment, profile, wanted) if wanted < now else None
        if most is not None:
            plural = "" if most == 1 else "s"
            change = f"{most:,} stream{plural} instead of {deployment.streams:,}"
            yield change, variant, replace(deployment, streams=most)
