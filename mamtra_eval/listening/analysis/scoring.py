"""From the ratings of a bundle to a figure of the run that it was made from.

Only scores are brought back (nmos, smos, mushra): a comparison has no value of one system. The run
must be the one that was heard: each rated clip is the file that the bundle was made from, by hash.
Simulated ratings stay out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import permutations

from mamtra_eval.errors import UserError
from mamtra_eval.listening.analysis.votes import Vote, crossed, join
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.screening.applying import Rules, screen
from mamtra_eval.listening.trials import Session
from mamtra_eval.opinions import Difference, Opinion
from mamtra_eval.rundata import RunData
from mamtra_eval.statistics.bootstrap import Estimate
from mamtra_eval.statistics.crossed import two_way, two_way_difference

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
    return Opinion(
        figure,
        TITLES[figure],
        UNITS[figure],
        _signature(bundle, votes, level),
        _note(votes, len(sessions), len(kept)),
        analysis["margin"],
        {name: _score(own, level) for name, own in votes.items()},
        {
            (one, other): _difference(votes[one], votes[other], level)
            for one, other in permutations(votes, 2)
            if one < other
        },
        _sums(votes),
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
    return Opinion(
        found.figure, found.title, found.unit, found.signature, found.note, found.margin,
        {name: one for name, one in found.scores.items() if name in names},
        {pair: one for pair, one in found.differences.items() if {*pair} <= names},
        {key: one for key, one in found.votes.items() if key[0] in names},
    )  # fmt: skip


def _by_system(votes: Sequence[Vote]) -> dict[str, list[Vote]]:
    found: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        found[vote.system].append(vote)
    return dict(sorted(found.items()))


def _score(votes: Sequence[Vote], level: float) -> Estimate:
    ratings, raters, items = crossed(votes)
    return two_way(ratings, raters, items, level)


def _difference(one: Sequence[Vote], other: Sequence[Vote], level: float) -> Difference:
    mine, theirs = crossed(one), crossed(other)
    narrow = 2 * level - 1  # of two one-sided tests
    return Difference(
        two_way_difference(mine, theirs, level), two_way_difference(mine, theirs, narrow)
    )


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
