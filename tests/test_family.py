"""A ratio family in one configuration: what it becomes, what it leaves out, what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval import catalogue, family, pipeline, registry, targets, verify
from mamtra_eval import config as configuration
from mamtra_eval.config import RunConfig
from mamtra_eval.errors import UserError
from mamtra_eval.models.config import preset
from mamtra_eval.models.layout import PUBLISHED_RATIOS, Ratio, transformer_layers
from mamtra_eval.reader import RunReader
from mamtra_eval.systems._mini_voices import BUNDLE

Cli = Callable[..., Any]
MEMBERS = {"teacher": None, **dict.fromkeys(PUBLISHED_RATIOS)}


def _config(*overrides: str, **values: object) -> RunConfig:
    return configuration.build({"testset": "mini-en", **values}, overrides, where="run.yaml")


def _checkpoint(folder: Path, ratio: str) -> Path:
    """A checkpoint as far as it is looked at before a run: its configuration."""
    folder.mkdir(parents=True)
    shape = preset("mini").with_layout(transformer_layers(Ratio.parse(ratio)))
    (folder / "config.yaml").write_text(yaml.safe_dump({"decoder": shape.to_dict()}))
    return folder


@pytest.fixture
def _no_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system ``given`` has no members of its own; nothing but its name is known of it."""
    known, loaded = registry.plugins("systems"), registry.load

    def load(kind: str, name: str) -> ModuleType:
        return SimpleNamespace() if name in {"given", "other"} else loaded(kind, name)  # type: ignore[return-value]

    more = {name: registry.Plugin(name, "", "", ()) for name in ("given", "other")}
    monkeypatch.setattr(registry, "plugins", lambda kind: {**known, **more})
    monkeypatch.setattr(registry, "load", load)


def test_members_become_systems_in_their_order(tmp_path: Path) -> None:
    folder = _checkpoint(tmp_path / "out, of 1-3", "1:3")
    declared = {
        "kind": "mini",
        "options": {"temperature": 0.8},
        "members": {**MEMBERS, "1:3": str(folder)},
    }
    found = _config(family=declared, systems={"floor": "noise"})
    assert found.systems == {
        "teacher": "mini:temperature=0.8",
        "1-1": "mini:1:1,temperature=0.8",
        "1-3": f'mini:temperature=0.8,checkpoint="{folder}"',
        "1-5": "mini:1:5,temperature=0.8",
        "1-11": "mini:1:11,temperature=0.8",
        "floor": "noise",
    }
    assert found.baseline == "teacher"
    parsed = targets.parse("1-3", found.systems["1-3"])
    assert parsed.options == {"temperature": "0.8", "checkpoint": str(folder)}
    assert family.notes(found.family, found.rivals) == []
    assert _config(family=declared, baseline="1-3").baseline == "1-3"


@pytest.mark.usefixtures("_no_ratios")
def test_what_has_no_checkpoint_is_left_out_and_said(tmp_path: Path) -> None:
    folder = _checkpoint(tmp_path / "c", "1:1")
    found = _config(
        f"family.members.1:1={folder}",
        "family.options.model=/models/a",
        "rivals.other.model=/b",
        family={"kind": "given", "options": {"model": None, "half": True}, "members": MEMBERS},
        rivals={"other": {"model": None}, "third": {"kind": "other", "model": "/c", "codec": None}},
    )
    assert found.systems == {
        "teacher": "given:model=/models/a,half=true",
        "1-1": f"given:model=/models/a,half=true,checkpoint={folder}",
        "other": "other:model=/b",
    }
    assert family.notes(found.family, found.rivals) == [
        "Of the family given, 1:3, 1:5, 1:11 left out: no checkpoint is named (family.members.1:3, "
        "family.members.1:5, family.members.1:11).",
        "third left out: rivals.third.codec not set.",
    ]
    with pytest.raises(UserError, match=r"no member.*family\.members\.1:1=DIR"):
        _config(family={"kind": "given", "members": {"1:1": None}})
    without = _config(family={"kind": "given", "members": {"1:1": str(folder)}})
    assert (list(without.systems), without.baseline) == (["1-1"], None)


