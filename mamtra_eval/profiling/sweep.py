"""A profile from its beginning to its end: arithmetic, memory, times, speech; what is done stays.

Cells are (context, streams). Memory takes a process a subject and cell; times take all subjects and
contexts at once, for each number of streams. Rows are written as soon as their cell or group is
done, so that a profile that was killed goes on where it was. A session (machine, kernels, element
types) has rows of its own: on another machine everything is measured again, and the two stand
beside each other without being compared.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mamtra_eval.errors import UserError
from mamtra_eval.models.cache import dtype
from mamtra_eval.profiling import alone, busy, identity, recording
from mamtra_eval.profiling import speech as speaking
from mamtra_eval.profiling._work import Work
from mamtra_eval.profiling.meter import Clock
from mamtra_eval.profiling.rows import BUSY
from mamtra_eval.profiling.speech import Speech
from mamtra_eval.profiling.subjects import Subject
from mamtra_eval.profiling.timing import Timing
from mamtra_eval.progress import Progress, Silent
from mamtra_eval.store import Store

CONTEXTS = (128, 256, 350, 512, 768, 1024, 1536, 2048, 4096, 8192, 32768)
"""Of a full sweep; the first five bracket the contexts from which a hybrid saves."""

PARTS = ("flops", "memory", "time", "speech")
MAX_CONTEXT, MAX_STREAMS = 1_000_000, 4096


@dataclass(frozen=True)
class Sweep:
    """What to measure.

    Attributes:
        contexts: tokens.
        streams: sequences at once.
        weights: name of the weights' element type; those of the caches are in ``timing``.
        parts: of ``PARTS``.
        timing: how to time.
        allow_busy: measure although others are at work, and say so in every row.
    """

    contexts: tuple[int, ...] = (256, 1024, 4096)
    streams: tuple[int, ...] = (1,)
    weights: str = "fp32"
    parts: tuple[str, ...] = PARTS
    timing: Timing = field(default_factory=Timing)
    allow_busy: bool = False

    def __post_init__(self) -> None:
        bounds = (("contexts", self.contexts, 2, MAX_CONTEXT),
                  ("streams", self.streams, 1, MAX_STREAMS))  # fmt: skip
        for name, values, least, most in bounds:
            if not values or not all(least <= value <= most for value in values):
                raise UserError(
                    f"{name} must be numbers from {least} to {most:,}, not {list(values)}",
                    fix=f"Write --{name} {least},{2 * least}.",
                )
        for part in self.parts:
            if part not in PARTS:
                raise UserError(f"{part!r} is no part of a profile", fix=f"Known: {PARTS}.")
        for name in (self.weights, self.timing.kv, self.timing.state):
            dtype(name)

    def cells(self) -> list[tuple[int, int]]:
        """(context, streams), the cheapest first."""
        return sorted(
            ((context, streams) for context in {*self.contexts} for streams in {*self.streams}),
            key=lambda cell: (cell[0] * cell[1], cell[1]),
        )


def profile(
    subjects: Sequence[Subject],
    sweep: Sweep,
    folder: Path,
    *,
    speech: Speech | None = None,
    baseline: str | None = None,
    looked: str = "",
    again: bool = False,
    progress: Progress | None = None,
    clock: Clock = time.perf_counter,
) -> str:
    """Measure what is not measured yet, and return the session's hash.

    Args:
        subjects: what to profile.
        sweep: what to measure of them.
        folder: a run folder, or a new one.
        speech: what systems are asked to say.
        baseline: the subject that others are compared with; by default the run's, or the first.
        looked: what ``busy.look`` found; asked now if empty.
        again: measure what is there, too.
        progress: told how far it is.
        clock: seconds; for tests.

    Raises:
        UserError: in a distributed run, for a busy device, a name that is taken, a cache of the
            wrong size.
    """
    alone.check()
    device, asked = sweep.timing.device, speech or Speech()
    looked = looked or busy.look(device)
    if not sweep.allow_busy:
        busy.refuse(looked, device)
    marks = (f"{BUSY} ({looked.partition(': ')[2]})",) if looked.startswith("busy") else ()
    speakers = [subject for subject in subjects if subject.spec is not None]
    if "speech" in sweep.parts and speakers:
        speaking.refuse_impossible(speakers, asked.requests(), asked)
    if {*sweep.parts} == {"speech"} and not speakers:
        raise UserError("a shape can't speak", fix="Give a system, or other --parts.")
    told = identity.collect(device, sweep.weights, sweep.timing.kv, sweep.timing.state)
    session = identity.session(told)
    before = identity.conditions(device)
    with Store(folder) as store, store.lock():
        recording.enter(store, subjects, told, session, baseline)
        work = Work(subjects, sweep, asked, session, store, progress or Silent(), marks, again)
        if "flops" in sweep.parts:
            work.flops()
        if "memory" in sweep.parts:
            work.memory()
        if "time" in sweep.parts:
            work.times(clock)
        if "speech" in sweep.parts:
            work.speech(clock)
        recording.add_conditions(store, session, before, identity.conditions(device))
    return session
