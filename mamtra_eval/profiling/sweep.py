"""A profile from its beginning to its end: arithmetic, memory, times, speech; what is done stays.

Cells are (context, streams). Memory takes a process a subject and cell; times take all subjects and
contexts at once, for each number of streams. Rows are written as soon as their cell or group is
done, so that a profile that was killed goes on where it was. A session (machine, kernels, element
types) has rows of its own: on another machine everything is measured again, and the two stand
beside each other without being compared.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mamtra_eval.errors import UserError
from mamtra_eval.models import cost
from mamtra_eval.models.cache import dtype
from mamtra_eval.profiling import anatomy, busy, flops, identity, memory, recording, timing
from mamtra_eval.profiling import speech as speaking
from mamtra_eval.profiling.anatomy import Cell
from mamtra_eval.profiling.meter import Clock
from mamtra_eval.profiling.rows import MEASURED, ProfileKey, ProfileRow
from mamtra_eval.profiling.speaking import NATURAL
from mamtra_eval.profiling.speech import Speech
from mamtra_eval.profiling.subjects import Subject
from mamtra_eval.profiling.timing import Place, Timing
from mamtra_eval.progress import Progress, Silent
from mamtra_eval.store import Store
from mamtra_eval.systems import Request

CONTEXTS = (128, 256, 350, 512, 768, 1024, 1536, 2048, 4096, 8192, 32768)
"""Of a full sweep; the first five bracket the contexts from which a hybrid saves."""

PARTS = ("flops", "memory", "time", "speech")
BUSY = "measured on a busy device"
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
        progress: told how far it is.
        clock: seconds; for tests.

    Raises:
        UserError: for a busy device, a name that is taken, a cache of the wrong size.
    """
    device, show = sweep.timing.device, progress or Silent()
    looked = busy.look(device) if sweep.allow_busy else busy.refuse(device)
    marks = (f"{BUSY} ({looked.partition(': ')[2]})",) if looked.startswith("busy") else ()
    told = identity.collect(device, sweep.weights, sweep.timing.kv, sweep.timing.state)
    session = identity.session(told)
    before = identity.conditions(device)
    with Store(folder) as store, store.lock():
        recording.enter(store, subjects, told, session, baseline)
        work = _Work(subjects, sweep, speech or Speech(), session, store, show, marks)
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


