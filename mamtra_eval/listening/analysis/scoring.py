"""From the ratings of a bundle to a figure of the run that it was made from.

Only scores are brought back (nmos, smos, mushra): a comparison has no value of one system. The run
must be the one that was heard: each rated clip is the file that the bundle was made from, by hash.
Simulated ratings stay out, and so do those of a bundle whose plan or key was changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from mamtra_eval.errors import UserError
from mamtra_eval.listening.analysis import integrity, pairwise
from mamtra_eval.listening.analysis.pairwise import Tested
from mamtra_eval.listening.analysis.values import mean
from mamtra_eval.listening.analysis.votes import Vote, join
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.screening.applying import Rules, screen
from mamtra_eval.listening.trials import Session
from mamtra_eval.opinions import Difference, Opinion
from mamtra_eval.rundata import RunData

TITLES = {"nmos": "NMOS", "smos": "Speaker MOS", "mushra": "MUSHRA"}
UNITS = {"nmos": "mos", "smos": "mos", "mushra": "score"}


def opinion(bundle: Bundle, sessions: Sequence[Session], rules: Rules) -> Opinion:
    """The scores of the systems that are the run's own.

    Args:
        bundle: with its key.
        sessions: all that were received.
        rules: of screening.

    Raises:
        UserError: for a comparison, simulated sessions, or no votes that count.
    """
    figure = bundle.kind.figure
    if figure is None:
        raise UserError(
            f"{bundle.kind.name} compares systems: it gives no score of one",
            where=str(bundle.folder),
            fix="listening.html has its results; a leaderboard takes mos, smos and mushra.",
        )
    if any(session.simulated for session in sessions):
        raise UserError(
            "some of the ratings are simulated",
            where=str(bundle.folder),
            fix="Simulate in a copy of the bundle; a leaderboard takes people's ratings alone.",
        )
    kept = screen(bundle, sessions, rules).kept
    votes = _by_system(join(bundle, kept).votes)
    if not votes:
        raise UserError(
            f"no votes are left of {len(sessions)} sessions",
            where=str(bundle.folder),
            fix="Ingest ratings first; listening.html says why sessions fell away.",
        )
    analysis = bundle.manifest["analysis"]
    level = analysis["level"]
    tested = pairwise.differences(votes, list(combinations(votes, 2)), level)
    means = {name: mean(own, level) for name, own in votes.items()}
    return Opinion(
        figure,
        TITLES[figure],
        UNITS[figure],
        _signature(bundle, votes, level),
        _note(votes, len(sessions), len(kept)),
        analysis["margin"],
        {name: one for name, one in means.items() if one is not None},
        {pair: _difference(one) for pair, one in tested.items()},
        _sums(votes),
        pairs=sum(one.p is not None for one in tested.values()),
        baseline=analysis["baseline"],
    )


def check_unchanged(bundle: Bundle, changed: Sequence[str]) -> None:
    """UserError where what the score rests on is not as it was exported.

    Args:
        bundle: whose score it is.
        changed: as found by ``integrity.changed``.
    """
    if names := integrity.decisive(changed):
        raise UserError(
            f"changed since the export: {', '.join(names[:5])}"
            + (f" and {len(names) - 5} more" if len(names) > 5 else ""),
            where=str(bundle.folder),
            fix="Restore the bundle as it was exported; a leaderboard takes no score whose rules, "
            "margin, design or key may have been changed after the ratings.",
        )


def check_run(bundle: Bundle, data: RunData) -> None:
    """UserError where the run is not the one whose clips were heard."""
    before, now = bundle.manifest["run"]["sha256"], data.testset["sha256"]
    clips = {
        (clip.key.system, clip.key.utterance): clip.sha256
        for clip in data.clips
        if clip.key.repeat == 0
    }
    names = {row.name for row in data.systems}
    for token in bundle.key.tokens.values():
        if token.made != "clip" or token.system not in names:
            continue
        if clips.get((token.system, token.utterance or "")) != token.source_sha256:
            raise UserError(
                f"its clip {token.utterance} of {token.system} is not the one that was heard",
                where=str(data.folder),
                fix="Give the run that the bundle was exported from, with its clips as they were.",
            )
    if before != now and not names & set(bundle.key.systems):
        raise UserError(
            "the run has another test set, and none of the systems that were rated",
            where=str(data.folder),
            fix="Give the run that the bundle was exported from.",
        )


def restricted(found: Opinion, data: RunData) -> Opinion:
    """The opinion without systems that are not the run's own, such as the low anchor."""
    names = {row.name for row in data.systems}
    return replace(
        found,
        scores={name: one for name, one in found.scores.items() if name in names},
        differences={pair: one for pair, one in found.differences.items() if {*pair} <= names},
        votes={key: one for key, one in found.votes.items() if key[0] in names},
    )


def _by_system(votes: Sequence[Vote]) -> dict[str, list[Vote]]:
    found: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        found[vote.system].append(vote)
    return dict(sorted(found.items()))


def _difference(one: Tested) -> Difference:
    apart = None if one.p_holm is None else one.told_apart
    return Difference(one.estimate, one.tested, one.p_holm, apart)


def _sums(votes: dict[str, list[Vote]]) -> dict[tuple[str, str], tuple[float, int]]:
    found: dict[tuple[str, str], tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    for name, own in votes.items():
        for vote in own:
            total, count = found[name, vote.item]
            found[name, vote.item] = (total + vote.rating, count + 1)
    return dict(found)


def _signature(bundle: Bundle, votes: dict[str, list[Vote]], level: float) -> str:
    kind, every = bundle.kind, [vote for own in votes.values() for vote in own]
    scale = kind.scale
    return "|".join([
        f"listening:{kind.name}",
        f"attribute:{bundle.manifest['kind']['attribute']}",
        f"scale:{scale.low:g}-{scale.high:g}/{scale.step:g}",
        f"bundle:{bundle.id}",
        f"raters:{len({vote.rater for vote in every})}",
        f"sentences:{len({vote.item for vote in every})}",
        "agg:mean of votes",
        f"ci:two-way clustered {100 * level:g} %",
    ])  # fmt: skip


def _note(votes: dict[str, list[Vote]], received: int, kept: int) -> str:
    count = sum(map(len, votes.values()))
    return (
        f"Heard by people: {count} votes of {kept} sessions ({received} received); the interval "
        "counts raters and sentences. Not comparable with scores of another test."
    )
