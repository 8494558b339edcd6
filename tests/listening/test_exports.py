"""Exports: what they write, what they refuse, and what they must not tell."""

from __future__ import annotations

import csv
import hashlib
import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from mamtra_eval.errors import UserError
from mamtra_eval.listening import exports
from mamtra_eval.listening.bundle import RATINGS, Bundle, open_bundle
from mamtra_eval.listening.exports.p808 import CONDITIONS, answers_csv
from mamtra_eval.listening.ingest import ingest
from mamtra_eval.listening.ratings import Ratings
from tests.listening import export_bundles, made_bundles
from tests.listening.export_golden import PUBLISH, RATING_CLIPS, STUDY, pages
from tests.listening.export_sessions import sessions, votes

HOLDS = {
    "webmushra": ("mos", "smos", "mushra"),
    "p808": ("mos", "cmos"),
    "prolific": ("mos", "smos", "cmos", "ab", "mushra"),
}
KINDS = HOLDS["prolific"]
URL = "https://host.example/audio/"


def config(bundle: Bundle, list_id: str = "l00") -> str:
    path = bundle.folder / f"exports/webmushra/configs/{bundle.id}_{list_id}.yaml"
    return path.read_text(encoding="utf-8")


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["mos", "smos", "mushra"])
def test_a_configuration_is_one_line_that_json_and_yaml_read_alike(
    tmp_path: Path, kind: str
) -> None:
    bundle = export_bundles.write(tmp_path, kind)
    exports.write(bundle, ["webmushra"])
    for list_id in export_bundles.LISTS:
        text = config(bundle, list_id)
        assert len(text.splitlines()) == 1
        assert "\\u" not in text
        assert json.loads(text) == yaml.safe_load(text)
        assert json.loads(text)["testId"] == bundle.id


def test_the_pages_of_webmushra_are_as_told(tmp_path: Path) -> None:
    bundle = export_bundles.write(tmp_path)
    exports.write(bundle, ["webmushra"])
    found = json.loads(config(bundle))
    script = found["pages"][-1].pop("content")
    assert "PROLIFIC_PID" in script
    assert found == {
        "testname": "Voices: a test — Hörtest #1",
        "testId": bundle.id,
        "bufferSize": 2048,
        "stopOnErrors": True,
        "showButtonPreviousPage": False,
        "remoteService": "service/write.php",
        "pages": pages(bundle),
    }


def test_smos_has_the_reference_as_a_player(tmp_path: Path) -> None:
    bundle = export_bundles.write(tmp_path, "smos")
    exports.write(bundle, ["webmushra"])
    shown = {page.get("id"): page for page in json.loads(config(bundle))["pages"]}
    for trial in bundle.lists["l00"]:
        path = f"configs/{bundle.id}/{trial.reference}.wav"
        assert f'<audio controls preload="auto" src="{path}">' in shown[trial.id]["content"]
        assert (bundle.folder / "exports/webmushra" / path).is_file()


def test_mushra_leaves_the_hidden_reference_to_webmushra(tmp_path: Path) -> None:
    bundle = export_bundles.write(tmp_path, "mushra")
    exports.write(bundle, ["webmushra"])
    stored = [page for page in json.loads(config(bundle))["pages"] if "stimuli" in page]
    assert stored[0]["type"] == "likert_single_stimulus", "write.php of PHP 8 needs one first"
    assert stored[0]["id"].startswith("practice_")
    shown = {page["id"]: page for page in stored}
    for trial in bundle.lists["l00"]:
        page = shown[trial.id]
        hidden = made_bundles.token("recordings", bundle.key.tokens[trial.tokens[0]].utterance)
        assert set(page["stimuli"]) == set(trial.tokens) - {hidden}
        assert page["reference"] == f"configs/{bundle.id}/{trial.reference}.wav"
        assert (page["createAnchor35"], page["createAnchor70"]) == (False, False)


def test_half_steps_have_buttons_of_their_own(tmp_path: Path) -> None:
    bundle = half_steps(export_bundles.write(tmp_path))
    exports.write(bundle, ["webmushra"])
    (page, *_) = [one for one in json.loads(config(bundle))["pages"] if one.get("id") == "l00_01"]
    assert [one["label"] for one in page["response"][:3]] == ["1 Bad", "1.5", "2 Poor"]
    assert [one["value"] for one in page["response"]][-2:] == ["4.5", "5"]


def half_steps(bundle: Bundle) -> Bundle:
    manifest = json.loads((bundle.folder / "bundle.json").read_text())
    manifest["kind"]["scale"]["step"] = 0.5
    (bundle.folder / "bundle.json").write_text(json.dumps(manifest))
    return open_bundle(bundle.folder)


