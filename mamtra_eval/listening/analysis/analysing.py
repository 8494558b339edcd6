"""What the ratings of a bundle say: figures of the systems, how sure they are, what is not known.

``analyse`` holds the sessions against the rules of screening, joins the answers of those that count
with the key, and computes everything that a report prints. Nothing is chosen here: level, baseline,
margin, resamples and seed stand in the manifest, which was written before the first rating; where
it is another one now (``integrity.changed``), or other rules are applied, ``as_settled`` is false.

    systems       a mean each, with intervals (mos, smos, mushra)
    differences   of every pair of systems
    comparisons   of every pair that was heard side by side (cmos, ab)
    reliability, raters, cells, places      agreement, panel, items, positions
    power         what a test of this size shows
    sensitivity   the same means, the sessions treated otherwise
    flow          what was received, fell away, and stayed

Whatever the votes don't define is ``None``, with a reason beside it: one rater, one item, a system
without votes, ratings that are all equal. One simulated session makes the whole analysis one of
simulated data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mamtra_eval.listening.analysis import comparing, drifting, ordering
from mamtra_eval.listening.analysis import power as analysis_power
from mamtra_eval.listening.analysis import raters as analysis_raters
from mamtra_eval.listening.analysis import systems as analysis_systems
from mamtra_eval.listening.analysis.comparing import Comparisons
from mamtra_eval.listening.analysis.drifting import Places
from mamtra_eval.listening.analysis.power import Power
from mamtra_eval.listening.analysis.raters import Cell, RaterFigures, Reliability
from mamtra_eval.listening.analysis.systems import Difference, SystemFigures
from mamtra_eval.listening.analysis.values import Settings, mean, plain
from mamtra_eval.listening.analysis.votes import Joined, Vote, crossed, join
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.kinds import Kind
from mamtra_eval.listening.screening.applying import Rules, Screened, screen
from mamtra_eval.listening.trials import Refusal, Session
from mamtra_eval.statistics.bootstrap import Estimate
from mamtra_eval.statistics.crossed import standardised

SCHEMA = 1


@dataclass(frozen=True)
class Flow:
    """What was received, fell away, and stayed.

    Attributes:
        dropped: sessions by their first reason.
        votes_dropped_with_sessions: votes of sessions that don't count.
        votes_dropped_singly: votes of others.
        refused: rows of files that were not taken, by reason.
        sources: sessions by the format that they came by.
    """

    sessions_received: int
    raters_received: int
    incomplete: int
    dropped: dict[str, int]
    sessions_kept: int
    raters_kept: int
    flagged: int
    votes_received: int
    votes_dropped_with_sessions: int
    votes_dropped_singly: int
    votes_kept: int
    refused: dict[str, int]
    sources: dict[str, int]


@dataclass(frozen=True)
class Variant:
    """The same means, the sessions treated otherwise.

    Attributes:
        values: by system, or by pair as ``system − other``; ``None`` where undefined.
    """

    name: str
    what: str
    sessions: int
    votes: int
    values: dict[str, Estimate | None]


@dataclass(frozen=True)
class Analysis:
    """All of it; ``to_dict`` gives strict JSON values.

    Attributes:
        bundle_id, content_sha256: of the bundle.
        rules: of screening, as they were applied.
        as_settled: whether these are the bundle's, and the bundle is as it was exported; else
            nothing here may be said to have been declared before the ratings.
        changed: files of the bundle that are not as they were exported (``integrity.changed``).
        names: of the systems, with what they are, in the key's order.
        simulated: sessions that a program answered, of those received.
    """

    bundle_id: str
    content_sha256: str
    kind: Kind
    settings: Settings
    rules: dict[str, Any]
    as_settled: bool
    changed: tuple[str, ...]
    names: dict[str, str]
    simulated: int
    flow: Flow
    systems: tuple[SystemFigures, ...]
    differences: tuple[Difference, ...]
    comparisons: Comparisons | None
    reliability: Reliability
    power: Power
    sensitivity: tuple[Variant, ...]
    raters: tuple[RaterFigures, ...]
    cells: tuple[Cell, ...]
    places: Places

    @property
    def ranking(self) -> tuple[SystemFigures, ...]:
        """Systems with votes, the best mean first."""
        voted = [one for one in self.systems if one.mean is not None]
        return tuple(sorted(voted, key=lambda one: -(one.mean.value if one.mean else 0.0)))

    def to_dict(self) -> dict[str, Any]:
        """The analysis as JSON values; no NaN, no infinity."""
        values = plain(self)
        return {"schema": SCHEMA, **(values if isinstance(values, dict) else {})}


def analyse(
    bundle: Bundle, sessions: Sequence[Session], refusals: Sequence[Refusal], rules: Rules,
    changed: Sequence[str] = (),
) -> Analysis:  # fmt: skip
    """Everything that the sessions say.

    Args:
        bundle: with its key.
        sessions: all that were received.
        refusals: rows of files that were not taken.
        rules: of screening; those of the bundle, unless asked otherwise.
        changed: files of the bundle that are not as they were exported, by ``integrity.changed``.
    """
    kind, settings, names = bundle.kind, Settings.of(bundle), bundle.key.systems
    screened = screen(bundle, sessions, rules)
    everything, kept = join(bundle, sessions), join(bundle, screened.kept)
    systems: tuple[SystemFigures, ...] = ()
    differences: tuple[Difference, ...] = ()
    comparisons = None
    compared: list[tuple[str, str]] = []
    if kind.is_pair:
        comparisons = comparing.compare(
            kept.votes, names, kind.scale.values, settings, strengths=kind.name == "ab"
        )
        compared = [(one.system, one.other) for one in comparisons.pairs]
    else:
        systems, differences = analysis_systems.compare(kept.votes, names, kind.scale, settings)
    return Analysis(
        bundle.id,
        bundle.content_sha256,
        kind,
        settings,
        asdict(rules),
        rules == Rules.of(bundle) and not changed,
        tuple(changed),
        dict(names),
        sum(session.simulated for session in sessions),
        _flow(sessions, screened, refusals),
        systems,
        differences,
        comparisons,
        analysis_raters.agreement(kept, ordinal=kind.name != "mushra", seed=settings.seed),
        analysis_power.achieved(kept.votes, kind, settings.level),
        tuple(_variants(everything, kept, screened, comparisons, names, settings)),
        analysis_raters.raters(sessions, everything, screened),
        analysis_raters.cells(kept.votes, compared),
        drifting.places(kept.votes, settings.level),
    )


def _flow(sessions: Sequence[Session], screened: Screened, refusals: Sequence[Refusal]) -> Flow:
    found = screened.flow
    return Flow(
        found.sessions_received,
        found.raters_received,
        sum(not session.complete for session in sessions),
        dict(found.dropped),
        found.sessions_kept,
        found.raters_kept,
        found.sessions_flagged,
        found.votes_received,
        found.votes_dropped_with_sessions,
        found.votes_dropped_singly,
        found.votes_kept,
        dict(Counter(one.why for one in refusals).most_common()),
        dict(sorted(Counter(one.source for one in sessions).items())),
    )


def _variants(
    everything: Joined, kept: Joined, screened: Screened, comparisons: Comparisons | None,
    names: Mapping[str, str], settings: Settings,
) -> list[Variant]:  # fmt: skip
    """The means as they stand, without screening, first sessions only, without severity."""
    first: dict[str, str] = {}
    for session in sorted(screened.kept, key=lambda one: one.started_at or "~"):
        first.setdefault(session.rater, session.session)
    once = [vote for vote in kept.votes if first.get(vote.rater) == vote.session]
    found = [
        ("screened", "as above, by the rules of screening", list(kept.votes)),
        ("unscreened", "every session that was received", list(everything.votes)),
        ("first sessions", "the first session of each rater that counts", once),
    ]
    if comparisons is None and kept.votes:
        levelled = standardised(crossed(kept.votes))
        found.append((
            "rater-standardised", "raters' severity taken out; changes the scale",
            [replace(vote, rating=float(one))
             for vote, one in zip(kept.votes, np.asarray(levelled), strict=True)],
        ))  # fmt: skip
    return [
        Variant(name, what, len({vote.session for vote in votes}), len(votes),
                _means(votes, comparisons, names, settings))
        for name, what, votes in found
    ]  # fmt: skip


def _means(
    votes: Sequence[Vote], comparisons: Comparisons | None, names: Mapping[str, str],
    settings: Settings,
) -> dict[str, Estimate | None]:  # fmt: skip
    if comparisons is None:
        grouped = analysis_systems.by_system(votes, names)
        return {name: mean(own, settings.level) for name, own in grouped.items()}
    found: dict[str, Estimate | None] = {}
    for pair in comparisons.pairs:
        both = {pair.system, pair.other}
        own = [vote for vote in votes if {vote.system, vote.other} == both]
        found[f"{pair.system} − {pair.other}"] = ordering.advantage(
            own, pair.system, settings.level
        )
    return found
