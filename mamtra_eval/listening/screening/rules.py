"""Rules of screening and what each finds against a session.

Differences on a scale are given in steps of a five-point scale and stretched to the bundle's:
one step is a quarter of its range.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any

from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.ratings import WITHDRAWN
from mamtra_eval.listening.screening import checks as session_checks
from mamtra_eval.listening.screening.checks import Checks
from mamtra_eval.listening.trials import Session

RULE_WORDS = {
    "heard_min": "share of every clip that was played, at least",
    "traps_min": "traps answered as told, at least",
    "traps_min_with_gold": "enough where every gold trial is right",
    "gold": "every gold trial within its tolerance",
    "variance_min": "variance of a session's ratings, at least",
    "faster_than_clip": "no rating before its clip could have ended",
    "median_rt_min": "median time by the clips' duration, at least",
    "sessions_max": "sessions of one rater, at most",
    "answered_min": "share of the trials that were answered, at least",
    "hidden_reference_min": "MUSHRA: hidden reference rated, at least",
    "hidden_reference_share": "MUSHRA: except on this share of trials",
    "headphones_min": "right answers of the headphone check, at least",
    "z_max": "deviation of a vote in its system, at most",
    "repeats_flag": "flag: repeats differ by more steps",
    "r_flag": "flag: correlation with the others below",
    "reversed_flag": "flag: correlation that looks reversed",
}
"""Each rule in words, as reports and pre-registrations print it beside its value."""


@dataclass(frozen=True)
class Rules:
    """Rules of screening; ``None`` or ``False`` switches one off.

    Attributes:
        heard_min: share of every rated clip that was played, at least.
        traps_min: traps answered as told, at least; all of them where there are fewer.
        traps_min_with_gold: enough where every gold trial is right.
        gold: whether every gold trial must be within its tolerance.
        variance_min: of a session's ratings of rated trials, on a five-point scale (in steps²).
        faster_than_clip: whether a rating in less time than its clips take (by ``heard_min`` of
            them) drops the session.
        median_rt_min: of the time to answer divided by the clips' duration, median, at least.
        sessions_max: of one rater, the earliest count.
        answered_min: share of the list's rated trials that were answered, at least.
        hidden_reference_min: MUSHRA: a hidden reference is rated so high, at least ...
        hidden_reference_share: ... except on this share of the rater's trials.
        headphones_min: right answers of the headphone check, at least.
        z_max: of a vote among those of its system, at most.
        repeats_flag: all repeats (two at least) differ by more than so many steps.
        r_flag: correlation with the others' mean ratings below this is flagged.
        reversed_flag: the same below this: the scale may have been read upside down.
    """

    heard_min: float | None = 0.95
    traps_min: int | None = 2
    traps_min_with_gold: int | None = 1
    gold: bool = True
    variance_min: float | None = 0.1
    faster_than_clip: bool = True
    median_rt_min: float | None = 0.3
    sessions_max: int | None = 2
    answered_min: float | None = 0.5
    hidden_reference_min: float | None = 90.0
    hidden_reference_share: float = 0.15
    headphones_min: int | None = None
    z_max: float | None = None
    repeats_flag: float | None = 1.0
    r_flag: float | None = 0.0
    reversed_flag: float | None = -0.4

    @classmethod
    def of(cls, bundle: Bundle) -> Rules:
        """The rules of a bundle; what it doesn't name is as by default. UserError if unknown."""
        values: dict[str, Any] = dict(bundle.manifest["screening"])
        where = f"{bundle.folder}: screening"
        known = {one.name: str(one.type) for one in fields(cls)}
        for name, value in values.items():
            if name not in known:
                error = unknown_name("rule of screening", name, known)
                raise UserError(error.what, where=where, fix=error.fix)
            if not _fits(value, known[name]):
                raise UserError(f"{name} is {value!r}; it takes {known[name]}", where=where)
        return cls(**values)

    def to_manifest(self) -> dict[str, float | bool | None]:
        """All rules as ``bundle.json`` has them."""
        return asdict(self)


@dataclass(frozen=True)
class Reason:
    """Why a session or vote doesn't count or is flagged: rule, what was found, what was asked."""

    rule: str
    found: str
    required: str


ORDER = (
    "withdrawn", "no answers", "sessions of a rater", "answered", "heard", "faster than the clip",
    "median time", "traps", "gold", "variance", "hidden reference", "headphones",
)  # fmt: skip


def reasons(bundle: Bundle, session: Session, checks: Checks, rules: Rules) -> list[Reason]:
    """What speaks against a session by itself."""
    if WITHDRAWN in session.facts:
        return [Reason("withdrawn", "the participant withdrew", "taking part to the end")]
    if not checks.votes:
        return [Reason("no answers", "no rated trial was answered", "at least one")]
    found = (rule(bundle, session, checks, rules) for rule in _RULES)
    return [reason for reason in found if reason is not None]


def _answered(_: Bundle, session: Session, checks: Checks, rules: Rules) -> Reason | None:
    if rules.answered_min is None or checks.answered >= rules.answered_min:
        return None
    return Reason(
        "answered",
        f"{checks.answered:.0%} of the rated trials",
        f"at least {rules.answered_min:.0%}",
    )


def _heard(_: Bundle, session: Session, checks: Checks, rules: Rules) -> Reason | None:
    if rules.heard_min is None or checks.heard is None or checks.heard >= rules.heard_min:
        return None
    return Reason(
        "heard", f"a rated clip was heard by {checks.heard:.0%}", f"at least {rules.heard_min:.0%}"
    )


