"""What a profile says: its rows by session, system and cell, and where lines cross.

A session is a machine with its settings (``profiling.identity``); only rows of one session are
held against each other. Times and sizes over the context are straight lines, for the decoder's
arithmetic and its cache are; where the baseline's and a variant's cross, the variant begins to pay.
A crossing has an interval, from samples drawn anew within each context, and is told as beyond what
was measured where it lies outside of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mamtra_eval.footprint import Footprint, of
from mamtra_eval.models.config import DecoderConfig, from_dict
from mamtra_eval.models.cost import element_bytes, state_bytes
from mamtra_eval.profiling.rows import META, TURN, ProfileRow
from mamtra_eval.reader import RunReader

PHASES = ("prefill", "decode", "speaking", "loaded")
"""Phases of memory, the one that usually takes most first."""

RESAMPLES = 2000
LEVEL = 0.95
BY_THE_TOKEN = ("time.prefill",)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Crossing:
    """From which context on a variant takes less than the baseline.

    Attributes:
        quantity: what is compared.
        at: tokens; ``None`` where the variant's line never falls below, 0 where it always lies
            below.
        low, high: its interval; ``high`` is ``None`` where too many resamples never cross, both
            where each value is a single sample.
        beyond: whether it lies outside of the contexts that were measured.
        single: whether each value is a single sample, so that there is no interval.
    """

    quantity: str
    system: str
    at: float | None
    low: float | None
    high: float | None
    beyond: bool
    single: bool = False


@dataclass(frozen=True)
class Session:
    """Rows of one machine with its settings.

    Attributes:
        key: hash of the identity.
        baseline: that others are compared with, where it was measured here.
        systems: names in the order of the profile, of those that have rows here.
    """

    key: str
    identity: dict[str, Any]
    conditions: tuple[dict[str, Any], ...]
    baseline: str | None
    systems: tuple[str, ...]
    rows: tuple[ProfileRow, ...]
    configs: dict[str, DecoderConfig]
    bits: dict[str, int | None]

    @cached_property
    def _by_key(self) -> dict[tuple[str, str, str, int, int, str, str], ProfileRow]:
        return {
            (k.system, k.quantity, k.phase, k.context, k.streams, k.workload, k.engine): row
            for row in self.rows
            if (k := row.key)
        }

    def get(
        self,
        system: str,
        quantity: str,
        context: int = 0,
        streams: int = 1,
        *,
        phase: str = "",
        workload: str = "",
        engine: str = "eager",
    ) -> ProfileRow | None:
        """One row; ``None`` if it was not asked for."""
        return self._by_key.get((system, quantity, phase, context, streams, workload, engine))

    def value(
        self, system: str, quantity: str, context: int = 0, streams: int = 1, *,
        phase: str = "", workload: str = "", engine: str = "eager",
    ) -> float | None:  # fmt: skip
        """The value of one row, if it has one."""
        row = self.get(
            system, quantity, context, streams, phase=phase, workload=workload, engine=engine
        )
        return row.value if row else None

    def contexts(self, quantity: str, streams: int = 1) -> list[int]:
        """Contexts at which any decoder has a value; whole systems have none."""
        return sorted(
            {
                row.key.context
                for row in self.rows
                if row.key.quantity == quantity
                and row.key.streams == streams
                and row.key.context
                and row.value is not None
            }
        )

    def phase_at(self, context: int) -> str | None:
        """The phase whose memory is told at a context: the first of ``PHASES`` that was read."""
        there = {
            row.key.phase
            for row in self.rows
            if row.key.quantity == "memory.total"
            and row.key.context == context
            and row.value is not None
        }
        return next((phase for phase in PHASES if phase in there), None)

    def streams(self, quantity: str) -> list[int]:
        """Numbers of streams for which any system has a value."""
        return sorted({r.key.streams for r in self.rows if r.key.quantity == quantity})

    def footprint(self, system: str) -> Footprint | None:
        """Closed form of a system's decoder with the element types of this session's caches."""
        config = self.configs.get(system)
        if config is None:
            return None
        states = state_bytes(config, element_bytes(self.identity["state"]))
        return replace(of(config, element_bytes(self.identity["kv"])), cache_fixed=states)

    def slope(
        self, system: str, quantity: str, *, phase: str = "", workload: str = "",
        engine: str = "eager",
    ) -> tuple[float, float] | None:  # fmt: skip
        """(at no context, a token) of the straight line through a quantity's values."""
        values = {
            context: self.value(
                system, quantity, context, phase=phase, workload=workload, engine=engine
            )
            for context in self.contexts(quantity)
        }
        points = [(context, value) for context, value in values.items() if value is not None]
        if len(points) < 2:
            return None
        x, y = np.array(points, dtype=float).T
        per_token, fixed = np.polyfit(x, y, 1)
        return float(fixed), float(per_token)

    def crossings(
        self, quantity: str, *, phase: str = "", workload: str = "", engine: str = "eager"
    ) -> list[Crossing]:
        """Where each variant's line falls below the baseline's; of passes, the line by the token.

        A pass is no straight line in its length, but its time a token nearly is. Variants with
        other weights than the baseline's (quantised ones) are left out: what they save is not the
        ratio's doing. So are times that were not taken in turn with the baseline's.
        """
        found = [
            self._crossing(system, quantity, (phase, workload, engine))
            for system in self.systems
            if system != self.baseline
            and system in self.configs
            and self.bits.get(system) == self.bits.get(str(self.baseline))
        ]
        return [one for one in found if one is not None]

    def in_turn(self, one: ProfileRow | None, other: ProfileRow | None) -> bool:
        """Whether two rows may be compared: both there, and times taken in turn with each other."""
        if one is None or other is None or one.value is None or other.value is None:
            return False
        timed = one.key.quantity.startswith(("time.", "rate."))
        return not timed or one.detail.get(TURN) == other.detail.get(TURN)

    def _crossing(self, system: str, quantity: str, how: tuple[str, str, str]) -> Crossing | None:
        if self.baseline is None or self.baseline not in self.configs:
            return None
        phase, workload, engine = how
        pairs = []
        for context in self.contexts(quantity):
            ours, theirs = (
                self.get(name, quantity, context, phase=phase, workload=workload, engine=engine)
                for name in (system, self.baseline)
            )
            if ours is not None and theirs is not None and self.in_turn(ours, theirs):
                pairs.append((context, _samples(ours), _samples(theirs)))
        if len(pairs) < 2:
            return None
        contexts = np.array([context for context, _, _ in pairs], dtype=float)
        generator = np.random.default_rng(0)
        gains = np.empty((RESAMPLES + 1, len(pairs)))
        for place, (_, own, others) in enumerate(pairs):
            gains[0, place] = np.median(others) - np.median(own)
            gains[1:, place] = _medians(others, generator) - _medians(own, generator)
        if quantity in BY_THE_TOKEN:
            gains /= contexts
        at = _zero(contexts, gains)
        single = all(len(own) == len(others) == 1 for _, own, others in pairs)
        low, high = (None, None) if single else _interval(at[1:])
        point = float(at[0])
        beyond = not contexts.min() <= point <= contexts.max()
        told = None if np.isinf(point) else point
        return Crossing(quantity, system, told, low, high, beyond, single)


