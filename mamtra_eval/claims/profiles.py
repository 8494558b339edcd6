"""Profiles of a run, as claims use them: teacher and hybrids under the same conditions.

A pair is one quantity of the two in rows that agree in everything but the system: session (machine
and settings), phase, context, streams, workload, engine. Hybrids are paired with the teacher of
their own shape and bits of weights alone. What failed to be measured is no pair, and is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mamtra_eval.errors import UserError
from mamtra_eval.models import config as shapes
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.layout import ratio_of
from mamtra_eval.profiling.rows import MEASURED, TURN, ProfileKey, ProfileRow

COMMAND = "mamtra-eval profile"
"""What measures a profile into a run folder."""


@dataclass(frozen=True)
class Pair:
    """One quantity, measured of a teacher and of a hybrid of its shape.

    Attributes:
        key: what the rows are about; its ``system`` is the hybrid.
        ratio: of the hybrid.
        shape: of the hybrid.
        teacher, hybrid: the values, in the rows' unit.
    """

    key: ProfileKey
    ratio: str
    shape: DecoderConfig
    teacher: float
    hybrid: float

    @property
    def saved(self) -> float:
        """Share of the teacher's value that the hybrid saves; negative where it takes more."""
        return 1 - self.hybrid / self.teacher


@dataclass(frozen=True)
class Profiles:
    """Rows of profiles with the decoders that they are of.

    Attributes:
        origin: where they come from, for people.
        rows: as the run has them.
        shapes: decoders by name of system; systems without one are left out.
        bits: of quantized weights by name of system; ``None`` for others.
        identities: of machine and settings, by session.
    """

    origin: str
    rows: tuple[ProfileRow, ...]
    shapes: Mapping[str, DecoderConfig]
    bits: Mapping[str, int | None] = field(default_factory=dict)
    identities: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of_run(cls, folder: Path) -> Profiles:
        """Those of a run folder; UserError if it has none."""
        from mamtra_eval.reader import RunReader

        with RunReader(folder) as reader:
            rows = tuple(reader.profiles())
            meta: dict[str, Any] = reader.meta("profile") or {}
        if not rows:
            raise UserError(
                "this run has no profile", where=str(folder), fix=f"Measure one with {COMMAND}."
            )
        systems: dict[str, Any] = meta.get("systems") or {}
        found = {
            name: shapes.from_dict(system["config"], where=f"{folder}, system {name}")
            for name, system in systems.items()
            if system.get("config")
        }
        bits = {name: system.get("bits") for name, system in systems.items()}
        return cls(str(folder), rows, found, bits, meta.get("sessions") or {})

    def device(self, session: str) -> tuple[str, bool]:
        """The device of a session, for people, and whether it is a GPU."""
        identity = self.identities.get(session, {})
        return str(identity.get("device", "unknown")), identity.get("device_type") == "cuda"

    def pairs(self, quantity: str) -> tuple[list[Pair], int]:
        """Pairs of a measured quantity, and how many rows of it have no value."""
        rows = [
            row
            for row in self.rows
            if row.key.quantity == quantity and row.source == MEASURED and not self._is_others(row)
        ]
        teachers = {
            (self._alike(row), shape): row.value
            for row in rows
            if (shape := self.shapes.get(row.key.system)) and row.value and not shape.mamba
        }
        found = []
        for row in rows:
            shape = self.shapes.get(row.key.system)
            if shape is None or row.value is None or not shape.mamba:
                continue
            whole = shape.with_layout(tuple(range(shape.layers)))
            same = (self._alike(row), whole)
            teacher = teachers.get(same)
            if teacher:
                ratio = str(ratio_of(shape.transformer, shape.layers))
                found.append(Pair(row.key, ratio, shape, teacher, row.value))
        return found, sum(row.value is None for row in rows)

    def _alike(self, row: ProfileRow) -> tuple[ProfileKey, object, int | None]:
        """What a pair shares: all but the system; of times, also that they were taken in turn."""
        timed = row.key.quantity.startswith(("time.", "rate."))
        turn = row.detail.get(TURN) if timed else None
        return replace(row.key, system=""), turn, self.bits.get(row.key.system)

    def _is_others(self, row: ProfileRow) -> bool:
        """Whether a row of a GPU's session is of a system that ran on another device."""
        device = str(row.detail.get("device") or "cuda")
        return self.device(row.key.session)[1] and not device.startswith("cuda")