def test_the_tables_of_p808_are_as_told(tmp_path: Path) -> None:
    bundle = export_bundles.write(tmp_path)
    (folder,) = exports.write(bundle, ["p808"], base_url=URL)
    assert (folder / "rating_clips.csv").read_text() == RATING_CLIPS
    assert (folder / "publish_batch.csv").read_text().splitlines()[:2] == PUBLISH.splitlines()
    for table, column in (("gold", "gold_clips"), ("trapping", "trapping_clips")):
        ((one),) = rows(folder / f"{table}_clips.csv")
        assert one[column].startswith(URL)
        assert one[f"{column}_ans" if table == "gold" else "trapping_ans"] == "1"
    named = {path.name for path in (folder / "audio").iterdir()}
    for name in named:
        token = name.partition("_")[2]
        sha256 = bundle.manifest["tokens"][token.removesuffix(".wav")]["sha256"]
        assert hashlib.sha256((folder / "audio" / name).read_bytes()).hexdigest() == sha256
    urls = {
        value.removeprefix(URL)
        for table in folder.glob("*.csv")
        for row in rows(table)
        for value in row.values()
        if value.startswith(URL)
    }
    assert urls == named


def test_what_the_codes_of_p808_mean_is_in_the_key_alone(tmp_path: Path) -> None:
    bundle = export_bundles.write(tmp_path)
    exports.write(bundle, ["p808"])
    path = bundle.folder / CONDITIONS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    codes = json.loads(path.read_text())
    meant = [*made_bundles.SYSTEMS, "trap", "gold", "practice"]
    assert sorted(value for one in codes.values() for value in one.values()) == sorted(meant)
    for row in rows(bundle.folder / "exports/p808/rating_clips.csv"):
        code, _, token = row["rating_clips"].rpartition("/")[2].partition("_")
        assert codes[code] == {"system": bundle.key.tokens[token.removesuffix(".wav")].system}


def test_a_shorter_list_is_filled_by_its_trap(tmp_path: Path) -> None:
    bundle = export_bundles.write(tmp_path)
    path = bundle.folder / "design/lists.json"
    lists = json.loads(path.read_text())
    del lists["l01"][1]
    path.write_text(json.dumps(lists))
    (folder,) = exports.write(open_bundle(bundle.folder), ["p808"])
    short = rows(folder / "publish_batch.csv")[1]
    assert short["Q3"] == short["TP"]
    assert len({short[f"Q{number}"] for number in range(4)}) == 4


def test_the_study_of_prolific_is_as_told(tmp_path: Path) -> None:
    bundle = export_bundles.write(tmp_path)
    (folder,) = exports.write(bundle, ["prolific"], study_url="https://host.example/t/")
    found = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    assert found == {**STUDY, "internal_name": bundle.id}
    assert (folder / "url.txt").read_text() == STUDY["external_study_url"] + "\n"


def test_a_bundle_without_a_completion_code_says_so(tmp_path: Path) -> None:
    bundle = export_bundles.write(tmp_path, completion={"code": None, "redirect": None})
    exports.write(bundle, ["prolific", "webmushra"])
    study = json.loads((bundle.folder / "exports/prolific/study.json").read_text())
    assert study["completion_codes"][0]["code"] == "SET-A-COMPLETION-CODE"
    assert json.loads(config(bundle))["pages"][-1]["popupContent"] == "<p>Thank you.</p>"


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bundle_gives_the_same_bytes(tmp_path: Path, kind: str) -> None:
    formats = [name for name, kinds in HOLDS.items() if kind in kinds]
    found = []
    for place in ("one", "two"):
        bundle = export_bundles.write(tmp_path / place, kind)
        exports.write(bundle, formats)
        found.append(tree(bundle.folder))
        (bundle.folder / "exports" / formats[0] / "old.txt").write_text("of an earlier export")
        exports.write(open_bundle(bundle.folder), formats)
        assert tree(bundle.folder) == found[-1], "a second export leaves nothing of the first"
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_tells_what_a_clip_is(tmp_path: Path, kind: str) -> None:
    formats = [name for name, kinds in HOLDS.items() if kind in kinds]
    bundle = export_bundles.write(tmp_path, kind)
    secret = [*made_bundles.SYSTEMS, *made_bundles.ITEMS, "utt-9", made_bundles.SALT]
    for folder in exports.write(bundle, formats):
        for name, content in tree(folder).items():
            if name == "README.md":  # words of the package, the same for every bundle
                continue
            words = (
                [*secret, "gold", "trap", "repeat", "rated"] if folder.name != "p808" else secret
            )
            told = [word for word in words if word.encode() in content or word in name]
            assert told == [], name


