"""The parts of a profile, each of which measures what has no row yet.

Times that are to be compared are taken in turn in one go, and their rows bear the same ``turn``: a
random word. Rows of different turns are never held against each other (``profiles``).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mamtra_eval.models import cost
from mamtra_eval.models.cache import dtype
from mamtra_eval.profiling import anatomy, busy, flops, memory, recording, timing
from mamtra_eval.profiling import speech as speaking
from mamtra_eval.profiling.anatomy import Cell
from mamtra_eval.profiling.meter import Clock
from mamtra_eval.profiling.rows import (
    ASKED,
    CLOSED,
    MEASURED,
    NATURAL,
    OPEN,
    TURN,
    ProfileKey,
    ProfileRow,
)
from mamtra_eval.profiling.speech import Speech
from mamtra_eval.profiling.subjects import Subject
from mamtra_eval.profiling.timing import Place
from mamtra_eval.progress import Progress
from mamtra_eval.store import Store
from mamtra_eval.systems import Request

if TYPE_CHECKING:
    from mamtra_eval.profiling.sweep import Sweep


class Work:
    """One profile on its way; ``sweep.profile`` has the arguments."""

    def __init__(
        self,
        subjects: Sequence[Subject],
        sweep: Sweep,
        speech: Speech,
        session: str,
        store: Store,
        show: Progress,
        marks: tuple[str, ...],
        again: bool,
    ) -> None:
        self._decoders = [subject for subject in subjects if subject.config is not None]
        self._systems = [subject for subject in subjects if subject.spec is not None]
        self._sweep, self._speech = sweep, speech
        self._session, self._store = session, store
        self._show, self._marks = show, marks
        self._rows = {} if again else recording.done(store, session)

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
            if not self._anatomised(subject, context, streams)
        ]
        before = busy.used_mib(self._sweep.timing.device) if cells and self._on_cuda else 0
        with self._show.stage("memory", len(cells)) as advance:
            for cell in cells:
                held = replace(cell, used_before=(before or 0) * busy.MIB)
                self._keep(self._crowded(held) or anatomy.run(held, self._session))
                advance()

    def times(self, clock: Clock) -> None:
        """All subjects and contexts side by side, one quantity after the other."""
        settings = self._sweep.timing
        absent = {
            (streams, place): contexts
            for streams in sorted({*self._sweep.streams})
            for place in timing.wanted(settings, streams)
            if (contexts := self._untimed(streams, place))
        }
        absent = {cell: self._readable(*cell, contexts) for cell, contexts in absent.items()}
        if not any(absent.values()) or not self._decoders:
            return
        if reason := self._too_heavy():
            for (streams, place), contexts in absent.items():
                self._keep(timing.absent(self._names, contexts, streams, place, self._session,
                                         reason))  # fmt: skip
            return
        with self._show.stage("times", sum(map(len, absent.values()))) as advance:
            decoders = {
                subject.name: subject.decoder(settings.device, dtype(self._sweep.weights))
                for subject in self._decoders
            }
            for (streams, place), contexts in absent.items():
                for group in timing.groups(decoders, contexts, streams, settings):
                    made = timing.measure(decoders, group, streams, place, settings,
                                          self._session, clock)  # fmt: skip
                    self._keep(made, {TURN: secrets.token_hex(4)})
                    for _ in group:
                        advance()

    def speech(self, clock: Clock) -> None:
        """Systems end to end; of those with a decoder of ours, the memory of all of it as well."""
        if not self._systems:
            return
        requests = self._speech.requests()
        if "memory" in self._sweep.parts and not self._on_cuda:  # they compute on the processor
            self._whole(requests[0])
        asked = self._speech.as_detail()
        there = [self._row(one, "time.first_audio", workload=NATURAL) for one in self._systems]
        done = _in_one_turn(there) and all(row and row.detail.get(ASKED) == asked for row in there)
        with self._show.stage("speech", 1) as advance:
            if not done:  # all of them again: they are only compared if they took turns
                baseline = str(recording.describe(self._store)["baseline"])
                made = speaking.natural(self._systems, requests, self._speech, self._session,
                                        baseline, clock, on_cuda=self._on_cuda)  # fmt: skip
                self._keep(made, {ASKED: asked, TURN: secrets.token_hex(4)}, instead=True)
            advance()
        loaded = [one for one in self._systems if _concurrent(one) and not self._loaded(one)]
        with self._show.stage("load", len(loaded)) as advance:
            for subject in loaded:
                made = speaking.loads(subject, requests, self._speech, self._session, clock)
                self._keep(made, {ASKED: self._speech.as_detail(loads=True)}, instead=True)
                advance()

    def _anatomised(self, subject: Subject, context: int, streams: int) -> bool:
        reads = self._sweep.timing.reads(context, streams)
        phases = ("decode", "prefill") if reads else ("decode",)
        return all(
            self._row(subject, "memory.total", context, streams, phase=phase) for phase in phases
        )

    def _whole(self, request: Request) -> None:
        """Memory of whole systems, in a process each."""
        for subject in self._systems:
            if subject.config is None or self._row(subject, "memory.total", phase="speaking"):
                continue
            prompt = str(request.prompt_audio) if request.prompt_audio else None
            cell = Cell(subject.name, subject.target, 0, text=request.text,
                        prompt_text=request.prompt_text, prompt_audio=prompt)  # fmt: skip
            self._keep(anatomy.run(cell, self._session))

    def _asked(self, subject: Subject, quantity: str, workload: str, asked: object,
               streams: int = 1, phase: str = "") -> bool:  # fmt: skip
        """Whether a system has a row that was taken when it was asked in this way."""
        row = self._row(subject, quantity, 0, streams, workload, phase=phase)
        return row is not None and row.detail.get(ASKED) == asked

    def _loaded(self, subject: Subject) -> bool:
        asked = self._speech.as_detail(loads=True)
        closed = all(self._asked(subject, "time.first_audio", CLOSED, asked, streams)
                     for streams in self._speech.streams)  # fmt: skip
        if self._speech.first_audio_s:
            closed = closed and self._asked(subject, "streams.at_slo", CLOSED, asked)
        opened = {
            row.key.phase for row in self._rows.values()
            if row.key.system == subject.name and row.key.workload == OPEN
            and row.key.quantity == "time.first_audio" and row.detail.get(ASKED) == asked
        }  # fmt: skip
        return closed and opened >= {f"{rate:g}/s" for rate in self._speech.rates}

    def _untimed(self, streams: int, place: Place) -> list[int]:
        """Contexts at which a subject has no time yet. All are measured again: they take turns."""
        return [
            context
            for context in sorted({*self._sweep.contexts})
            if not _in_one_turn(
                [
                    self._row(one, place.quantity, context, streams, place.workload, place.engine)
                    for one in self._decoders
                ]
            )
        ]

    def _readable(self, streams: int, place: Place, contexts: list[int]) -> list[int]:
        """Contexts of a pass that is not too long to be made; the others get a row that says so."""
        settings = self._sweep.timing
        if place.quantity != "time.prefill":
            return contexts
        long = [context for context in contexts if not settings.reads(context, streams)]
        reason = f"not run: more than {settings.longest_prefill or 0:,} tokens in a pass"
        self._keep(timing.absent(self._names, long, streams, place, self._session, reason))
        return [context for context in contexts if context not in long]

    def _row(
        self, subject: Subject, quantity: str, context: int = 0, streams: int = 1,
        workload: str = "", engine: str = "eager", phase: str = "",
    ) -> ProfileRow | None:  # fmt: skip
        """What is there of a subject without an error."""
        key = ProfileKey(self._session, subject.name, quantity, phase, context, streams, workload,
                         engine)  # fmt: skip
        return self._rows.get(key)

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
        kv, state = map(cost.element_bytes, (cell.kv, cell.state))
        caches = cell.streams * (
            cost.kv_bytes(subject.config, cell.context, kv)
            + cost.state_bytes(subject.config, state)
        )
        # Weights that are to be quantised are plain ones first.
        needed = max(self._weight(subject, plain=True), self._weight(subject) + caches)
        if self._on_cuda or needed < timing.ROOM * memory.available():
            return []  # a CUDA device refuses by itself, and says so
        reason = f"weights and cache of {needed / 2**30:.1f} GiB have no room here"
        key = ProfileKey(self._session, cell.name, "memory.total", "decode", cell.context,
                         cell.streams)  # fmt: skip
        return [ProfileRow(key, "bytes", MEASURED, None, n=0, error=reason)]

    def _too_heavy(self) -> str:
        """Why the weights of all decoders have no room together; empty if they have."""
        needed = sum(map(self._weight, self._decoders)) + max(
            self._weight(one, plain=True) - self._weight(one) for one in self._decoders
        )
        there = timing.free(self._sweep.timing.device)
        if needed <= timing.ROOM * there:
            return ""
        return (
            f"the weights of {len(self._decoders)} decoders, which are timed in turn, would take "
            f"{needed / 2**30:.1f} GiB, and {there / 2**30:.1f} GiB are free"
        )

    def _weight(self, subject: Subject, *, plain: bool = False) -> int:
        assert subject.config is not None
        element = cost.element_bytes(self._sweep.weights)
        if subject.bits and not plain:
            return cost.quantized_weight_bytes(subject.config, subject.bits, element)
        return cost.parameters(subject.config)["total"] * element

    def _keep(
        self, rows: Iterable[ProfileRow], detail: dict[str, Any] | None = None, *,
        instead: bool = False,
    ) -> None:  # fmt: skip
        """Write rows; one without a value takes no good one's place.

        With ``instead`` they replace all that their systems have under the same load, so that
        nothing of an earlier time stands beside a failure.
        """
        marked = [
            replace(row, notes=(*row.notes, *self._marks), detail={**row.detail, **(detail or {})})
            for row in rows
        ]
        if not instead:
            good = recording.done(self._store, self._session)
            marked = [row for row in marked if row.error is None or row.key not in good]
        recording.keep(self._store, marked, instead=instead)

    @property
    def _names(self) -> list[str]:
        return [subject.name for subject in self._decoders]

    @property
    def _on_cuda(self) -> bool:
        return self._sweep.timing.device.startswith("cuda")


def _in_one_turn(rows: Sequence[ProfileRow | None]) -> bool:
    """Whether all are there, and measured in turn with each other."""
    return all(rows) and len({row.detail.get(TURN) for row in rows if row}) == 1


def _concurrent(subject: Subject) -> bool:
    with closing(subject.system()) as system:
        return system.concurrent
