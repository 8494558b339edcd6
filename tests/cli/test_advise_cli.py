"""``advise`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from mamtra_eval.cli.advise import advise
from mamtra_eval.errors import UserError
from mamtra_eval.models import cost
from mamtra_eval.models.config import preset
from mamtra_eval.profiling.rows import ProfileKey, ProfileRow
from mamtra_eval.store import Store

WORKED = ("--gpu", "A100-40GB", "--resident", "whisper-large-v3=8GB", "--resident", "llm-11b=22GB",
          "--streams", 4, "--context", 1024)  # fmt: skip


def _run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(advise)
    return CliRunner().invoke(app, list(map(str, arguments)))


def _text(*arguments: object) -> str:
    done = _run(*arguments)
    assert done.exit_code == 0, done.exception
    return done.stdout


def _json(*arguments: object) -> Any:
    return json.loads(_text(*arguments, "--json"))


def _refusal(*arguments: object) -> str:
    done = _run(*arguments)
    assert isinstance(done.exception, UserError), done.output
    return str(done.exception)


def test_the_worked_example() -> None:
    found = _json(*WORKED)
    assert {variant["verdict"] for variant in found["variants"]} == {"fits"}
    assert found["recommended"] == "teacher"
    text = " ".join(_text(*WORKED).split())
    for said in ("Recommended: teacher", "30.00 GB = 27.94 GiB", "llm-11b (given)", "1:11"):
        assert said in text


def test_markdown_has_the_same_table_and_the_terms() -> None:
    found = _text(*WORKED, "--markdown", "--latency-ms", 500)
    assert "| teacher | risky |" in found
    assert "## Decisions" in found
    assert "| CUDA context | 0.250–1.000 | default |" in found


def test_cards_are_listed() -> None:
    assert "RTX-4090" in _text("--cards")
    assert "39.38–39.59" in _text("--cards")
    assert _json("--cards")[0]["usable_gib"][0] == pytest.approx(7.72)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--streams", 1, "--context", 8), "RTX-4090"),
        (("--gpu", "40Gb"), "--streams"),
        (("--gpu", "T4", "--streams", 2), "--context"),
        ((*WORKED, "--resident", "x=8"), "2.9 GB"),
        ((*WORKED, "--quality", "hihg"), "Did you mean high"),
        ((*WORKED, "--wer-margin", 0), "--wer-margin"),
        ((*WORKED, "--reserve", -1), "--reserve"),
        ((*WORKED, "--latency-ms", -5), "--latency-ms"),
        ((*WORKED, "--latency-ms", 0), "not 0"),
        ((*WORKED, "--latency-ms", "inf"), "not inf"),
        ((*WORKED, "--latency-ms", "nan"), "not nan"),
        ((*WORKED, "--reserve", 41), "nothing is left for a decoder"),
        ((*WORKED, "--reserve", "nan"), "--reserve"),
        ((*WORKED, "--resident", "llm-11b=1GB"), "two residents are named 'llm-11b'"),
        ((*WORKED, "--variant", "1:4"), "can't be split"),
        ((*WORKED, "--weight-dtype", "fp8"), "fp16"),
        ((*WORKED, "--json", "--markdown"), "one of them"),
        ((*WORKED, "--run", "nowhere"), "no run here"),
    ],
)
def test_bad_input_is_told_with_a_way_out(arguments: tuple[object, ...], said: str) -> None:
    assert said in _refusal(*arguments)


def test_a_margin_goes_before_a_quality() -> None:
    half = _json(*WORKED, "--variant", "1:1", "--quality", "high")["variants"][0]["quality"]
    assert (half["verdict"], half["margin_points"], half["source"]) == ("open", 0.5, "published")
    strict = _json(*WORKED, "--variant", "1:1", "--quality", "high", "--wer-margin", 0.1)
    assert strict["variants"][0]["quality"]["verdict"] == "fail"
    assert strict["variants"][0]["binding"] == "quality"
    assert strict["recommended"] is None


@pytest.fixture
def profiled(tmp_path: Path) -> Path:
    """A folder with a profile of the teacher on an A100 with 40 GB, and of the mini shape."""
    config, folder = preset("cosyvoice2"), tmp_path / "p"
    systems = {
        name: {"target": f"shape:{name}", "config": preset(name).to_dict(), "bits": None}
        for name in ("cosyvoice2", "mini")
    }
    identity = {"device": "NVIDIA A100-SXM4-40GB", "device_type": "cuda", "weights": "fp16"}
    sizes = {
        ("memory.weights", "loaded"): cost.parameters(config)["total"] * 2.0,
        ("memory.kv", "decode"): 4 * cost.kv_bytes(config, 2048, 2),
        ("memory.activations", "prefill"): 2e8,
        ("memory.activations", "loaded"): 7e9,  # while loading: not what serving takes
        ("memory.fragmentation", "decode"): 1e8,
        ("memory.context", "decode"): 4.5e8,
        ("memory.rest", "decode"): -3e6,
    }
    with Store(folder) as store:
        store.set_meta("profile", {"systems": systems, "sessions": {"s": identity}})
        for name in systems:
            for (quantity, phase), size in sizes.items():
                key = ProfileKey("s", name, quantity, phase, 2048, 4)
                store.add_profile(ProfileRow(key, "bytes", "measured", size))
            key = ProfileKey("s", name, "time.first_audio", "", 2048, 4, "natural")
            store.add_profile(ProfileRow(key, "s", "measured", 0.3, high=0.35))
            failed = ProfileKey("s", name, "memory.total", "decode", 9999, 4)
            store.add_profile(ProfileRow(failed, "bytes", "measured", None, error="out of memory"))
    return folder


def test_measured_rows_stand_in_place_of_guesses(profiled: Path) -> None:
    found = _json(*WORKED, "--run", profiled, "--variant", "teacher", "--latency-ms", 400)
    teacher = found["variants"][0]
    tags = {term["name"]: term["tag"] for term in teacher["terms"]}
    assert {name for name, tag in tags.items() if tag == "measured"} == {
        "decoder weights", "keys and values", "decoder activations", "CUDA context",
        "allocator's fragmentation",
    }  # fmt: skip
    activations = next(t for t in teacher["terms"] if t["name"] == "decoder activations")
    assert activations["gib"][1] == pytest.approx(2e8 * 1.05 / 2**30)
    assert teacher["latency"]["measured_ms"] == pytest.approx(350)
    assert teacher["verdict"] == "fits"
    assert not teacher["outside_measured"]
    assert teacher["measured_out"]
    assert teacher["max_streams"] == 4  # what was measured is all that can be promised


def test_outside_of_a_profile_nothing_fits(profiled: Path) -> None:
    arguments = ("--gpu", "A100-40GB", "--context", 2049, "--streams", 4, "--run", profiled)
    teacher, half, *_ = _json(*arguments)["variants"]
    assert (teacher["verdict"], teacher["outside_measured"]) == ("risky", True)
    assert (half["verdict"], half["outside_measured"]) == ("fits", False)
    assert not teacher["rests_on_defaults"]
    assert "Outside of what was measured" in _text(*arguments)
    assert "as far as measured" in " ".join(_text(*WORKED, "--run", profiled).split())


def test_profiled_systems_can_be_named(profiled: Path) -> None:
    found = _json(*WORKED, "--run", profiled, "--variant", "mini")
    weights = next(t for t in found["variants"][0]["terms"] if t["name"] == "decoder weights")
    assert weights["tag"] == "measured"
    assert "mini" in weights["why"]


def test_a_run_without_a_profile_is_told(tmp_path: Path) -> None:
    with Store(tmp_path / "r"):
        pass
    assert "no profile" in _text(*WORKED, "--run", tmp_path / "r")


def test_one_shape_per_advice(profiled: Path) -> None:
    text = _refusal(*WORKED, "--run", profiled, "--variant", "mini", "--variant", "1:3")
    assert "2 shapes (mini: 24 layers of width 128" in text
    default = _json(*WORKED, "--run", profiled)
    assert [one["name"] for one in default["variants"]][:2] == ["teacher", "1:1"]
    assert any("left out: mini" in note for note in default["notes"])


def test_a_run_of_another_shape_is_advised_on_as_it_is(profiled: Path) -> None:
    with Store(profiled) as store:
        kept = store.meta("profile")
        del kept["systems"]["cosyvoice2"]
        store.set_meta("profile", kept)
    found = _json(*WORKED, "--run", profiled)
    assert [one["name"] for one in found["variants"]] == ["mini"]
    assert found["recommended"] == "mini"
    notes = " ".join(found["notes"])
    assert "the variants are these systems (mini)" in notes
    assert "HiFT vocoder" in notes
