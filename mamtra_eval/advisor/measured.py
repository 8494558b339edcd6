"""What a profile of the same shape says in place of closed forms and guesses.

A profile has sessions (one machine with its settings) and systems. The best session counts: one on
the same card, else on another CUDA device, else on a CPU. From a CPU only sizes of tensors are
taken (weights, keys and values, states): never a time, nor activations, for attention and scan take
other paths in the code there, and so other memory.

Rows of a whole system that speaks (``memory.…`` without a context) are none of a decoder's. A time
with a ``device`` in its detail counts as one of the session's device only if that is CUDA too.

Weights and caches are known by closed form, so the profile gives a factor: the lowest and highest
ratio of measured to closed form over its cells. That holds for any element type.

All else holds inside the measured grid alone. A cell (L', N') bounds another (L, N) from above if
L' >= L and N' >= N, and from below if L' <= L and N' <= N, since nothing here shrinks with context
or streams. The interval at (L, N) goes from the largest lower bound to the smallest upper one;
where there is no upper one, (L, N) lies outside, and only the lower bound is left: nothing is said
to fit there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mamtra_eval.advisor.cards import Card
from mamtra_eval.advisor.deployment import Variant, same_sizes
from mamtra_eval.models import config as shapes
from mamtra_eval.models import cost
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.profiling.rows import MEASURED, ProfileRow
from mamtra_eval.reader import RunReader

Cell = tuple[int, int]
"""(context, streams)."""

ON_ANY_DEVICE = ("memory.weights", "memory.kv", "memory.state")
"""Sizes of tensors that are kept, which no device changes; activations are no such ones."""

WORKING = ("", "prefill", "decode")
"""Phases in which a decoder works (times have none); loading takes memory of its own."""
PHASES = {"memory.weights": ("loaded", *WORKING), "memory.context": ("loaded", *WORKING)}


class Range(NamedTuple):
    """What is measured at a cell: between two bounds; ``high`` is ``None`` outside the grid."""

    low: float
    high: float | None


@dataclass(frozen=True)
class Source:
    """One system in one session.

    Attributes:
        device: name of the machine's device; ``same_card`` whether it is the deployment's.
        element_bytes: of its weights and activations.
        points: by quantity, the largest value at each cell.
    """

    system: str
    device: str
    is_cuda: bool
    same_card: bool
    element_bytes: int
    config: DecoderConfig
    bits: int | None
    points: Mapping[str, Mapping[Cell, float]]

    def at(self, quantity: str, context: int, streams: int) -> Range | None:
        """The quantity at a cell; ``None`` where it was not measured, or not on a CUDA device."""
        points = self.points.get(quantity, {})
        if not points or not (self.is_cuda or quantity in ON_ANY_DEVICE):
            return None
        return bounds(points, context, streams)

    def factor(self, quantity: str, closed: Callable[[Cell], float]) -> Range | None:
        """Lowest and highest ratio of measured to closed form; ``None`` without any."""
        found = [
            value / expected
            for cell, value in self.points.get(quantity, {}).items()
            if (expected := closed(cell)) > 0 and value > 0
        ]
        return Range(min(found), max(found)) if found else None

    @property
    def told(self) -> str:
        """Where it was measured, for the reader."""
        limits = "" if self.is_cuda else ", which tells sizes of kept tensors alone"
        return f"profile of {self.system} on {self.device}{limits}"


@dataclass(frozen=True)
class Profile:
    """Everything that a run folder's profile has; empty without one."""

    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def systems(self) -> dict[str, Variant]:
        """The profiled systems as variants, by name."""
        return {one.system: Variant(one.system, one.config, one.bits) for one in self.sources}

    def of(self, variant: Variant, *, weights: bool = False) -> Source | None:
        """The best source for a variant's shape.

        Args:
            variant: to be deployed.
            weights: whether quantised weights must be quantised alike; caches do not depend on it.
        """
        fitting = [
            source
            for source in self.sources
            if alike(source.config, variant.config) and (not weights or source.bits == variant.bits)
        ]
        return max(fitting, key=lambda s: (s.same_card, s.is_cuda, s.bits == variant.bits),
                   default=None)  # fmt: skip


