"""Whisper by transformers, on the true architecture with small random weights."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_whisper import write_model

from mamtra_eval import audio
from mamtra_eval.asr import whisper_hf as backend
from mamtra_eval.errors import MeasurementError, MissingExtra

transformers = pytest.importorskip("transformers")


def noise(seconds: float, seed: int = 0) -> audio.Samples:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(int(16000 * seconds))).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("tiny-whisper"))


@pytest.fixture(scope="module")
def made(model: Path) -> backend.WhisperHF:
    return backend.create({"model": str(model)})


def test_a_transcript_depends_on_the_clip_alone(made: backend.WhisperHF) -> None:
    first = made.transcribe(noise(2), "en")
    other = made.transcribe(noise(3, seed=1), "en")
    assert first.text
    assert first.text != other.text
    assert made.transcribe(noise(2), "en") == first


def test_half_precision_weights_work_in_float32(made: backend.WhisperHF) -> None:
    network, _ = made._model
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_prompt_is_that_of_the_official_script(
    made: backend.WhisperHF, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, processor = made._model
    seen: list[list[int]] = []
    forward = network.model.decoder.forward

    def spy(*arguments: Any, **keywords: Any) -> Any:
        seen.append(keywords["input_ids"][0].tolist())
        return forward(*arguments, **keywords)

    monkeypatch.setattr(network.model.decoder, "forward", spy)
    made.transcribe(noise(1), language)
    # What get_decoder_prompt_ids(language, task) forces, behind the start of the transcript.
    expected = ["<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>", "<|notimestamps|>"]
    assert processor.tokenizer.convert_ids_to_tokens(seen[0]) == expected
    assert all(len(step) == 1 for step in seen[1:])  # greedy: one beam, one token a step


def test_more_than_30_s_are_cut_off_and_said_so(made: backend.WhisperHF) -> None:
    long = noise(40)
    heard = made.transcribe(long, "en")
    assert heard.text == made.transcribe(long[: 30 * 16000], "en").text
    assert heard.evidence == {"truncated": "only the first 30 s of 40.0 s were heard"}
    assert made.transcribe(long[: 30 * 16000], "en").evidence == {}


def test_silence_has_no_words_and_languages_are_checked(made: backend.WhisperHF) -> None:
    assert made.transcribe(np.zeros(16000, np.float32), "en").text == ""
    with pytest.raises(MeasurementError, match="does not know the language 'de'"):
        made.transcribe(noise(1), "de")


def test_weights_decide_the_signature(model: Path, tmp_path: Path) -> None:
    copy = tmp_path / model.name
    shutil.copytree(model, copy)
    before = backend.create({"model": str(model)}).signature()
    assert before.startswith(f"asr:whisper-transformers-{transformers.__version__}|model:")
    assert before.endswith("|decoding:greedy|precision:fp32|window:30s")
    assert backend.create({"model": str(copy)}).signature() == before
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    assert backend.create({"model": str(copy)}).signature() != before


def test_a_model_in_several_files(model: Path, tmp_path: Path, made: backend.WhisperHF) -> None:
    network, processor = made._model
    network.save_pretrained(tmp_path, max_shard_size="20KB")
    processor.save_pretrained(tmp_path)
    assert not (tmp_path / "model.safetensors").exists()
    sharded = backend.create({"model": str(tmp_path)})
    assert sharded.signature() != made.signature()
    assert sharded.transcribe(noise(2), "en").text == made.transcribe(noise(2), "en").text


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        ({}, r"hf download openai/whisper-large-v3 --include '\*\.json'"),
        ({"model": "me/mine", "revision": "v1"}, r"hf download me/mine --revision v1 --include"),
    ],
)
def test_a_model_that_is_not_here_is_refused_with_what_fetches_it(
    options: dict[str, str], fix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingExtra, match=fix):
        backend.create(options).signature()


def test_a_folder_without_weights_or_with_broken_ones(model: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingExtra, match=r"Give as asr\.model a folder with"):
        backend.create({"model": str(tmp_path)}).signature()
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    (broken / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(MissingExtra, match="can't load this model"):
        backend.create({"model": str(broken)}).transcribe(noise(1), "en")


def test_models_of_english_alone(model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "english"
    shutil.copytree(model, copy)
    made = backend.create({"model": str(copy)})
    made._model[0].generation_config.is_multilingual = False
    assert made.transcribe(noise(1), "en").text
    with pytest.raises(MeasurementError, match="knows English only"):
        made.transcribe(noise(1), "zh")


def test_a_batch_writes_the_tokens_that_single_clips_write(
    model: Path, made: backend.WhisperHF, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [noise(seconds, seed) for seed, seconds in enumerate((0.5, 3.0, 31.0, 1.0, 2.0, 7.0))]
    batched = backend.create({"model": str(model), "batch_size": 8})
    assert batched.signature() == f"{made.signature()}|batch:8"
    network, _ = batched._model
    rows: list[list[int]] = []
    generate = network.generate

    def spy(*arguments: Any, **keywords: Any) -> Any:
        tokens = generate(*arguments, **keywords)
        rows.extend(tokens.tolist())
        return tokens

    monkeypatch.setattr(network, "generate", spy)
    together = batched.transcribe_many([*clips, np.zeros(16000, np.float32)], "en")
    assert len(rows) == len(clips)  # silence is not asked about
    assert together[:-1] == [made.transcribe(samples, "en") for samples in clips]
    assert len({heard.text for heard in together}) == len(together)
    assert together[-1].text == ""
    for samples, row in zip(clips, list(rows), strict=True):
        batched.transcribe(samples, "en")
        assert rows[-1] == row[: len(rows[-1])]
        assert set(row[len(rows[-1]) :]) <= {network.generation_config.pad_token_id}


def test_half_precision_where_it_is_asked_for(model: Path) -> None:
    half = backend.create({"model": str(model), "precision": "fp16", "device": "cpu"})
    assert "|precision:fp16|" in half.signature()
    assert {parameter.dtype for parameter in half._model[0].parameters()} == {torch.float16}
    assert half.transcribe(noise(1), "en").text
    # On a CPU half precision would be slower, not faster.
    auto = backend.create({"model": str(model), "precision": "auto", "device": "cpu"})
    assert "|precision:fp32|" in auto.signature()
