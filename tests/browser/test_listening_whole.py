"""A person's whole way: a bundle of a run, the real collector, a real browser, and its ratings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mamtra_eval import audio
from mamtra_eval.listening import ingest, kinds
from mamtra_eval.listening.building import exporting
from mamtra_eval.listening.building.loudness import Level
from mamtra_eval.listening.building.settling import Options
from mamtra_eval.listening.bundle import RATINGS, Bundle
from mamtra_eval.listening.ratings import Ratings
from mamtra_eval.listening.screening.applying import screen
from mamtra_eval.listening.screening.rules import Rules
from tests.browser.listening_pages import raters
from tests.listening.collect_pages import running
from tests.listening.exported_bundles import data

pytestmark = pytest.mark.browser
REMARK = '=SUM(A1) & "ça va?" 漢字 😀'


@pytest.fixture
def made(tmp_path: Path) -> Bundle:
    """A bundle of a real run whose clips are half a second long."""
    run, rng = data(), np.random.default_rng(0)
    for number, _ in enumerate(run.clips):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, 0.1 * rng.standard_normal(8000), 16000, "PCM_16")
    clips = tuple(
        replace(clip, path=str(path := tmp_path / f"{number}.wav"), sha256=audio.sha256(path))
        for number, clip in enumerate(run.clips)
    )
    options = Options(
        kinds.find("mos"), ("recordings", "teacher", "1-1"), 8, replicates=1, headphones=1,
        level=Level(8000), completion="C0DE77",
    )  # fmt: skip
    return exporting.export(replace(run, clips=clips), tmp_path / "bundle", options)


def test_what_was_clicked_is_what_is_analysed(browser, made: Bundle):
    clicked: list[float] = []
    with running(made) as server, raters(browser) as opened:
        rater = opened(f"{server.url}?PROLIFIC_PID=5f0c&STUDY_ID=s&SESSION_ID=t")
        rater.begin()
        rater.at("About you")
        rater.page.get_by_label("What is your first language?").fill("Français")
        rater.page.get_by_label("No", exact=True).check()
        rater.press("Continue")
        rater.at("Set the volume")
        rater.hear()
        rater.press("Continue")
        rater.at("Headphones")
        rater.hear()
        rater.page.keyboard.press("1")
        rater.press("Next")
        rater.at("How it works")
        rater.press("Start the practice")
        for number in range(1, 5):
            rater.at(f"Practice {number} of 4")
            rater.answer("3")
        rater.press("Start")
        (given,) = {trial.id[:4] for trial in made.lists["l000"]}
        for number, trial in enumerate(made.lists[given], start=1):
            rater.at(f"Question {number} of 14")
            key = made.key.trials[trial.id]
            right = key.expected if key.expected is not None else number % 3 + 2
            clicked.append(float(right))
            rater.answer(f"{right:g}")
            if number == 5:
                rater.page.reload()
        rater.at("A few last questions")
        rater.page.get_by_label("Headphones with a cable").check()
        rater.page.get_by_label("Quiet", exact=True).check()
        rater.page.get_by_label("Anything you want to tell us").fill(REMARK)
        rater.press("Continue")
        rater.at("Thank you")
        assert "C0DE77" in rater.text()
        rater.quiet(server.url.rstrip("/"))
    assert ingest.ingest(made).sessions == 1
    (session,) = Ratings(made.folder / RATINGS).sessions()
    assert [one.ratings[0] for one in session.responses] == clicked
    assert [one.trial for one in session.responses] == [t.id for t in made.lists[given]]
    assert all(one.heard == (1.0,) or one.heard[0] >= 0.95 for one in session.responses)
    assert session.complete
    assert not session.simulated
    assert session.headphones is not None
    assert session.headphones[1] == 1
    assert session.facts["questionnaire"]["remarks"] == REMARK
    assert session.facts["agent"]["automated"] is True
    assert "5f0c" not in session.rater
    screened = screen(made, [session], Rules.of(made))
    assert [one.session for one in screened.kept] == [session.session], screened.dropped
