"""Published numbers beside a run: verdicts, reasons, and the section of the reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mamtra_eval import published, recipes, registry
from mamtra_eval.figures import Value
from mamtra_eval.metrics import Figure
from mamtra_eval.metrics.similarity import Similarity
from mamtra_eval.metrics.wer import WordErrorRate
from mamtra_eval.published import Published
from mamtra_eval.published.comparing import Measured, compare, reasons
from mamtra_eval.report import _published
from mamtra_eval.results import Cost, Results, SystemResult
from mamtra_eval.rows import MetricRow, SystemRow
from mamtra_eval.statistics.bootstrap import Estimate

OFFICIAL = (
    "asr:whisper-transformers-5.23.0|model:whisper-large-v3|weights:12345678|files:12345678"
    "|decoding:greedy|precision:fp32|window:30s|norm:seed-tts-2|edit:jiwer-4.0.0|resample:fft"
)
EMBEDDED = (
    "asr:pocketsphinx-5.0.4|am:en-us|lm:en-us|cmn:batch|norm:seed-tts-2|edit:jiwer-4.0.0"
    "|resample:soxr-HQ-1.1.0"
)
GE2E = "metric:similarity|encoder:ge2e|weights:12345678|resample:soxr-HQ-1.1.0"
WAVLM = "metric:similarity|encoder:wavlm-large-ecapa|weights:12345678|precision:fp32"
ESTIMATE = Estimate(0.025, 0.022, 0.028)
SYSTEMS = {
    "recordings": ("recorded", "recorded"),
    "cosyvoice2": ("cosyvoice2", "cosyvoice2"),
    "1:1": ("cosyvoice2", "cosyvoice2:ratio=1:1"),
    "mini:1:1": ("mini", "mini:1:1"),
}


def _results(
    *,
    name: str = "seed-tts-eval/en",
    n: int = 1088,
    recipe: str | None = None,
    wer: str = EMBEDDED,
    similarity: str = GE2E,
    estimate: Estimate | None = ESTIMATE,
    foreign: str | None = None,
    done: int | None = None,
) -> Results:
    """A run of which reports need no clip."""
    metrics = (
        MetricRow("wer", wer, "", WordErrorRate.figures),
        MetricRow("similarity", similarity, "", Similarity.figures),
    )

    def values(system: str) -> dict[str, Value]:
        found = {}
        for metric in metrics:
            for figure in metric.figures:
                own = estimate if figure.unit == "fraction" else Estimate(0.66, 0.65, 0.67)
                other = foreign if system == "cosyvoice2" and metric.name == "wer" else None
                found[figure.name] = Value(figure, own, done or n, 0, foreign=other)
        return found

    return Results(
        folder=Path("run"),
        testset={"name": name, "language": "en", "n": n, "repeats": 1, "sha256": "", "seed": 0},
        utterances={},
        metrics=metrics,
        systems=tuple(
            SystemResult(
                SystemRow(system, kind, target, system, {}), False, n, 0, values(system),
                Cost(None, None, None, None),
            )
            for system, (kind, target) in SYSTEMS.items()
        ),
        clips=(), readings={}, level=0.95, statistics={}, interval="", created="", version="",
        notes=(), recipe=recipe,
    )  # fmt: skip


def _number(system: str, value: float, metric: str = "wer") -> Published:
    [found] = {
        (n.system, n.testset, n.metric, n.value): n
        for n in published.registry().numbers
        if n.system == system and n.value == value and n.metric == metric
    }.values()
    return found


@pytest.fixture
def quoted() -> Published:
    return _number("cosyvoice2", 0.0324)


@pytest.mark.parametrize(
    ("estimate", "verdict"),
    [
        (Estimate(0.03, 0.02, 0.04), "inside"),
        (Estimate(0.03, 0.0324, 0.04), "inside"),
        (Estimate(0.02, 0.01, 0.03), "outside"),
        (Estimate(0.0324, None, None), "no interval"),
        (None, "no interval"),
    ],
)
def test_verdicts(quoted: Published, estimate: Estimate | None, verdict: str) -> None:
    found = compare(quoted, estimate, Measured(EMBEDDED, None, 1088))
    assert found.verdict == verdict
    assert found.reasons


def test_there_is_always_a_reason() -> None:
    for number in published.registry().numbers:
        for recipe in (None, *recipes.RECIPES):
            for signature in ("", OFFICIAL, EMBEDDED, GE2E, WAVLM):
                found = reasons(number, Measured(signature, recipe, 1088))
                assert found
                assert all(text.endswith(".") for text in found)
                assert not any("None" in text or "  " in text for text in found)


def test_what_differs_is_said() -> None:
    f5 = _number("f5-tts", 0.01254)
    found = reasons(f5, Measured(EMBEDDED, "seed-tts-eval", 50))
    assert "WER: recogniser paraformer-zh there, pocketsphinx here." in found
    assert "WER: text rule f5_tts there, seed_tts here." in found
    assert "Recipe f5-tts there, seed-tts-eval here." in found
    assert "The run has 50 utterances, seed-tts-zh has 2020." in found
    assert "seeds" in found[-1]


def test_what_is_not_on_record_is_said() -> None:
    found = reasons(_number("mamtra-1-1", 0.0228), Measured(OFFICIAL, "seed-tts-eval", 1088))
    [unknown] = [text for text in found if text.startswith("WER, not on record")]
    assert "the recogniser" in unknown
    assert "how it decodes" not in unknown  # of an unknown recogniser nobody asks that
    assert "mean of utterances or all errors" in unknown


def test_what_agrees_is_not_said() -> None:
    cv3 = _number("cosyvoice2", 0.0632)
    heard = OFFICIAL.replace(
        "whisper-transformers-5.23.0|model:whisper-", "whisper-20250625|model:"
    )
    found = reasons(cv3, Measured(heard, "cv3-eval", 500, 3))
    assert [text for text in found if "there" in text] == []
    assert found[0].startswith("Both follow recipe cv3-eval")
    assert "(here 3)" in found[-1]


def test_encoders_are_compared_by_name() -> None:
    number = _number("cosyvoice2", 0.6536, "similarity")
    told = "Similarity: speaker encoder wavlm there, ge2e here."
    assert told in reasons(number, Measured(GE2E, None, 1088))
    assert not any("encoder" in text for text in reasons(number, Measured(WAVLM, None, 1088)))


def test_signatures_are_read_as_plugins_write_them() -> None:
    for name in ("seed_tts", "f5_tts"):
        rule: Any = registry.create("normalize", name, {})
        assert Measured(f"asr:x|norm:{rule.signature}", None, 1).normalizer == name
    assert Measured(EMBEDDED, None, 1).asr == "pocketsphinx"
    assert Measured("asr:supplied|norm:seed-tts-2", None, 1).asr == "supplied"
    assert Measured("asr:paraformer-zh-1.4.16|weights:1", None, 1).asr == "paraformer-zh"
    faster = "asr:faster-whisper-1.2.1|ctranslate2:4.8.5|model:large-v3|weights:1"
    assert Measured(faster, None, 1).asr == "whisper-large-v3"
    turbo = OFFICIAL.replace("large-v3", "large-v3-turbo")
    assert Measured(turbo, None, 1).asr == "whisper-large-v3-turbo"  # another model
    assert Measured("asr:x|norm:whisper-normalizer-0.1.15", None, 1).normalizer == "whisper"
    assert Measured("metric:utmos22-strong", None, 1).asr is None


def test_the_section() -> None:
    lines = _published.section(_results())
    text = "\n".join(lines)
    assert lines[0] == "## Published numbers (context)"
    assert lines[2].startswith("> Not measured here.")
    assert "seed-tts-en" in lines[2]
    rows = [line for line in lines if line.startswith("| ")]
    assert rows[0].startswith("| Row | System | Source | Date | Against this run | WER, mean of ")
    by_value = {
        value: row for row in rows for value in ("3.24 %", "2.28 %", "8.77 %") if value in row
    }
    assert "outside [2.20, 2.80] of cosyvoice2" in by_value["3.24 %"]
    assert "similarity: inside [0.650, 0.670] of cosyvoice2" in by_value["3.24 %"]
    assert "wer: inside [2.20, 2.80] of 1:1" in by_value["2.28 %"]
    assert "| – |" in by_value["8.77 %"]  # no system of the run is it
    assert "mini" not in text
    assert len({row.count("|") for row in rows}) == 1
    # A reason stands once, with its rows.
    whys = [line for line in lines if line.startswith("- ")]
    assert len({why.rpartition(" (")[0] for why in whys}) == len(whys)
    assert any(why.endswith("(all rows)") or "–" in why.rpartition("(")[2] for why in whys)
    assert "recogniser" in text


def test_the_same_as_data() -> None:
    found = _published.data(_results())
    assert found is not None
    json.dumps(found, allow_nan=False)
    assert found["reasons"]
    rows = {(row["system"], row["source"]): row for row in found["rows"]}
    [human] = [row for (system, _), row in rows.items() if system == "Human"]
    assert human["values"]["wer"] == {"value": 0.0214, "unit": "fraction", "text": "2.14 %"}
    assert human["against"][0] == {
        "system": "recordings", "figure": "wer", "verdict": "outside",
    }  # fmt: skip


def test_other_test_sets_have_no_section() -> None:
    assert _published.section(_results(name="mini-en")) == []
    assert _published.data(_results(name="mini-en")) is None


def test_a_run_of_a_part_says_so() -> None:
    text = "\n".join(_published.section(_results(n=50, done=40)))
    assert "The run has 50 utterances, seed-tts-en has 1088." in text
    assert "cosyvoice2 has 40 of 50 clips here." in text


def test_without_intervals() -> None:
    text = "\n".join(_published.section(_results(estimate=None)))
    assert "wer: no interval of cosyvoice2" in text


def test_a_figure_of_another_signature_goes_by_its_own() -> None:
    number = _number("cosyvoice2", 0.0632)
    assert number.protocol.asr == "whisper-large-v3"
    found = _published.section(_results(name="cv3-eval-en", wer=OFFICIAL, foreign=EMBEDDED))
    assert "recogniser whisper-large-v3 there, pocketsphinx here" in "\n".join(found)


def test_only_figures_of_the_run_are_shown() -> None:
    names = {figure.name for figure in Similarity.figures}
    assert {n.metric for n in published.context("seed-tts-en", names)} == {"similarity"}
    assert published.context("seed-tts-en", ()) == []
    assert Figure("x", "x").name not in names


@pytest.mark.parametrize(
    ("places", "shown"),
    [([1, 2, 3, 5], "rows 1–3, 5"), ([4], "row 4"), ([1, 2, 3, 4, 5, 6], "all rows")],
)
def test_rows_are_told_as_spans(places: list[int], shown: str) -> None:
    assert _published._places(places, 6) == shown
