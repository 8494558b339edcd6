"""Where noise comes from, in runs in which it is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from written_runs import run

from mamtra_eval import noise, results
from mamtra_eval.metrics import Reading
from mamtra_eval.report import leaderboard
from mamtra_eval.rows import ClipKey
from mamtra_eval.rundata import RunData

REPEATS = 3


def _drawn(data: RunData, text: float, seed: float, hearing: float | None) -> results.Results:
    """A run in which the second system is off by noise of these standard deviations."""
    rng = np.random.default_rng(0)
    readings = {}
    metric = data.metrics[0]
    for utterance in data.utterances:
        of_text = rng.normal(0, text)
        for repeat in range(REPEATS):
            off = of_text + rng.normal(0, seed)
            for name in (metric.name, *([] if hearing is None else ["second_wer"])):
                heard = off + (0.0 if hearing is None else rng.normal(0, hearing))
                for system in ("t", "x"):
                    errors = 50 + (heard if system == "x" else 0)
                    counts = {**dict.fromkeys(_counts(data), 0.0), "errors": errors, "words": 10.0}
                    readings[(ClipKey(system, utterance.id, repeat), name)] = Reading(counts)
    metrics = [metric]
    if hearing is not None:
        figures = tuple(replace(f, name=f"second_{f.name}", headline=False) for f in metric.figures)
        metrics.append(replace(metric, name="second_wer", figures=figures))
    testset = {**data.testset, "repeats": REPEATS}
    return results.assemble(
        replace(data, testset=testset, readings=readings, metrics=tuple(metrics))
    )


def _counts(data: RunData) -> set[str]:
    figures = data.metrics[0].figures
    return {name for f in figures for name in (f.numerator, f.denominator) if name}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    return run(tmp_path_factory.mktemp("noise") / "a", {"t": 0, "x": 0}, n=400)


def test_repeats_show_what_seeds_do(data: RunData) -> None:
    [found] = noise.of_headline(_drawn(data, text=1.0, seed=2.0, hearing=None))
    assert (found.utterances, found.repeats, found.recognisers) == (400, REPEATS, 1)
    shares = found.split.shares()
    assert shares["utterance"] == pytest.approx(0.2, abs=0.05)
    assert shares["seed"] == pytest.approx(0.8, abs=0.05)
    assert found.error(utterances=2) == pytest.approx(found.error() / 2**0.5)
    assert found.error() / 2**0.5 < found.error(repeats=2) < found.error()


def test_a_second_ear_shows_what_hearing_does(data: RunData) -> None:
    shown = _drawn(data, text=1.0, seed=1.0, hearing=1.0)
    [found] = noise.of_headline(shown)
    assert found.recognisers == 2
    shares = found.split.shares()
    assert shares["residual"] == pytest.approx(1 / 3, abs=0.06)
    assert shares["recogniser_by_utterance"] == pytest.approx(0, abs=0.06)
    text = leaderboard.render(shown)
    assert "## Where the noise of WER, mean of utterances comes from" in text
    assert "400 utterances, 3 repeats, 2 recognisers" in text


def test_without_repeats_there_is_nothing_to_split(data: RunData) -> None:
    assert noise.of_headline(results.assemble(data)) == []
    assert "Where the noise" not in leaderboard.render(results.assemble(data))


def test_utterances_that_lack_a_repeat_are_left_out(data: RunData) -> None:
    whole = _drawn(data, text=1.0, seed=1.0, hearing=None)
    gone = ClipKey("x", data.utterances[0].id, 1)
    readings = {key: one for key, one in whole.readings.items() if key[0] != gone}
    [found] = noise.of_headline(replace(whole, readings=readings))
    assert found.utterances == 399


def test_the_section_says_what_would_help(data: RunData) -> None:
    text = leaderboard.render(_drawn(data, text=0.0001, seed=1.0, hearing=None))
    row = next(line for line in text.split("Where the noise")[1].splitlines() if "| x |" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert int(cells[2].removesuffix(" %")) > 90
    assert cells[-1] == "−29 %"  # 1 - 1/√2; twice the repeats help nearly as much
    assert cells[-2] in {"−27 %", "−28 %", "−29 %"}
