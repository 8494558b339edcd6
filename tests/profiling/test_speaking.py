"""End-to-end timing with a clock that the systems themselves move, and one real cold start."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

import pytest
from scripted_systems import FakeClock, Scripted, Step, speech

from mamtra_eval import registry
from mamtra_eval.audio import Clip
from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.profiling import speaking, spoken
from mamtra_eval.profiling.rows import ProfileKey, ProfileRow
from mamtra_eval.profiling.speaking import SpeakingRules
from mamtra_eval.stage_times import collecting, stage
from mamtra_eval.systems import Request, System, Words
from mamtra_eval.torch_threads import torch_threads

REQUESTS = [Request("a", "one"), Request("b", "one two"), Request("c", "one two three")]
ONCE = SpeakingRules(warm_up=0, rounds=1)
KEY = ProfileKey("s", "x", "")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def steady(request: Request, call: int) -> list[Step]:
    """0.1 s for the first 0.5 s of audio, then 0.2 s for as many more as the text has words."""
    words = float(len(request.text.split()))
    return [(0.1, speech(0.5, 0.25)), (0.2, speech(words, cost={"tokens": 25 * (words + 0.5)}))]


def measured(systems: dict[str, System], clock: FakeClock, rules: SpeakingRules = ONCE) -> dict:
    return speaking.measure(systems, REQUESTS, clock, rules)


def by_quantity(rows: Sequence[ProfileRow], system: str = "x") -> dict[str, ProfileRow]:
    own = [row for row in rows if row.key.system == system]
    assert len({row.key for row in own}) == len(own)
    return {row.key.quantity: row for row in own}


def rows_of(system: System, clock: FakeClock, rules: SpeakingRules = ONCE) -> dict:
    found = measured({"x": system}, clock, rules)
    return by_quantity(speaking.rows(found, "s", baseline="x"))


def test_figures_by_hand(clock: FakeClock) -> None:
    rows = rows_of(Scripted(clock, steady), clock)
    expected = {
        "rate.failed": 0.0,
        "time.first_audio": 0.1,
        "time.first_voiced": 0.35,  # a quarter of a second of silence is played first
        "rate.rtf": 0.3 / 2.5,
        "rate.rtf_system": 0.9 / 7.5,
        "time.underrun": 0.0,
        "rate.continuity": 1.0,
        "audio.seconds": 2.5,
        "tokens.speech": 62.5,
        "time.vocoder": 0.3,
        "time.fixed": 0.3,
        "time.per_audio_second": 0.0,
    }
    assert {name: row.value for name, row in rows.items()} == pytest.approx(expected, abs=1e-9)
    assert all(row.n == 3 and not row.notes and row.error is None for row in rows.values())
    assert rows["time.first_audio"].detail["first_chunk_s"] == 0.5
    assert rows["rate.rtf"].detail["ratio_of_sums"] == pytest.approx(0.9 / 7.5)
    assert rows["rate.rtf"].detail["audio_s"] == 2.5
    assert rows["rate.rtf"].low == pytest.approx((0.3 / 3.5 + 0.3 / 2.5) / 2)
    assert rows["audio.seconds"].detail["total"] == 7.5
    assert {row.key.workload for row in rows.values()} == {"natural"}
    assert {row.unit for row in rows.values()} <= {"s", "ratio", "tokens"}


def test_fixed_and_growing_time_are_told_apart(clock: FakeClock) -> None:
    def linear(request: Request, call: int) -> list[Step]:
        words = len(request.text.split())
        return [(0.4 + 0.25 * words, speech(words, cost={"tokens": 50 * words}))]

    rows = rows_of(Scripted(clock, linear), clock)
    assert rows["time.fixed"].value == pytest.approx(0.4)
    assert rows["time.per_audio_second"].value == pytest.approx(0.25)
    over_tokens = rows["time.fixed"].detail["over_tokens"]
    assert over_tokens == pytest.approx({"fixed_s": 0.4, "s_per_token": 0.005})


def test_a_line_that_begins_below_0_is_told(clock: FakeClock) -> None:
    def growing(request: Request, call: int) -> list[Step]:
        words = len(request.text.split())
        return [(0.1 * words**3, speech(words))]

    rows = rows_of(Scripted(clock, growing), clock)
    assert rows["time.fixed"].value < 0
    assert rows["time.fixed"].notes[0].startswith("below 0")


def test_progress_and_synchronisation_are_told(clock: FakeClock) -> None:
    told, waits = itertools.count(), itertools.count()
    systems: dict[str, System] = {name: Scripted(clock, steady) for name in ("A", "B")}
    speaking.measure(
        systems, REQUESTS, clock, SpeakingRules(warm_up=1, rounds=2),
        advance=lambda: next(told), synchronize=lambda: next(waits),
    )  # fmt: skip
    assert next(told) == 2 * (1 + 2 * 3)
    assert next(waits) == 2 * (2 * 3) * 2 * 2  # both ends of two stages, not in the warm-up


def test_answers_of_one_length_have_no_line(clock: FakeClock) -> None:
    rows = rows_of(Scripted(clock, lambda *_: [(0.1, speech(1))]), clock)
    for name in ("time.fixed", "time.per_audio_second"):
        assert rows[name].value is None
        assert "of one length" in rows[name].error


def test_a_single_piece_has_no_underrun(clock: FakeClock) -> None:
    rows = rows_of(Scripted(clock, lambda *_: [(0.1, speech(1))]), clock)
    for name in ("time.underrun", "rate.continuity"):
        assert rows[name].value is None
        assert "one piece" in rows[name].error


def test_gaps_show(clock: FakeClock) -> None:
    def stuttering(request: Request, call: int) -> list[Step]:
        late = 0.75 if request.utterance == "c" else 0.4
        return [(0.1, speech(0.5)), (late, speech(0.5))]

    rows = rows_of(Scripted(clock, stuttering), clock)
    assert rows["rate.continuity"].value == pytest.approx(2 / 3)
    assert rows["time.underrun"].value == 0
    assert rows["time.underrun"].detail["longest"] == pytest.approx(0.25)
    assert rows["rate.rtf"].value < 1  # and yet there was a gap


def test_systems_take_turns_and_the_order_is_reversed_each_round(clock: FakeClock) -> None:
    log: list[str] = []
    systems = {name: Scripted(clock, steady, log, name) for name in ("A", "B")}
    speaking.measure(systems, REQUESTS[:2], clock, SpeakingRules(warm_up=0, rounds=3))
    first, second = ["Aa", "Ba", "Ab", "Bb"], ["Ba", "Aa", "Bb", "Ab"]
    assert log == first + second + first


def test_warm_up_is_thrown_away_and_holds_the_longest_text(clock: FakeClock) -> None:
    def cold(request: Request, call: int) -> list[Step]:
        return [(100.0 if call < 2 else 0.1, speech(1))]

    system = Scripted(clock, cold)
    rows = rows_of(system, clock, SpeakingRules(warm_up=2, rounds=1))
    assert system.log == ["c", "b", "a", "b", "c"]
    assert rows["time.first_audio"].value == pytest.approx(0.1)
    assert rows["rate.rtf_system"].detail["wall_s"] == pytest.approx(0.3)


def test_a_failed_request_is_counted_and_left_out(clock: FakeClock) -> None:
    def failing(request: Request, call: int) -> list[Step]:
        wrong = SynthesisError("no voice")
        return [(0.5, wrong if request.utterance == "b" else speech(1))]

    rows = rows_of(Scripted(clock, failing), clock)
    assert rows["rate.failed"].value == pytest.approx(1 / 3)
    assert rows["rate.failed"].detail["errors"] == {"no voice": 1}
    assert rows["time.first_audio"].n == 2
    assert rows["time.first_audio"].notes == ("1 of 3 requests failed and are left out",)
    assert rows["rate.rtf_system"].value == pytest.approx(1.5 / 2)  # the failure took time too


def test_a_system_that_only_fails_has_rows_that_say_so(clock: FakeClock) -> None:
    systems: dict[str, System] = {
        "x": Scripted(clock, lambda *_: [(0.1, SynthesisError("no voice"))]),
        "y": Scripted(clock, steady),
    }
    rows = speaking.rows(measured(systems, clock), "s", baseline="x")
    broken = by_quantity(rows)
    assert broken["rate.failed"].value == 1
    assert broken["time.first_audio"].value is None
    assert broken["rate.rtf"].error == "all 3 requests failed: no voice"
    assert by_quantity(rows, "y")["time.first_audio"].value == pytest.approx(0.1)


class Unready(Scripted):
    def prepare(self) -> None:
        raise UserError("no weights", fix="Get them.")


def test_a_system_that_cannot_be_prepared_is_not_asked(clock: FakeClock) -> None:
    system = Unready(clock, steady)
    rows = rows_of(system, clock)
    assert system.calls == 0
    assert rows["rate.rtf"].error == "all 3 requests failed: no weights. Get them."


class Transcripts(Scripted):
    stream = System.stream

    def speak(self, request: Request) -> Words:  # type: ignore[override]
        return Words("hello")


@pytest.mark.parametrize(
    ("system", "reason"),
    [
        (lambda clock: Transcripts(clock, steady), "gives transcripts, not audio"),
        (lambda clock: Scripted(clock, lambda *_: [(0.1, speech(0))]), "without samples"),
        (lambda clock: Scripted(clock, lambda *_: []), "without samples"),
        (
            lambda clock: Scripted(clock, lambda *_: [(0.1, speech(1, source="x.wav"))]),
            "plays a recording",
        ),
    ],
)
def test_what_cannot_be_timed_is_told(clock: FakeClock, system, reason: str) -> None:
    assert reason in rows_of(system(clock), clock)["time.first_audio"].error


def test_pieces_without_samples_are_no_audio_yet(clock: FakeClock) -> None:
    steps = [(0.5, speech(0)), (0.5, speech(1)), (0.5, speech(0, cost={"tokens": 25}))]
    one = spoken.listen(Scripted(clock, lambda *_: steps), REQUESTS[0], clock)
    assert [piece.duration_s for piece in one.answer.arrivals] == [1]
    assert one.answer.total_s == pytest.approx(1.0)
    assert one.tokens == 25


def test_silence_has_no_voice(clock: FakeClock) -> None:
    rows = rows_of(Scripted(clock, lambda *_: [(0.1, speech(1, 1))]), clock)
    assert rows["time.first_voiced"].value is None
    assert "-40 dB" in rows["time.first_voiced"].error


def test_texts_that_differ_are_not_unstable_but_visits_that_differ_are(clock: FakeClock) -> None:
    def by_text(request: Request, call: int) -> list[Step]:
        return [(len(request.text), speech(1))]

    def by_visit(request: Request, call: int) -> list[Step]:
        return [(0.1 * (1 + call % 4), speech(1))]

    rules = SpeakingRules(warm_up=0, rounds=4)
    assert rows_of(Scripted(clock, by_text), clock, rules)["time.first_audio"].notes == ()
    [note] = rows_of(Scripted(clock, by_visit), clock, rules)["time.first_audio"].notes
    assert note.startswith("unstable")


@pytest.mark.parametrize(
    ("factor", "note"),
    [
        (1.0, ""),
        (1.1, ""),
        (0.9, ""),
        (1.25, "not a speed-up: 25 % more speech than A"),
        (0.5, "not a speed-up: 50 % less speech than A"),
        (1.104, "not a speed-up: 10.4 % more speech than A"),
    ],
)
@pytest.mark.parametrize("counted", [True, False])
def test_less_speech_is_no_speed_up(
    clock: FakeClock, factor: float, note: str, counted: bool
) -> None:
    def of(seconds: float) -> Scripted:
        cost = {"tokens": 25 * seconds} if counted else {}
        return Scripted(clock, lambda *_: [(0.1, speech(seconds, cost=cost))])

    found = measured({"A": of(2.0), "B": of(2.0 * factor)}, clock)
    rows = speaking.rows(found, "s", baseline="A")
    other = by_quantity(rows, "B")
    for quantity in ("time.first_audio", "rate.rtf", "rate.rtf_system"):
        assert other[quantity].notes == ((note,) if note else ())
    assert other["audio.seconds"].notes == ()
    assert by_quantity(rows, "A")["rate.rtf"].notes == ()


def test_tokens_of_another_rate_are_not_compared(clock: FakeClock) -> None:
    def of(tokens: float) -> Scripted:
        return Scripted(clock, lambda *_: [(0.1, speech(2, cost={"tokens": tokens}))])

    found = measured({"A": of(50), "B": of(100)}, clock)
    rows = by_quantity(speaking.rows(found, "s", baseline="A"), "B")
    assert rows["rate.rtf"].notes == ()


def test_only_what_both_spoke_is_compared(clock: FakeClock) -> None:
    def half(request: Request, call: int) -> list[Step]:
        wrong = SynthesisError("no")
        return [(0.1, wrong if request.utterance == "a" else speech(2))]

    systems: dict[str, System] = {
        "A": Scripted(clock, lambda *_: [(0.1, speech(2))]),
        "B": Scripted(clock, half),
    }
    found = measured(systems, clock)
    assert speaking.length_note(found["A"].spoken, found["B"].spoken, "A") == ""
    assert "no request" in speaking.length_note(found["A"].spoken, [], "A")


def test_the_bound_of_a_speed_up() -> None:
    assert speaking.valid_speedup(100, 110)
    assert speaking.valid_speedup(100, 90)
    assert not speaking.valid_speedup(100, 111)
    assert not speaking.valid_speedup(100, 89)


def test_percentiles_need_samples(clock: FakeClock) -> None:
    few = rows_of(Scripted(clock, steady), clock, SpeakingRules(0, 10))["rate.rtf"]
    many = rows_of(Scripted(clock, steady), clock, SpeakingRules(0, 34))["rate.rtf"]
    assert few.n == 30
    assert "p95" not in few.detail
    assert many.n == 102
    assert many.detail["p95"] == pytest.approx(0.2)


def test_the_first_visit_to_the_front_end_is_told_apart(clock: FakeClock) -> None:
    def remembering(request: Request, call: int) -> list[Step]:
        return [(1.0 if call < 3 else 0.1, speech(1))]

    row = rows_of(Scripted(clock, remembering), clock, SpeakingRules(0, 5))["time.vocoder"]
    assert row.value == pytest.approx(0.1)
    assert row.detail["first_visit"] == pytest.approx(1.0)


def test_nothing_to_time_is_refused(clock: FakeClock) -> None:
    with pytest.raises(UserError, match="nothing to time"):
        speaking.measure({}, REQUESTS, clock)
    with pytest.raises(UserError, match="rounds=0"):
        SpeakingRules(rounds=0)


def test_stages_add_up_and_do_not_nest(clock: FakeClock) -> None:
    waits = itertools.count()
    with collecting(clock, lambda: next(waits)) as collector:
        for _ in range(2):
            with stage("outer"):
                clock.pass_by(1)
                with stage("inner"):
                    clock.pass_by(2)
        with suppress(ValueError), stage("failing"):
            clock.pass_by(4)
            raise ValueError
    with stage("outside"):
        clock.pass_by(8)
    assert collector.seconds == {"outer": 6, "failing": 4}
    assert next(waits) == 6  # at both ends of each of the three stages


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Networks this small wait for each other's threads more than they compute."""
    with torch_threads():
        yield


