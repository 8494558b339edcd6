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
from typing import Any

from mamtra_eval import catalogue, plan, targets
from mamtra_eval.config import RunConfig
from mamtra_eval.errors import UserError
from mamtra_eval.profiling import load, slo, speaking, tensors
from mamtra_eval.profiling.load import Load
from mamtra_eval.profiling.meter import Clock
from mamtra_eval.profiling.rows import CLOSED, MEASURED, NATURAL, ProfileKey, ProfileRow
from mamtra_eval.profiling.speaking import SpeakingRules
from mamtra_eval.profiling.subjects import Subject
from mamtra_eval.systems import Request

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

    def as_detail(self, *, loads: bool = False) -> dict[str, Any]:
        """How systems are asked, as their rows keep it."""
        asked: dict[str, Any] = {"testset": self.testset, "limit": self.limit}
        if loads:
            level = {"first_audio_s": self.first_audio_s} if self.first_audio_s else {}
            clients = {"streams": sorted({*self.streams}), "rates": sorted({*self.rates})}
            return {**asked, "seconds": self.seconds, **clients, **level}
        return {**asked, "rounds": self.rounds}

    def requests(self) -> list[Request]:
        """The sentences, the same with the same seeds for every system."""
        found = catalogue.load(self.testset).first(self.limit)
        return plan.requests(found, "profile", RunConfig(testset=self.testset, seed=SEED))


def refuse_impossible(
    subjects: Sequence[Subject], requests: Sequence[Request], asked: Speech
) -> None:
    """UserError for what could not be measured of these systems, before anything is."""
    for subject in subjects:
        with closing(subject.system()) as system:
            system.identity(requests)  # reads and checks what it needs: weights, files, programs
            most = system.at_a_time
            if system.concurrent and most is not None and max(asked.streams) > most:
                raise UserError(
                    f"{subject.name} takes {most} requests at a time, not {max(asked.streams)}",
                    fix=f"Give it the option concurrency={max(asked.streams)}, or fewer --streams.",
                )


def _device_of(system: object) -> str | None:
    """Where a system in this process computes, ``cuda`` or ``cpu``; ``None`` if elsewhere."""
    kinds = {tensor.device.type for tensor in tensors.tensors_in(vars(system))}
    return "cuda" if "cuda" in kinds else "cpu" if kinds else None


def natural(
    subjects: Sequence[Subject],
    requests: Sequence[Request],
    asked: Speech,
    session: str,
    baseline: str,
    clock: Clock = time.perf_counter,
    *,
    on_cuda: bool = False,
) -> Iterator[ProfileRow]:
    """Cold starts, then all subjects' requests in turn; ``on_cuda`` is of the session's device."""
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
        devices = {name: _device_of(system) for name, system in systems.items()}
        for row in speaking.rows(found, session, baseline=baseline):
            device = devices[row.key.system]
            detail = {**row.detail, **({"device": device} if device else {})}
            notes = row.notes
            if device == "cpu" and on_cuda:
                notes = (*notes, "this system computes on the CPU, whatever the session's device")
            yield replace(row, detail=detail, notes=notes)


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
        for streams in sorted({*asked.streams}):
            closed[streams] = load.closed_loop(system, requests, streams, asked.seconds, clock)
            yield from load.rows(closed[streams], key)
        for rate in sorted({*asked.rates}):
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
