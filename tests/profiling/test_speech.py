"""A real endpoint through a whole profile: in turn, under both loads, and a service level."""

from __future__ import annotations

from pathlib import Path

import pytest

from mamtra_eval import profiles
from mamtra_eval.errors import UserError
from mamtra_eval.profiling import speech, subjects, sweep
from mamtra_eval.profiling.speech import Speech
from mamtra_eval.profiling.sweep import Sweep
from mamtra_eval.reader import RunReader
from mamtra_eval.report import profile

SPEAK = Sweep(parts=("speech",), allow_busy=True)


def test_an_endpoint_is_profiled(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mamtra_eval.profiling.speech.COLD_STARTS", 1)
    asked = Speech(limit=2, rounds=2, streams=(1, 2), rates=(20.0,), seconds=0.3,
                   first_audio_s=5.0)  # fmt: skip
    found = subjects.parse_all([f"server={endpoint}/pieces?concurrency=4&retries=0"])
    sweep.profile(found, SPEAK, tmp_path / "run", speech=asked)
    with RunReader(tmp_path / "run") as store:
        [session] = profiles.read(store)
    cells = {(row.key.workload, row.key.streams) for row in session.rows}
    assert cells >= {("natural", 1), ("closed", 1), ("closed", 2), ("open", 4)}
    best = session.get("server", "streams.at_slo", workload="closed")
    assert best is not None
    assert best.value == 2
    text = profile.render((session,))
    assert "| server | closed | 2 |" in text
    assert "| server | open, 20/s | 4 |" in text
    assert "for 2 clients" in text
    assert "### End to end" in text


def test_an_endpoint_that_does_not_answer_is_rows_that_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mamtra_eval.profiling.speech.COLD_STARTS", 1)
    found = subjects.parse_all(["server=http://127.0.0.1:9/speech?retries=0"])
    asked = Speech(limit=1, rounds=1, seconds=0.1)
    sweep.profile(found, SPEAK, tmp_path / "run", speech=asked)
    with RunReader(tmp_path / "run") as store:
        [session] = profiles.read(store)
    first = session.get("server", "time.first_audio", workload="natural")
    assert first is not None
    assert first.error
    assert "Remarks" in profile.render((session,))


@pytest.mark.slow
@pytest.mark.parametrize(("path", "times"), [("broken", 2), ("pieces", 1)])
def test_what_failed_is_asked_again_and_what_did_not_is_not(
    path: str, times: int, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mamtra_eval.profiling.speech.COLD_STARTS", 1)
    asked = Speech(limit=1, rounds=1, streams=(1,), seconds=0.1)
    found = subjects.parse_all([f"server={endpoint}/{path}"])
    calls: list[str] = []
    for name in ("natural", "loads"):
        real = getattr(speech, name)
        monkeypatch.setattr(
            speech, name, lambda *a, n=name, r=real, **k: calls.append(n) or r(*a, **k)
        )
    for _ in range(2):
        sweep.profile(found, SPEAK, tmp_path / "run", speech=asked)
    assert calls.count("natural") == times
    assert calls.count("loads") == times


def test_other_clients_are_asked_anew_and_the_level_is_theirs(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mamtra_eval.profiling.speech.COLD_STARTS", 1)
    found = subjects.parse_all([f"server={endpoint}/pieces"])
    best = []
    for streams in ((1,), (1, 2, 1)):
        asked = Speech(limit=1, rounds=1, streams=streams, seconds=0.1, first_audio_s=5.0)
        sweep.profile(found, SPEAK, tmp_path / "run", speech=asked)
        with RunReader(tmp_path / "run") as store:
            [session] = profiles.read(store)
        best.append(session.value("server", "streams.at_slo", workload="closed"))
    assert best == [1, 2]


def test_nothing_of_an_earlier_time_stands_beside_a_failure(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mamtra_eval.profiling.speech.COLD_STARTS", 1)
    found = subjects.parse_all([f"server={endpoint}/pieces"])
    sweep.profile(found, SPEAK, tmp_path / "run", speech=Speech(limit=1, rounds=1, seconds=0.1))
    monkeypatch.setattr(
        "mamtra_eval.systems.http.Http.stream", lambda *_: (_ for _ in ()).throw(OSError("gone"))
    )
    asked = Speech(limit=2, rounds=1, seconds=0.1)
    sweep.profile(found, SPEAK, tmp_path / "run", speech=asked)
    with RunReader(tmp_path / "run") as store:
        natural = [row for row in store.profiles() if row.key.workload == "natural"]
    good = {row.key.quantity for row in natural if row.error is None}
    assert good <= {"rate.failed", "time.cold"}


def test_loads_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UserError, match="load of 0 s"):
        Speech(seconds=0)