@pytest.fixture
def _no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COSYVOICE2_MODEL", "ZONOS_MODEL", "LLASA_MODEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["seed-tts-en", "seed-tts-zh"])
@pytest.mark.usefixtures("_no_models")
def test_a_preset_without_anything_names_every_key(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(catalogue, "folders", lambda: [tmp_path])
    with pytest.raises(UserError) as caught:
        configuration.load(name)
    told = str(caught.value)
    for key in ("family.options.model must be set", "rivals.zonos.model", "rivals.llasa.model",
                *(f"family.members.{ratio}" for ratio in PUBLISHED_RATIOS),
                f"mamtra-eval run {name} family.options.model=DIR family.members.1:1=DIR",
                "mamtra-eval testset import seedtts_testset.tar"):  # fmt: skip
        assert key in told
    with pytest.raises(UserError, match="testset import") as caught:
        catalogue.load(f"seed-tts-eval/{name[-2:]}")


@pytest.mark.parametrize("name", ["seed-tts-en", "seed-tts-zh"])
@pytest.mark.usefixtures("_no_models")
def test_a_preset_takes_what_is_there_and_waits_for_the_rest(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = _checkpoint(tmp_path / "1-11", "1:11")
    monkeypatch.setenv("COSYVOICE2_MODEL", "/models/cosy")
    monkeypatch.setenv("TRAINED_MODEL", str(folder))
    more = ["family.members.1:5=${oc.env:NO_SUCH_MODEL,null}", "rivals.zonos.model=/models/zonos",
            "family.members.1:11=${oc.env:TRAINED_MODEL,null}"]  # fmt: skip
    found = configuration.load(name, more)
    assert found.systems == {
        "teacher": "cosyvoice2:model=/models/cosy",
        "1-11": f"cosyvoice2:model=/models/cosy,checkpoint={folder}",
        "zonos": "zonos:model=/models/zonos",
    }
    assert (found.recipe, found.floor, found.testset) == (
        "seed-tts-eval", True, f"seed-tts-eval/{name[-2:]}",
    )  # fmt: skip
    assert "utmos" in (found.metrics or [])
    assert found.execution.timeout_s > RunConfig().execution.timeout_s
    told = " ".join(family.notes(found.family, found.rivals))
    assert "cosyvoice2, 1:1, 1:3, 1:5 left out" in told
    assert "llasa left out: rivals.llasa.model not set" in told
    assert "zonos" not in told


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"members": {"1:1": "/nowhere/1-1"}}, r"/nowhere/1-1: there is no checkpoint of 1:1"),
        ({"members": {"2-1": None}}, "'2-1' is no member of a family"),
        ({"members": {"1:0": None}}, "Write teacher for a decoder"),
        ({"members": {"01:1": None}}, "'01:1' is no member of a family"),
        ({"members": {}}, "the family has no member"),
        ({"members": {61: None}}, 'YAML reads 1:1 as a number in base 60.*Put it in quotes: "1:1"'),
        ({"members": {"1:2": None}}, "no ratio of mini named '1:2'"),
        ({"options": {"ratio": "1:1"}, "members": MEMBERS}, "checkpoint and ratio are each member"),
        ({"options": {"top_p": None}, "members": MEMBERS}, "family.options.top_p must be set"),
        ({"options": {"top_p": [1]}, "members": MEMBERS}, "'top_p' is no option with a text"),
        ({"options": {"a b": 1}, "members": MEMBERS}, "'a b' is no option"),
        ({"kind": "command", "options": {"x": 1}, "members": {"teacher": None}}, "can't hold"),
        ({"kind": "mino", "members": {"teacher": None}}, "Did you mean mini"),
        ({"kinds": "mini"}, "no key named 'family.kinds'"),
        ({"members": ["1:1"]}, r"family.members must be \{teacher: null, \"1:1\": DIR\}"),
        ({"members": {False: None}}, "False is no name.*Put it in quotes"),
        ({"members": {"1:1": " "}}, "the checkpoint of 1:1 names no folder.*members.1:1=none"),
        ({"members": {"1:1": None, "2:2": None}}, "2:2 is the ratio 1:1. Write 1:1. 1:1 is there"),
        ({"members": {"2:6": "/x"}}, "2:6 is the ratio 1:3. Write 1:3.$"),
        ({"members": {"0:1": None}}, "no ratio of mini named '0:1'.*Did you mean"),
        ({"kind": "cosyvoice2", "members": {"1:4": None}}, "can't be split 1:4.*fit: .*1:3, 1:5"),
        (
            {"kind": "cosyvoice2", "members": {"1:1": None, "1:3": None}},
            "1:1, 1:3 of cosyvoice2 have no checkpoint. Give one: family.members.1:1=DIR",
        ),
        ({"members": dict.fromkeys(MEMBERS, "none")}, "no member: all are left out"),
    ],
)
def test_what_can_not_be_a_family_is_explained(declared: dict[str, Any], message: str) -> None:
    from mamtra_eval import plan

    def start() -> None:
        config = _config(family={"kind": "mini", **declared})
        family.check_folders(config.family)
        plan.make(config)

    with pytest.raises(UserError, match=message):
        start()


