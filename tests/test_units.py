"""What intervals are drawn over, by which method, and what reports say of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mamtra_eval import catalogue, plan, resampling
from mamtra_eval import config as configuration
from mamtra_eval.errors import UserError
from mamtra_eval.resampling import Ratios, Resampling
from mamtra_eval.statistics import bootstrap, closed_form

SPEAKERS, EACH = 30, 8
IDS = [f"s{s:02}-{n}" for s in range(SPEAKERS) for n in range(EACH)]
VOICES = {utterance: utterance.partition("-")[0] for utterance in IDS}


def _alike(seed: int) -> Ratios:
    """Scores that differ between speakers more than within them."""
    rng = np.random.default_rng(seed)
    voices = rng.normal(0, 1, SPEAKERS).repeat(EACH)
    return {u: (float(v), 1.0) for u, v in zip(IDS, voices + rng.normal(0, 1, len(IDS)),
                                               strict=True)}  # fmt: skip


def _width(unit: str, method: str = "percentile") -> float:
    run = Resampling(IDS, VOICES)
    run.want("x", _alike(1))
    run.run(level=0.95, resamples=2000, seed=0, unit=unit, method=method)
    found = run.estimates["x"]
    assert found.low is not None
    assert found.high is not None
    return found.high - found.low


@pytest.mark.parametrize("method", resampling.METHODS)
def test_speakers_make_intervals_wider(method: str) -> None:
    assert _width("speaker", method) > 1.4 * _width("utterance", method)
    assert _width("auto", method) == _width("speaker", method)


def test_speakers_are_drawn_whole() -> None:
    run = Resampling(IDS, VOICES)
    values = _alike(2)
    run.want("x", values)
    run.run(level=0.95, resamples=500, seed=4)
    sums = np.array([[sum(values[u][0] for u in IDS if VOICES[u] == v), EACH]
                     for v in dict.fromkeys(VOICES.values())])  # fmt: skip
    draws = bootstrap.resample(sums, resamples=500, seed=4)
    alone = bootstrap.interval(draws[:, 0] / draws[:, 1], SPEAKERS)
    assert run.estimates["x"] == pytest.approx(alone)


def test_few_speakers_are_not_drawn_from() -> None:
    few = dict.fromkeys(IDS, "a")
    assert resampling.unit_of("auto", few) == "utterance"
    assert resampling.unit_of("speaker", few) == "speaker"
    settings = {"level": 0.95, "resamples": 500, "seed": 0}
    assert resampling.told(settings, few).endswith("hold for the set's 1 speaker, not for others")
    assert "over 30 speakers, 500" in resampling.told(settings, VOICES)
    assert resampling.told(settings, {}) == (
        "95% percentile bootstrap over utterances, 500 resamples, seed 0"
    )


def test_closed_form_is_that_of_the_columns() -> None:
    mine, theirs = _alike(1), _alike(2)
    run = Resampling(IDS)
    run.want("x", mine)
    run.want_difference("d", mine, theirs)
    run.want("median", mine, "median")
    run.run(level=0.95, resamples=500, seed=0, method="closed-form")
    values = [np.array([side[u][0] for u in IDS]) for side in (mine, theirs)]
    assert run.estimates["x"] == pytest.approx(closed_form.mean(values[0]))
    assert run.differences["d"][0] == pytest.approx(closed_form.mean(values[0] - values[1]))
    assert run.estimates["median"].low is not None  # by the bootstrap


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_share_that_all_agree_on_has_a_width(value: float) -> None:
    run = Resampling(IDS)
    run.want("share", dict.fromkeys(IDS, (value, 1.0)), is_share=True)
    run.want("score", dict.fromkeys(IDS, (value, 1.0)))
    run.run(level=0.95, resamples=100, seed=0)
    assert run.estimates["share"] == closed_form.share(int(value * len(IDS)), len(IDS))
    assert run.estimates["score"][:] == (value, value, value)


def _card(folder: Path, speaker: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "meta.lst").write_text("".join(f"{u}|one two\n" for u in IDS))
    (folder / "testset.yaml").write_text(
        f"name: set\nlanguage: en\n{speaker}\nlists: {{all: {{file: meta.lst}}}}\n"
    )
    return str(folder)


def test_a_card_declares_speakers(tmp_path: Path) -> None:
    found = catalogue.load(_card(tmp_path / "set", "speaker: '^(s[0-9]+)-'"))
    assert found.speakers() == VOICES
    assert catalogue.load(_card(tmp_path / "set", "")).speakers() == {}
    mini = catalogue.load("mini-en")
    assert {*mini.speakers().values()} == {"awb", "rms", "kal16", "slt"}


def test_a_prompt_can_be_the_speaker(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.wav").touch()
    (tmp_path / "meta.lst").write_text("u1|hello|p/a.wav|one two\nu2|hello|p/a.wav|three\n")
    (tmp_path / "testset.yaml").write_text(
        "name: set\nlanguage: en\nlists: {all: {file: meta.lst, speaker: prompt}}\n"
    )
    assert catalogue.load(str(tmp_path)).speakers() == {"u1": "p/a.wav", "u2": "p/a.wav"}


@pytest.mark.parametrize(
    ("speaker", "what"),
    [
        ("speaker: '^(x)-'", "the speaker of s00-0 can't be told by"),
        ("speaker: '^s'", "the speaker of s00-0 can't be told by"),
        ("speaker: prompt", "the speaker of s00-0 can't be told by 'prompt'"),
        ("speaker: '('", "not a valid test set card"),
        ("speaker: 7", "not a valid test set card"),
    ],
)
def test_a_speaker_that_fits_not_is_refused(tmp_path: Path, speaker: str, what: str) -> None:
    with pytest.raises(UserError) as caught:
        catalogue.load(_card(tmp_path / "set", speaker)).speakers()
    assert what in str(caught.value)


def test_drawing_speakers_needs_some(tmp_path: Path) -> None:
    values = {"testset": _card(tmp_path / "set", ""), "systems": {"noise": "noise"}}
    config = configuration.build(values, ["statistics.unit=speaker", "metrics=health"])
    with pytest.raises(UserError, match="declares no speakers"):
        plan.make(config)
