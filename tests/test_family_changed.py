"""A family that is overridden, in part left out, moved, or declared in another form."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mamtra_eval import config as configuration
from mamtra_eval import entering, family, pipeline, verify
from mamtra_eval.config import RunConfig
from mamtra_eval.errors import UserError
from mamtra_eval.models.layout import PUBLISHED_RATIOS
from mamtra_eval.reader import RunReader
from mamtra_eval.systems._mini_voices import BUNDLE

MEMBERS = {"teacher": None, **dict.fromkeys(PUBLISHED_RATIOS)}


def _config(*overrides: str, **values: object) -> RunConfig:
    return configuration.build({"testset": "mini-en", **values}, overrides, where="run.yaml")


@pytest.mark.parametrize(
    ("values", "overrides", "message"),
    [
        ({"family": "mini"}, [], "family must be {kind: NAME.*members.*Write family.kind=mini"),
        ({"family": ["mini"]}, [], "family must be {kind: NAME"),
        ({}, ["family=mini"], "command line: family must be {kind: NAME"),
        ({}, ["family.members={1:1: null}"], 'base 60.*Put it in quotes: "1:1"'),
        ({"rivals": {61: {}}}, [], 'rivals: 61 is no name: YAML reads 1:1.*in quotes: "1:1"'),
        ({"rivals": {"zonos": "/z"}}, [], "rivals.zonos must be {KEY: VALUE}"),
        ({}, ["rivals=3"], "rivals must be {NAME"),
        ({}, ["family.kind=mini", "family.members.1:1="], "checkpoint of 1:1 names no folder"),
    ],
)
def test_another_form_is_told_which_it_must_be(
    values: dict[str, Any], overrides: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        _config(*overrides, **values)


def test_none_leaves_a_member_out_and_null_a_rival() -> None:
    rivals = {"espeak": None, "gb": {"kind": "espeak", "voice": "en-gb"}}
    found = _config(
        "family.members.1:3=none", "rivals.gb=null",
        family={"kind": "mini", "members": {**MEMBERS, "1:5": "none"}}, rivals=rivals,
    )  # fmt: skip
    assert list(found.systems) == ["teacher", "1-1", "1-11"]
    assert family.notes(found.family, found.rivals) == [
        "Of the family mini, 1:3, 1:5 left out: so configured (family.members.1:3, "
        "family.members.1:5).",
        "espeak left out: rivals.espeak is null.",
        "gb left out: rivals.gb is null.",
    ]
    bare = _config("family.members.teacher=none", family={"kind": "mini", "members": MEMBERS})
    assert (list(bare.systems), bare.baseline) == (["1-1", "1-3", "1-5", "1-11"], None)
    back = _config("rivals.espeak.voice=en", rivals={"espeak": None})
    assert back.systems == {"espeak": "espeak:voice=en"}


def test_a_runs_own_configuration_follows_a_changed_family(tmp_path: Path) -> None:
    first = _config(
        family={"kind": "mini", "members": {**MEMBERS, "1:3": configuration.literal("/gone/${x}")}},
        rivals={"espeak": {"voice": "en"}},
        systems={"floor": "noise"},
    )
    path = tmp_path / "run.yaml"
    path.write_text(configuration.to_yaml(first))
    changed = configuration.load(
        str(path), ["family.options.temperature=0.3", "family.members.1:3=/here"]
    )
    assert changed.systems == {
        "teacher": "mini:temperature=0.3",
        "1-1": "mini:1:1,temperature=0.3",
        "1-3": "mini:temperature=0.3,checkpoint=/here",
        "1-5": "mini:1:5,temperature=0.3",
        "1-11": "mini:1:11,temperature=0.3",
        "espeak": "espeak:voice=en",
        "floor": "noise",
    }
    fewer = configuration.load(str(path), ["family.members.teacher=none", "rivals.espeak=null"])
    assert list(fewer.systems) == ["1-1", "1-3", "1-5", "1-11", "floor"]
    assert fewer.baseline is None
    with pytest.raises(UserError, match="two systems are named 'teacher': noise"):
        configuration.load(str(path), ["systems.teacher=noise"])
    assert configuration.load(str(path)) == first


def test_a_moved_checkpoint_costs_verify_its_own_check_alone(tmp_path: Path) -> None:
    texts, folder = tmp_path / "meta.lst", tmp_path / "1-3"
    texts.write_text("u1|One two.\n")
    shutil.copytree(BUNDLE / "1-3", folder)
    values = {"testset": str(texts), "metrics": ["health"], "execution": {"workers": 1}}
    declared = {"kind": "mini", "members": {"teacher": None, "1:3": str(folder)}}
    out = pipeline.evaluate(configuration.build({**values, "family": declared}), tmp_path / "run")
    folder.rename(tmp_path / "moved")
    texts.write_text("u1|One three.\n")
    with RunReader(out) as store:
        found = verify.verify(store)
    assert [(one.kind, one.name) for one in found] == [("system", "1-3"), ("test set", "u1")]
    assert found[0].what.startswith("can't be checked: ")
    texts.write_text("u1|One two.\n")
    with pytest.raises(UserError, match=r"no checkpoint of 1:3: no such folder.*1:3=none"):
        pipeline.evaluate(configuration.load(str(out / "run.yaml")), out)
    moved = f"family.members.1:3={tmp_path / 'moved'}"
    pipeline.evaluate(configuration.load(str(out / "run.yaml"), [moved]), out)
    other = configuration.load(str(out / "run.yaml"), ["family.options.temperature=0.25"])
    with pytest.raises(UserError) as caught:
        pipeline.evaluate(other, out)
    assert caught.value.what == (
        "the run there has system teacher with temperature 0.5, this command temperature 0.25"
    )


def test_a_refusal_shows_where_long_values_begin_to_differ() -> None:
    same = "a" * 500
    before = {"kind": "x", "command": f"{same}b{same}", "seed": 1, "gone": True}
    now = {"kind": "x", "command": f"{same}c{same}", "seed": 1}
    told = [entering.differing(before, now), entering.differing(now, before)]
    assert told == [
        f"command …{'a' * 20}b{'a' * 19}…, gone true",
        f"command …{'a' * 20}c{'a' * 19}…, gone none",
    ]
    assert entering.differing({"kind": "x", "a": 1}, {"kind": "y"}) == 'kind "x"'


def test_a_family_without_a_kind_is_told_what_to_add() -> None:
    with pytest.raises(UserError, match=r"family.kind is missing.*family.kind=cosyvoice2"):
        _config(family={"members": MEMBERS})


def test_a_system_of_a_members_name_must_be_that_member() -> None:
    declared = {"kind": "mini", "members": {"teacher": None}}
    with pytest.raises(UserError, match="two systems are named 'teacher': noise under systems"):
        _config(family=declared, systems={"teacher": "noise"})
    assert _config(family=declared, systems={"teacher": "mini"}).systems == {"teacher": "mini"}
    with pytest.raises(UserError, match="is a member of the family"):
        _config(family=declared, rivals={"teacher": {"kind": "noise"}})