def read(store: RunReader) -> list[Session]:
    """The sessions of a run's profile, the one with most systems of the latest first."""
    return sessions(store.profiles(), store.meta(META, {}))


def sessions(rows: Sequence[ProfileRow], meta: dict[str, Any]) -> list[Session]:
    """Sessions of rows; those on a CUDA device first, then those with more systems."""
    kept = meta.get("systems", {})
    made = []
    for key, identity in meta.get("sessions", {}).items():
        own = tuple(row for row in rows if row.key.session == key)
        there = {row.key.system for row in own}
        if own:
            made.append(
                Session(
                    key, identity,
                    tuple(one for one in meta.get("conditions", ()) if one["session"] == key),
                    meta.get("baseline") if meta.get("baseline") in there else None,
                    tuple(name for name in kept if name in there),
                    own,
                    {name: from_dict(one["config"]) for name, one in kept.items()
                     if name in there and one["config"]},
                    {name: one.get("bits") for name, one in kept.items() if name in there},
                )
            )  # fmt: skip
    return sorted(made, key=lambda s: (s.identity["device_type"] != "cuda", -len(s.systems)))


def _samples(row: ProfileRow) -> list[float]:
    found: list[float] = row.detail.get("samples", [row.value])
    return found


def _medians(samples: Sequence[float], generator: np.random.Generator) -> Floats:
    values = np.asarray(samples)
    drawn = generator.integers(len(values), size=(RESAMPLES, len(values)))
    medians: Floats = np.median(values[drawn], axis=1)
    return medians


def _zero(contexts: Floats, gains: Floats) -> Floats:
    """Where the straight line through each row of gains becomes positive; infinite if never.

    Nought where there is a gain from the first token on, or at every context and it does not grow.
    """
    slope, fixed = np.polyfit(contexts, gains.T, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = np.maximum(-fixed / slope, 0.0)
    always = (gains > 0).all(axis=1)
    found: Floats = np.where(slope > 0, at, np.where(always, 0.0, np.inf))
    return found


def _interval(at: Floats) -> tuple[float | None, float | None]:
    ends = np.quantile(at, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="nearest")
    low, high = (None if np.isinf(end) else float(end) for end in ends)
    return low, high
