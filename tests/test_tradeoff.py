"""Savings against losses: closed form, dominance, front, plots, the command."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_runs import run

from mamtra_eval import config as configuration
from mamtra_eval import footprint, pipeline, profiles, results, tradeoff
from mamtra_eval.errors import UserError
from mamtra_eval.models import cost
from mamtra_eval.models.config import preset
from mamtra_eval.profiles import Session
from mamtra_eval.profiling.rows import MEASURED, ProfileKey, ProfileRow
from mamtra_eval.report import _plots
from mamtra_eval.report import tradeoff as report
from mamtra_eval.rundata import RunData
from mamtra_eval.store import Store

Cli = Callable[..., subprocess.CompletedProcess[str]]
TRANSFORMER = {"t": 24, "a": 12, "b": 6, "c": 2}
DROPPED = {"t": 0, "a": 0, "b": 2, "c": 1}


def _forms() -> dict[str, footprint.Footprint]:
    shape = preset("mini")
    return {
        name: footprint.of(shape.with_layout(tuple(range(n))), 4) for name, n in TRANSFORMER.items()
    }


@pytest.fixture
def data(tmp_path: Path) -> RunData:
    return replace(run(tmp_path / "run", DROPPED), footprints=_forms())


@pytest.fixture
def family(data: RunData) -> results.Results:
    return results.assemble(data)


@pytest.mark.parametrize("context", [1, 2, 777, 32768])
@pytest.mark.parametrize("n", TRANSFORMER.values())
def test_the_footprint_is_the_closed_form(n: int, context: int) -> None:
    shape = preset("cosyvoice2").with_layout(tuple(range(n)))
    found = footprint.of(shape, 2)
    assert found.cache_bytes(context) == cost.kv_bytes(shape, context) + cost.state_bytes(shape)
    assert found.flops(context) == cost.flops_per_token(shape, context)
    assert found.parameters == cost.parameters(shape)["total"]
    assert found.mamba_share == (24 - n) / 24


def test_what_is_saved_and_lost(family: results.Results) -> None:
    found = tradeoff.build(family, 1024)
    assert found is not None
    assert [saving.key for saving in found.savings] == ["cache", "flops"]  # nothing was timed
    cache = found.savings[0]
    forms = _forms()
    assert cache.amounts["a"] == forms["a"].cache_bytes(1024)
    assert cache.saved["t"] == 0
    assert 0 < cache.saved["a"] < cache.saved["b"] < cache.saved["c"] < 1
    [panel] = found.panels["cache"]
    losses = {point.system: point.loss.value for point in panel.points}
    assert losses == pytest.approx({"a": 0.0, "b": 0.2, "c": 0.1})


def test_who_dominates_whom(family: results.Results) -> None:
    found = tradeoff.build(family, 1024)
    assert found is not None
    [panel] = found.panels["cache"]
    points = {point.system: point for point in panel.points}
    # a loses nothing and saves something: the teacher itself is dominated.
    assert panel.front == ("a", "c")
    assert points["b"].dominated_by == "c"
    assert points["b"].told_apart
    assert points["a"].dominated_by is points["c"].dominated_by is None


def test_a_context_of_ones_own(family: results.Results) -> None:
    short, long = (tradeoff.build(family, context) for context in (64, 4096))
    assert short is not None
    assert long is not None
    # At a short context the state is most of the cache.
    assert short.savings[0].saved["c"] < long.savings[0].saved["c"]


places = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=2),
    st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.75]), st.sampled_from([-1.0, 0.0, 1.0, 2.0])),
    min_size=1,
)


@given(places)
def test_dominance_is_by_someone_on_the_front(some: dict[str, tuple[float, float]]) -> None:
    front = {name for name in some if tradeoff._dominating(name, some) is None}
    assert front
    for name, (saved, lost) in some.items():
        better = tradeoff._dominating(name, some)
        if better is None:
            assert not any(
                more >= saved and less <= lost and (more, less) != (saved, lost)
                for more, less in some.values()
            )
        else:
            more, less = some[better]
            assert more >= saved
            assert less <= lost
            assert (more, less) != (saved, lost)


def test_the_trend_is_of_the_family(family: results.Results) -> None:
    found = tradeoff.build(family, 1024)
    assert found is not None
    [trend] = found.trends
    assert trend.share == 22 / 24
    assert trend.n == 30
    # 0, 0, 0.2, 0.1 at shares 0, 1/2, 3/4, 11/12.
    assert trend.isotonic.value == pytest.approx(0.15)
    assert 0.1 < trend.linear.value < 0.2


@pytest.mark.parametrize("forms", [{}, {"t": 0}, {"a": 0, "b": 0}])
def test_without_a_family_nothing_is_written(data: RunData, forms: dict[str, int]) -> None:
    known = {name: form for name, form in data.footprints.items() if name in forms}
    found = results.assemble(replace(data, footprints=known))
    assert tradeoff.build(found, 1024) is None
    assert report.write(found) is None
    assert not (found.folder / "plots").exists()


def test_the_page_and_its_plots(family: results.Results) -> None:
    path = report.write(family)
    assert path is not None
    text = path.read_text()
    assert "| t (baseline) | 24 + 0 | 12.00 MiB | 22.5 M | 5.0 % [" in text
    assert "| b | 6 + 18 | 3.35 MiB (−72 %) |" in text
    assert "WER: front a, c; b dominated by c (told apart)." in text
    assert "a dominated" not in text
    for key in ("cache", "flops"):
        for theme in _plots.THEMES:
            assert f"plots/{key}-{theme}.svg" in text
            drawn = ElementTree.parse(path.parent / "plots" / f"{key}-{theme}.svg")
            assert drawn.getroot().tag.endswith("svg")
            assert (path.parent / "plots" / f"{key}-{theme}.png").read_bytes()[:4] == b"\x89PNG"


def test_the_same_rows_draw_the_same_bytes(family: results.Results) -> None:
    found = tradeoff.build(family, 1024)
    assert found is not None
    for form in ("svg", "png"):
        one, two = (_plots.savings(found, found.savings[0], "dark", form) for _ in range(2))
        assert one == two


def test_names_are_taken_literally(data: RunData) -> None:
    name = "$x$ <b>|*"
    systems = tuple(replace(s, name=name) if s.name == "a" else s for s in data.systems)
    rename = {"a": name}
    found = results.assemble(
        replace(
            data,
            systems=systems,
            clips=tuple(
                replace(c, key=c.key._replace(system=rename.get(c.key.system, c.key.system)))
                for c in data.clips
            ),
            readings={
                (key._replace(system=rename.get(key.system, key.system)), metric): one
                for (key, metric), one in data.readings.items()
            },
            footprints={rename.get(k, k): one for k, one in data.footprints.items()},
        )
    )
    path = report.write(found)
    assert path is not None
    assert "| \\$x\\$ &lt;b&gt;\\|\\* |" in path.read_text()


@pytest.mark.slow
def test_the_command(data: RunData, cli: Cli) -> None:
    done = cli("tradeoff", data.folder)
    assert done.returncode == 2
    assert "nothing to weigh" in done.stderr
    with Store(data.folder) as store:
        store.set_meta("footprints", {name: asdict(one) for name, one in _forms().items()})
    assert cli("tradeoff", data.folder, "--context", "64").returncode == 0
    assert "at 64 tokens of context" in (data.folder / "tradeoff.md").read_text()
    assert cli("tradeoff", data.folder, "--context", "0").returncode == 2


def test_a_context_is_of_the_run(tmp_path: Path) -> None:
    assert run(tmp_path / "a", {"t": 0}, context=77).context == 77
    with pytest.raises(UserError, match="context must be at least 1"):
        run(tmp_path / "b", {"t": 0}, context=0)


def test_a_variant_without_clips_takes_nothing_from_the_others(data: RunData) -> None:
    readings = {key: one for key, one in data.readings.items() if key[0].system != "b"}
    clips = tuple(
        replace(c, status="failed", path=None) if c.key.system == "b" else c for c in data.clips
    )
    left = results.assemble(replace(data, readings=readings, clips=clips))
    found = tradeoff.build(left, 1024)
    assert found is not None
    [panel] = found.panels["cache"]
    assert {point.system for point in panel.points} == {"a", "c"}
    assert found.trends[0].n == 30
    assert "over the 30 utterances that all variants with clips have" in report.render(left, found)


def test_what_was_not_tested_is_not_called_alike(data: RunData) -> None:
    ids = [utterance.id for utterance in data.utterances]
    half = {("b", u) for u in ids[:15]} | {("c", u) for u in ids[15:]}
    readings = {
        key: one
        for key, one in data.readings.items()
        if (key[0].system, key[0].utterance) not in half
    }
    left = results.assemble(replace(data, readings=readings))
    found = tradeoff.build(left, 1024)
    assert found is not None
    text = report.render(left, found)
    assert "b dominated by c (not tested: too few utterances that both have)" in text
    assert "(15/30)" in text


@pytest.mark.slow
def test_the_command_keeps_its_context_for_verify(data: RunData, cli: Cli) -> None:
    with Store(data.folder) as store:
        store.set_meta("footprints", {name: asdict(one) for name, one in _forms().items()})
    assert cli("tradeoff", data.folder, "--context", "64").returncode == 0
    with Store(data.folder) as store:
        assert store.meta("context") == 64
    assert cli("tradeoff", data.folder, "--context", "9" * 300).returncode == 2


def test_a_continued_run_keeps_its_context(tmp_path: Path) -> None:
    first = run(tmp_path / "a", {"t": 0}, context=77)
    (tmp_path / "a" / "x.jsonl").write_text((tmp_path / "a" / "t.jsonl").read_text())
    targets = {name: f"transcripts:{tmp_path}/a/{name}.jsonl" for name in ("t", "x")}
    values = {"testset": str(tmp_path / "a" / "meta.lst"), "systems": targets}
    pipeline.evaluate(configuration.build(values), first.folder)
    with Store(first.folder) as store:
        assert store.meta("context") == 77
    pipeline.evaluate(configuration.build({**values, "context": 88}), first.folder)
    with Store(first.folder) as store:
        assert store.meta("context") == 88


def _profile(data: RunData, context: int) -> tuple[Session, ...]:
    """A session in which t takes 100 MB and 10 ms, and the others less of both."""
    key = ProfileKey("s", "", "", context=context)
    rows = []
    for place, name in enumerate(TRANSFORMER):
        memory = replace(key, system=name, quantity="memory.total", phase="prefill")
        rows.append(ProfileRow(memory, "bytes", MEASURED, 1e8 - 1e7 * place))
        step = replace(key, system=name, quantity="time.step", workload="replay")
        rows.append(ProfileRow(step, "s", MEASURED, 1e-2 - 1e-3 * place))
    identity = {"device_type": "cpu", "device": "a processor", "kv": "fp32"}
    systems = {name: {"target": name, "config": None} for name in TRANSFORMER}
    meta = {"baseline": "t", "systems": systems, "sessions": {"s": identity}}
    return tuple(profiles.sessions(rows, meta))


def test_measured_memory_and_time_join_what_is_lost(data: RunData) -> None:
    profiled = replace(data, profiles=_profile(data, 900))
    found = tradeoff.build(results.assemble(profiled), 1024)
    assert found is not None
    savings = {saving.key: saving for saving in found.savings}
    assert savings["memory"].title == "Memory at 900 tokens, measured (a processor)"
    assert savings["memory"].saved["b"] == pytest.approx(0.2)
    assert savings["step"].saved["c"] == pytest.approx(0.3)
    text = report.render(results.assemble(profiled), found)
    assert "7.00 ms (−30 %)" in text
    assert "profile.md" in text


def test_a_profile_of_others_joins_nothing(data: RunData) -> None:
    [session] = _profile(data, 900)
    other = replace(data, profiles=(replace(session, baseline="z"),))
    found = tradeoff.build(results.assemble(other), 1024)
    assert found is not None
    assert {saving.key for saving in found.savings} <= {"cache", "flops", "speed"}
