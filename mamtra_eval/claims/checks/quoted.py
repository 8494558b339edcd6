"""Claims that rest on numbers of their sources: checked against each other, or not at all.

Nothing here is measured. Where a claim takes the published weights, which do not exist outside the
authors' own page, the verdict is that it can't be checked here; what would check it is named.
"""

from __future__ import annotations

from mamtra_eval.claims.checks._shapes import TEACHER
from mamtra_eval.claims.claim import Claim
from mamtra_eval.claims.finding import (
    IN_PART,
    NEEDS_WEIGHTS,
    NOT_CHECKABLE,
    QUOTED,
    Finding,
    register,
)
from mamtra_eval.claims.profiles import Profiles
from mamtra_eval.claims.words import listed, share
from mamtra_eval.models import cost
from mamtra_eval.statistics.listening_power import votes_needed

VOTE_SD = 0.95
"""Of five-point ratings, as listening tests have it; a common value of planning."""


@register
def token_rate(claim: Claim, _profiles: Profiles | None) -> Finding:
    """A claimed rate of speech tokens against the rates of the systems."""
    rates = {str(key): float(value) for key, value in claim.setting("rates").items()}
    ours = rates[str(claim.setting("system"))]
    low, high = claim.value("lowest"), claim.value("highest")
    nearer = "lowest" if ours < (low + high) / 2 else "highest"
    length = int(claim.setting("context"))
    return Finding(
        QUOTED,
        f"{ours:g} tokens/s",
        f"By their own settings the systems make {listed(f'{v:g} ({k})' for k, v in rates.items())}"
        f" tokens a second of speech. {length:,} tokens are then {length / ours:.0f} s, not "
        f"{length / high:.0f} to {length / low:.0f}, and a second of speech adds "
        f"{ours * cost.kv_bytes(TEACHER, 1) / 1e6:.2f} MB of fp16 cache, not "
        f"{low * cost.kv_bytes(TEACHER, 1) / 1e6:.2f} to "
        f"{high * cost.kv_bytes(TEACHER, 1) / 1e6:.2f}.",
        claim.against(nearer, ours),
    )


@register
def data_share(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Hours of distillation against hours of the teacher's data, both as quoted."""
    used, total = claim.setting("used_hours"), float(claim.setting("english_hours"))
    ours = {str(hours): hours / total for hours in used}
    told = listed(f"{share(value)} ({key} h)" for key, value in ours.items())
    return Finding(
        QUOTED,
        told,
        f"{listed(f'{hours:,}' for hours in used)} h of LibriTTS are {told} of the "
        f"{total:,.0f} h that the teacher's training had in English. The teacher was trained on "
        "other languages as well, so of all of its data it is less. Quoted, not measured.",
        claim.against("share", ours),
        best=IN_PART,
    )


@register
def word_error_rates(claim: Claim, _profiles: Profiles | None) -> Finding:
    """What a claimed rate and its rise make of the teacher's, beside other sources' figures."""
    from mamtra_eval.published import registry

    rate, rise = claim.value("hybrid"), claim.value("rise")
    others = sorted(
        number.value
        for number in registry().numbers
        if (number.system, number.testset, number.metric) == ("cosyvoice2", "seed-tts-en", "wer")
        and abs(number.value - (rate - rise)) > 1e-9
    )
    return Finding(
        NEEDS_WEIGHTS,
        "–",
        f"{100 * rate:.2f} % is a rise of {100 * rise:.2f} points, so the teacher has "
        f"{100 * (rate - rise):.2f} %; other sources print "
        f"{listed(f'{100 * value:.2f}' for value in others)} % for it on the same set. Such rates "
        "hang on recogniser, text rule and decoding: teacher and hybrid are to be run in one "
        "harness, with mamtra-eval evaluate, once there are weights.",
        best=NOT_CHECKABLE,
    )


@register
def opinion_scores(claim: Claim, _profiles: Profiles | None) -> Finding:
    """What a claimed score and its fall make of the teacher's."""
    score, fall = claim.value("hybrid"), claim.value("fall")
    return Finding(
        NEEDS_WEIGHTS,
        "–",
        f"{score:.2f} is a fall of {fall:.2f}, so the teacher has {score + fall:.2f}. Raters, "
        "clips and intervals are not on record, so whether the two differ can't be said. A true "
        f"fall of {fall:.2f} is seen (80 %) with {votes_needed(fall, VOTE_SD):,} independent votes "
        f"of each system (SD of a vote {VOTE_SD:g}); mamtra-eval listen plan says what a test can "
        "see.",
        best=NOT_CHECKABLE,
    )


@register
def read_off_a_figure(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Which of several values in a figure is the least; they take trained models."""
    name = str(claim.setting("number"))
    values = claim.series(name)
    unit = claim.numbers[name].unit
    scale = 100.0 if unit == "percent" else 1.0
    best = min(values, key=lambda key: values[key])
    told = listed(f"{scale * value:.2f} ({key})" for key, value in values.items())
    return Finding(
        NEEDS_WEIGHTS,
        "–",
        f"The figure shows {told} {'%' if unit == 'percent' else unit}: {best} has the least. "
        f"That takes trained models; {claim.setting('command')} trains small ones.",
        best=NOT_CHECKABLE,
    )
