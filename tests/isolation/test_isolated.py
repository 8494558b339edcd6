"""A system in a process of its own looks like the one in this process."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from guests import folder_of, group, interpreter, isolated, pid_of, requests, told, until
from odd_systems import make

from mamtra_eval import stage_times
from mamtra_eval.audio import Clip
from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.isolation.keeping import Limits, Recipe
from mamtra_eval.isolation.system import Isolated
from mamtra_eval.systems import Request, Words, noise
from mamtra_eval.systems.espeak import create as espeak

TEXTS = [
    "Hello.", "", "你好，世界", "naïve 🙂 \u202e \x00 \x1b[31m", "a\nb\r\nc", "\udce9 broken",
    "x" * 200_000,
]  # fmt: skip


@pytest.fixture(scope="module")
def odd():
    system = isolated(a=1)
    yield system
    system.close()


def test_clips_are_the_same_bit_for_bit(odd) -> None:
    here = make({})
    for request in requests(*TEXTS):
        one, other = here.speak(request), odd.speak(request)
        assert one.samples.tobytes() == other.samples.tobytes()
        assert (other.sample_rate_hz, other.source) == (8000, None)
        assert other.cost["tokens"] == len(request.text)
        assert other.cost["pid"] == pid_of(odd) != os.getpid()


@pytest.mark.parametrize("batch", ["", "yes"])
def test_many_are_the_same_in_the_same_order(batch: str) -> None:
    asked = requests("a", "words b", "c do synthesis", "d")
    system = isolated(batch=batch)
    assert system.batch_size == (4 if batch else 1)
    try:
        here, there = list(make({"batch": batch}).speak_many(asked)), list(system.speak_many(asked))
        assert [index for index, _ in here] == [index for index, _ in there]
        assert told(here) == told(there)
        assert dict(there)[1] == Words("words b")
        assert type(dict(there)[2]) is SynthesisError
        assert list(system.speak_many([])) == []
    finally:
        system.close()


@pytest.mark.parametrize(
    ("kind", "here"),
    [("noise", noise.create({})), ("espeak", espeak({"voice": "en-gb", "rate": 250}))],
)
def test_real_plugins_speak_the_same(kind: str, here) -> None:
    options = {} if kind == "noise" else {"voice": "en-gb", "rate": "250"}
    system = Isolated(Recipe(kind, options), here, interpreter(), Limits())
    try:
        system.prepare()
        for request in requests("Good morning.", "One two three"):
            one, other = here.speak(request), system.speak(request)
            assert one.samples.tobytes() == other.samples.tobytes()
            assert one.sample_rate_hz == other.sample_rate_hz
        assert system.identity([]) == here.identity([])
    finally:
        system.close()


def test_identity_is_asked_there_and_tells_the_environment() -> None:
    asked = [Request("u", "Héllo", prompt_text="p", prompt_audio=Path("a b/é.wav"))] * 3
    system = isolated(a=1)
    other = isolated(python=interpreter(same=False, lock="abc"), a=1)
    third = isolated(python=interpreter(same=False), a=1)
    try:
        expected = {"options": {"a": 1}, "texts": ["Héllo"] * 3}
        assert system.identity(asked) == expected
        told = other.identity(asked)
        place = told.pop("environment")
        assert told == expected
        assert len(place.pop("distributions")) == 64  # a hash of what is installed
        assert place == {"name": "self", "lock": "abc"}
        assert third.identity([])["environment"]["lock"] is None
    finally:
        for one in (system, other, third):
            one.close()


def test_what_is_no_number_passes_through(odd) -> None:
    samples = odd.speak(requests("nan")[0]).samples
    assert samples.tobytes() == make({}).speak(requests("nan")[0]).samples.tobytes()
    assert np.isnan(samples[1])
    assert np.isinf(samples[2])
    assert len(odd.speak(requests("empty")[0]).samples) == 0


def test_a_clip_of_a_file_keeps_its_source(mini: Path) -> None:
    recording = next((mini / "recordings").glob("*.flac"))
    from mamtra_eval.systems import recorded

    here = recorded.create({"dir": str(recording.parent)})
    recipe = Recipe("recorded", {"dir": str(recording.parent)})
    system = Isolated(recipe, here, interpreter(), Limits())
    try:
        request = Request(recording.stem, "x")
        one, other = here.speak(request), system.speak(request)
        assert one.source == other.source == recording
        assert np.array_equal(one.samples, other.samples)
    finally:
        system.close()


def test_errors_of_a_clip_are_its_own_and_the_process_stays(odd) -> None:
    odd.prepare()
    pid = pid_of(odd)
    with pytest.raises(SynthesisError, match=r"^too long a text$"):
        odd.speak(requests("x do synthesis")[0])
    with pytest.raises(SynthesisError, match=r"^ZeroDivisionError: a bug$"):
        odd.speak(requests("x do bug")[0])
    with pytest.raises(UserError, match=r"^voice: no such voice. Take another.$") as caught:
        odd.speak(requests("x do user")[0])
    assert caught.value.fix == "Take another."
    with pytest.raises(SynthesisError, match=r"^no room for the clip in /.* \(No space left"):
        odd.speak(requests("x do full")[0])
    assert [path.name for path in folder_of(odd).iterdir()] == ["host"]
    assert pid_of(odd) == pid


def test_prints_reach_neither_the_pipe_nor_standard_output(odd, capfd) -> None:
    results = list(odd.speak_many(requests("a do print=3 do complain=1", "b do print=40000", "c")))
    assert told(results) == {0: "clip", 1: "clip", 2: "clip"}
    assert capfd.readouterr() == ("", "")


def test_megabytes_on_standard_error_block_nothing(odd) -> None:
    odd.speak(requests("a do complain=60000")[0])  # of 26 bytes
    assert len(odd._keeper._guest.process._said) <= 16384


def test_a_clip_is_made_when_it_is_pulled(odd, tmp_path: Path) -> None:
    results = odd.speak_many(requests("a", f"b do note={tmp_path / 'b'}", "c"))
    assert next(results)[0] == 0
    assert next(results)[0] == 1
    assert (tmp_path / "b").read_text() == str(pid_of(odd))
    results.close()  # nobody wants c
    results = odd.speak_many(requests("a", f"b do note={tmp_path / 'never'}"))
    next(results)
    pid = pid_of(odd)
    results.close()
    assert not (tmp_path / "never").exists()
    assert isinstance(odd.speak(requests("d")[0]), Clip)
    assert pid_of(odd) == pid
    assert [path.name for path in folder_of(odd).iterdir()] == ["host"]


def test_pieces_come_as_they_are_made() -> None:
    system = isolated()
    try:
        here = list(make({}).stream(requests("a stream")[0]))
        there = list(system.stream(requests("a stream")[0]))
        assert [one.samples.tobytes() for one in here] == [one.samples.tobytes() for one in there]
        assert [one.cost.get("tokens") for one in there] == [None, None, None, 8.0]
        pieces = system.stream(requests("break 2:hang")[0])
        assert [len(next(pieces).samples) for _ in range(2)] == [55, 55]  # before it hangs
    finally:
        system.close()


def test_a_stream_closed_early_is_closed_there_and_leaves_the_process(tmp_path: Path) -> None:
    system = isolated(closed=str(tmp_path / "closed"))
    try:
        pieces = system.stream(requests("a stream")[0])
        next(pieces)
        pid = pid_of(system)
        pieces.close()
        assert (tmp_path / "closed").read_text() == "0"
        assert len(list(system.stream(requests("another")[0]))) == 4
        assert pid_of(system) == pid
        held = system.stream(requests("held")[0])  # and another is begun before its end
        next(held)
        assert isinstance(system.speak(requests("b")[0]), Clip)
        with pytest.raises(SynthesisError, match="its process was ended"):
            list(held)
        assert isinstance(system.speak(requests("c")[0]), Clip)
    finally:
        system.close()


def test_stage_times_are_collected_across(odd) -> None:
    with stage_times.collecting() as collector:
        list(odd.stream(requests("a")[0]))
        before = dict(collector.seconds)
        odd.speak(requests("a")[0])
    assert set(before) == {"decode", "vocoder"}
    assert before["vocoder"] >= 4 * 0.002
    assert collector.seconds["decode"] > before["decode"]
    with stage_times.collecting(synchronize=lambda: None) as collector, stage_times.stage("all"):
        odd.speak(requests("a")[0])
    assert set(collector.seconds) == {"all"}  # stages do not nest


def test_an_interrupt_does_not_reach_it_and_a_closed_one_leaves_nothing() -> None:
    system = isolated()
    system.prepare()
    pid, folder = pid_of(system), folder_of(system)
    assert os.getsid(pid) == pid
    os.kill(pid, signal.SIGINT)
    assert isinstance(system.speak(requests("a")[0]), Clip)
    assert pid_of(system) == pid
    assert len(group(pid)) == 2  # itself and its guard
    system.close()
    assert until(lambda: group(pid) == [])
    assert not folder.exists()
    assert isinstance(system.speak(requests("a")[0]), Clip)  # closed is not broken
    pid = pid_of(system)
    del system
    assert until(lambda: group(pid) == [])


def _used(pid: int | str) -> tuple[int, int]:
    """Descriptors and KiB in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    kib = int(status.partition("VmRSS:")[2].split()[0])
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()), kib


def test_a_thousand_clips_leave_nothing_behind(odd) -> None:
    odd.prepare()
    clips = requests(*["x" * 500] * 250)
    told(list(odd.speak_many(clips)))
    pid, before, there = pid_of(odd), _used("self"), _used(pid_of(odd))
    for _ in range(3):
        assert set(told(list(odd.speak_many(clips))).values()) == {"clip"}
    for request in clips[:100]:
        list(odd.stream(request))
    for request in clips[:150]:
        odd.speak(request)
    assert pid_of(odd) == pid
    for one, other in ((before, _used("self")), (there, _used(pid))):
        assert other[0] == one[0]
        assert other[1] < one[1] + 4096
    assert [path.name for path in folder_of(odd).iterdir()] == ["host"]
