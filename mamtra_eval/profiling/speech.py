"""Systems at work: cold start, requests one after the other, and load on those that take several.

Any target of the spine is timed as its users would: text in, audio out. The sentences are the first
of a test set, with their prompts. Endpoints also get closed loads (so many clients) and open ones
(so many requests a second); what both mean is in ``load``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

from mamtra_eval import catalogue, plan, targets
from mamtra_eval.config import RunConfig
from mamtra_eval.errors import UserError
from mamtra_eval.profiling import load, slo, speaking
from mamtra_eval.profiling.load import Load
from mamtra_eval.profiling.meter import Clock
from mamtra_eval.profiling.rows import MEASURED, ProfileKey, ProfileRow
from mamtra_eval.profiling.speaking import NATURAL, SpeakingRules
from mamtra_eval.profiling.subjects import Subject
from mamtra_eval.systems import Request

CLOSED, OPEN = "closed", "open"
COLD_STARTS = 3
SEED = 0


@dataclass(frozen=True)
class Speech:
    """What systems are asked, and how often.

    Attributes:
        testset: name or path of the list that the sentences are of.
        limit: sentences, from its beginning.
        rounds: visits to each sentence.
        streams: clients of the closed loads on an endpoint.
        rates: requests a second of the open loads on an endpoint.
        seconds: of each load.
        first_audio_s: service level that the largest number of streams is told for, if any.
    """

    testset: str = "mini-en"
    limit: int = 8
    rounds: int = 3
    streams: tuple[int, ...] = (1,)
    rates: tuple[float, ...] = ()
    seconds: float = 60.0
    first_audio_s: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.seconds < float("inf"):
            raise UserError(f"a load of {self.seconds:g} s", fix="Give --load-s 60, say.")
        if self.first_audio_s is not None and not self.first_audio_s > 0:
            raise UserError("a service level must be above 0 ms", fix="Give --slo-ms 300, say.")

    def requests(self) -> list[Request]:
        """The sentences, the same with the same seeds for every system."""
        found = catalogue.load(self.testset).first(self.limit)
        return plan.requests(found, "profile", RunConfig(testset=self.testset, seed=SEED))


def natural(
    subjects: Sequence[Subject],
    requests: Sequence[Request],
    asked: Speech,
    session: str,
    baseline: str,
    clock: Clock = time.perf_counter,
) -> Iterator[ProfileRow]:
    """Cold starts, then all subjects' requests in turn."""
    for subject in subjects:
        key = ProfileKey(session, subject.name, "", workload=NATURAL)
        bare = targets.split_name(subject.target)[1]
        yield speaking.cold_start(bare, requests[0], key, starts=COLD_STARTS)
    with ExitStack() as stack:
        systems = {
            subject.name: stack.enter_context(closing(subject.system())) for subject in subjects
        }
        rules = SpeakingRules(rounds=asked.rounds)
        found = speaking.measure(systems, requests, clock, rules)
        yield from speaking.rows(found, session, baseline=baseline)


def loads(
    subject: Subject,
    requests: Sequence[Request],
    asked: Speech,
    session: str,
    clock: Clock = time.perf_counter,
) -> Iterator[ProfileRow]:
    """Closed and open loads on a subject that several clients may ask at once."""
    key = ProfileKey(session, subject.name, "")
    with closing(subject.system()) as system:
        closed: dict[int, Load] = {}
        for streams in asked.streams:
            closed[streams] = load.closed_loop(system, requests, streams, asked.seconds, clock)
            yield from load.rows(closed[streams], key)
        for rate in asked.rates:
            made = load.open_loop(system, requests, rate, asked.seconds, SEED, clock)
            yield from load.rows(made, key)
    if asked.first_audio_s is not None:
        best = slo.streams_at_slo(closed, asked.first_audio_s)
        missed = {str(streams): list(why) for streams, why in best.missed.items()}
        yield ProfileRow(
            replace(key, quantity="streams.at_slo", workload=CLOSED), "streams", MEASURED,
            float(best.streams), n=len(closed), notes=best.notes,
            detail={"first_audio_s": asked.first_audio_s, "missed": missed},
        )  # fmt: skip
