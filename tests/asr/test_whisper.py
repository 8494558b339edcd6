"""Whisper: the refusals always, the recognising with random weights where the package works."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mamtra_eval import audio, extras
from mamtra_eval.asr import whisper as backend
from mamtra_eval.errors import MeasurementError, MissingExtra, UserError

RNG = np.random.default_rng(0)


def noise(seconds: float) -> audio.Samples:
    return (0.1 * RNG.standard_normal(int(16000 * seconds))).astype(np.float32)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache of the user's, with the package as if installed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(extras, "version", lambda package: "1")
    return tmp_path


def test_absent_package(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setitem(sys.modules, "whisper", None)
    (cache / "w.pt").write_bytes(b"")
    with pytest.raises(MissingExtra, match=r"openai-whisper, which is not installed.*\[asr\]"):
        backend.create({"model": str(cache / "w.pt")}).transcribe(noise(0.1), "en")


def test_nothing_heavy_is_imported_to_be_made_and_signed(cache: Path) -> None:
    (cache / "w.pt").write_bytes(b"weights")
    before = set(sys.modules)
    made = backend.create({"model": str(cache / "w.pt")})
    assert made.signature().startswith("asr:whisper-1|model:w|weights:")
    assert not {"torch", "whisper", "numba"} & (set(sys.modules) - before)


def test_weights_decide_the_signature(cache: Path) -> None:
    path = cache / "w.pt"
    path.write_bytes(b"one")
    first = backend.create({"model": str(path)}).signature()
    path.write_bytes(b"two")
    assert backend.create({"model": str(path)}).signature() != first


@pytest.mark.parametrize(
    ("model", "file"), [("large-v3", "large-v3"), ("turbo", "large-v3-turbo"), ("tiny.en",) * 2]
)
def test_weights_that_are_not_here(cache: Path, model: str, file: str) -> None:
    with pytest.raises(MissingExtra) as caught:
        backend.create({"model": model}).signature()
    message = str(caught.value)
    assert str(cache / "whisper" / f"{file}.pt") in message
    assert f"whisper.load_model('{file}')" in message
    with pytest.raises(MissingExtra, match=r"gone\.pt.*as asr\.model"):
        backend.create({"model": str(cache / "gone.pt")}).signature()


def test_a_model_of_no_such_name() -> None:
    with pytest.raises(UserError, match=r"'larg-v3'. Did you mean large-v3\? .* a \.pt file"):
        backend.create({"model": "larg-v3"})


def test_english_only_models_say_so_before_the_run() -> None:
    assert backend.create({"model": "base.en"}).languages == {"en"}
    assert backend.create({"model": "base"}).languages is None


@pytest.fixture(scope="module")
def whisper() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return extras.import_extra("whisper", *backend.NEEDS)
    except MissingExtra as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def tiny(whisper: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of random weights, which writes nonsense."""
    import torch

    torch.manual_seed(0)
    dims = whisper.model.ModelDimensions(
        n_mels=80, n_audio_ctx=1500, n_audio_state=8, n_audio_head=1, n_audio_layer=1,
        n_vocab=51865, n_text_ctx=16, n_text_state=8, n_text_head=1, n_text_layer=1,
    )  # fmt: skip
    model = whisper.model.Whisper(dims)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    path = tmp_path_factory.mktemp("weights") / "random.pt"
    torch.save({"dims": vars(dims), "model_state_dict": model.state_dict()}, path)
    return path


@pytest.mark.filterwarnings("ignore")  # the package leaves a file open
def test_random_weights_write_nonsense_that_depends_on_the_audio_alone(tiny: Path) -> None:
    made = backend.create({"model": str(tiny), "device": "cpu"})
    one, other = noise(1.0), noise(2.0)
    first = made.transcribe(one, "en")
    assert first.text
    assert first.evidence["avg_logprob"] < 0
    assert 0 <= first.evidence["no_speech_prob"] <= 1
    assert "truncated" not in first.evidence
    made.transcribe(other, "zh")
    assert made.transcribe(one, "en") == first
    assert backend.create({"model": str(tiny), "device": "cpu"}).transcribe(one, "en") == first


@pytest.mark.filterwarnings("ignore")  # the package leaves a file open
def test_what_is_behind_30_seconds_is_not_heard_and_flagged(tiny: Path) -> None:
    made = backend.create({"model": str(tiny), "device": "cpu"})
    window = noise(30.0)
    heard = made.transcribe(window, "en")
    assert "truncated" not in heard.evidence
    longer = made.transcribe(np.concatenate([window, noise(5.0)]), "en")
    assert longer.text == heard.text
    assert longer.evidence["truncated"] == "only the first 30 s of 35.0 s were heard"


@pytest.mark.filterwarnings("ignore")  # the package leaves a file open
def test_silence_and_unknown_languages(tiny: Path) -> None:
    made = backend.create({"model": str(tiny), "device": "cpu"})
    assert made.transcribe(np.zeros(16000, np.float32), "en").text == ""
    assert made.transcribe(np.zeros(0, np.float32), "en").text == ""
    with pytest.raises(MeasurementError, match="does not know the language 'xx'"):
        made.transcribe(noise(1.0), "xx")


def test_a_file_that_holds_no_weights(whisper: Any, tmp_path: Path) -> None:
    path = tmp_path / "broken.pt"
    path.write_bytes(b"nonsense")
    with pytest.raises(MissingExtra, match=r"broken\.pt: whisper can't load these weights"):
        backend.create({"model": str(path), "device": "cpu"}).transcribe(noise(1.0), "en")


@pytest.mark.filterwarnings("ignore")  # the package leaves a file open
def test_a_batch_writes_what_single_clips_write(tiny: Path) -> None:
    clips = [noise(seconds) for seconds in (0.5, 3.0, 1.0, 31.0)] + [np.zeros(8000, np.float32)]
    single = backend.create({"model": str(tiny), "device": "cpu"})
    batched = backend.create({"model": str(tiny), "device": "cpu", "batch_size": 4})
    assert batched.signature() == f"{single.signature()}|batch:4"
    alone = [single.transcribe(samples, "en") for samples in clips]
    assert len({heard.text for heard in alone}) > 2  # so that a mix-up would show
    for together, apart in zip(batched.transcribe_many(clips, "en"), alone, strict=True):
        assert together.text == apart.text
        assert together.evidence.keys() == apart.evidence.keys()


@pytest.mark.filterwarnings("ignore")  # the package leaves a file open
def test_the_package_s_own_loop_is_seeded_by_the_clip(tiny: Path) -> None:
    import torch

    options = {"model": str(tiny), "device": "cpu", "method": "transcribe"}
    made = backend.create(options)
    assert "|decoding:transcribe-fallback-seeded|" in made.signature()
    one, other = noise(2.0), noise(1.0)
    torch.manual_seed(5)
    first = made.transcribe(one, "en")
    assert first.evidence["temperature"] == 1.0  # nonsense looks bad at every temperature
    made.transcribe(other, "en")
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    assert made.transcribe(one, "en") == first
    assert torch.equal(torch.random.get_rng_state(), state)
    assert made.transcribe(np.zeros(16000, np.float32), "en").text == ""


@pytest.mark.parametrize(("option", "value"), [("method", "decod"), ("precision", "fp8")])
def test_options_that_are_none(option: str, value: str) -> None:
    with pytest.raises(UserError, match=f"no {option}.* named '{value}'"):
        backend.create({option: value})
