"""profile.md from rows that are made up: what it says, and that its plots are drawn."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from mamtra_eval import profiles
from mamtra_eval.models import cost, layout
from mamtra_eval.models.config import DecoderConfig, preset
from mamtra_eval.models.layout import Ratio
from mamtra_eval.profiles import Session
from mamtra_eval.profiling.rows import CLOSED_FORM, MEASURED, ProfileKey, ProfileRow
from mamtra_eval.reader import RunReader
from mamtra_eval.report import profile

SYSTEMS = {"teacher": "1:0", "1-1": "1:1", "x_<b>|y": "1:11"}
CONTEXTS = (256, 1024)
IDENTITY = {
    "device_type": "cpu", "device": "A|B processor", "cores": 2, "threads": 2, "kernels": "torch",
    "attention": "sdpa", "weights": "fp32", "kv": "fp32", "state": "fp32",
}  # fmt: skip


def shape(ratio: str) -> DecoderConfig:
    config = preset("mini")
    return config.with_layout(layout.transformer_layers(Ratio.parse(ratio), config.layers))


def rows() -> list[ProfileRow]:
    found = []
    for place, (name, ratio) in enumerate(SYSTEMS.items()):
        config = shape(ratio)
        for context in CONTEXTS:
            key = ProfileKey("abc", name, "", context=context)
            sizes = {
                "base": 1e8, "weights": 4.0 * cost.parameters(config)["total"],
                "kv": cost.kv_bytes(config, context, 4), "state": cost.state_bytes(config, 4),
                "activations": 1e6, "rest": 2e6,
            }  # fmt: skip
            for phase in ("prefill", "decode"):
                for part, size in {**sizes, "total": sum(sizes.values())}.items():
                    about = replace(key, quantity=f"memory.{part}", phase=phase)
                    found.append(ProfileRow(about, "bytes", MEASURED, float(size)))
            seconds = 0.010 + 1e-6 * context * (3 - place)
            about = replace(key, quantity="time.step", workload="replay")
            around = {"low": 0.98 * seconds, "high": 1.02 * seconds}
            detail = {"samples": [seconds] * 9}
            found.append(ProfileRow(about, "s", MEASURED, seconds, 9, **around, detail=detail))
            for quantity in ("flops.token", "flops.pass"):
                about = replace(key, quantity=quantity)
                found.append(ProfileRow(about, "flop", CLOSED_FORM, 1.5e9,
                                        detail={"convention": "causal attention"}))  # fmt: skip
        about = ProfileKey("abc", name, "flops.counted", context=64)
        found.append(ProfileRow(about, "flop", MEASURED, 1e9, detail={"relative": 0.004}))
    return found


def sessions(extra: list[ProfileRow] | None = None) -> tuple[Session, ...]:
    meta = {
        "baseline": "teacher",
        "systems": {
            name: {"target": name, "config": shape(ratio).to_dict(), "bits": None}
            for name, ratio in SYSTEMS.items()
        },
        "sessions": {"abc": IDENTITY, "def": {**IDENTITY, "device": "another"}},
    }
    return tuple(profiles.sessions([*rows(), *(extra or [])], meta))


def line(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(start))


def test_sizes_and_times_stand_in_their_tables() -> None:
    text = profile.render(sessions())
    weights = 4 * cost.parameters(shape("1:0"))["total"] / 1e6
    memory = line(text, "| teacher | 1,024 | prefill |")
    assert f"| {weights:,.1f} | 12.6 | 0.0 | 1.0 | 2.0 |" in memory
    assert "| teacher | 0.00 | 12.29 | 3.15 | 12.58 |" in text
    assert "10.8 [10.6, 11.0] | 13.1 [12.8, 13.3] | 3,000 |" in text
    assert "+0.40 % at 64" in text


def test_the_closed_forms_crossings_stand_beside_the_measured_ones() -> None:
    text = profile.render(sessions())
    heading = text.index("Where ratios begin to pay")
    crossings = line(text[heading:], "| 1-1 |")
    assert crossings.startswith("| 1-1 | 40 | 181 | 110 | 331 |")
    assert "always" in crossings  # in time: fewer nanoseconds at the same start


def test_names_and_machines_are_taken_literally() -> None:
    text = profile.render(sessions())
    assert "x\\_&lt;b&gt;\\|y" in text
    assert "## A\\|B processor, float32" in text
    assert "<b>" not in text


def test_sessions_are_not_compared() -> None:
    key = ProfileKey("def", "teacher", "time.step", "", 256, 1, "replay")
    text = profile.render(sessions([ProfileRow(key, "s", MEASURED, 0.5)]))
    assert "2 sessions, each on a machine" in text
    assert text.count("\n## ") == 2


def test_what_is_unstable_or_absent_is_told() -> None:
    key = ProfileKey("abc", "1-1", "time.prefill", "", 1024, 1, "replay")
    noisy = ProfileRow(replace(key, context=256), "s", MEASURED, 0.5,
                       notes=("unstable: spans 40 %",))  # fmt: skip
    absent = ProfileRow(key, "s", MEASURED, None, n=0, error="not run: too long")
    text = profile.render(sessions([noisy, absent]))
    assert "0.500 (unstable)" in text
    assert "- not run: too long: 1-1 time.prefill 1,024 replay." in text


def test_a_busy_machine_stands_above_everything() -> None:
    key = ProfileKey("abc", "1-1", "time.prefill", "", 256, 1, "replay")
    busy = ProfileRow(key, "s", MEASURED, 0.5, notes=("measured on a busy device (70 %)",))
    text = profile.render(sessions([busy]))
    assert text.index("Not to be relied on") < text.index("### Memory")


def test_streams_have_a_table_where_there_are_several() -> None:
    assert "### Streams" not in profile.render(sessions())
    key = ProfileKey("abc", "teacher", "time.step", "", 256, 4, "replay")
    text = profile.render(sessions([ProfileRow(key, "s", MEASURED, 0.02)]))
    assert "200.0 (20.0)" in text[text.index("### Streams") :]


def test_load_and_speech_have_tables() -> None:
    key = ProfileKey("abc", "teacher", "time.first_audio", workload="natural")
    spoken = [ProfileRow(key, "s", MEASURED, 0.25, n=3, low=0.2, high=0.3)]
    closed = replace(key, workload="closed", streams=4)
    spoken.append(ProfileRow(closed, "s", MEASURED, 0.9, n=3, low=0.8, high=1.0))
    text = profile.render(sessions(spoken))
    assert "0.250 [0.200, 0.300]" in text[text.index("### End to end") :]
    assert "| teacher | closed | 4 | 0.900 [0.800, 1.000]" in text[text.index("### Under load") :]


@pytest.mark.slow
def test_plots_are_drawn_and_the_same_each_time(tmp_path: Path) -> None:
    path = profile.of_folder(tmp_path, sessions())
    assert path == tmp_path / profile.FILE
    files = sorted((tmp_path / "plots").iterdir())
    assert len(files) == 3 * 2 * 2  # plots, themes, forms
    first = {file.name: file.read_bytes() for file in files}
    for file in files:
        if file.suffix == ".svg":
            ElementTree.fromstring(first[file.name].decode())
        assert file.name in path.read_text() or file.suffix == ".png"
    profile.of_folder(tmp_path, sessions())
    assert {file.name: file.read_bytes() for file in files} == first


def test_without_a_profile_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / profile.FILE).write_text("an earlier one")
    assert profile.of_folder(tmp_path, ()) is None
    assert not (tmp_path / profile.FILE).exists()


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_profile_of_one_system_or_many_is_drawn(count: int, tmp_path: Path) -> None:
    many = []
    for number in range(count):
        for context in (64, 128):
            key = ProfileKey("abc", f"s{number}", "memory.total", "decode", context)
            many.append(ProfileRow(key, "bytes", MEASURED, 5e6))
            step = replace(key, quantity="time.step", phase="", workload="replay")
            many.append(ProfileRow(step, "s", MEASURED, 1e-3))
    systems = {f"s{n}": {"target": "", "config": None, "bits": None} for n in range(count)}
    meta = {"baseline": "s0", "systems": systems, "sessions": {"abc": IDENTITY}}
    assert profile.of_folder(tmp_path, tuple(profiles.sessions(many, meta))) is not None


def test_the_committed_profile_is_what_its_rows_say(tmp_path: Path) -> None:
    folder = Path(__file__).parents[2] / "reports" / "cost-cosyvoice2"
    copy = tmp_path / "run"
    copy.mkdir()
    shutil.copy(folder / "run.sqlite", copy)
    with RunReader(copy) as store:
        [session] = profiles.read(store)
    assert profile.render((session,)) == (folder / "profile.md").read_text(encoding="utf-8")
    for name in ("teacher", "1-1", "1-3", "1-5", "1-11"):  # measured caches are the closed form
        footprint = session.footprint(name)
        assert footprint is not None
        for context in (256, 1024, 4096):
            kv, state = (session.value(name, f"memory.{part}", context, phase="decode")
                         for part in ("kv", "state"))  # fmt: skip
            assert (kv or 0) + (state or 0) == footprint.cache_bytes(context)
