"""Raters made by a program: sessions as the page records them, marked as simulated.

For rehearsals of a whole study and for tests; never evidence. An honest rater's answer is, on a
five-point scale,

    truth of the system + rater + item + rater x system + item x system + residual

with independent normal effects of standard deviation 0.45, 0.30, 0.20, 0.25 and 0.70 (the sizes
that the coverage of our intervals is tested with), rounded to the scale. Of a pair it is the
difference of two such values without rater and item, which both clips share; in a preference test a
difference within half a step is none. MUSHRA stretches all of it to 0 to 100, and a hidden
reference is recognised (95 to 100) on 97 of 100 trials. Gold trials, traps and null pairs are
answered rightly but for one in a hundred (``SLIP``), null pairs within a step.

Cheats: ``straight`` gives one answer throughout, ``random`` clicks anywhere, ``trap`` rates
sensibly and ignores gold trials and traps, ``fast`` rates sensibly before the clip has ended,
``reversed`` has the scale upside down, gold trials too.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.ingest.foreign import stamp
from mamtra_eval.listening.screening.checks import step
from mamtra_eval.listening.trials import Trial

CHEATS = ("straight", "random", "trap", "fast", "reversed")
SLIP = 0.01
RECOGNISED = 0.97
SD = {"rater": 0.45, "item": 0.30, "rater x system": 0.20, "item x system": 0.25, "residual": 0.70}
_HONEST = "honest"
_PREFERENCE = 0.5
_BEST, _WORST, _REFERENCE, _ANCHOR = 4.0, 3.0, 4.4, 1.6


def simulate(
    bundle: Bundle,
    raters: int,
    seed: int,
    truth: Mapping[str, float] | None = None,
    cheats: Mapping[str, int] | None = None,
) -> list[str]:
    """Sessions of raters, one text each: JSON lines as the page writes them.

    Args:
        bundle: with its key; lists are filled in their order.
        raters: how many altogether, one session each; the cheats are the last of them.
        seed: the same one gives the same bytes.
        truth: mean of every system on the bundle's scale, of pairs on a scale of 1 to 5; by
            default systems go from 4 down to 3 in their order, recordings 4.4, low anchors 1.6.
        cheats: how many of each kind.

    Raises:
        UserError: more cheats than raters, an unknown kind of cheat, a system without truth.
    """
    kinds = _kinds(raters, cheats or {})
    means = _truth(bundle, truth)
    names, effects = sorted(bundle.lists), _Effects(seed)
    return [
        _Rater(bundle, effects, index, kind, means).session(names[index % len(names)], raters)
        for index, kind in enumerate(kinds)
    ]


def _kinds(raters: int, cheats: Mapping[str, int]) -> list[str]:
    for kind, count in cheats.items():
        if kind not in CHEATS:
            raise unknown_name("kind of cheat", kind, CHEATS)
        if count < 0:
            raise UserError(f"{count} raters of the kind {kind}")
    planted = [kind for kind, count in cheats.items() for _ in range(count)]
    if raters < 1 or len(planted) > raters:
        raise UserError(
            f"{raters} raters with {len(planted)} cheats among them",
            fix="Give one rater or more, and as many as cheats at least.",
        )
    return [_HONEST] * (raters - len(planted)) + planted


def _truth(bundle: Bundle, truth: Mapping[str, float] | None) -> dict[str, float]:
    """Means on a five-point scale, by system."""
    systems = bundle.key.systems
    if truth is not None:
        for name in truth:
            if name not in systems:
                raise unknown_name("system", name, systems)
        missing = [name for name in systems if name not in truth]
        if missing:
            raise UserError(f"no truth for {', '.join(missing)}")
        if bundle.kind.is_pair:
            return dict(truth)
        low = bundle.kind.scale.low
        return {name: 1 + (mean - low) / step(bundle) for name, mean in truth.items()}
    own = [name for name, role in systems.items() if role == "system"]
    places = np.linspace(_BEST, _WORST, len(own))
    means = dict(zip(own, places.tolist(), strict=True))
    for name, role in systems.items():
        if role != "system":
            means[name] = _REFERENCE if role == "reference" else _ANCHOR
    return means


def _random(*words: object) -> np.random.Generator:
    digest = hashlib.sha256("|".join(map(str, words)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


class _Effects:
    """Normal effects of raters, items and systems, each the same whenever it is asked for."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._drawn: dict[tuple[object, ...], float] = {}

    def __call__(self, name: str, *words: object) -> float:
        key = (name, *words)
        if key not in self._drawn:
            self._drawn[key] = float(_random(self.seed, name, *words).normal(0, SD[name]))
        return self._drawn[key]