def bounds(points: Mapping[Cell, float], context: int, streams: int) -> Range:
    """What measured cells say of another one, as the module's docstring has it."""
    below = [v for (c, s), v in points.items() if c <= context and s <= streams]
    # A cell also takes at least what smaller cells took: noise must not make a larger one cheaper.
    above = [
        max(v for (c, s), v in points.items() if c <= larger and s <= wider)
        for larger, wider in points
        if larger >= context and wider >= streams
    ]
    return Range(max(below, default=0.0), min(above, default=None))


def alike(one: DecoderConfig, other: DecoderConfig) -> bool:
    """Whether two decoders have the same sizes and the same layout."""
    return same_sizes(one, other) and one.transformer == other.transformer


def read(store: RunReader, card: Card) -> Profile:
    """The profile in a run folder; an empty one, with a note, if it has none."""
    rows = [row for row in store.profiles() if row.source == MEASURED and row.value is not None]
    meta = store.meta("profile", {})
    systems, sessions = meta.get("systems", {}), meta.get("sessions", {})
    by_key: dict[tuple[str, str], list[ProfileRow]] = {}
    for row in rows:
        by_key.setdefault((row.key.session, row.key.system), []).append(row)
    sources, notes = [], []
    for (session, system), found in by_key.items():
        known, identity = systems.get(system, {}), sessions.get(session)
        if identity is None or not known.get("config"):
            continue  # a system of which nobody knows the decoder's shape says nothing of others
        sources.append(_source(system, known, identity, found, card, str(store.folder)))
    if not sources:
        notes.append(
            f"{store.folder} has no profile of a decoder whose shape is known: closed forms and "
            "defaults stand."
        )
    return Profile(tuple(sources), tuple(notes))


def _source(
    system: str,
    known: Mapping[str, Any],
    identity: Mapping[str, Any],
    rows: list[ProfileRow],
    card: Card,
    where: str,
) -> Source:
    device, is_cuda = str(identity.get("device", "unknown")), identity.get("device_type") == "cuda"
    return Source(
        system=system,
        device=device,
        is_cuda=is_cuda,
        same_card=card.is_device(device),
        element_bytes=cost.element_bytes(identity.get("weights") or known.get("weights", "fp32")),
        config=shapes.from_dict(known["config"], where=where),
        bits=known.get("bits"),
        points=_points(rows, is_cuda=is_cuda),
    )


def _points(rows: Iterable[ProfileRow], *, is_cuda: bool) -> dict[str, dict[Cell, float]]:
    """By quantity, the largest value at each cell, whatever the workload or engine.

    Of times the third quartile counts where there is one: they bound from above.
    """
    found: dict[str, dict[Cell, float]] = {}
    for row in rows:
        if row.key.phase not in PHASES.get(row.key.quantity, WORKING):
            continue
        if _is_anothers(row, is_cuda=is_cuda):
            continue
        values = (row.value, row.high if row.key.quantity.startswith("time.") else None)
        value = max(v for v in values if v is not None)
        if not math.isfinite(value):
            continue
        cells = found.setdefault(row.key.quantity, {})
        cell = (row.key.context, row.key.streams)
        cells[cell] = max(value, 0.0, cells.get(cell, 0.0))
    return found


def _is_anothers(row: ProfileRow, *, is_cuda: bool) -> bool:
    """Whether a row is of more than a decoder, or of another device than its session's."""
    if row.key.quantity.startswith("memory."):
        return row.key.context == 0  # of a whole system, with its front end and vocoder
    if row.key.quantity.startswith("time.") and is_cuda:
        return not str(row.detail.get("device") or "cuda").startswith("cuda")
    return False
