"""Twenty-four raters, five of them cheats, through the real collector to intervals that hold."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import Any

import pytest

from mamtra_eval.listening import ingest, simulating
from mamtra_eval.listening.analysis.analysing import Analysis, analyse
from mamtra_eval.listening.bundle import RATINGS, Bundle
from mamtra_eval.listening.ratings import Ratings
from mamtra_eval.listening.screening.applying import Rules, screen
from mamtra_eval.listening.trials import Session
from tests.listening.collect_pages import JSON, running
from tests.listening.exported_bundles import export

TRUTH = {"recordings": 4.3, "teacher": 4.0, "1-1": 3.4, "1-11": 2.6, "low anchor": 1.7}
CHEATS = dict.fromkeys(simulating.CHEATS, 1)
BATCH = 7


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, list[Session]]:
    """What a server in a process of its own collected and ``ingest`` read."""
    made = export(tmp_path_factory.mktemp("whole") / "b", items=12)
    records = simulating.simulate(made, 24, 3, TRUTH, CHEATS)
    with running(made) as server:
        for record in records:
            _send(HTTPConnection("127.0.0.1", server.port), made, record)
    assert ingest.ingest(made).sessions == 24
    return made, Ratings(made.folder / RATINGS).sessions()


def _send(connection: HTTPConnection, made: Bundle, record: str) -> None:
    """One rater: begin, then lines in batches, the second of them twice as after a lost answer."""
    lines = record.splitlines()
    head = json.loads(lines[0])
    secret = head["session"].replace("-", "")
    given = _post(connection, "/api/sessions", {
        "session": head["session"], "secret": secret, "participant": head["participant"],
        "study": "", "submission": "", "bundle_id": made.id,
        "content_sha256": made.content_sha256,
    })  # fmt: skip
    assert given == {"list": head["list"], "next_seq": 0}
    batches = [lines[start : start + BATCH] for start in range(0, len(lines), BATCH)]
    for batch in (batches[0], *batches[1:2], *batches[1:]):
        answer = _post(
            connection,
            f"/api/sessions/{head['session']}/events",
            {"secret": secret, "lines": batch},
        )
    assert answer == {"next_seq": len(lines), "complete": True}
    connection.close()


def _post(connection: HTTPConnection, path: str, value: Any) -> Any:
    connection.request("POST", path, json.dumps(value), JSON)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body
    return json.loads(body)


@pytest.fixture(scope="module")
def analysis(collected: tuple[Bundle, list[Session]]) -> Analysis:
    made, sessions = collected
    return analyse(made, sessions, [], Rules.of(made))


def test_every_cheat_is_found_and_every_honest_rater_kept(collected):
    made, sessions = collected
    screened = screen(made, sessions, Rules.of(made))
    who = {one.session: one.facts["agent"]["simulated"] for one in sessions}
    assert sorted(who[name] for name in screened.dropped) == sorted(simulating.CHEATS)
    assert {who[one.session] for one in screened.kept} == {"honest"}
    assert len(screened.kept) == 19


def test_the_true_means_lie_in_the_intervals(analysis: Analysis):
    for one in analysis.systems:
        assert one.mean is not None
        assert one.mean.low is not None
        assert one.mean.high is not None
        assert one.mean.low <= TRUTH[one.name] <= one.mean.high, one
        assert one.naive is not None
        assert one.naive.high - one.naive.low < one.mean.high - one.mean.low
    assert [one.name for one in analysis.ranking] == [*TRUTH]


def test_it_is_told_that_a_program_answered(analysis: Analysis):
    assert analysis.simulated == 24
    assert analysis.to_dict()["simulated"] == 24


def test_raters_stay_nameless_in_what_is_analysed(collected):
    made, sessions = collected
    assert all(one.rater.startswith("r_") for one in sessions)
    names = {
        json.loads(line)["participant"]
        for record in simulating.simulate(made, 24, 3, TRUTH, CHEATS)
        for line in record.splitlines()[:1]
    }
    stored = (made.folder / RATINGS).read_bytes()
    assert names
    assert not any(name.encode() in stored for name in names if name)
