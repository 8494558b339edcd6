"""Exports in webMUSHRA itself: it loads them, shows them as meant, and returns what was clicked."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mamtra_eval.listening import exports
from mamtra_eval.listening.bundle import RATINGS, Bundle
from mamtra_eval.listening.ingest import ingest
from mamtra_eval.listening.ratings import Ratings
from tests.listening import export_bundles
from tests.listening.export_webmushra import FLAGS, RATE, Rater, Served, missing, serve

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]
PID = "5f2a_Some-Rater"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("webmushra") / "copy") as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def rater(browser: Any) -> Iterator[Callable[..., Rater]]:
    contexts = []

    def new(rate_hz: int | None = None) -> Rater:
        context = browser.new_context()
        contexts.append(context)
        if rate_hz is not None:
            context.add_init_script(RATE % rate_hz)
        return Rater(context.new_page())

    yield new
    for context in contexts:
        context.close()


def exported(served: Served, folder: Path, kind: str, **words: Any) -> Bundle:
    bundle = export_bundles.write(folder, kind, **words)
    (export,) = exports.write(bundle, ["webmushra"])
    served.take(export)
    return bundle


def address(served: Served, bundle: Bundle, list_id: str) -> str:
    return f"{served.address}?config={bundle.id}_{list_id}.yaml&PROLIFIC_PID={PID}"


def choose(trial: str, stimulus: str) -> int:
    return int(hashlib.sha256(f"{trial}{stimulus}".encode()).hexdigest(), 16) % 5


def loaded_as_meant(one: Rater, bundle: Bundle, list_id: str) -> bool:
    path = bundle.folder / f"exports/webmushra/configs/{bundle.id}_{list_id}.yaml"
    meant = json.loads(path.read_text("utf-8"))
    loaded = one.ask("config")
    same = {name: loaded.get(name) for name in meant} == meant
    return same and one.ask("errorHandler.getErrors()") == []


def structure(rater: Rater) -> tuple[list[str], list[tuple[str, tuple[str, ...]]]]:
    names = rater.ask("pageManager.pages.map(page => page.constructor.name)")
    order = rater.ask(
        "pageManager.pages.filter(page => page.stimulus && page.pageConfig.id !== 'volume')"
        ".map(page => [page.pageConfig.id, page.stimulus.id])"
    )
    return names, [(trial, (stimulus,)) for trial, stimulus in order]


@pytest.mark.parametrize(("kind", "rate_hz"), [("mos", None), ("mos", 48000), ("smos", 96000)])
def test_a_session_comes_back_as_it_was_clicked(
    served: Served, rater: Callable[..., Rater], tmp_path: Path, kind: str, rate_hz: int | None
) -> None:
    bundle = exported(served, tmp_path, kind)
    shutil.rmtree(served.folder / "results" / bundle.id, ignore_errors=True)
    one = rater(rate_hz)
    one.open(address(served, bundle, "l01"))
    assert loaded_as_meant(one, bundle, "l01")
    assert rate_hz is None or one.ask("audioContext.sampleRate") == rate_hz
    names, order = structure(one)
    likert = ["LikertSingleStimulusPage"]
    before = ["GenericPage", "ConsentPage", "VolumePage", *likert]
    assert names == [*before, *likert * 4, "GenericPage", *likert * 3, "FinishPage"]
    assert order[0] == ("practice_01", (export_bundles.PRACTICE,))
    assert order[1:] == export_bundles.shown(bundle, "l01")

    one.through(choose)
    assert one.page.input_value("#participant_id") == PID
    one.send()
    ((status, answer, _),) = one.sent
    assert (status, answer) == (200, "")
    assert "C0DE" in one.page.inner_text("#popupDialog")

    rows = served.rows(bundle.id, "lss.csv")
    assert [(row["trial_id"], (row["stimuli"],)) for row in rows] == order
    assert {row["participant_id"] for row in rows} == {PID}
    assert {row["trial_id"]: row["stimuli_rating"] for row in rows} == one.given
    assert_ingested(bundle, served, "lss.csv", one)


def assert_ingested(bundle: Bundle, served: Served, name: str, one: Rater) -> None:
    """Ingest gives what was clicked; of practice there is nothing."""
    report = ingest(bundle, [served.folder / "results" / bundle.id / name])
    assert [one for one in report.refusals if "practice_" not in one.why] == []
    (session,) = Ratings(bundle.folder / RATINGS).sessions()
    assert session.list_id == "l01"
    tokens = dict(export_bundles.shown(bundle, "l01"))
    found = {
        answer.trial: dict(zip(answer.tokens, answer.ratings, strict=True))
        for answer in session.responses
    }
    clicked = {trial: one.given[trial] for trial in tokens}
    assert found == {
        trial: {token: float(_given(given, token)) for token in tokens[trial]}
        for trial, given in clicked.items()
    }


def _given(given: Any, token: str) -> Any:
    return given.get(token, given.get("reference")) if isinstance(given, dict) else given


def test_the_reference_of_smos_can_be_heard(
    served: Served, rater: Callable[..., Rater], tmp_path: Path
) -> None:
    bundle = exported(served, tmp_path, "smos", practice=[], volume=None)
    one = rater()
    one.open(address(served, bundle, "l00"))
    one.page.click("#__button_next")
    one.page.click("label[for=radio-choice-accept]")
    one.page.click("#__button_next:not([disabled])")
    reference = bundle.lists["l00"][0].reference
    assert str(reference) in one.ask("document.querySelector('audio').currentSrc")
    ended = "new Promise(done => { const a = document.querySelector('audio');"
    assert one.ask(ended + "a.onended = () => done(a.duration); a.play(); })") == pytest.approx(0.5)
    assert one.page.is_disabled('[id="1__response_0"]'), "it is not the clip that is to be rated"


def test_mushra_returns_every_slider(
    served: Served, rater: Callable[..., Rater], tmp_path: Path
) -> None:
    bundle = exported(served, tmp_path, "mushra")
    one = rater()
    one.open(address(served, bundle, "l01"))
    assert loaded_as_meant(one, bundle, "l01")
    one.through(lambda trial, name: choose(trial, name) * 20 if trial[0] == "l" else 1)
    one.send()
    ((status, answer, _),) = one.sent
    assert (status, answer) == (200, "")
    rows = served.rows(bundle.id, "mushra.csv")
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["trial_id"], {})[row["rating_stimulus"]] = int(row["rating_score"])
    assert found == {
        trial: given for trial, given in one.given.items() if trial != "practice_sound"
    }
    systems = bundle.key.tokens
    for trial, tokens in export_bundles.shown(bundle, "l01"):
        rest = {token for token in tokens if systems[token].system != "recordings"}
        assert set(found[trial]) == {*rest, "reference"}
    assert_ingested(bundle, served, "mushra.csv", one)


def test_raters_are_sent_to_the_list_of_their_hash(
    served: Served, rater: Callable[..., Rater], tmp_path: Path
) -> None:
    bundle = exported(served, tmp_path, "mos")
    for participant in ("a", "b&c", "ö"):
        number = int.from_bytes(hashlib.sha256(participant.encode()).digest()[:4], "big") % 3
        one = rater()
        asked = {"a": "a", "b&c": "b%26c", "ö": "%C3%B6"}[participant]
        one.page.goto(f"{served.address}start.html?PROLIFIC_PID={asked}&STUDY_ID=s1")
        one.page.wait_for_function("window.pageManager && pageManager.pagesIndex >= 0")
        assert one.ask("session.config") == f"configs/{bundle.id}_l{number:02d}.yaml"
        assert "STUDY_ID=s1" in one.page.url


def test_an_identifier_is_kept_to_what_the_server_can_take(
    served: Served, rater: Callable[..., Rater], tmp_path: Path
) -> None:
    bundle = exported(served, tmp_path, "mos")
    one = rater()
    one.open(f"{served.address}?config={bundle.id}_l00.yaml")
    one.ask("void pageManager.pages.splice(1, pageManager.pages.length - 2)")
    one.page.click("#__button_next")
    assert one.page.is_disabled("#send_results")
    one.page.locator("#participant_id").press_sequentially("a&b +%é_1")
    assert one.page.input_value("#participant_id") == "ab_1"


@pytest.mark.parametrize("style", [None, '"'])
def test_the_same_configuration_by_a_yaml_library_fails(
    served: Served, rater: Callable[..., Rater], tmp_path: Path, style: str | None
) -> None:
    """The check can fail: one of these is read as something else, one not at all."""
    bundle = exported(served, tmp_path, "mos")
    path = served.folder / "configs" / f"{bundle.id}_l00.yaml"
    meant = yaml.safe_load(path.read_text("utf-8"))
    path.write_text(yaml.safe_dump(meant, default_style=style), encoding="utf-8")
    assert yaml.safe_load(path.read_text("utf-8")) == meant
    one = rater()
    if style is None:
        one.open(address(served, bundle, "l00"))
        assert not loaded_as_meant(one, bundle, "l00")
    else:
        with pytest.raises(Exception, match="Timeout"):
            one.open(address(served, bundle, "l00"), ready_ms=3000)