@pytest.mark.usefixtures("one_thread")
def test_mini_marks_its_stages() -> None:
    system = registry.create("systems", "mini", {"ratio": "1:11"})
    request = Request("a", "Good morning, little house.", seed=1)
    found = speaking.measure({"x": system}, [request], time.perf_counter, ONCE)
    rows = by_quantity(speaking.rows(found, "s", baseline="x"))
    stages = ["time.front_end", "time.prefill", "time.decode", "time.vocoder"]
    assert all(rows[name].value > 0 for name in stages), rows
    [one] = found["x"].spoken
    assert sum(one.stages.values()) <= one.answer.total_s
    assert len(one.answer.arrivals) > 1
    assert one.answer.arrivals[0].duration_s == pytest.approx(1, abs=0.03)
    assert rows["tokens.speech"].value == pytest.approx(25 * rows["audio.seconds"].value, abs=1)
    with collecting() as collector:
        clip = system.speak(request)
    assert isinstance(clip, Clip)
    assert set(collector.seconds) == {"front_end", "decoder", "vocoder"}


def test_a_cold_start_is_a_process_of_its_own() -> None:
    before = time.monotonic()
    row = speaking.cold_start("noise", Request("a", "hello"), KEY, starts=1)
    wall_s = time.monotonic() - before
    assert row.error is None
    assert row.key.quantity == "time.cold"
    assert row.value == pytest.approx(sum(row.detail.values()))
    assert set(row.detail) == {"import", "make", "first_audio"}
    assert 0 < row.detail["import"] < wall_s
    assert all(seconds >= 0 for seconds in row.detail.values())
    assert row.value <= wall_s


@pytest.mark.parametrize(
    ("target", "timeout_s", "reason"),
    [
        ("noise:level_db=7", 60, "must lie from -120 to 0"),
        ("nois", 60, "Did you mean noise?"),
        ("recorded", 60, "no ground-truth recording"),
        ("noise", 0.01, "longer than 0.01 s"),
    ],
)
def test_a_cold_start_that_fails_says_why(target: str, timeout_s: float, reason: str) -> None:
    row = speaking.cold_start(target, Request("a", "hello"), KEY, starts=1, timeout_s=timeout_s)
    assert row.value is None
    assert reason in row.error  # type: ignore[operator]