class _Work:
    """One profile on its way."""

    def __init__(
        self,
        subjects: Sequence[Subject],
        sweep: Sweep,
        speech: Speech,
        session: str,
        store: Store,
        show: Progress,
        marks: tuple[str, ...],
    ) -> None:
        self._decoders = [subject for subject in subjects if subject.config is not None]
        self._systems = [subject for subject in subjects if subject.spec is not None]
        self._sweep, self._speech = sweep, speech
        self._session, self._store = session, store
        self._show, self._marks = show, marks
        self._done = recording.done(store, session)

    def flops(self) -> None:
        """Closed forms, and the counter's check."""
        for subject in self._decoders:
            assert subject.config is not None
            key = ProfileKey(self._session, subject.name, "")
            contexts = sorted({*self._sweep.contexts})
            recording.keep(self._store, flops.rows(subject.config, contexts, key))

    def memory(self) -> None:
        """A process a subject and cell."""
        cells = [
            self._cell(subject, context, streams)
            for context, streams in self._sweep.cells()
            for subject in self._decoders
            if (subject.name, "memory.total", context, streams, "", "eager") not in self._done
        ]
        before = busy.used_mib(self._sweep.timing.device) if cells and self._on_cuda else 0
        with self._show.stage("memory", len(cells)) as advance:
            for cell in cells:
                held = replace(cell, used_before=before * busy.MIB)
                self._keep(self._crowded(held) or anatomy.run(held, self._session))
                advance()

    def speech(self, clock: Clock) -> None:
        """Systems end to end; of those with a decoder of ours, the memory of all of it as well."""
        if not self._systems:
            return
        requests = self._speech.requests()
        if "memory" in self._sweep.parts:
            self._whole(requests[0])
        absent = [one for one in self._systems if not self._has(one, "rate.failed", NATURAL)]
        with self._show.stage("speech", 1) as advance:
            if absent:  # all of them again: they are only compared if they took turns
                baseline = str(recording.describe(self._store)["baseline"])
                self._keep(speaking.natural(self._systems, requests, self._speech, self._session,
                                            baseline, clock))  # fmt: skip
            advance()
        loaded = [one for one in self._systems if one.system().concurrent]
        with self._show.stage("load", len(loaded)) as advance:
            for subject in loaded:
                self._keep(speaking.loads(subject, requests, self._speech, self._session, clock))
                advance()

    def _whole(self, request: Request) -> None:
        """Memory of whole systems, in a process each."""
        for subject in self._systems:
            if subject.config is None or self._has(subject, "memory.total", ""):
                continue
            prompt = str(request.prompt_audio) if request.prompt_audio else None
            cell = Cell(subject.name, subject.target, 0, text=request.text,
                        prompt_text=request.prompt_text, prompt_audio=prompt)  # fmt: skip
            self._keep(anatomy.run(cell, self._session))

    def _has(self, subject: Subject, quantity: str, workload: str) -> bool:
        return (subject.name, quantity, 0, 1, workload, "eager") in self._done

    def times(self, clock: Clock) -> None:
        """All subjects and contexts side by side, one quantity after the other."""
        settings = self._sweep.timing
        absent = {
            (streams, place): contexts
            for streams in sorted({*self._sweep.streams})
            for place in timing.wanted(settings, streams)
            if (contexts := self._untimed(streams, place))
        }
        if not absent or not self._decoders:
            return
        with self._show.stage("times", sum(map(len, absent.values()))) as advance:
            decoders = {
                subject.name: subject.decoder(settings.device, dtype(self._sweep.weights))
                for subject in self._decoders
            }
            for (streams, place), contexts in absent.items():
                for group in timing.groups(decoders, contexts, streams, settings):
                    self._keep(timing.measure(decoders, group, streams, place, settings,
                                              self._session, clock))  # fmt: skip
                    for _ in group:
                        advance()

    def _untimed(self, streams: int, place: Place) -> list[int]:
        """Contexts at which a subject has no time yet. All are measured again: they take turns."""
        return [
            context
            for context in sorted({*self._sweep.contexts})
            if not all(
                (one.name, place.quantity, context, streams, place.workload, place.engine)
                in self._done
                for one in self._decoders
            )
            and (place.quantity != "time.prefill" or self._reads_anew(context, streams))
        ]

    def _reads_anew(self, context: int, streams: int) -> bool:
        """Whether a pass is to be made, or to be told as too long for the first time."""
        told = any(
            key.quantity == "time.prefill" and key.context == context and key.streams == streams
            for row in self._store.profiles()
            if (key := row.key).session == self._session
        )
        return self._sweep.timing.reads(context, streams) or not told

    def _cell(self, subject: Subject, context: int, streams: int) -> Cell:
        settings = self._sweep.timing
        return Cell(
            subject.name, subject.target, context, streams, settings.device, self._sweep.weights,
            settings.kv, settings.state, prefill=settings.reads(context, streams),
        )  # fmt: skip

    def _crowded(self, cell: Cell) -> list[ProfileRow]:
        """A row that says so, where the process would need more memory than there is."""
        subject = next(one for one in self._decoders if one.name == cell.name)
        assert subject.config is not None
        kv, state, weights = map(cost.element_bytes, (cell.kv, cell.state, cell.weights))
        needed = cost.parameters(subject.config)["total"] * weights + cell.streams * (
            cost.kv_bytes(subject.config, cell.context, kv)
            + cost.state_bytes(subject.config, state)
        )
        if self._on_cuda or needed < timing.ROOM * memory.available():
            return []  # a CUDA device refuses by itself, and says so
        reason = f"weights and cache of {needed / 2**30:.1f} GiB have no room here"
        key = ProfileKey(self._session, cell.name, "memory.total", "decode", cell.context,
                         cell.streams)  # fmt: skip
        return [ProfileRow(key, "bytes", MEASURED, None, n=0, error=reason)]

    def _keep(self, rows: Iterable[ProfileRow]) -> None:
        marked = [replace(row, notes=(*row.notes, *self._marks)) for row in rows]
        recording.keep(self._store, marked)

    @property
    def _on_cuda(self) -> bool:
        return self._sweep.timing.device.startswith("cuda")
