"""Recipes on transcripts whose rates can be worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mamtra_eval import config as configuration
from mamtra_eval import pipeline, plan, recipes, registry, results
from mamtra_eval.errors import MissingExtra, UserError
from mamtra_eval.metrics import wer
from mamtra_eval.reader import RunReader
from mamtra_eval.recipes import applying, comparison
from mamtra_eval.rows import ClipKey
from mamtra_eval.store import Store

TEXTS = {"a": "I don't know", "b": "twenty one cats sat", "c": "hello"}
HEARD = {
    "good": {"a": "i dont know", "b": "21 cats sat", "c": "hello"},
    "gap": {"a": "i don't know", "b": "twenty one cats"},
}
EXPECTED = {
    "seed-tts-eval": {"good": (1 / 3 + 2 / 4 + 0) / 3, "gap": (0 + 1 / 4) / 2},
    "pooled": {"good": 3 / 8, "gap": 1 / 7},
    "f5-tts": {"good": (0 + 2 / 4 + 0) / 3, "gap": (0 + 1 / 4) / 2},
    "cv3-eval": {"good": (1 / 3 + 2 / 4 + 0) / 3, "gap": (0 + 1 / 4) / 2},
    "zipvoice": {"good": (1 / 3 + 2 / 4 + 0) / 3, "gap": None},
    "omnivoice": {"good": (1 / 3 + 2 / 4 + 0) / 3, "gap": (0 + 1 / 4) / 2},
    # "don't" is read "do not", "dont" stays; "twenty one" is 21
    "whisper-normalized": {"good": 2 / 8, "gap": 1 / 7},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "meta.lst").write_text("".join(f"{u}|{text}\n" for u, text in TEXTS.items()))
    for system, heard in HEARD.items():
        rows = [json.dumps({"id": utterance, "text": text}) for utterance, text in heard.items()]
        (tmp_path / f"{system}.jsonl").write_text("\n".join(rows))
    systems = {system: f"transcripts:{tmp_path / system}.jsonl" for system in HEARD}
    config = configuration.build({"testset": str(tmp_path / "meta.lst"), "systems": systems})
    return pipeline.evaluate(config, tmp_path / "run")


def _compare(run: Path) -> comparison.Comparison:
    with RunReader(run) as store:
        return comparison.compare(results.collect(store))


def test_every_recipe_makes_its_own_of_the_same_transcripts(run: Path) -> None:
    found: dict[str, dict[str, float | None]] = {}
    for outcome in _compare(run).outcomes:
        value = outcome.estimate.value if outcome.estimate else None
        found.setdefault(outcome.recipe, {})[outcome.system] = value
        whole = outcome.system == "good"
        assert (outcome.n, outcome.left_out) == ((3, {}) if whole else (2, {"missing": 1}))
    assert [*found] == [*recipes.RECIPES] == [*EXPECTED]
    for recipe, expected in EXPECTED.items():
        assert found[recipe] == pytest.approx(expected), recipe


def test_the_words_that_made_the_difference(run: Path) -> None:
    differences = _compare(run).differences
    assert {(d.recipe, d.system, d.utterance) for d in differences} == {
        ("f5-tts", "good", "a"), ("whisper-normalized", "good", "a"),
        ("whisper-normalized", "good", "b"), ("whisper-normalized", "gap", "b"),
    }  # fmt: skip
    [f5] = [difference for difference in differences if difference.recipe == "f5-tts"]
    assert (f5.rate, f5.official_rate) == (0, pytest.approx(1 / 3))
    assert f5.official_edits == (("substitute", "don't", "dont"),)
    assert comparison.words([f5]) == [("don't", "dont", -1)]


Pairs = list[tuple[str, str]]


def _difference(mine: Pairs, theirs: Pairs) -> comparison.Difference:
    edits = [tuple(("substitute", *edit) for edit in side) for side in (mine, theirs)]
    return comparison.Difference("r", "s", "u", 0, 0.1, 0.2, *edits)


def test_an_error_in_other_spelling_is_no_difference() -> None:
    respelled = _difference([("dry", "9"), ("do", "")], [("dry", "nine"), ("don't", "")])
    assert comparison.words([respelled]) == [("do", "", 1), ("don't", "", -1)]
    both = _difference([("", "uh")], [("", "uh"), ("the", "a")])
    assert comparison.words([both, both]) == [("the", "a", -2)]


def test_pending_clips_and_texts_without_words_are_not_missing(run: Path) -> None:
    with Store(run) as store:
        store.forget_clip(ClipKey("gap", "b", 0))
    outcomes = {(o.recipe, o.system): o for o in _compare(run).outcomes}
    assert outcomes["seed-tts-eval", "gap"].left_out == {"missing": 1, "pending": 1}
    assert outcomes["zipvoice", "good"].estimate is not None


def test_chinese_is_compared_as_the_laboratories_do(tmp_path: Path) -> None:
    (tmp_path / "meta.lst").write_text("a|我们说话\n", encoding="utf-8")
    (tmp_path / "t.jsonl").write_text('{"id": "a", "text": "我們說話"}', encoding="utf-8")
    systems = {"t": f"transcripts:{tmp_path / 't.jsonl'}"}
    config = configuration.build({"testset": str(tmp_path / "meta.lst"), "systems": systems})
    found = _compare(pipeline.evaluate(config, tmp_path / "run"))
    assert {o.estimate.value for o in found.outcomes if o.estimate} == {0.0}
    assert len(found.outcomes) == len(recipes.RECIPES)


def test_a_text_of_fillers_has_no_words_for_one_rule(tmp_path: Path) -> None:
    (tmp_path / "meta.lst").write_text("a|Um\nb|yes\n", encoding="utf-8")
    (tmp_path / "t.jsonl").write_text('{"id": "a", "text": "um"}\n{"id": "b", "text": "yes"}')
    systems = {"t": f"transcripts:{tmp_path / 't.jsonl'}"}
    config = configuration.build({"testset": str(tmp_path / "meta.lst"), "systems": systems})
    outcomes = {o.recipe: o for o in _compare(pipeline.evaluate(config, tmp_path / "run")).outcomes}
    assert outcomes["whisper-normalized"].left_out == {"without words": 1}
    assert outcomes["seed-tts-eval"].left_out == {}


def test_a_recipe_that_can_not_be_worked_out_here_is_told(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = registry.create

    def without_whisper(kind: str, name: str, options: dict[str, Any]) -> object:
        if (kind, name) == ("normalize", "whisper"):
            raise MissingExtra("no whisper-normalizer")
        return create(kind, name, options)

    monkeypatch.setattr(registry, "create", without_whisper)
    found = _compare(run)
    assert [*found.unusable] == ["whisper-normalized"]
    assert len({outcome.recipe for outcome in found.outcomes}) == len(recipes.RECIPES) - 1


def test_the_command_prints_a_table_and_strict_json(run: Path, cli: Callable[..., Any]) -> None:
    shown = cli("recipes", "compare", run, "--words", 1)
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert any(line.split()[:1] == ["good"] and "27.8 %" in line for line in lines)
    assert "  -1  don't heard as dont" in lines
    assert "asr:supplied" in shown.stdout
    document = json.loads(cli("recipes", "compare", run, "--json").stdout)
    rates = {(o["recipe"], o["system"]): o["estimate"] for o in document["outcomes"]}
    assert rates["pooled", "good"]["value"] == pytest.approx(3 / 8)
    assert rates["zipvoice", "gap"] is None
    listed = cli("recipes", "list")
    assert all(f"{name}: " in listed.stdout for name in recipes.RECIPES)


def test_a_run_without_transcripts_is_refused(
    tmp_path: Path, make_list: Callable[..., Path]
) -> None:
    config = configuration.build(
        {"testset": str(make_list(1)), "systems": {"r": "recorded"}, "metrics": ["health"]}
    )
    with pytest.raises(UserError, match="no transcripts"):
        _compare(pipeline.evaluate(config, tmp_path / "run"))


def _systems(folder: Path) -> dict[str, str]:
    return {system: f"transcripts:{folder / system}.jsonl" for system in HEARD}


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_evaluate_takes_a_recipe_s_rule_and_says_what_its_figure_is(
    name: str, run: Path, tmp_path: Path
) -> None:
    config = configuration.build(
        {"testset": str(tmp_path / "meta.lst"), "systems": _systems(tmp_path), "recipe": name}
    )
    with RunReader(pipeline.evaluate(config, tmp_path / name)) as store:
        found = results.collect(store)
    assert found.recipe == name
    for system in found.systems:
        expected, value = EXPECTED[name][system.row.name], system.values[_figure(name)]
        if expected is not None:  # ZipVoice's own scripts give none where a clip is missing
            assert value.estimate.value == pytest.approx(expected, abs=1e-12)
    assert f"Recipe {name}: its figure is {_figure(name)}." in found.notes[0]
    assert "missing clips" in found.notes[0] or "clip is missing" in found.notes[0]


def _figure(name: str) -> str:
    return recipes.RECIPES[name].figure


def test_the_command_follows_a_recipe_and_its_own_configuration_again(
    run: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    arguments = [
        *(f"{system}={target}" for system, target in _systems(tmp_path).items()),
        *("--testset", tmp_path / "meta.lst", "--out", tmp_path / "x", "--max-failures", 1),
    ]
    done = cli("evaluate", *arguments, "--recipe", "pooled", "--json")
    assert json.loads(done.stdout)["recipe"] == {"name": "pooled", "figure": "wer_pooled"}
    again = cli("run", tmp_path / "x" / "run.yaml", "--out", tmp_path / "x")
    assert "Recipe pooled: its figure is wer_pooled." in again.stderr


def _asr(name: str, language: str, own: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    recipe = recipes.RECIPES[name]
    options = applying.under("asr", applying.prescribed(recipe, "asr", language, own), own)
    known = wer.defaults(options)
    return options, applying.differences(recipe, "asr", language, options, known)


def test_a_recipe_gives_the_options_of_its_evaluators_under_the_user_s() -> None:
    strict = {"precision": "fp32", "batch_size": 1}
    whisper = {"backend": "whisper_hf", "model": "openai/whisper-large-v3", "resample": "fft"}
    assert _asr("seed-tts-eval", "en", {}) == (
        {**whisper, **strict, "normalizer": "seed_tts"},
        [],
    )
    assert _asr("seed-tts-eval", "zh", {"device": "cpu"}) == (
        {"backend": "paraformer", "resample": "sinc", "normalizer": "seed_tts", "device": "cpu"},
        [],
    )
    assert _asr("seed-tts-eval", "en", {"backend": "pocketsphinx"}) == (
        {"backend": "pocketsphinx", "resample": "fft", "normalizer": "seed_tts"},
        ["asr.backend is pocketsphinx, not whisper_hf"],
    )
    found = _asr("seed-tts-eval", "en", {"model": "tiny", "batch_size": 8, "revision": "v1"})[1]
    assert found == [
        "asr.model is tiny, not openai/whisper-large-v3", "asr.batch_size is 8, not 1",
        "asr.revision is v1",
    ]  # fmt: skip
    # What is a default, or comes to the same, is no difference.
    assert _asr("cv3-eval", "en", {"precision": "fp32", "device": "cpu", "batch_size": 32})[1] == []
    assert _asr("seed-tts-eval", "en", {"precision": "auto", "device": "cpu"})[1] == []
    assert "not lists of 16" in _asr("omnivoice", "zh", {})[1][0]
    assert _asr("cv3-eval", "en", {})[0]["precision"] == "auto"
    for name, encoder in (("seed-tts-eval", "wavlm"), ("cv3-eval", "eres2net")):
        wanted = applying.prescribed(recipes.RECIPES[name], "speaker", "en", {})
        assert wanted == {"encoder": encoder, "resample": "sinc"}


def test_a_recipe_reaches_what_other_metrics_are_worked_out_from(
    make_list: Callable[..., Path], tiny_whisper: Path
) -> None:
    base = {"testset": str(make_list(n=1)), "systems": {"r": "recorded"}, "metrics": ["failures"]}
    own = {"model": str(tiny_whisper)}
    config = configuration.build({**base, "recipe": "seed-tts-eval", "asr": own})
    made = plan.make(config)
    assert made.metric_options["wer"]["backend"] == "whisper_hf"
    assert made.metrics["wer"].resampler == "fft"


def test_fast_mode_is_told_as_a_difference(
    make_list: Callable[..., Path], tiny_whisper: Path
) -> None:
    base = {"testset": str(make_list(n=1)), "systems": {"r": "recorded"}, "metrics": ["wer"]}
    config = configuration.build(
        {**base, "recipe": "seed-tts-eval", "mode": "fast", "asr": {"model": str(tiny_whisper)}}
    )
    made = plan.make(config)
    assert made.metric_options["wer"]["batch_size"] == 32
    (note,) = (text for _, text in made.notes if "not comparable" in text)
    assert "asr.batch_size is 32, not 1" in note


def test_a_run_keeps_its_recipe_and_what_differs_from_it(
    make_list: Callable[..., Path], tmp_path: Path
) -> None:
    base = {
        "testset": str(make_list(n=1)), "systems": {"r": "recorded"},
        "asr": {"backend": "pocketsphinx"}, "speaker": {"encoder": "ge2e"},
    }  # fmt: skip
    first = configuration.build({**base, "recipe": "pooled", "metrics": ["wer"], "speaker": {}})
    folder = pipeline.evaluate(first, tmp_path / "run")
    later = configuration.build({**base, "metrics": ["similarity"], "asr": {}})
    pipeline.evaluate(later, folder)
    with RunReader(folder) as store:
        found = results.collect(store)
    assert found.recipe == "pooled"
    notes = "\n".join(found.notes)
    assert "its figure is wer_pooled" in notes
    assert "asr.backend is pocketsphinx, not whisper_hf" in notes
    assert "speaker.encoder is ge2e, not wavlm" in notes
    pipeline.evaluate(configuration.load(str(folder / "run.yaml")), folder)
    with RunReader(folder) as store:
        assert set(results.collect(store).notes) == set(found.notes)
    other = configuration.build({**base, "recipe": "zipvoice", "metrics": ["wer"], "speaker": {}})
    with pytest.raises(UserError, match=r"has recipe pooled, this command zipvoice.*--out"):
        pipeline.evaluate(other, folder)


def test_a_recipe_whose_evaluators_are_absent_is_refused_with_what_brings_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "nothing"))
    config = configuration.build(
        {"testset": "mini-en", "systems": {"r": "recorded"}, "recipe": "seed-tts-eval"}
    )
    with pytest.raises(MissingExtra) as error:
        plan.make(config)
    assert "openai/whisper-large-v3" in str(error.value)
    assert "--set asr.backend=" in str(error.value)


def test_a_recipe_measured_with_other_evaluators_says_so() -> None:
    config = configuration.build(
        {
            "testset": "mini-en", "systems": {"r": "recorded"}, "recipe": "seed-tts-eval",
            "asr": {"backend": "pocketsphinx"}, "speaker": {"encoder": "ge2e"}, "limit": 1,
        }
    )  # fmt: skip
    made = plan.make(config)
    assert made.metrics["wer"].resampler == "fft"
    assert made.metrics["similarity"].resampler == "sinc"
    notes = {(metric, text.partition(": ")[2].partition(".")[0]) for metric, text in made.notes}
    assert ("wer", "its figure is wer") in notes
    whole = [text for _, text in made.notes if "not comparable" in text]
    assert "asr.backend is pocketsphinx, not whisper_hf" in whole[0]
    assert "speaker.encoder is ge2e, not wavlm" in whole[1]


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(UserError, match="Did you mean seed-tts-eval"):
        configuration.build({"testset": "t", "systems": {"a": "b"}, "recipe": "seed-tts-evl"})
