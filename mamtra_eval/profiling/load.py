"""Endpoints under load: N streams that never rest, or requests that come as they please.

``closed_loop``  N workers, each sends its next request as soon as it has its answer. It finds what
                 a server can do, and hides queueing: a slow server is asked less often.
``open_loop``    requests come at a rate, at the times of a Poisson process, whether or not earlier
                 ones are done. Latency counts from the *scheduled* time: a request that had to wait
                 to be sent has waited (without that, the slowest moments would be sampled least).

In the closed loop every worker first has requests of its own answered that do not count; once all
have, counting starts while all slots are busy. No worker waits for another, so that the server
meets no burst of N at the start, which would show as a long first audio; and the load goes on
until the last request that counts is answered.

Throughput is audio that arrived within the time that counted, of all requests under way then.
Failures are counted, not hidden: ``Subject.system`` makes an endpoint's client with ``retries=0``,
else it would try again by itself, and its pauses would look like latency.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from mamtra_eval.errors import UserError
from mamtra_eval.profiling import spoken
from mamtra_eval.profiling._loops import (
    LATE_S,
    ClosedLoop,
    Load,
    OpenLoop,
    poisson,
    run,
)
from mamtra_eval.profiling.meter import Clock
from mamtra_eval.profiling.rows import MEASURED, ProfileKey, ProfileRow
from mamtra_eval.profiling.slo import AtSlo, streams_at_slo
from mamtra_eval.systems import Request, System

__all__ = [
    "AtSlo",
    "Load",
    "closed_loop",
    "open_loop",
    "poisson",
    "rows",
    "streams_at_slo",
]

IN_FLIGHT = 64
"""Requests of an open loop under way at the most."""


def closed_loop(
    system: System,
    requests: Sequence[Request],
    streams: int,
    seconds: float,
    clock: Clock = time.perf_counter,
    *,
    warm_up: int = 1,
) -> Load:
    """Keep ``streams`` requests under way for ``seconds`` that count.

    Args:
        system: one that may be called from several threads (``System.concurrent``).
        requests: taken in turn, again and again.
        streams: workers.
        seconds: of the clock, from the hand-over to the last request that is sent and counts.
        clock: seconds.
        warm_up: answers that each worker gets before the hand-over, at least one.

    Raises:
        UserError: for a system that can't take so many at a time.
    """
    _check(system, requests, streams, seconds)
    system.prepare()
    loop = ClosedLoop(system, requests, streams, seconds, clock, max(1, warm_up))
    run([loop.work] * streams, loop.stop)
    return loop.result()


def open_loop(
    system: System,
    requests: Sequence[Request],
    rate_per_s: float,
    seconds: float,
    seed: int,
    clock: Clock = time.perf_counter,
    *,
    warm_up_s: float = 1.0,
    in_flight: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Load:
    """Send requests at the times of a Poisson process, for ``seconds`` that count.

    Args:
        system: one that may be called from several threads (``System.concurrent``).
        requests: taken in turn, again and again.
        rate_per_s: mean requests a second.
        seconds: of schedule that count, after ``warm_up_s``.
        seed: of the schedule: the same for systems that are compared.
        clock: seconds.
        warm_up_s: seconds of schedule before, whose requests do not count: the server is under the
            same load when counting starts.
        in_flight: requests under way at the most; by default what the system takes, at most 64.
        sleep: waits, in seconds of the clock.

    Raises:
        UserError: for a system that can't take several at a time.
    """
    bound = in_flight or min(IN_FLIGHT, system.at_a_time or IN_FLIGHT)
    _check(system, requests, bound, seconds)
    if not rate_per_s > 0:
        raise UserError(f"a rate of {rate_per_s:g} requests a second", fix="Give one above 0.")
    system.prepare()
    loop = OpenLoop(
        system, requests, poisson(rate_per_s, warm_up_s + seconds, seed), warm_up_s, clock, sleep
    )
    run([loop.work] * bound, loop.stop)
    return loop.result(bound, rate_per_s, seconds)


def rows(load: Load, key: ProfileKey) -> list[ProfileRow]:
    """Rows of a load: ``key`` says whose; workload and streams are filled in.

    Rows of an open loop differ by their rate, which stands as ``phase`` (``2.5/s``).
    """
    key = replace(key, workload=load.kind, streams=load.streams)
    detail: dict[str, float] = {}
    if load.rate is not None:
        key = replace(key, phase=f"{load.rate:g}/s")
        achieved = len(load.measured.spoken) / load.measured.wall_s
        detail = {"rate": load.rate, "achieved_rate": achieved, "sent_late": load.late}
    made = spoken.rows(load.measured, key, detail)
    if not made:
        reason = "no request was sent in the time that counted"
        return [ProfileRow(replace(key, quantity="rate.throughput"), "ratio", MEASURED, None, n=0,
                           error=reason, detail=detail)]  # fmt: skip
    held = (
        f"{load.late} requests were sent more than {1000 * LATE_S:.0f} ms late, as {load.streams} "
        "may be under way"
    )
    notes = (held,) if load.late else ()
    throughput = ProfileRow(
        replace(key, quantity="rate.throughput"), "ratio", MEASURED, load.throughput,
        n=load.measured.n, detail={"wall_s": load.measured.wall_s, **detail},
    )  # fmt: skip
    kept = [row for row in made if row.key.quantity != "rate.rtf_system"]
    if load.arrived_s > 0:
        kept.append(replace(throughput, key=replace(key, quantity="rate.rtf_system"),
                            value=1 / load.throughput))  # fmt: skip
    return [replace(row, notes=(*row.notes, *notes)) for row in (*kept, throughput)]


def _check(system: System, requests: Sequence[Request], streams: int, seconds: float) -> None:
    if not system.concurrent:
        raise UserError(
            "this system can't be called from several threads, so that it can't be put under load",
            fix="Give the address of an endpoint.",
        )
    if not requests or streams < 1 or not seconds > 0:
        raise UserError(
            f"a load of {streams} streams for {seconds:g} s and {len(requests)} texts",
            fix="Give one of each at least.",
        )
    if system.at_a_time is not None and system.at_a_time < streams:
        raise UserError(
            f"{streams} streams, but this client lets {system.at_a_time} requests through at a "
            "time: the others would queue here and not at the server",
            fix=f"Give the target concurrency={streams}.",
        )