class _Rater:
    """One rater: effects of their own, and how they answer."""

    def __init__(
        self, bundle: Bundle, effects: _Effects, index: int, kind: str, means: Mapping[str, float]
    ) -> None:
        self.bundle, self.effects, self.index = bundle, effects, index
        self.kind, self.means, self.seed = kind, means, effects.seed
        self.random = _random(self.seed, "answers", index)
        self.favourite = float(self.random.choice(bundle.kind.scale.values[1:-1] or [0.0]))

    def session(self, list_id: str, raters: int) -> str:
        """Its record, a line each event, ending with a line's end."""
        created = datetime.fromisoformat(self.bundle.manifest["created"])
        self.now = created + timedelta(seconds=3600 * self.index / raters)
        self.lines: list[str] = []
        who = _random(self.seed, self.bundle.id, "session", self.index).bytes(16)
        self._write(
            "session", schema=1, bundle_id=self.bundle.id,
            content_sha256=self.bundle.content_sha256, session=str(uuid.UUID(bytes=who, version=4)),
            participant=f"simulated-{self.seed}-{self.index:04d}", study="", submission="",
            list=list_id, simulated=True, page="1", agent={"simulated": self.kind},
        )  # fmt: skip
        self._write("consent", sha256=self.bundle.manifest["consent"]["sha256"], agreed=True)
        if self.bundle.key.headphones:
            self._write("headphones", answers=self._headphones())
        for position, trial in enumerate(self.bundle.lists[list_id], start=1):
            self._rate(trial, position)
        self._write("end", complete=True)
        return "\n".join(self.lines) + "\n"

    def _write(self, kind: str, **values: object) -> None:
        self.now += timedelta(milliseconds=500)
        line = {"type": kind, "seq": len(self.lines), "at": stamp(self.now), **values}
        self.lines.append(json.dumps(line, separators=(",", ":")))

    def _headphones(self) -> list[dict[str, Any]]:
        return [
            {"token": token, "choice": right if self.random.random() < 0.9 else right % 3 + 1,
             "rt_ms": int(self.random.integers(2000, 6000))}
            for token, right in self.bundle.key.headphones.items()
        ]  # fmt: skip

    def _rate(self, trial: Trial, position: int) -> None:
        durations_s = [
            self.bundle.manifest["tokens"][token]["duration_s"] for token in trial.tokens
        ]
        share = float(self.random.uniform(0.2, 0.5)) if self.kind == "fast" else 1.0
        thought_s = 0.0 if self.kind == "fast" else float(self.random.uniform(0.8, 4.0))
        rt_ms = round(1000 * (share * sum(durations_s) + thought_s))
        ratings = self._ratings(trial)
        self.now += timedelta(milliseconds=rt_ms)
        self._write(
            "rating", trial=trial.id, position=position, tokens=list(trial.tokens),
            ratings=[int(one) if one == int(one) else one for one in ratings], rt_ms=rt_ms,
            heard=[round(share, 3)] * len(trial.tokens), plays=[1] * len(trial.tokens),
            listened_ms=[round(1000 * share * one) for one in durations_s], seeks=0, hidden_ms=0,
        )  # fmt: skip

    def _ratings(self, trial: Trial) -> list[float]:
        scale = self.bundle.kind.scale
        n = 1 if self.bundle.kind.is_pair else len(trial.tokens)
        if self.kind == "straight":
            return [self.favourite] * n
        if self.kind == "random":
            return [float(self.random.choice(scale.values)) for _ in range(n)]
        key = self.bundle.key.trials[trial.id]
        if key.role in ("gold", "trap", "null"):
            tolerance = step(self.bundle) if key.role == "null" else key.tolerance
            answer = self._check(key.role, key.expected or 0.0, tolerance)
            found = [answer] * n
        else:
            found = self._sensible(trial)
        if self.kind == "reversed" and key.role != "trap":
            return [scale.low + scale.high - one for one in found]
        return found

    def _check(self, role: str, expected: float, tolerance: float) -> float:
        scale = self.bundle.kind.scale
        wrong = [one for one in scale.values if abs(one - expected) > tolerance]
        ignores = self.kind == "trap" and role in ("gold", "trap")
        if (ignores or self.random.random() < SLIP) and wrong:
            return float(self.random.choice(wrong))
        off = self.random.normal(0, 0.3 * step(self.bundle))
        return self._rounded(expected + float(np.clip(off, -tolerance, tolerance)))

    def _sensible(self, trial: Trial) -> list[float]:
        if self.bundle.kind.is_pair:
            first, second = (self._impression(token) for token in trial.tokens)
            return [self._compared(second - first)]
        found = []
        low, bias = self.bundle.kind.scale.low, self.effects("rater", self.index)
        for token in trial.tokens:
            item = self.effects("item", self.bundle.key.tokens[token].utterance)
            impression = self._impression(token) + bias + item
            found.append(self._rounded(low + (impression - 1) * step(self.bundle)))
            if self.bundle.kind.name == "mushra" and self._is_reference(token):
                recognised = self.random.random() < RECOGNISED
                found[-1] = float(self.random.integers(95, 101)) if recognised else found[-1]
        return found

    def _compared(self, difference: float) -> float:
        if self.bundle.kind.name != "ab":
            return self._rounded(difference)
        return 0.0 if abs(difference) <= _PREFERENCE else float(np.sign(difference))

    def _impression(self, token: str) -> float:
        """Of a clip on a five-point scale, without what all clips of rater or item share."""
        key = self.bundle.key.tokens[token]
        system, utterance = key.system or "", key.utterance or ""
        mean = self.means.get(system, sum(self.means.values()) / len(self.means))
        residual = self.random.normal(0, SD["residual"])
        return (
            mean
            + self.effects("rater x system", self.index, system)
            + self.effects("item x system", system, utterance)
            + float(residual)
        )

    def _is_reference(self, token: str) -> bool:
        system = self.bundle.key.tokens[token].system or ""
        return self.bundle.key.systems.get(system) == "reference"

    def _rounded(self, value: float) -> float:
        """The nearest rating of the scale."""
        scale = self.bundle.kind.scale
        steps = np.rint((value - scale.low) / scale.step)
        return float(np.clip(scale.low + steps * scale.step, scale.low, scale.high))
