"""Bundles from a real run: blinded, balanced, equally loud, and the same bytes again."""

from __future__ import annotations

import hashlib
import json
import re
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mamtra_eval import audio
from mamtra_eval.errors import UserError
from mamtra_eval.listening import bundle as bundles
from mamtra_eval.listening import kinds
from mamtra_eval.listening.building import exporting, loudness
from mamtra_eval.listening.building.design import Checks, conditions_of, draw
from mamtra_eval.listening.building.loudness import Level
from mamtra_eval.listening.building.settling import Options, settle
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.rows import ClipKey
from tests.listening import exported_bundles
from tests.listening.exported_bundles import SYSTEMS, data, export

KINDS = ("mos", "smos", "cmos", "ab", "mushra")


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export(tmp_path_factory.mktemp("bundle") / request.param, request.param)


@pytest.fixture(scope="module")
def mos(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export(tmp_path_factory.mktemp("bundle") / "mos", formats=("webmushra", "p808"))


def _blinded(folder: Path) -> list[Path]:
    return [path for part in ("site", "offline") for path in (folder / part).rglob("*")
            if path.is_file()]  # fmt: skip


def test_nothing_that_raters_get_names_a_system_a_sentence_or_a_role(made: Bundle):
    run = data()
    words = {*made.key.systems, *(item.id for item in run.utterances)}
    words |= {row.target for row in run.systems if row.name in made.key.systems} - {"recorded"}
    texts = {item.text for item in run.utterances}
    for path in _blinded(made.folder):
        if path.suffix in (".wav", ".flac"):
            assert re.fullmatch(r"s_[0-9a-f]{32}\.wav", path.name)
            continue
        # Programs and styles are the package's own: the same for every test.
        whole = path.read_text(encoding="utf-8").lower()
        own = path.read_text(encoding="utf-8") if path.name in ("bundle.js", "lists.js") else ""
        for word in words:
            assert not re.search(rf"\b{re.escape(word)}\b", own), (path.name, word)
        for text in texts:
            assert text.lower() not in whole
        assert not re.search(r'"(role|expected|tolerance|system|utterance|made)"', own)


def test_no_token_and_no_file_is_in_two_places(made: Bundle):
    lists = made.lists
    owners: dict[str, set[str]] = {}
    for name, trials in lists.items():
        for trial in trials:
            for token in (*trial.tokens, *([trial.reference] if trial.reference else [])):
                owners.setdefault(token, set()).add(f"{name} {trial.id}")
    assert max(map(len, owners.values())) == 1  # what lists share would be a check, or the baseline
    facts = [one for token, one in made.manifest["tokens"].items()]
    assert len({one["sha256"] for one in facts}) == len(facts)


def test_repeats_have_another_length_than_what_they_repeat(mos: Bundle):
    lengths = mos.manifest["tokens"]
    pairs = [(key.tokens[0], mos.key.trials[key.of].tokens[0])
             for key in mos.key.trials.values() if key.of]  # fmt: skip
    same = [lengths[one]["duration_s"] == lengths[other]["duration_s"] for one, other in pairs]
    assert pairs
    assert not any(same)


def test_lists_cannot_be_drawn_again_from_the_seed_alone(mos: Bundle):
    conditions = conditions_of("mos", list(mos.key.systems), "baseline", None)
    items = sorted({key.utterance or "" for key in mos.key.tokens.values() if key.made == "clip"})
    again = draw(items, conditions, per_session=24, replicates=1, checks=Checks(2, 2, 2), seed="0")
    roles = [[slot.role for slot in slots] for slots in again.lists.values()]
    own = [[mos.key.trials[trial.id].role for trial in trials] for trials in mos.lists.values()]
    assert roles != own
    known = json.loads((mos.folder / bundles.KEY).read_text())
    assert known["seed"] == 0
    assert '"seed": 0' not in (mos.folder / "bundle.json").read_text().replace(
        '"resamples": 2000,\n  "seed": 0', ""
    )


def test_bundles_of_one_seed_cannot_be_linked(tmp_path: Path):
    one, other = export(tmp_path / "a", "mos"), export(tmp_path / "b", "ab")
    assert not {*one.manifest["tokens"]} & {*other.manifest["tokens"]}
    hashes = [{facts["sha256"] for facts in b.manifest["tokens"].values()} for b in (one, other)]
    assert not hashes[0] & hashes[1]


def test_a_seed_is_drawn_where_none_is_given():
    assert Options(kinds.find("mos")).seed != Options(kinds.find("mos")).seed
    assert Options(kinds.find("mos")).seed > 0


def test_the_key_is_private_and_beside_the_site(made: Bundle):
    path = made.folder / bundles.KEY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list((made.folder / "site").rglob("*key*"))
    salt = json.loads(path.read_text())["salt"]
    for one in made.folder.rglob("*"):
        if one.is_file() and one != path and one.suffix != ".wav":
            assert salt not in one.read_text(encoding="utf-8"), one


def test_every_clip_is_played_and_known(made: Bundle):
    files = {path.stem for path in (made.folder / "site/audio").iterdir()}
    page = json.loads((made.folder / "site/bundle.js").read_text().split(" = ", 1)[1].rstrip(";\n"))
    trials = [trial for trials in made.lists.values() for trial in trials]
    played = {token for trial in trials for token in (*trial.tokens, trial.reference) if token}
    played |= {token for one in page["practice"] for token in (*one["tokens"], one["reference"])
               if token}  # fmt: skip
    played |= {page["volume"], *page["headphones"]["tokens"]}
    assert files == played == {*made.manifest["tokens"]} == {*made.key.tokens}
    for trial in trials:
        assert made.key.trials[trial.id].tokens == trial.tokens


def test_clips_are_equally_loud_at_one_rate_and_below_the_ceiling(made: Bundle):
    target = made.manifest["audio"]["loudness"]["target_lufs"]
    for token, key in made.key.tokens.items():
        path = made.folder / "site/audio" / f"{token}.wav"
        samples, rate_hz = soundfile.read(path)
        assert rate_hz == 8000
        assert np.abs(samples).max() <= 10 ** (-1 / 20) + 1e-3
        assert (
            hashlib.sha256(path.read_bytes()).hexdigest()
            == (made.manifest["tokens"][token]["sha256"])
        )
        if key.made != "headphones":
            assert loudness.lufs(samples, rate_hz) == pytest.approx(target, abs=0.1)


def test_cells_are_balanced(made: Bundle):
    told = json.loads((made.folder / "design/design_report.json").read_text())
    low, high = told["votes_per_cell"]["planned_raters"]
    assert high - low <= 1


def test_gold_traps_and_repeats_know_their_answers(made: Bundle):
    by_role: dict[str, list[bundles.TrialKey]] = {}
    for key in made.key.trials.values():
        by_role.setdefault(key.role, []).append(key)
    if made.kind.name == "mushra":
        assert {*by_role} == {"rated", "repeat"}
        return
    assert {*by_role} == {"rated", "gold", "trap", "repeat"} | (
        {"null"} if made.kind.is_pair else set()
    )
    for key in by_role["gold"] + by_role["trap"]:
        assert made.kind.scale.admits(key.expected)
    assert len({key.expected for key in by_role["trap"]}) == 2
    for key in by_role["repeat"]:
        first = made.key.trials[key.of or ""]
        assert [made.key.tokens[token].utterance for token in key.tokens] == [
            made.key.tokens[token].utterance for token in first.tokens
        ]
        assert not {*key.tokens} & {*first.tokens}  # a file of its own: nothing shows that it is


def test_mushra_clips_of_a_sentence_are_as_long_as_each_other(tmp_path: Path):
    made = export(tmp_path / "b", "mushra")
    for trials in made.lists.values():
        for trial in trials:
            lengths = {made.manifest["tokens"][token]["duration_s"]
                       for token in (*trial.tokens, trial.reference or "")}  # fmt: skip
            assert len(lengths) == 1


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path):
    one, other, third = (
        export(tmp_path / name, seed=seed, formats=("webmushra", "prolific"))
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    files = [sorted(p.relative_to(b.folder) for p in b.folder.rglob("*") if p.is_file())
             for b in (one, other)]  # fmt: skip
    assert files[0] == files[1]
    for name in files[0]:
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes(), name
    assert not {*one.manifest["tokens"]} & {*third.manifest["tokens"]}


def test_sums_tell_what_was_changed(mos: Bundle, tmp_path: Path):
    assert bundles.changed(mos.folder) == []
    made = export(tmp_path / "b")
    (made.folder / "PREREG.md").write_text("other rules")
    (made.folder / "design/power.json").unlink()
    (made.folder / "listening.html").write_text("made later")
    assert bundles.changed(made.folder) == ["PREREG.md", "design/power.json"]


def test_exports_of_other_programs_lie_beside(mos: Bundle):
    assert list((mos.folder / "exports/webmushra/configs").glob("*.yaml"))
    assert (mos.folder / "exports/p808/rating_clips.csv").is_file()
    for path in (mos.folder / "exports").rglob("*"):
        if path.is_file() and path.suffix in (".yaml", ".csv", ".html", ".json"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"\bteacher\b|\brecordings\b|\bawb-0", text), path


def test_rules_and_analysis_are_settled_in_words(mos: Bundle):
    text = (mos.folder / "PREREG.md").read_text()
    for part in (mos.content_sha256, "two-way clustered 95 %", "(`traps_min`) | 2",
                 "Planned: 24 sessions",
                 "No margin of equivalence is declared"):  # fmt: skip
        assert part in text
    told = exporting.preregistration.render(
        mos.manifest | {"analysis": mos.manifest["analysis"] | {"margin": 0.3}}, ["a", "b"], 24
    )
    assert "90 % interval of their difference lies within ±0.3" in told


def test_a_comparison_is_settled_as_one(tmp_path: Path):
    text = (export(tmp_path / "b", "ab").folder / "PREREG.md").read_text()
    for part in ("half the difference of the means of both orders", "Bradley–Terry", "Davidson"):
        assert part in text
    assert "mean of all votes of a system" not in text
    assert "igeonhole" not in text


def test_the_readme_names_what_is_there(tmp_path: Path, mos: Bundle):
    assert "exports/" in (mos.folder / "README.md").read_text()
    assert "offline/test.html" not in (mos.folder / "README.md").read_text()
    made = export(tmp_path / "b", checks=Checks(1, 0, 1))
    assert "offline/test.html" in (made.folder / "README.md").read_text()
    page = (made.folder / "site/bundle.js").read_text()
    assert "Some clips ask you" not in page
    assert "A few clips come again" in page


def test_a_rehearsal_says_so_and_blanks_are_refused(mos: Bundle, tmp_path: Path):
    assert mos.manifest["consent"]["template"]
    assert "rehearsal" in (mos.folder / "README.md").read_text()
    with pytest.raises(UserError, match=r"still has a blank: \[NAME OF THE INSTITUTION\]"):
        export(tmp_path / "b", consent=exporting.documents.TEMPLATE)
    assert not (tmp_path / "b").exists()
    words = tmp_path / "consent.txt"
    words.write_text("We ask you to listen.\n\nYou may stop & leave <any> time.\n")
    made = export(tmp_path / "b", consent=words)
    assert not made.manifest["consent"]["template"]
    page = (made.folder / "site/bundle.js").read_text()
    assert "We ask you to listen." in page
    assert "<any>" not in page  # escaped, so that nothing can end a script


def test_failed_and_silent_clips_take_their_sentence_out_for_all(tmp_path: Path):
    run = data()
    first, second, third = (item.id for item in run.utterances[:3])
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(16000), 16000, "PCM_16")
    clips = []
    for clip in run.clips:
        if clip.key == ClipKey("1-1", first, 0):
            clip = replace(clip, status="failed", path=None, error="the decoder ran away")
        if clip.key == ClipKey("teacher", second, 0):
            clip = replace(clip, path=str(silent), sha256=audio.sha256(silent))
        if clip.key == ClipKey("recordings", third, 0):
            clip = replace(clip, sha256="0" * 64)
        clips.append(clip)
    broken = replace(run, clips=tuple(clips))
    options = Options(kinds.find("mos"), SYSTEMS, 17, level=Level(8000), seed=0)
    left_out = settle(broken, options).material.left_out
    assert {(one.utterance, one.system, one.why) for one in left_out} == {
        (first, "1-1", "the decoder ran away"), (second, "teacher", "digital silence"),
        (third, "recordings", "the file was changed after it was made"),
    }  # fmt: skip
    with pytest.raises(UserError, match="21 sentences that all 4 systems spoke, 19 and 4 more"):
        settle(broken, replace(options, items=19))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"systems": ("teacher", "hybrid")}, "no system of this run named 'hybrid'"),
        ({"systems": ("teacher",), "reference": False}, "needs two systems at least"),
        ({"baseline": "noise"}, "the baseline 'noise' is not among the systems"),
        ({"items": 30}, "30 and 4 more for practice and checks"),
        ({"container": "mp3"}, "no audio format 'mp3'"),
        ({"language": "zh"}, "raters' pages are there in en"),
        ({"formats": ("beaqlejs",)}, "beaqlejs"),
        ({"consent": Path("nowhere.txt")}, "consent text can't be read"),
        ({"redirect": "foo"}, "--redirect 'foo' is no https address"),
        ({"redirect": "http://example.org/"}, "no https address"),
        ({"title": "  "}, "--title is empty"),
        ({"created": "yesterday"}, "--created 'yesterday' is no time"),
    ],
)
def test_what_cannot_be_built_is_refused_and_leaves_nothing(tmp_path, options, words):
    with pytest.raises(UserError, match=words):
        export(tmp_path / "b", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_export_never_overwrites(tmp_path: Path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b/ratings.csv").write_text("precious")
    with pytest.raises(UserError, match="there is something already"):
        export(tmp_path / "b")
    assert (tmp_path / "b/ratings.csv").read_text() == "precious"


def test_without_recordings_a_bundle_has_what_it_can(tmp_path: Path):
    run = data()
    bare = replace(
        run,
        systems=tuple(row for row in run.systems if row.name in ("teacher", "1-1")),
        clips=tuple(clip for clip in run.clips if clip.key.system in ("teacher", "1-1")),
        utterances=tuple(replace(one, ground_truth=None) for one in run.utterances),
        floor=None,
        speakers={},
    )
    options = Options(kinds.find("mos"), None, 8, replicates=1, level=Level(8000), headphones=0)
    made = exporting.export(bare, tmp_path / "b", options)
    assert made.key.systems == {"teacher": "system", "1-1": "system", "low anchor": "anchor"}
    assert made.manifest["checks"]["gold"] == 1  # nothing is obviously good
    with pytest.raises(UserError, match="mushra needs recordings"):
        exporting.export(bare, tmp_path / "c", replace(options, kind=kinds.find("mushra")))


def test_the_questions_words_and_step_stay_with_the_bundle(tmp_path: Path):
    kind = replace(kinds.find("mos", 0.5), question="How good is it?")
    run = exported_bundles.data()
    made = exporting.export(
        run, tmp_path / "b", Options(kind, SYSTEMS, 8, replicates=1, level=Level(8000))
    )
    assert bundles.open_bundle(made.folder).kind == kind
    assert len(made.kind.scale.values) == 9
    with pytest.raises(UserError, match=r"cmos has no scale by steps of 0\.5"):
        kinds.find("cmos", 0.5)
    with pytest.raises(UserError, match=r"no kind of listening test named 'moss'.*Did you mean"):
        kinds.find("moss")


def test_an_anchor_gets_a_name_that_no_system_has(tmp_path: Path):
    run = data()
    named = replace(
        run,
        systems=tuple(replace(row, name="low anchor") if row.name == "1-1" else row
                      for row in run.systems),
        clips=tuple(replace(clip, key=ClipKey("low anchor", clip.key.utterance, 0))
                    if clip.key.system == "1-1" else clip for clip in run.clips),
    )  # fmt: skip
    options = Options(kinds.find("mos"), ("teacher", "low anchor"), 8, level=Level(8000))
    assert exporting.export(named, tmp_path / "b", options).key.systems == {
        "teacher": "system", "low anchor": "system", "recordings": "reference",
        "low anchor'": "anchor",
    }  # fmt: skip


def test_smos_leaves_out_sentences_whose_prompt_is_gone(tmp_path: Path):
    run = data()
    gone = replace(run.utterances[0], prompt_audio=tmp_path / "gone.wav")
    broken = replace(run, utterances=(gone, *run.utterances[1:]))
    options = Options(kinds.find("smos"), SYSTEMS, 19, level=Level(8000))
    (left_out,) = settle(broken, options).material.left_out
    assert (left_out.utterance, left_out.system) == (gone.id, "the prompt")


def test_a_damaged_key_or_list_is_told(tmp_path: Path):
    made = export(tmp_path / "b")
    for name, text in ((bundles.KEY, "{}"), (bundles.KEY, '{"salt": 1, "systems": []}'),
                       (bundles.LISTS, '{"l000": [{}]}'), (bundles.LISTS, "{}")):  # fmt: skip
        before = (made.folder / name).read_text()
        (made.folder / name).write_text(text)
        with pytest.raises(UserError, match="damaged"):
            _ = (Bundle(made.folder).key, Bundle(made.folder).lists)
        (made.folder / name).write_text(before)
    (made.folder / bundles.SUMS).write_bytes(b"\xff")
    assert bundles.changed(made.folder) == [bundles.SUMS]
    (made.folder / bundles.SUMS).unlink()
    assert bundles.changed(made.folder) == [bundles.SUMS]


def test_a_damaged_bundle_is_told(tmp_path: Path):
    with pytest.raises(UserError, match="no bundle here"):
        bundles.open_bundle(tmp_path)
    made = export(tmp_path / "b")
    path = made.folder / "bundle.json"
    values = json.loads(path.read_text())
    for broken, words in (
        ({**values, "extra": 1}, "extra"),
        ({**values, "bundle_id": "b_1"}, "bundle_id"),
        ({key: one for key, one in values.items() if key != "kind"}, "kind"),
    ):
        path.write_text(json.dumps(broken))
        with pytest.raises(UserError, match=words):
            bundles.open_bundle(made.folder)
    path.write_text("{")
    with pytest.raises(UserError, match="not readable as JSON"):
        bundles.open_bundle(made.folder)