def test_a_checkpoint_of_another_ratio_is_refused_by_both_names(tmp_path: Path) -> None:
    def _look(members: dict[str, str]) -> RunConfig:
        config = _config(family={"kind": "mini", "members": members})
        family.check_folders(config.family)
        return config

    five, teacher = _checkpoint(tmp_path / "5", "1:5"), _checkpoint(tmp_path / "t", "1:0")
    with pytest.raises(
        UserError, match=r"as the member 1:3, and its decoder is 1:5 \(4 of 24.*0, 8"
    ):
        _look({"1:3": str(five)})
    with pytest.raises(UserError, match="the member 1:1, and its decoder is a teacher's, 1:0"):
        _look({"1:1": str(teacher)})
    with pytest.raises(UserError, match="the member teacher, and its decoder is 1:5"):
        _look({"teacher": str(five)})
    (five / "config.yaml").write_text("decoder: [")
    with pytest.raises(UserError, match="no checkpoint of 1:5"):
        _look({"1:5": str(five)})
    found = _look({"teacher": str(teacher)})
    assert found.systems == {"teacher": f"mini:checkpoint={teacher}"}


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


@settings(max_examples=40, deadline=None)
@given(
    options=st.dictionaries(
        st.from_regex(r"[a-z_]{1,6}", fullmatch=True).filter(lambda key: key != "ratio"), texts
    )
)
def test_any_text_stands_in_a_target(options: dict[str, str]) -> None:
    target = targets.written("mini", options)
    assert targets.parse("x", target).options == options


@settings(max_examples=12, deadline=None)
@given(
    ratio=st.sampled_from(["1:1", "1:2", "1:3", "1:5", "1:11", "3:1", "0:1"]),
    name=texts.filter(lambda text: not set(text) & set("/") and text.strip(". ")),
    temperature=st.floats(0.1, 5),
)
def test_a_configuration_written_and_read_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, ratio: str, name: str, temperature: float
) -> None:
    root = tmp_path_factory.mktemp("round")
    folder = root / "${x}" / name
    folder.mkdir(parents=True)
    shape = preset("mini")
    kept = Ratio.parse(ratio)
    n = 24 * kept.transformer // (kept.transformer + kept.mamba)
    decoder = shape.with_layout(tuple(range(n))).to_dict()
    (folder / "config.yaml").write_text(yaml.safe_dump({"decoder": decoder}))
    values = {
        "testset": "mini-en",
        "family": {
            "kind": "mini",
            "options": {"temperature": temperature},
            "members": {"teacher": None, ratio: configuration.literal(str(folder))},
        },
        "rivals": {"espeak": {"voice": None}, "gb": {"kind": "espeak", "voice": "en-gb"}},
    }
    config = configuration.build(values)
    assert list(config.systems) == ["teacher", ratio.replace(":", "-"), "gb"]
    options = targets.parse("x", config.systems[ratio.replace(":", "-")]).options
    assert options == {"temperature": str(temperature), "checkpoint": str(folder)}
    (root / "run.yaml").write_text(configuration.to_yaml(config))
    assert configuration.load(str(root / "run.yaml")) == config


@pytest.mark.slow
def test_a_family_runs_and_is_read_again(cli: Cli, tmp_path: Path) -> None:
    texts = tmp_path / "meta.lst"
    texts.write_text("u1|One two.\nu2|Three.\n")
    (tmp_path / "family.yaml").write_text(
        "testset: mini-en\nmetrics: [health]\nexecution: {workers: 1}\n"
        "family: {kind: mini, members: {teacher: null}}\nrivals: {espeak: {voice: null}}\n"
    )
    out, folder = tmp_path / "run", BUNDLE / "1-3"
    done = cli("run", "family.yaml", f"testset={texts}", f"family.members.1:3={folder}",
               "--out", out)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "espeak left out: rivals.espeak.voice not set" in done.stderr
    with RunReader(out) as store:
        assert [row.name for row in store.systems()] == ["teacher", "1-3"]
        assert [clip.status for clip in store.clips()] == ["done"] * 4
        assert verify.verify(store) == []
    written = yaml.safe_load((out / "run.yaml").read_text())
    assert written["family"]["members"] == {"teacher": None, "1:3": str(folder)}
    assert written["systems"] == {"teacher": "mini", "1-3": f"mini:checkpoint={folder}"}
    assert written["baseline"] == "teacher"
    board = (out / "leaderboard.md").read_text()
    assert "## The paper's table" in board
    assert "Note: espeak left out" in board
    assert "GFLOP a token at 1,024" in (out / "report.html").read_text()
    # Read again it is the same run; a start that declares nothing keeps what was declared.
    pipeline.evaluate(configuration.load(str(out / "run.yaml")), out)
    assert yaml.safe_load((out / "run.yaml").read_text()) == {**written, "mode": "strict"}
    more = {"systems": {"teacher": "mini"}, "metrics": ["health"]}
    pipeline.evaluate(configuration.build({"testset": str(texts), **more}), out)
    again = yaml.safe_load((out / "run.yaml").read_text())
    for key in ("family", "rivals", "systems"):
        assert again[key] == written[key]
