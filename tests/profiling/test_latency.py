"""Figures of streamed answers: by hand, and what must hold of any."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mamtra_eval.profiling import latency
from mamtra_eval.profiling.latency import Arrival, Arrivals

# Asked for at 10 s. The second piece is due at 11.5 and comes at 11.3, the third is due at 12.0
# and comes at 12.4, the last is due at 12.5 (12.9 for who has waited) and comes at 12.6.
ANSWER = Arrivals(
    10.0, (Arrival(10.5, 1.0), Arrival(11.3, 0.5), Arrival(12.4, 0.5), Arrival(12.6, 2.0)), 0.25
)

seconds = st.floats(0, 100).map(lambda x: round(x * 64) / 64)  # sums of such are exact


@st.composite
def answers(draw: st.DrawFn, least: int = 1) -> Arrivals:
    pieces = draw(st.lists(st.tuples(seconds, seconds), min_size=least, max_size=8))
    assume(any(duration > 0 for _, duration in pieces))
    times = np.cumsum([gap for gap, _ in pieces])
    arrivals = (
        Arrival(float(at), duration) for at, (_, duration) in zip(times, pieces, strict=True)
    )
    return Arrivals(0.0, tuple(arrivals), draw(st.none() | seconds))


def test_figures_of_an_answer_by_hand() -> None:
    assert latency.first_audio_s(ANSWER) == pytest.approx(0.5)
    assert latency.first_chunk_s(ANSWER) == 1.0
    assert latency.first_voiced_s(ANSWER) == pytest.approx(0.75)
    assert latency.rtf(ANSWER) == pytest.approx(2.6 / 4.0)
    assert latency.underrun_s(ANSWER) == pytest.approx(0.4)
    assert latency.prebuffer_s(ANSWER) == pytest.approx(0.4)
    assert latency.rtf_system(3.0, 4.0) == 0.75


def test_a_single_piece_has_no_underrun_and_needs_no_buffer() -> None:
    single = Arrivals(0.0, (Arrival(3.0, 1.0),), None)
    assert latency.underrun_s(single) is None
    assert latency.prebuffer_s(single) == 0
    assert latency.first_voiced_s(single) is None
    assert latency.rtf(single) == 3.0


@pytest.mark.parametrize(
    ("offset", "heard"),
    [
        (0.0, 0.5),  # at once
        (1.2, 1.7),  # in the second piece, which is played as soon as the first has ended
        (1.5, 2.4),  # the first sample of the third, for which the player waits
        (2.25, 3.15),  # in the last: it was there in time, and is played after the pause
        (4.0, 4.9),  # the end itself
    ],
)
def test_voice_is_heard_when_it_is_played(offset: float, heard: float) -> None:
    answer = Arrivals(ANSWER.requested_s, ANSWER.arrivals, offset)
    assert latency.first_voiced_s(answer) == pytest.approx(heard)


def test_leading_silence_is_no_answer() -> None:
    quick = Arrivals(0.0, (Arrival(0.1, 1.0),), 0.9)
    slow = Arrivals(0.0, (Arrival(0.5, 1.0),), 0.0)
    assert latency.first_audio_s(quick) < latency.first_audio_s(slow)
    assert latency.first_voiced_s(quick) > latency.first_voiced_s(slow)  # type: ignore[operator]


def test_continuity_is_the_share_of_small_gaps() -> None:
    assert latency.continuity([0.0, 0.1, 0.1001, 3.0]) == 0.5
    assert latency.continuity([0.05], gap_s=0.01) == 0


@pytest.mark.parametrize(
    ("requested", "pieces"),
    [
        (0.0, ()),
        (0.0, ((1.0, 0.0),)),
        (0.0, ((1.0, 1.0), (0.5, 1.0))),
        (2.0, ((1.0, 1.0),)),
        (0.0, ((1.0, 2.0), (2.0, -1.0))),
        (0.0, ((1.0, math.nan),)),
    ],
)
def test_what_can_be_no_answer(requested: float, pieces: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="piece"):
        Arrivals(requested, tuple(Arrival(*piece) for piece in pieces))


def test_a_run_without_audio_has_no_factor() -> None:
    with pytest.raises(ValueError, match="without audio"):
        latency.rtf_system(1.0, 0.0)


def test_the_voiced_sample_is_the_first_of_minus_40_db() -> None:
    samples = np.array([0, 0.0099, -0.0101, 0.5], np.float32)
    assert latency.voiced_from(samples) == 2
    assert latency.voiced_from(samples[:2]) is None
    assert latency.voiced_from(samples[:0]) is None


def _pauses(answer: Arrivals, held_s: float = 0.0) -> float:
    """Played piece by piece, the first held back: seconds without sound after the start."""
    now = answer.arrivals[0].time_s + held_s
    silent = 0.0
    for piece in answer.arrivals:
        silent += max(0.0, piece.time_s - now)
        now = max(now, piece.time_s) + piece.duration_s
    return silent


@given(answers(least=2))
def test_underrun_is_the_sum_of_a_players_pauses(answer: Arrivals) -> None:
    assert latency.underrun_s(answer) == _pauses(answer)


@given(answers())
def test_the_prebuffer_is_the_least_that_avoids_every_pause(answer: Arrivals) -> None:
    needed = latency.prebuffer_s(answer)
    assert _pauses(answer, needed) == 0
    if needed:
        assert _pauses(answer, needed - 1 / 64) > 0
    assert latency.underrun_s(answer) in (needed, None)


@given(answers(least=2), st.data())
def test_delay_never_mends_anything(answer: Arrivals, data: st.DataObject) -> None:
    """A later piece (and all after it) never lowers underrun, RTF or first audio."""
    place = data.draw(st.integers(1, len(answer.arrivals) - 1))
    delay = data.draw(seconds)
    late = tuple(
        Arrival(piece.time_s + delay * (index >= place), piece.duration_s)
        for index, piece in enumerate(answer.arrivals)
    )
    later = Arrivals(answer.requested_s, late, answer.voiced_offset_s)
    assert latency.underrun_s(later) >= latency.underrun_s(answer)  # type: ignore[operator]
    assert latency.rtf(later) >= latency.rtf(answer)
    assert latency.first_audio_s(later) == latency.first_audio_s(answer)
    before, after = latency.first_voiced_s(answer), latency.first_voiced_s(later)
    assert (before is None and after is None) or after >= before  # type: ignore[operator]


@given(answers())
def test_voice_is_never_heard_before_audio_has_come(answer: Arrivals) -> None:
    heard = latency.first_voiced_s(answer)
    assert heard is None or heard >= latency.first_audio_s(answer)


def test_the_line_of_fixed_and_growing_time() -> None:
    line = latency.fit([1.0, 2.0, 4.0], [0.8, 1.1, 1.7])
    assert line == pytest.approx((0.5, 0.3))
    assert latency.fit([2.0, 2.0], [1.0, 3.0]) is None
    assert latency.fit([0.1] * 3, [1.0, 2.0, 3.0]) is None
    assert latency.fit([], []) is None


@given(
    st.lists(seconds, min_size=2, max_size=20, unique=True),
    st.floats(-5, 5),
    st.floats(-5, 5),
)
def test_points_on_a_line_give_the_line(x: list[float], fixed: float, slope: float) -> None:
    line = latency.fit(x, [fixed + slope * value for value in x])
    assert line is not None
    for value in x:
        assert line.fixed + line.slope * value == pytest.approx(
            fixed + slope * value, abs=1e-6, rel=1e-6
        )
