"""What guests die of, by real processes: it costs the clip that was being made, and no other."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from guests import alive, folder_of, group, isolated, pid_of, requests, told, until
from odd_systems import GARBAGE

from mamtra_eval.audio import Clip
from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.isolation.keeping import Limits

QUICK = Limits(timeout_s=2.0)


def after(what: str, *, limits: Limits | None = None, **options: object) -> str:
    """The error of a clip in the middle of a batch; the others must come out whole."""
    system = isolated(limits=limits, **options)
    try:
        system.prepare()
        pid, folder = pid_of(system), folder_of(system)
        found = told(list(system.speak_many(requests("a", f"b do {what}", "c", "d"))))
        assert {found.pop(0), found.pop(2), found.pop(3)} == {"clip"}
        assert until(lambda: group(pid) == [])
        assert not folder.exists()
        assert pid_of(system) != pid
        assert isinstance(system.speak(requests("e")[0]), Clip)
        return found[1]
    finally:
        system.close()


def test_killed_in_the_middle_of_a_clip() -> None:
    said = after("kill")
    assert said == ("its process died: SIGKILL (out of memory?); it said last: about to be killed")


def test_a_crash_in_native_code_shows_where() -> None:
    said = after("segfault")
    assert said.startswith("its process died: SIGSEGV; it said last: ")
    assert "in _do" in said  # the Python stack
    assert len(said) < 1400


def test_other_ends() -> None:
    system = isolated()
    asked = requests("x do exit=3", "a", "x do sys.exit", "b", "x do short", "c")
    try:
        found = told(list(system.speak_many(asked)))
    finally:
        system.close()
    assert [found[n] for n in (1, 3, 5)] == ["clip"] * 3
    assert found[0] == "its process ended with exit code 3"
    assert found[2].endswith("exit code 1; it said last: a library has had enough")
    assert "797 bytes of audio where 800 were announced" in found[4]


def test_a_hang_costs_its_clip_and_its_time() -> None:
    started = time.monotonic()
    assert after("hang", limits=QUICK) == "no answer within 2 s; its process was ended"
    assert time.monotonic() - started < 20


def test_garbage_on_the_pipe() -> None:
    texts = [text for what in GARBAGE for text in (f"x do garbage={what}", "fine")]
    system = isolated(limits=QUICK)
    try:
        found = told(list(system.speak_many(requests(*texts))))
    finally:
        system.close()
    assert {found[n] for n in range(1, len(texts), 2)} == {"clip"}
    for n, what in enumerate(GARBAGE):
        late = what == "half a frame"
        said = "no answer within 2 s" if late else "its process was ended for what it sent: "
        assert found[2 * n].startswith(said), what
        assert len(found[2 * n]) < 400


@pytest.mark.parametrize("what", ["allocate=3", "cuda"])
def test_memory_that_runs_short_costs_the_clip_and_the_process_but_is_no_death(what: str) -> None:
    limits = Limits(memory_gb=2.0, deaths=1)
    said = after(what, limits=limits)
    assert said.startswith("out of memory: ")
    assert "llocate" in said


def test_a_batch_that_is_made_together_is_tried_one_by_one(tmp_path: Path) -> None:
    assert "SIGKILL" in after("kill", batch="yes", loads=str(tmp_path / "loads"))
    # of the first, of the second for those left, of the third after the one that kills
    assert len((tmp_path / "loads").read_text().split()) == 3
    assert "out of memory" in after("cuda", batch="yes")
    assert "ZeroDivisionError: a bug" in _failure_in_batch("bug")
    assert _failure_in_batch("", text="forgotten") == "the system made no clip for it"


def _failure_in_batch(what: str, text: str = "b") -> str:
    system = isolated(batch="yes")
    try:
        asked = requests("a", f"{text} do {what}" if what else text, "c")
        found = told(list(system.speak_many(asked)))
        assert (found[0], found[2]) == ("clip", "clip")
        return found[1]
    finally:
        system.close()


def test_a_user_error_in_a_batch_is_raised_as_it_is() -> None:
    system = isolated(batch="yes")
    try:
        with pytest.raises(UserError, match="no such voice"):
            list(system.speak_many(requests("a", "b do user")))
    finally:
        system.close()


def test_killed_idle_costs_nothing() -> None:
    system = isolated(limits=Limits(deaths=1))
    try:
        assert isinstance(system.speak(requests("a")[0]), Clip)
        for _ in range(2):
            os.kill(pid_of(system), signal.SIGKILL)
            assert isinstance(system.speak(requests("b")[0]), Clip)
        os.kill(pid_of(system), signal.SIGKILL)
        assert len(list(system.stream(requests("b")[0]))) == 4
        system.limits = system._keeper.limits = Limits()
        results = system.speak_many(requests("c", "d", "e"))
        assert next(results)[0] == 0
        os.kill(pid_of(system), signal.SIGKILL)  # between two clips
        assert told(list(results)) == {1: "clip", 2: "clip"}
    finally:
        system.close()


@pytest.mark.parametrize(("batch", "deaths"), [("", 3), ("", 1), ("yes", 2)])
def test_repeated_death_quarantines(batch: str, deaths: int, tmp_path: Path) -> None:
    loads = tmp_path / "loads"
    system = isolated(limits=Limits(deaths=deaths), batch=batch, loads=str(loads))
    try:
        found = told(list(system.speak_many(requests(*["x do kill"] * 8))))
        assert len(found) == 8
        assert found[7].startswith("odd is quarantined, it died ")
        assert ("once" if deaths == 1 else f"{deaths} times in a row") in found[7]
        assert "the last time: its process died: SIGKILL" in found[7]
        assert len(loads.read_text().split()) == deaths
        started = time.monotonic()
        system.prepare()  # no error: each clip says it
        with pytest.raises(SynthesisError, match="quarantined"):
            system.speak(requests("fine")[0])
        with pytest.raises(SynthesisError, match="quarantined"):
            list(system.stream(requests("fine")[0]))
        assert time.monotonic() - started < 1
        assert system._keeper._guest is None
    finally:
        system.close()


def test_deaths_with_clips_between_do_not_add_up() -> None:
    system = isolated(limits=Limits(deaths=2))
    try:
        found = told(list(system.speak_many(requests(*["x do kill", "y"] * 3))))
        assert [found[n] for n in (1, 3, 5)] == ["clip"] * 3
        assert all("SIGKILL" in found[n] for n in (0, 2, 4))
    finally:
        system.close()


def test_a_death_in_a_stream_costs_the_rest_of_it(tmp_path: Path) -> None:
    system = isolated(limits=QUICK, loads=str(tmp_path / "loads"))
    try:
        for what, said in (("kill", "SIGKILL"), ("hang", "no answer within 2 s"), ("cuda", "CUDA")):
            pieces = system.stream(requests(f"break 2:{what}")[0])
            assert [len(next(pieces).samples) > 0 for _ in range(2)] == [True, True]
            with pytest.raises(SynthesisError, match=said):
                next(pieces)
            loads = len((tmp_path / "loads").read_text().split())
            assert len(list(system.stream(requests("fine")[0]))) == 4
            # It was loaded before the error was told, and not in the time of the next one.
            assert len((tmp_path / "loads").read_text().split()) == loads
        with pytest.raises(UserError, match="no such voice"):
            list(system.stream(requests("break 1:user")[0]))
    finally:
        system.close()


def test_a_failed_reload_is_tried_again_and_counts(tmp_path: Path) -> None:
    once = f"once={tmp_path / 'a'},"  # the first process passes, the second dies of loading
    system = isolated(prepare=f"once={tmp_path / 'first'},", limits=Limits(deaths=3))
    try:
        system.prepare()
        system._keeper.recipe.options["prepare"] = f"{once}kill"  # type: ignore[index]
        found = told(list(system.speak_many(requests("a do kill", "b"))))
        assert found[1] == "clip"
        system._keeper.recipe.options["prepare"] = "kill"  # type: ignore[index]
        found = told(list(system.speak_many(requests("a do kill", "b"))))
        assert "quarantined, it died 3 times" in found[1]
    finally:
        system.close()


def test_children_end_with_it_even_if_they_hold_its_pipes(tmp_path: Path) -> None:
    note = tmp_path / "child"
    said = after(f"fork={note} do kill")
    assert "SIGKILL" in said
    assert until(lambda: not alive(int(note.read_text())))


def test_an_interrupt_while_it_works_leaves_no_answer_behind() -> None:
    system = isolated()
    try:
        system.prepare()
        pid = pid_of(system)

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with pytest.raises(KeyboardInterrupt):
                list(system.speak_many(requests("a do sleep=5")))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        asked = requests("another, longer")[0]
        assert len(system.speak(asked).samples) == 100 + 10 * len(asked.text)
        assert pid_of(system) != pid
        assert until(lambda: group(pid) == [])
    finally:
        system.close()
