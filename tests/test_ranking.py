"""Rankings of runs in which it is known who differs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mamtra_eval import config as configuration
from mamtra_eval import pipeline, ranking, results
from mamtra_eval.reader import RunReader
from mamtra_eval.report import leaderboard

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
WRONG = {"b": [0, 1], "a": [1, 0], "far": [4, 5], "gap": [1, 1]}
"""Wrong words by system, in texts of even and of odd number."""


@pytest.fixture
def found(tmp_path: Path) -> results.Results:
    ids = [f"u{n}" for n in range(40)]
    (tmp_path / "meta.lst").write_text("".join(f"{u}|{' '.join(WORDS)}\n" for u in ids))
    systems = {}
    for system, wrong in WRONG.items():
        texts = {u: ["oh"] * wrong[n % 2] + WORDS[wrong[n % 2] :] for n, u in enumerate(ids)}
        if system == "gap":
            texts = dict([*texts.items()][:5])
        rows = [json.dumps({"id": u, "text": " ".join(text)}) for u, text in texts.items()]
        (tmp_path / f"{system}.jsonl").write_text("\n".join(rows))
        systems[system] = f"transcripts:{tmp_path / system}.jsonl"
    config = configuration.build(
        {"testset": str(tmp_path / "meta.lst"), "systems": systems, "max_failures": 99}
    )
    with RunReader(pipeline.evaluate(config, tmp_path / "run")) as store:
        return results.collect(store)


def test_who_is_told_apart(found: results.Results) -> None:
    metric, figure = found.figures[0]
    ranked = ranking.rank(found, metric.name, figure)
    assert ranked is not None
    # "a" and "b" are wrong as often, in different texts; of "gap" five texts tell little.
    assert ranked.order == ("b", "a", "gap", "far")
    assert ranked.ranks == {"b": 1, "a": 1, "gap": 1, "far": 3}
    assert ranked.letters == {"b": "a", "a": "a", "gap": "ab", "far": "b"}
    assert (ranked.pairs, ranked.alpha) == (6, pytest.approx(0.05))


def test_the_leaderboard_shows_it(found: results.Results) -> None:
    text = leaderboard.render(found)
    assert "Rank by WER, mean of utterances: one more than" in text
    assert "| 1 ab | gap | 10.0 % [" in text
    assert "| 3 b | far |" in text  # a and b have no letter of it, gap has
    assert "6 pairs with Holm's correction, 5 %" in text


def test_means_are_over_repeats(found: results.Results) -> None:
    metric, figure = found.figures[0]
    means = ranking.utterance_means(found, metric.name, figure)
    assert means["b"]["u0"] == 0.0
    assert means["b"]["u1"] == pytest.approx(0.1)
    assert len(means["gap"]) == 5


def test_pooled_figures_have_no_ranking(found: results.Results) -> None:
    pooled = next((m, f) for m, f in found.figures if f.aggregate == "pooled")
    assert ranking.rank(found, pooled[0].name, pooled[1]) is None
