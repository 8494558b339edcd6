"""Recordings, prompts, waveforms and embedded audio in Chromium."""

from __future__ import annotations

import shutil

import pytest
import soundfile

from mamtra_eval.report import _embedding as embedding
from mamtra_eval.report.html import render

pytestmark = pytest.mark.browser

PLAYS = "document.getElementById('audio').currentTime > 0.05"
SOURCE = "document.getElementById('audio').src"


@pytest.fixture
def data(sample, tmp_path):
    data = sample.build(3, 3)
    for clip in data["clips"]:
        clip["duration_s"] = clip["duration_s"] and 1.5
    sample.write_audio(tmp_path, data)
    return data


def unfold(page, number=0):
    page.locator("tr.clip .fold").nth(number).click()
    return page.locator(".detail").first


@pytest.mark.parametrize(("key", "name", "kind"), [
    ("g", "Ground truth", "ground_truth"), ("p", "Prompt", "prompt"),
])  # fmt: skip
def test_recording_and_prompt_play_beside_the_systems(key, name, kind, data, show):
    opened = show(data)
    page = opened.page
    card = unfold(page).locator(".reference", has_text=name)
    card.locator(".play").click()
    opened.until(PLAYS)
    assert page.evaluate(SOURCE).endswith(data["clips"][0][kind])
    assert name.lower() in page.locator("#player-label").inner_text()
    page.keyboard.press("Escape")
    page.locator("tr.clip").first.focus()
    page.keyboard.press(key)
    opened.until(PLAYS)
    assert page.evaluate(SOURCE).endswith(data["clips"][0][kind])
    opened.quiet()


def test_without_recording_and_prompt_there_are_only_the_systems(sample, show):
    data = sample.build(2, 2)
    for clip in data["clips"]:
        clip["prompt"] = clip["ground_truth"] = None
    opened = show(data)
    detail = unfold(opened.page)
    assert detail.locator(".reference").count() == 0
    assert detail.locator(".card").count() == 2
    opened.page.keyboard.press("g")
    assert opened.page.locator("#player").is_hidden()
    opened.quiet()


def test_waveforms_share_a_scale_of_time(data, show):
    own = [clip for clip in data["clips"] if clip["utterance"] == data["clips"][0]["utterance"]]
    for clip, seconds in zip(own, (4.0, 2.0, 1.0), strict=True):
        clip["duration_s"] = seconds
    opened = show(data)
    widths = [wave.bounding_box()["width"] for wave in unfold(opened.page).locator(".wave").all()]
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.01)
    assert widths[0] / widths[2] == pytest.approx(4, rel=0.01)
    opened.quiet()


def test_a_waveform_is_its_outline(data, show):
    data["clips"][0]["envelope"] = "A_"
    opened = show(data)
    path = unfold(opened.page).locator(".wave path").first.get_attribute("d")
    assert path == "M0 62.2L1 62.2L1 0.0L2 0.0L2 126.0L1 126.0L1 63.8L0 63.8Z"
    opened.quiet()


def test_a_click_on_a_waveform_plays_from_there_and_shows_how_far(data, show, tmp_path):
    opened = show(data)
    page = opened.page
    wave = unfold(page).locator(".wave").nth(1)
    box = wave.bounding_box()
    wave.click(position={"x": box["width"] * 0.6, "y": 10})
    opened.until("document.getElementById('audio').currentTime >= 0.95")  # beyond what was asked
    page.evaluate("document.getElementById('audio').pause()")
    progress = "(wave) => Number(wave.style.getPropertyValue('--progress'))"
    assert wave.evaluate(progress) >= 0.63
    assert "is-current" in wave.get_attribute("class")
    page.screenshot(path=tmp_path / "waveforms.png", full_page=True)
    wave.click(position={"x": box["width"] * 0.1, "y": 10})  # loaded already: back at once
    opened.until("document.getElementById('audio').currentTime < 0.8")
    opened.quiet()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.6, 0.7, 0.8, 0.9])
def test_a_place_that_chromium_does_not_find_is_played_a_little_earlier(share, data, show):
    opened = show(data)  # tones make files of few frames, in which Chromium fails to seek
    wave = unfold(opened.page).locator(".wave").first
    wave.click(position={"x": wave.bounding_box()["width"] * share, "y": 10})
    opened.until(f"document.getElementById('audio').currentTime > {1.5 * share + 0.04}")
    assert opened.page.evaluate("document.getElementById('audio').error") is None
    opened.quiet()


def test_clips_without_an_outline_show_none(data, show):
    for clip in data["clips"]:
        clip["envelope"] = None
    opened = show(data)
    detail = unfold(opened.page)
    assert detail.locator(".lane").count() == 0
    assert "one scale of time" not in detail.inner_text()
    opened.quiet()


def test_embedded_audio_plays_wherever_the_file_is_moved(data, visit, tmp_path):
    plan = embedding.plan(data, tmp_path)
    path = tmp_path / "elsewhere" / "report.html"
    path.parent.mkdir()
    path.write_text(render(plan.data, plan.texts()), encoding="utf-8")
    for folder in ("clips", "prompts", "truth"):
        shutil.rmtree(tmp_path / folder)
    opened = visit(path.as_uri())
    page = opened.page
    detail = unfold(page)
    for button in (detail.locator(".card .play").first, detail.locator(".reference .play").last):
        button.click()
        opened.until(PLAYS)
        assert page.evaluate(SOURCE).startswith("data:audio/flac;base64,")
        page.keyboard.press("Escape")
    assert "embedded" in page.locator("#facts").inner_text()
    opened.quiet()
    assert {url for url in opened.requests if not url.startswith("data:")} == {opened.address}


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_embedded_files_of_every_kind_play(suffix, sample, visit, tmp_path):
    data = sample.build(1, 1)
    data["clips"][0]["audio"] = f"clip{suffix}"
    samples, rate = _tone(sample, tmp_path, data)
    soundfile.write(tmp_path / f"clip{suffix}", samples, rate)
    plan = embedding.plan(data, tmp_path)
    path = tmp_path / "report.html"
    path.write_text(render(plan.data, plan.texts()), encoding="utf-8")
    (tmp_path / f"clip{suffix}").unlink()
    opened = visit(path.as_uri())
    opened.page.locator("tr.clip .play").first.click()
    opened.until(PLAYS)
    opened.quiet()


def _tone(sample, folder, data):
    sample.write_audio(folder, {"clips": [{**data["clips"][0], "audio": "tone.wav"}]})
    return soundfile.read(folder / "tone.wav")
