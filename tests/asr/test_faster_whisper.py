"""faster-whisper: the refusals always, the recognising with random weights where it is there."""

from __future__ import annotations

import json
import re
import shutil
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mamtra_eval import audio, extras
from mamtra_eval.asr import faster_whisper as backend
from mamtra_eval.errors import MeasurementError, MissingExtra, UserError

SPECIAL = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|zh|>", "<|translate|>",
    "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
)  # fmt: skip
TIMES = tuple(f"<|{index * 0.02:.2f}|>" for index in range(1501))
EMPTY = ""  # a token that only multilingual models have: by it CTranslate2 knows them


def noise(seconds: float, seed: int = 0) -> audio.Samples:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(int(16000 * seconds))).astype(np.float32)


def fill(folder: Path) -> Path:
    """A folder that has the names of a model's files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in backend.FILES:
        (folder / name).write_bytes(b"1")
    return folder


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The packages as if installed, and an empty cache of the hub."""
    monkeypatch.setattr(extras, "version", lambda package: "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


class Fake:
    """Packages that hear ``spoken`` segments, in place of the real ones."""

    def __init__(self, spoken: list[Any]) -> None:
        self.spoken = spoken
        self.loads: list[dict[str, Any]] = []
        self.heard: list[dict[str, Any]] = []
        self.mel = (80, 80)
        self.fault: Exception | None = None

    def __call__(self, module: str, *needs: str) -> Any:
        if module == "faster_whisper":
            return SimpleNamespace(WhisperModel=self.load)
        return SimpleNamespace(
            set_random_seed=lambda seed: None, get_cuda_device_count=lambda: 0,
            get_supported_compute_types=self.able,
        )  # fmt: skip

    def able(self, device: str) -> set[str]:
        if device != "cpu":
            raise ValueError(f"unsupported device {device}")
        return {"int8", "float32"}

    def load(self, folder: str, **options: Any) -> Any:
        self.loads.append({"folder": folder, **options})
        return SimpleNamespace(
            model=SimpleNamespace(n_mels=self.mel[0]), supported_languages=["en", "zh"],
            feature_extractor=SimpleNamespace(mel_filters=np.zeros((self.mel[1], 201))),
            transcribe=self.transcribe,
        )  # fmt: skip

    def transcribe(self, samples: audio.Samples, **options: Any) -> Any:
        self.heard.append(options)
        if self.fault:
            raise self.fault
        return iter(self.spoken), None


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    spoken = [
        SimpleNamespace(text=" one,", avg_logprob=-0.25, no_speech_prob=0.125),
        SimpleNamespace(text=" two", avg_logprob=-0.5, no_speech_prob=0.0625),
    ]
    fake = Fake(spoken)
    monkeypatch.setattr(backend, "import_extra", fake)
    return fake


def test_absent_package(monkeypatch: pytest.MonkeyPatch, installed: Path) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    made = backend.create({"model": str(fill(installed / "m"))})
    with pytest.raises(MissingExtra, match=r"faster-whisper, which is not installed.*\[asr\]"):
        made.check()


def test_nothing_heavy_is_imported_to_be_made_and_signed(installed: Path) -> None:
    before = set(sys.modules)
    made = backend.create({"model": str(fill(installed / "mine"))})
    signature = re.sub("files:[0-9a-f]{8}", "files:0", made.signature())
    assert signature == (
        "asr:faster-whisper-1|ctranslate2:1|model:mine|weights:6b86b273|files:0|decoding:beam-5"
        "|fallback:sampled-0.2-1.0-seed-0|precision:float32"
    )
    signature = made.signature()
    (installed / "mine" / "tokenizer.json").write_text("another")
    assert backend.create({"model": str(installed / "mine")}).signature() != signature
    assert not {"torch", "faster_whisper", "ctranslate2"} & (set(sys.modules) - before)


def test_what_changes_the_transcript_changes_the_signature(installed: Path) -> None:
    folder = fill(installed / "mine")
    options = [{}, {"beam_size": 1}, {"compute_type": "int8"}]
    signed = {backend.create({"model": str(folder), **one}).signature() for one in options}
    (folder / "model.bin").write_bytes(b"2")
    signed.add(backend.create({"model": str(folder)}).signature())
    assert len(signed) == 4


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        ({}, r"\(3\.1 GB\) are not here.*hf download Systran/faster-whisper-large-v3 ;"),
        ({"model": "turbo"}, r"hf download mobiuslabsgmbh/faster-whisper-large-v3-turbo ;"),
        ({"model": "tiny.en"}, r"\(80 MB\).*hf download Systran/faster-whisper-tiny\.en ;"),
        (
            {"model": "me/mine", "revision": "v1"},
            r"hf download me/mine --revision v1 ;.*asr\.model",
        ),
    ],
)
def test_a_model_that_is_not_here_is_refused_with_what_fetches_it(
    installed: Path, options: dict[str, str], fix: str
) -> None:
    with pytest.raises(MissingExtra, match=fix):
        backend.create(options).signature()


