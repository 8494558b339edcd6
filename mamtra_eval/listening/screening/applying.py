"""Which sessions count, and why the others don't.

The rules are settled before any rating, in ``bundle.json`` (``screening``) and in words in
``PREREG.md``. They look at a session as a whole; only ``z_max``, off by default, drops single
votes. A dropped session keeps every reason that there is against it, and is counted in the flow
under the first. Reports print results with and without screening.

They follow the acceptance rules of the P.808 toolkit (everything heard, traps, gold, variance of
the ratings), BS.1534-3 4.1.2 for MUSHRA (hidden reference) and, for what they leave open, our own.
Agreement with others (``r``) flags only: dropping by it makes intervals narrow by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.screening import checks as session_checks
from mamtra_eval.listening.screening import rules as screening_rules
from mamtra_eval.listening.screening.checks import Checks
from mamtra_eval.listening.screening.rules import ORDER, Reason, Rules
from mamtra_eval.listening.trials import Session

__all__ = ["DroppedVote", "Flow", "Reason", "Rules", "Screened", "screen"]


@dataclass(frozen=True)
class DroppedVote:
    """A single vote that doesn't count though its session does."""

    session: str
    trial: str
    token: str
    rating: float
    reason: Reason


@dataclass(frozen=True)
class Flow:
    """How many came in, fell away by what, and stayed.

    Attributes:
        dropped: sessions by their first reason, in the order of the rules.
        votes_received: ratings of rated trials in all sessions.
    """

    sessions_received: int
    raters_received: int
    dropped: dict[str, int]
    sessions_kept: int
    raters_kept: int
    sessions_flagged: int
    votes_received: int
    votes_dropped_with_sessions: int
    votes_dropped_singly: int
    votes_kept: int


@dataclass(frozen=True)
class Screened:
    """What counts, and why the rest doesn't; sessions by name.

    Attributes:
        kept: in the order received, without votes that were dropped singly.
        flags: of kept and dropped sessions.
        checks: what was found out about every session, for a table of raters.
    """

    rules: Rules
    kept: list[Session]
    dropped: dict[str, list[Reason]]
    flags: dict[str, list[Reason]]
    votes_dropped: list[DroppedVote]
    flow: Flow
    checks: dict[str, Checks] = field(default_factory=dict)


def screen(bundle: Bundle, sessions: Sequence[Session], rules: Rules) -> Screened:
    """Hold every session against the rules."""
    checks = {one.session: session_checks.check(bundle, one) for one in sessions}
    dropped = {
        one.session: against
        for one in sessions
        if (against := screening_rules.reasons(bundle, one, checks[one.session], rules))
    }
    too_many = screening_rules.too_many(sessions, rules)
    for name, reason in [*too_many, *screening_rules.hidden(sessions, checks, rules)]:
        dropped.setdefault(name, []).append(reason)
    dropped = {
        one.session: sorted(dropped[one.session], key=lambda reason: ORDER.index(reason.rule))
        for one in sessions
        if one.session in dropped
    }
    kept = [one for one in sessions if one.session not in dropped]
    agreement = session_checks.agreement(bundle, sessions, kept)
    checks = {name: replace(one, r=agreement[name]) for name, one in checks.items()}
    flags = {
        one.session: found
        for one in sessions
        if (found := screening_rules.flags(one, checks[one.session], rules))
    }
    kept, votes = _without_outliers(bundle, kept, rules)
    flow = _flow(sessions, kept, dropped, flags, checks, len(votes))
    return Screened(rules, kept, dropped, flags, votes, flow, checks)


def _without_outliers(
    bundle: Bundle, kept: list[Session], rules: Rules
) -> tuple[list[Session], list[DroppedVote]]:
    if rules.z_max is None:
        return kept, []
    dropped: list[DroppedVote] = []
    for vote, z in session_checks.outliers(bundle, kept, rules.z_max):
        reason = Reason("outlier", f"z = {z:.2f} among its system's", f"at most {rules.z_max:g}")
        dropped.append(DroppedVote(vote.session, vote.trial, vote.tokens[0], vote.rating, reason))
    gone = {(one.session, one.trial, one.token) for one in dropped}
    return [session_checks.without(bundle, one, gone) for one in kept], dropped


def _flow(
    sessions: Sequence[Session],
    kept: Sequence[Session],
    dropped: dict[str, list[Reason]],
    flags: dict[str, list[Reason]],
    checks: dict[str, Checks],
    singly: int,
) -> Flow:
    first = [reasons[0].rule for reasons in dropped.values()]
    received = sum(one.votes for one in checks.values())
    lost = sum(checks[name].votes for name in dropped)
    return Flow(
        len(sessions), len({one.rater for one in sessions}),
        {rule: first.count(rule) for rule in ORDER if rule in first},
        len(kept), len({one.rater for one in kept}),
        sum(one.session in flags for one in kept),
        received, lost, singly, received - lost - singly,
    )  # fmt: skip