def test_clips_keep_their_own_bytes(tmp_path: Path) -> None:
    bundle = export_bundles.write(tmp_path)
    exports.write(bundle, ["webmushra"])
    clips = list((bundle.folder / f"exports/webmushra/configs/{bundle.id}").iterdir())
    shown = {token for trials in bundle.lists.values() for one in trials for token in one.tokens}
    assert {path.stem for path in clips} == shown | {export_bundles.PRACTICE}
    for path in clips:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert digest == bundle.manifest["tokens"][path.stem]["sha256"]


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for name in HOLDS for kind in KINDS if kind not in HOLDS[name]]
)
def test_a_kind_that_a_format_cannot_hold_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    bundle = export_bundles.write(tmp_path, kind)
    with pytest.raises(UserError, match=f"can't hold a test of kind {kind}") as caught:
        exports.write(bundle, ["prolific", name])
    assert ", ".join(HOLDS[name]) in str(caught.value)
    assert not (bundle.folder / "exports").exists(), "nothing is written then"


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="webmushra"):
        exports.write(export_bundles.write(tmp_path), ["webmusra"])
    assert tuple(HOLDS) == exports.FORMATS


def test_unequal_lengths_of_mushra_are_refused_by_name(tmp_path: Path) -> None:
    bundle = export_bundles.write(tmp_path, "mushra")
    token = bundle.lists["l01"][2].tokens[0]
    soundfile.write(tmp_path / f"site/audio/{token}.wav", np.zeros(8001), 16000, "PCM_16")
    with pytest.raises(UserError, match=rf"{token} \(8001 samples\)"):
        exports.write(bundle, ["webmushra"])
    assert list((bundle.folder / "exports").iterdir()) == []


def change_lists(bundle: Bundle, change: Any) -> Bundle:
    path = bundle.folder / "design/lists.json"
    lists = json.loads(path.read_text())
    change(lists)
    path.write_text(json.dumps(lists))
    return open_bundle(bundle.folder)


def test_mushra_needs_a_reference_and_each_clip_once(tmp_path: Path) -> None:
    bundle = export_bundles.write(tmp_path, "mushra")
    change_lists(bundle, lambda lists: lists["l00"][0].update(reference=None))
    with pytest.raises(UserError, match="l00_01 has no reference"):
        exports.write(open_bundle(tmp_path), ["webmushra"])
    bundle = export_bundles.write(tmp_path, "mushra")
    again = bundle.lists["l00"][0].tokens[:1] * 3
    change_lists(bundle, lambda lists: lists["l00"][0].update(tokens=again))
    with pytest.raises(UserError, match="l00_01 shows a clip twice"):
        exports.write(open_bundle(tmp_path), ["webmushra"])


def test_p808_refuses_what_the_toolkit_would_cut_off_or_stop_at(tmp_path: Path) -> None:
    bundle = export_bundles.write(tmp_path)
    with pytest.raises(UserError, match=r"steps of 0\.5"):
        exports.write(half_steps(bundle), ["p808"])
    for place, missing in ((5, "trap"), (4, "gold trial")):
        bundle = export_bundles.write(tmp_path)
        bundle = change_lists(bundle, lambda lists, place=place: lists["l02"].pop(place))
        with pytest.raises(UserError, match=f"list l02 has no {missing}"):
            exports.write(bundle, ["p808"])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    bundle = export_bundles.write(tmp_path)
    token = bundle.lists["l00"][0].tokens[0]
    (tmp_path / f"site/audio/{token}.wav").unlink()
    for name in ("webmushra", "p808"):
        with pytest.raises(UserError, match=f"{token}.wav: the clip is missing"):
            exports.write(bundle, [name])
    (tmp_path / "site/bundle.js").write_text("window.BUNDLE = {")
    with pytest.raises(UserError, match=r"bundle\.js"):
        exports.write(bundle, ["prolific"])


@pytest.mark.parametrize("kind", ["mos", "cmos"])
def test_answers_in_the_form_of_p808_come_back_by_ingest(tmp_path: Path, kind: str) -> None:
    bundle = export_bundles.write(tmp_path / "bundle", kind)
    answered = sessions(bundle)
    answers_csv(bundle, answered, tmp_path / "answers.csv", base_url=URL)
    ingest(bundle, [tmp_path / "answers.csv"])
    found = Ratings(bundle.folder / RATINGS).sessions()
    assert {one.list_id for one in found} == set(export_bundles.LISTS)

    def in_order(these: Any) -> dict[tuple[str, ...], list[float]]:
        return {condition: sorted(given) for condition, given in votes(bundle, these).items()}

    assert in_order(found) == in_order(answered)


def test_answers_of_sessions_that_the_toolkit_could_not_read_are_refused(tmp_path: Path) -> None:
    bundle = export_bundles.write(tmp_path / "bundle")
    one = sessions(bundle)[0]
    cut, unknown = replace(one, responses=one.responses[1:]), replace(one, list_id=None)
    with pytest.raises(UserError, match="x000 has no answer to l00_01"):
        answers_csv(bundle, [cut], tmp_path / "answers.csv", base_url=URL)
    with pytest.raises(UserError, match="x000 has no list"):
        answers_csv(bundle, [unknown], tmp_path / "answers.csv", base_url=URL)