def _faster(_: Bundle, session: Session, checks: Checks, rules: Rules) -> Reason | None:
    least = rules.heard_min if rules.heard_min is not None else 1.0
    if not rules.faster_than_clip or checks.rt_least is None or checks.rt_least >= least:
        return None
    return Reason(
        "faster than the clip",
        f"a rating came after {checks.rt_least:.2f} of the clips' duration",
        f"at least {least:g} of it",
    )


def _median(_: Bundle, session: Session, checks: Checks, rules: Rules) -> Reason | None:
    least, median = rules.median_rt_min, checks.rt_median
    if least is None or median is None or median >= least:
        return None
    return Reason(
        "median time", f"{median:.2f} of the clips' duration", f"at least {least:g} of it"
    )


def _traps(_: Bundle, session: Session, checks: Checks, rules: Rules) -> Reason | None:
    if rules.traps_min is None or not checks.traps:
        return None
    needed = min(rules.traps_min, checks.traps)
    words = f"{needed} of {checks.traps}"
    if checks.traps >= rules.traps_min and rules.traps_min_with_gold is not None and checks.gold:
        fewer = min(rules.traps_min_with_gold, needed)
        words += f", or {fewer} with every gold trial right" if fewer < needed else ""
        needed = fewer if checks.gold_right == checks.gold else needed
    if checks.traps_right >= needed:
        return None
    return Reason("traps", f"{checks.traps_right} of {checks.traps} as told", words)


def _gold(_: Bundle, session: Session, checks: Checks, rules: Rules) -> Reason | None:
    if not rules.gold or checks.gold_right == checks.gold:
        return None
    off = ", ".join(f"{one:+g}" for one in checks.gold_deviations)
    return Reason(
        "gold",
        f"{checks.gold_right} of {checks.gold} within tolerance (off by {off})",
        "all within tolerance",
    )


def _variance(bundle: Bundle, session: Session, checks: Checks, rules: Rules) -> Reason | None:
    if rules.variance_min is None or checks.sd is None:
        return None
    least = rules.variance_min * session_checks.step(bundle) ** 2
    if checks.sd**2 >= least:
        return None
    return Reason("variance", f"ratings with variance {checks.sd**2:.3g}", f"at least {least:.3g}")


def _headphones(_: Bundle, session: Session, checks: Checks, rules: Rules) -> Reason | None:
    if rules.headphones_min is None or session.headphones is None:
        return None
    right, asked = session.headphones
    if right >= rules.headphones_min:
        return None
    return Reason("headphones", f"{right} of {asked} right", f"at least {rules.headphones_min}")


_Rule = Callable[[Bundle, Session, Checks, Rules], Reason | None]
_RULES: tuple[_Rule, ...] = (
    _answered, _heard, _faster, _median, _traps, _gold, _variance, _headphones,
)  # fmt: skip


def too_many(sessions: Sequence[Session], rules: Rules) -> list[tuple[str, Reason]]:
    """Sessions beyond a rater's first ones; those without answers aren't counted."""
    if rules.sessions_max is None:
        return []
    found = []
    counts: dict[str, int] = {}
    for one in sorted(sessions, key=lambda one: (one.started_at is None, one.started_at or "")):
        if not one.responses:
            continue
        counts[one.rater] = counts.get(one.rater, 0) + 1
        if counts[one.rater] > rules.sessions_max:
            number = f"number {counts[one.rater]} of this rater"
            required = f"the first {rules.sessions_max} count"
            found.append((one.session, Reason("sessions of a rater", number, required)))
    return found


def hidden(
    sessions: Sequence[Session], checks: dict[str, Checks], rules: Rules
) -> list[tuple[str, Reason]]:
    """Sessions of raters who don't tell the hidden reference of MUSHRA."""
    least = rules.hidden_reference_min
    if least is None:
        return []
    by_rater: dict[str, list[float]] = {}
    for one in sessions:
        by_rater.setdefault(one.rater, []).extend(checks[one.session].hidden_references)
    found = []
    for one in sessions:
        ratings = by_rater[one.rater]
        low = sum(rating < least for rating in ratings)
        if one.responses and low > rules.hidden_reference_share * len(ratings):
            number = f"{low} of {len(ratings)} hidden references below {least:g}"
            required = f"at most {rules.hidden_reference_share:.0%}"
            found.append((one.session, Reason("hidden reference", number, required)))
    return found


def flags(session: Session, checks: Checks, rules: Rules) -> list[Reason]:
    """What a reader should know of a session; it drops nothing."""
    found = []
    if session.responses and not session.complete:
        what = f"not brought to its end ({checks.answered:.0%} of the rated trials)"
        found.append(Reason("incomplete", what, "brought to its end"))
    most = rules.repeats_flag
    if most is not None and len(checks.repeats) >= 2 and min(checks.repeats) > most:
        what = ", ".join(f"{one:.2g}" for one in checks.repeats)
        found.append(Reason("repeats", f"all repeats off, by {what} steps", f"one within {most:g}"))
    if checks.r is not None and rules.reversed_flag is not None and checks.r < rules.reversed_flag:
        what = f"r = {checks.r:.2f} with the others: the scale may be upside down"
        found.append(Reason("reversed", what, f"at least {rules.reversed_flag:g}"))
    elif checks.r is not None and rules.r_flag is not None and checks.r < rules.r_flag:
        what = f"r = {checks.r:.2f} with the others"
        found.append(Reason("agreement", what, f"at least {rules.r_flag:g}"))
    return found


def _fits(value: object, kind: str) -> bool:
    """Whether a value of a manifest is of a rule's type, in the words of its annotation."""
    if value is None:
        return "None" in kind
    if isinstance(value, bool) or kind == "bool":
        return isinstance(value, bool) and kind == "bool"
    return isinstance(value, int) or (
        "float" in kind and isinstance(value, float) and isfinite(value)
    )
