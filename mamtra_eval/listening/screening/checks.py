"""What a session says about its rater: checks, spread, speed, agreement with others.

A vote is one rating of one clip (of a pair: of both) in a trial that is neither check nor practice;
a repeat is a check.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.trials import Response, Session, TrialKey

_COMMON_MIN = 3
"""Clips that a rater must share with others for a correlation."""


@dataclass(frozen=True)
class Checks:
    """Of one session.

    Attributes:
        votes: ratings of rated trials.
        answered: share of the list's rated trials that were answered.
        traps: that were answered; ``traps_right`` of them as told.
        gold_deviations: of every gold trial, answer minus expected; of several clips the largest.
        repeats: of every repeat, how far it is from the first answer, in steps of a five-point
            scale; of several clips the mean.
        mean: of the votes; ``sd`` with n - 1, ``None`` of fewer than two.
        rt_median_ms: of the rated trials; ``rt_median`` and ``rt_least`` divided by the duration
            of the trial's clips.
        heard: the smallest share of a rated clip.
        hidden_references: MUSHRA: ratings of hidden references.
        r: Pearson, with mean ratings of the same clips by others in sessions that count.
    """

    votes: int
    answered: float
    traps: int
    traps_right: int
    gold: int
    gold_right: int
    gold_deviations: tuple[float, ...]
    repeats: tuple[float, ...]
    mean: float | None
    sd: float | None
    rt_median_ms: float | None
    rt_median: float | None
    rt_least: float | None
    heard: float | None
    hidden_references: tuple[float, ...]
    r: float | None = None


@dataclass(frozen=True)
class Vote:
    """One vote: what was rated (systems and utterances) and how, the same way round for all.

    Attributes:
        clips: system and utterance of the clip; of a pair of both, in alphabetical order.
        tokens: as shown.
        rating: as shown.
        value: of a pair turned to the second of ``clips``.
    """

    session: str
    trial: str
    tokens: tuple[str, ...]
    clips: tuple[tuple[str, str], ...]
    rating: float
    value: float


def step(bundle: Bundle) -> float:
    """One step of a five-point scale, on the bundle's scale."""
    return (bundle.kind.scale.high - bundle.kind.scale.low) / 4


def check(bundle: Bundle, session: Session) -> Checks:
    """All but the agreement."""
    roles = {one.trial: bundle.key.trials[one.trial] for one in session.responses}
    rated = [one for one in session.responses if roles[one.trial].role == "rated"]
    gold = _deviations(bundle, session, "gold")
    traps = _deviations(bundle, session, "trap")
    ratings = [rating for one in rated for rating in one.ratings]
    times_ms = [one.rt_ms for one in rated if one.rt_ms is not None]
    ratios = [
        one.rt_ms / 1000 / duration
        for one in rated
        if one.rt_ms is not None and (duration := _duration_s(bundle, one)) > 0
    ]
    heard = [share for one in rated if one.heard is not None for share in one.heard]
    asked = sum(
        bundle.key.trials[trial.id].role == "rated"
        for trial in bundle.lists.get(session.list_id or "", ())
    )
    return Checks(
        votes=len(ratings),
        answered=len(rated) / asked if asked else 0.0,
        traps=len(traps),
        traps_right=sum(abs(off) <= key.tolerance for key, off in traps),
        gold=len(gold),
        gold_right=sum(abs(off) <= key.tolerance for key, off in gold),
        gold_deviations=tuple(off for _, off in gold),
        repeats=_repeats(bundle, session),
        mean=statistics.fmean(ratings) if ratings else None,
        sd=statistics.stdev(ratings) if len(ratings) > 1 else None,
        rt_median_ms=statistics.median(times_ms) if times_ms else None,
        rt_median=statistics.median(ratios) if ratios else None,
        rt_least=min(ratios, default=None),
        heard=min(heard, default=None),
        hidden_references=tuple(_hidden_references(bundle, rated)),
    )


def votes(bundle: Bundle, session: Session) -> Iterator[Vote]:
    """The votes of a session, in its order."""
    for one in session.responses:
        if bundle.key.trials[one.trial].role != "rated":
            continue
        clips = [_clip(bundle, token) for token in one.tokens]
        if bundle.kind.is_pair:
            turned = clips[0] > clips[1]
            value = -one.ratings[0] if turned else one.ratings[0]
            ordered = tuple(sorted(clips))
            yield Vote(session.session, one.trial, one.tokens, ordered, one.ratings[0], value)
        else:
            for token, clip, rating in zip(one.tokens, clips, one.ratings, strict=True):
                yield Vote(session.session, one.trial, (token,), (clip,), rating, rating)


