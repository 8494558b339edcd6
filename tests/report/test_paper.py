"""The paper's table: which quantities, of whom, and what is said of those that aren't there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mamtra_eval import footprint, results
from mamtra_eval.metrics import Figure, Reading
from mamtra_eval.models.config import preset
from mamtra_eval.models.layout import Ratio, transformer_layers
from mamtra_eval.opinions import Opinion
from mamtra_eval.report import _html_data, _paper, leaderboard
from mamtra_eval.results import Results
from mamtra_eval.rows import ClipKey, MetricRow, SystemRow
from mamtra_eval.statistics.bootstrap import Estimate
from mamtra_eval.store import Store
from mamtra_eval.testset import Utterance

WER = (
    Figure("wer", "errors", "words", unit="fraction", higher_is_better=False, title="WER, mean"),
    Figure(
        "wer_pooled",
        "errors",
        "words",
        aggregate="pooled",
        unit="fraction",
        higher_is_better=False,
        title="Pooled",
    ),
)
SIMILARITY = (Figure("similarity", "cosine", unit="cosine", title="Speaker similarity"),)
GPU = {"teacher": (7.0e9, 7.6e9), "1-1": (5.0e9, 4.9e9)}
"""Peaks of two clips, in bytes."""


def _run(folder: Path, peaks: dict[str, tuple[float, float]], family: bool = True) -> Results:
    shape = preset("cosyvoice2")
    hybrid = shape.with_layout(transformer_layers(Ratio(1, 1)))
    with Store(folder) as store:
        store.add_utterances([Utterance("a", "x"), Utterance("b", "y")], {"a": "", "b": ""})
        store.add_metric(MetricRow("wer", "sig:wer", "", WER))
        store.add_metric(MetricRow("similarity", "sig:sim", "", SIMILARITY))
        for system in ("teacher", "1-1", "z|onos"):
            store.add_system(SystemRow(system, "x", "x", system, {}))
            for n, utterance in enumerate("ab"):
                key = ClipKey(system, utterance, 0)
                store.add_clip(key, 0)
                peak = {"vram_peak_bytes": peaks[system][n]} if system in peaks else {}
                store.finish_clip(
                    key, path=f"{utterance}.wav", sha256="", duration_s=2.0, sample_rate_hz=16000,
                    synthesis_s=1.0 + n, cost=peak,
                )  # fmt: skip
                store.add_reading(key, "wer", Reading({"errors": 1.0 + n, "words": 10.0}), 0.1)
                if (system, utterance) == ("z|onos", "b"):
                    store.fail_reading(key, "similarity", "broke")
                else:
                    store.add_reading(key, "similarity", Reading({"cosine": 0.5 + 0.2 * n}), 0.1)
        store.set_meta("testset", {"name": "t", "language": "en", "sha256": "ab" * 32, "n": 2,
                                   "repeats": 1, "seed": 0})  # fmt: skip
        store.set_meta("baseline", "teacher")
        store.set_meta("context", 350)
        store.set_meta("statistics", {"level": 0.95, "resamples": 1000, "seed": 0})
        if family:
            shapes = {"teacher": shape, "1-1": hybrid}
            store.set_meta(
                "footprints", {name: vars(footprint.of(one, 2)) for name, one in shapes.items()}
            )
        return results.collect(store)


def _section(run: Results) -> list[str]:
    text = leaderboard.render(run)
    return text.partition("## The paper's table\n\n")[2].splitlines()


def test_every_quantity_is_there_with_its_interval_or_dash(tmp_path: Path) -> None:
    head, _, teacher, hybrid, rival, _, note, *_ = _section(_run(tmp_path / "run", GPU))
    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        "System", "WER, mean ↓[^1]", "Speaker similarity ↑[^2]", "VRAM peak", "RTF",
        "GFLOP a token at 350",
    ]  # fmt: skip
    flop = [2e-9 * 363_000_000, 2e-9 * 380_000_000]  # about two a weight that is not the table's
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in (teacher, hybrid)]
    assert cells[0][:5] == [
        "teacher", "15.0 % [10.0, 20.0]", "0.600 [0.500, 0.700]", "7.60 GB", "0.750",
    ]  # fmt: skip
    assert cells[1][3] == "5.00 GB"
    for found, about in zip(cells, flop, strict=True):
        assert float(found[5]) == pytest.approx(about, rel=0.1)
    assert rival == ("| z\\|onos | 15.0 % [10.0, 20.0] | 0.500 [n/a] (1/2) | – | 0.750 | – |")
    assert "weights and caches account for none of it" in note
    assert "closed form of the decoder at 350 tokens" in note
    assert note.endswith("Not in this run: UTMOS, NMOS.")


def test_the_table_of_costs_has_the_peak_where_one_was_measured(tmp_path: Path) -> None:
    with_peak, without = (
        leaderboard.render(_run(tmp_path / name, peaks)) for name, peaks in (("a", GPU), ("b", {}))
    )
    assert "| System | Real-time factor | Speech tokens a second | Cache of a clip, mean | Clips " \
        "cut at the longest length | VRAM peak |" in with_peak  # fmt: skip
    assert "| teacher | 0.750 | – | – | – | 7.60 GB |" in with_peak
    assert "| z\\|onos | 0.750 | – | – | – | – |" in with_peak
    assert "VRAM peak |" not in without
    assert "Not in this run: UTMOS, VRAM peak, NMOS." in without
    assert "7.6 and 5.0 GB" not in without


def test_listeners_scores_and_the_recipes_own_rate_are_shown(tmp_path: Path) -> None:
    run = _run(tmp_path / "run", GPU)
    heard = Opinion("nmos", "NMOS", "mos", "sig:n", "", None,
                    {"teacher": Estimate(3.68, 3.5, 3.8)}, {},
                    {("teacher", "a"): (7.0, 2), ("teacher", "b"): (8.0, 2)})  # fmt: skip
    with Store(tmp_path / "run") as store:
        store.set_meta("opinions", [heard.to_dict()])
        store.set_meta("recipe", "pooled")
        run = results.collect(store)
    head, _, teacher, hybrid, *_ = _section(run)
    assert head.startswith("| System | Pooled ↓[^1] |")
    assert head.endswith("| NMOS ↑[^3] |")
    assert teacher.endswith("| 3.68 [3.50, 3.80] |")
    assert hybrid.endswith("| – |")


def test_a_value_under_another_signature_is_marked(tmp_path: Path) -> None:
    run = _run(tmp_path / "run", {})
    teacher, *others = run.systems
    value = replace(teacher.values["similarity"], foreign="sig:other")
    marked = replace(teacher, values={**teacher.values, "similarity": value})
    run = replace(run, systems=(marked, *others))
    assert "0.600 [0.500, 0.700] ≠[^x1]" in _section(run)[2]
    data = _paper.data(run)
    assert data is not None
    assert data["rows"][0][2] == "0.600 [0.500, 0.700] ≠"


def test_the_page_has_it_and_a_run_without_the_family_has_not(tmp_path: Path) -> None:
    data = _html_data.build(_run(tmp_path / "run", GPU))["paper"]
    assert data["titles"] == ["WER", "Similarity", "VRAM peak", "RTF", "GFLOP a token at 350"]
    assert data["rows"][2] == ["z|onos", "15.0 % [10.0, 20.0]", "0.500 [n/a] (1/2)", "–",
                               "0.750", "–"]  # fmt: skip
    assert data["notes"][-1] == "Not in this run: UTMOS, NMOS."
    other = _run(tmp_path / "other", GPU, family=False)
    assert _html_data.build(other)["paper"] is None
    assert _section(other) == []