def test_the_hubs_cache_is_where_a_model_is_found(installed: Path) -> None:
    (default,) = backend.weights()
    assert default.find() is None
    repository = installed / "hub" / "models--Systran--faster-whisper-large-v3"
    fill(repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    (default,) = backend.weights()
    assert default.find() == repository / "snapshots" / "abc"
    assert "|model:large-v3|weights:6b86b273|" in backend.create({}).signature()
    (repository / "snapshots" / "abc" / "tokenizer.json").unlink()  # or it would be fetched
    with pytest.raises(MissingExtra, match=r"no tokenizer\.json.*hf download Systran/"):
        backend.create({}).signature()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "larg-v3"}, r"'larg-v3'. Did you mean large-v3\? .* an id of the hub"),
        ({"model": "/no/such/folder"}, r"/no/such/folder: no such folder"),
        ({"compute_type": "fp16"}, r"no compute_type .* 'fp16'.*float16"),
        ({"compute_type": "auto"}, r"no compute_type"),
        ({"beam_size": 0}, r"at least 1, not 0"),
        ({"beam": 5}, r"'beam'. Did you mean beam_size\?"),
    ],
)
def test_options_that_are_none(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        backend.create(options)


def test_english_only_models_say_so_before_the_run() -> None:
    assert backend.create({"model": "base.en"}).languages == {"en"}
    assert backend.create({}).languages is None


def test_what_the_device_cannot_do_is_said_before_the_run(fake: Fake) -> None:
    backend.create({}).check()
    with pytest.raises(UserError, match=r"cpu can't compute in float16.*among float32, int8"):
        backend.create({"compute_type": "float16"}).check()
    with pytest.raises(UserError, match=r"can't use the device tpu .*asr\.device=cpu"):
        backend.create({"device": "tpu"}).check()


def test_f5_tts_recipe_is_what_the_package_is_asked_for(installed: Path, fake: Fake) -> None:
    folder = fill(installed / "mine")
    made = backend.create({"model": str(folder), "compute_type": "float16", "device": "cuda"})
    heard = made.transcribe(noise(1), "en")
    assert heard.text == "one, two"
    assert heard.evidence == {"avg_logprob": -0.5, "no_speech_prob": 0.125}
    assert fake.loads == [{"folder": str(folder), "device": "cuda", "compute_type": "float16"}]
    assert fake.heard == [
        {"language": "en", "task": "transcribe", "beam_size": 5, "vad_filter": False}
    ]


def test_no_speech_found_and_digital_silence(installed: Path, fake: Fake) -> None:
    made = backend.create({"model": str(fill(installed / "mine"))})
    fake.spoken = []
    assert made.transcribe(noise(1), "en").evidence == {"reason": "no speech was found"}
    for silence in (np.zeros(16000, np.float32), np.zeros(0, np.float32)):
        assert made.transcribe(silence, "en").evidence == {"reason": "digital silence"}
    assert len(fake.heard) == 1


def test_errors_of_the_package_are_told(installed: Path, fake: Fake) -> None:
    made = backend.create({"model": str(fill(installed / "mine"))})
    with pytest.raises(MeasurementError, match="does not know the language 'de'"):
        made.transcribe(noise(1), "de")
    fake.fault = RuntimeError("Library libcublas.so.12 is not found or cannot be loaded")
    with pytest.raises(MissingExtra, match=r"lacks a library of CUDA.*nvidia-cublas-cu12"):
        made.transcribe(noise(1), "en")
    fake.fault = RuntimeError("of this clip")
    with pytest.raises(RuntimeError, match="of this clip"):
        made.transcribe(noise(1), "en")
    fake.mel = (128, 80)
    with pytest.raises(MissingExtra, match=r"preprocessor_config\.json: .* 128 mel bands .* 80"):
        backend.create({"model": made.model}).transcribe(noise(1), "en")


@pytest.fixture(scope="module")
def real() -> Any:
    pytest.importorskip("transformers")
    return pytest.importorskip("faster_whisper")


@pytest.fixture(scope="module")
def model(real: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in CTranslate2's format: one token a byte, random weights, one layer a side."""
    return convert(tmp_path_factory.mktemp("tiny"), seed=2, std=1.0)


def convert(folder: Path, seed: int, std: float, *, multilingual: bool = True) -> Path:
    """A random Whisper of transformers, converted."""
    import torch
    import transformers
    from ctranslate2.converters import TransformersConverter
    from tokenizers.pre_tokenizers import ByteLevel

    letters = [*sorted(ByteLevel.alphabet()), *([EMPTY] if multilingual else [])]
    words = {letter: index for index, letter in enumerate(letters)}
    tokenizer = transformers.WhisperTokenizer(vocab=words, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": [*SPECIAL]})
    tokenizer.add_tokens([*TIMES])
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    end, begin = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    common = {"eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": begin}
    torch.manual_seed(seed)
    network = transformers.WhisperForConditionalGeneration(
        transformers.WhisperConfig(
            vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=1,
            encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
            decoder_ffn_dim=32, num_mel_bins=80, max_target_positions=448, bos_token_id=end,
            init_std=std, **common,
        )
    )  # fmt: skip
    network.generation_config = transformers.GenerationConfig(
        lang_to_id={token: ids[token] for token in ("<|en|>", "<|zh|>")},
        suppress_tokens=[], alignment_heads=[[0, 0]], **common,
    )  # fmt: skip
    source = folder / "source"
    network.save_pretrained(source)
    tokenizer.save_pretrained(source)
    transformers.WhisperFeatureExtractor(feature_size=80).save_pretrained(source)
    converter = TransformersConverter(
        str(source), copy_files=["tokenizer.json", "preprocessor_config.json"]
    )
    converter.convert(str(folder / "model"), quantization="float16")
    return folder / "model"


@pytest.fixture
def made(model: Path) -> backend.FasterWhisper:
    return backend.create({"model": str(model), "device": "cpu"})


PLAIN, SAMPLED, ALSO_SAMPLED = noise(2, 1), noise(1), noise(3, 2)
"""Clips of which the tiny model is sure at once, and of which it is not."""


@pytest.fixture
def loads(real: Any, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Grows with every model that is loaded: whether the one before it is still there."""
    before: list[weakref.ref[Any]] = []
    found: list[bool] = []

    class Counted(real.WhisperModel):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            found.append(any(one() is not None for one in before))
            super().__init__(*arguments, **options)
            before.append(weakref.ref(self))

    monkeypatch.setattr(real, "WhisperModel", Counted)
    return found


def test_a_transcript_depends_on_the_clip_alone_although_the_fallback_samples(
    made: backend.FasterWhisper, model: Path, loads: list[bool]
) -> None:
    first = made.transcribe(SAMPLED, "en")
    assert first.text
    assert first.evidence["fallback"].startswith("sampled, at temperatures up to ")
    plain = made.transcribe(PLAIN, "en")
    assert plain.text
    assert "fallback" not in plain.evidence
    assert len(loads) == 1
    other = made.transcribe(ALSO_SAMPLED, "en")
    assert "fallback" in other.evidence
    assert loads == [False, False]  # made anew, and the first was gone by then
    assert made.transcribe(SAMPLED, "en") == first
    reversed_order = backend.create({"model": str(model), "device": "cpu"})
    assert reversed_order.transcribe(ALSO_SAMPLED, "en") == other
    assert reversed_order.transcribe(PLAIN, "en") == plain
    assert reversed_order.transcribe(SAMPLED, "en") == first
    assert len(loads) == 5


def test_without_a_new_model_the_same_clip_would_be_heard_otherwise(
    made: backend.FasterWhisper,
) -> None:
    fresh = made.transcribe(ALSO_SAMPLED, "en")
    again = []
    for _ in range(3):
        made._model.model.temperatures = []  # as if no clip had sampled
        made._engine.set_random_seed(backend.SEED)  # which changes nothing any more
        again.append(made.transcribe(ALSO_SAMPLED, "en"))
    assert any(one != fresh for one in again)


def test_weights_of_half_precision_work_in_float32(made: backend.FasterWhisper) -> None:
    assert made._model.model.compute_type == "float32"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_language_and_task_are_given(
    made: backend.FasterWhisper, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[list[int], dict[str, Any]]] = []
    generate = made._model.model.generate

    def spy(features: Any, prompts: list[list[int]], **options: Any) -> Any:
        seen.append((prompts[0], options))
        return generate(features, prompts, **options)

    monkeypatch.setattr(made._model.model, "generate", spy)
    made.transcribe(PLAIN, language)
    prompt, options = seen[0]
    named = [made._model.hf_tokenizer.id_to_token(token) for token in prompt]
    assert named == ["<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>"]
    assert options["beam_size"] == 5


def test_more_than_30_s_are_heard_to_the_end(
    made: backend.FasterWhisper, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = []
    encode = made._model.encode

    def spy(mel: Any) -> Any:
        windows.append(mel.shape[-1])
        return encode(mel)

    monkeypatch.setattr(made._model, "encode", spy)
    made.transcribe(PLAIN, "en")
    assert len(windows) == 1
    made.transcribe(np.concatenate([PLAIN] * 16), "en")
    assert len(windows) >= 3


def test_languages_that_the_model_does_not_know(made: backend.FasterWhisper) -> None:
    with pytest.raises(MeasurementError, match="does not know the language 'xx'"):
        made.transcribe(PLAIN, "xx")


def test_models_of_english_alone(real: Any, tmp_path: Path) -> None:
    english = backend.create({"model": str(convert(tmp_path, seed=2, std=1.0, multilingual=False))})
    assert english.transcribe(PLAIN, "en").text
    with pytest.raises(MeasurementError, match="model of whisper does not know the language 'zh'"):
        english.transcribe(PLAIN, "zh")


def test_a_folder_with_broken_weights(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "broken")
    (tmp_path / "broken" / "model.bin").write_bytes(b"nothing")
    broken = backend.create({"model": str(tmp_path / "broken"), "device": "cpu"})
    with pytest.raises(MissingExtra, match="faster-whisper can't load this model"):
        broken.transcribe(PLAIN, "en")


def test_a_folder_that_says_another_number_of_mel_bands(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "copy")
    (tmp_path / "copy" / "preprocessor_config.json").write_text(json.dumps({"feature_size": 128}))
    copy = backend.create({"model": str(tmp_path / "copy"), "device": "cpu"})
    with pytest.raises(MissingExtra, match="wants 80 mel bands and its folder says 128"):
        copy.transcribe(PLAIN, "en")