def agreement(
    bundle: Bundle, sessions: Sequence[Session], kept: Sequence[Session]
) -> dict[str, float | None]:
    """Pearson r of every session with the mean of other raters' votes, of the kept sessions.

    ``None`` where fewer than three clips are shared, or one side doesn't vary.
    """
    sums: dict[object, list[float]] = {}
    own: dict[tuple[str, object], list[float]] = {}
    for one in kept:
        for vote in votes(bundle, one):
            for place in (
                sums.setdefault(vote.clips, [0.0, 0.0]),
                own.setdefault((one.rater, vote.clips), [0.0, 0.0]),
            ):
                place[0] += vote.value
                place[1] += 1
    found: dict[str, float | None] = {}
    for one in sessions:
        pairs = []
        for vote in votes(bundle, one):
            total, count = sums.get(vote.clips, (0.0, 0.0))
            mine, times = own.get((one.rater, vote.clips), (0.0, 0.0))
            if count > times:
                pairs.append((vote.value, (total - mine) / (count - times)))
        found[one.session] = _pearson(pairs)
    return found


def outliers(bundle: Bundle, sessions: Sequence[Session], z_max: float) -> list[tuple[Vote, float]]:
    """Votes further than ``z_max`` standard deviations from the mean of their system (or pair)."""
    groups: dict[tuple[str, ...], list[Vote]] = {}
    for one in sessions:
        for vote in votes(bundle, one):
            groups.setdefault(tuple(clip[0] for clip in vote.clips), []).append(vote)
    found = []
    for group in groups.values():
        values = np.array([vote.value for vote in group])
        sd = float(values.std())
        if sd > 0:
            z = (values - values.mean()) / sd
            found += [
                (vote, float(one)) for vote, one in zip(group, z, strict=True) if abs(one) > z_max
            ]
    return found


def without(bundle: Bundle, session: Session, gone: set[tuple[str, str, str]]) -> Session:
    """The session without single votes, each given by session, trial and (first) token."""
    responses = []
    for one in session.responses:
        left = [
            place for place, token in enumerate(one.tokens)
            if (session.session, one.trial, token) not in gone
        ]  # fmt: skip
        if len(left) == len(one.tokens):
            responses.append(one)
        elif left and not bundle.kind.is_pair:
            responses.append(_only(one, left))
    return replace(session, responses=tuple(responses))


def _only(one: Response, left: list[int]) -> Response:
    return replace(
        one,
        tokens=tuple(one.tokens[place] for place in left),
        ratings=tuple(one.ratings[place] for place in left),
        heard=None if one.heard is None else tuple(one.heard[place] for place in left),
        plays=None if one.plays is None else tuple(one.plays[place] for place in left),
    )


def _deviations(bundle: Bundle, session: Session, role: str) -> list[tuple[TrialKey, float]]:
    """Answer minus expected of the trials of a role; of several clips the largest."""
    found = []
    for one in session.responses:
        key = bundle.key.trials[one.trial]
        if key.role != role or key.expected is None:
            continue
        turned = bundle.kind.is_pair and one.tokens != key.tokens
        expected = -key.expected if turned else key.expected
        found.append((key, max((rating - expected for rating in one.ratings), key=abs)))
    return found


def _repeats(bundle: Bundle, session: Session) -> tuple[float, ...]:
    answers = {one.trial: one for one in session.responses}
    found = []
    for one in session.responses:
        first = answers.get(bundle.key.trials[one.trial].of or "")
        if first is None:
            continue
        before, again = _by_clip(bundle, first), _by_clip(bundle, one)
        common = before.keys() & again.keys()
        if common:
            off = statistics.fmean(abs(before[clip] - again[clip]) for clip in sorted(common))
            found.append(off / step(bundle))
    return tuple(found)


def _by_clip(bundle: Bundle, one: Response) -> dict[tuple[tuple[str, str], ...], float]:
    clips = [_clip(bundle, token) for token in one.tokens]
    if bundle.kind.is_pair:
        value = -one.ratings[0] if clips[0] > clips[1] else one.ratings[0]
        return {tuple(sorted(clips)): value}
    return {(clip,): rating for clip, rating in zip(clips, one.ratings, strict=True)}


def _clip(bundle: Bundle, token: str) -> tuple[str, str]:
    key = bundle.key.tokens[token]
    return key.system or "", key.utterance or ""


def _duration_s(bundle: Bundle, one: Response) -> float:
    tokens = bundle.manifest["tokens"]
    return float(sum(tokens[token]["duration_s"] for token in one.tokens))


def _hidden_references(bundle: Bundle, rated: Sequence[Response]) -> Iterator[float]:
    if bundle.kind.name != "mushra":
        return
    for one in rated:
        for token, rating in zip(one.tokens, one.ratings, strict=True):
            if bundle.key.systems.get(_clip(bundle, token)[0]) == "reference":
                yield rating


def _pearson(pairs: Sequence[tuple[float, float]]) -> float | None:
    if len(pairs) < _COMMON_MIN:
        return None
    mine, others = np.array(pairs).T
    if not mine.std() or not others.std():
        return None
    return float(np.corrcoef(mine, others)[0, 1])
