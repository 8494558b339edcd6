"""Paraformer: the refusals always, the recognising with random weights where FunASR is there."""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from mamtra_eval import audio, extras
from mamtra_eval.asr import paraformer as backend
from mamtra_eval.errors import MeasurementError, MissingExtra, UserError

OFFICIAL = backend.DEFAULTS["model"]
NAME = OFFICIAL.partition("/")[2]


def noise(seconds: float, seed: int = 0, level: float = 0.1) -> audio.Samples:
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal(int(16000 * seconds))).astype(np.float32)


def fill(folder: Path) -> Path:
    """A folder that has the names of a model's files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in backend.FILES:
        (folder / name).write_bytes(b"1")
    return folder


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The package as if installed, and an empty cache of ModelScope."""
    monkeypatch.setattr(extras, "version", lambda package: "1")
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path


class SeacoParaformer:
    """By its name a network that the plugin takes."""


class Fake:
    """FunASR that finds ``text``."""

    def __init__(self) -> None:
        self.network: Any = SeacoParaformer()
        self.loads: list[dict[str, Any]] = []
        self.heard: list[tuple[audio.Samples, dict[str, Any]]] = []
        self.text: str | None = "你 好"
        self.printed = "funasr version: 1."
        self.features = True

    def __call__(self, module: str, *needs: str) -> Any:
        return SimpleNamespace(AutoModel=self.load, fbank=self.fbank)

    def fbank(self, samples: Any) -> None:
        if not self.features:
            raise ImportError("neither torchaudio nor kaldi-native-fbank")

    def load(self, **options: Any) -> Any:
        self.loads.append(options)
        print(self.printed)
        return SimpleNamespace(model=self.network, generate=self.generate)

    def generate(self, input: audio.Samples, **options: Any) -> list[dict[str, Any]]:  # noqa: A002
        self.heard.append((input, options))
        return [] if self.text is None else [{"key": "k", "text": self.text, "timestamp": []}]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, installed: Path) -> Fake:
    fake = Fake()
    monkeypatch.setattr(backend, "import_extra", fake)
    return fake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "folder")


def test_absent_package(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "funasr"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "funasr", None)
    with pytest.raises(MissingExtra, match=r"package funasr, which is not installed.*\[zh\]"):
        backend.create({"model": str(folder)}).check()


def test_nothing_heavy_is_imported_to_be_made_and_signed(installed: Path, folder: Path) -> None:
    before = set(sys.modules)
    made = backend.create({"model": str(folder)})
    signature = re.sub("files:[0-9a-f]{8}", "files:0", made.signature())
    assert signature == "asr:paraformer-zh-1|weights:6b86b273|files:0|dither:0|precision:fp32"
    assert made.languages == {"zh"}
    assert not {"torch", "funasr", "librosa"} & (set(sys.modules) - before)
    (folder / "model.pt").write_bytes(b"2")
    assert backend.create({"model": str(folder)}).signature() != made.signature()


def test_a_model_that_is_not_here_is_refused_with_what_fetches_it(installed: Path) -> None:
    with pytest.raises(MissingExtra) as caught:
        backend.create({}).signature()
    message = str(caught.value)
    assert f"modelscope download {OFFICIAL} --revision v2.0.4 ;" in message
    assert str(installed / "cache" / "models" / f"iic--{NAME}" / "snapshots" / "v2.0.4") in message
    assert "asr.model" in message
    with pytest.raises(MissingExtra, match="modelscope download me/mine --revision v1 ;"):
        backend.create({"model": "me/mine", "revision": "v1"}).signature()


@pytest.mark.parametrize(
    "place",
    [
        f"models/iic--{NAME}/snapshots/v2.0.4", f"models/iic/{NAME}", f"hub/models/iic/{NAME}",
        f"hub/iic/{NAME}", f"iic/{NAME}",
    ],
)  # fmt: skip
def test_every_place_of_modelscopes_downloader_is_looked_into(installed: Path, place: str) -> None:
    put = fill(installed / "cache" / place)
    assert "|weights:6b86b273|" in backend.create({}).signature()
    (found,) = backend.weights()
    assert found.find() == put
    (put / "am.mvn").unlink()
    with pytest.raises(MissingExtra, match=r"no am\.mvn of a Paraformer.*modelscope download iic/"):
        backend.create({}).signature()


def test_the_cache_is_below_the_users_home_and_dots_are_written_as_lines(
    monkeypatch: pytest.MonkeyPatch, installed: Path
) -> None:
    monkeypatch.delenv("MODELSCOPE_CACHE")
    monkeypatch.setenv("HOME", str(installed))
    fill(installed / ".cache" / "modelscope" / "hub" / "models" / "me" / "mine-0___8")
    assert backend.create({"model": "me/mine-0.8"}).signature()
    fill(installed / ".cache" / "modelscope" / "models" / "me--you.1" / "snapshots" / "v2.0.4")
    assert backend.create({"model": "me/you.1"}).signature()


def test_a_folder_that_is_none_and_one_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^/no/such/folder: no such folder, and no id"):
        backend.create({"model": "/no/such/folder"})
    with pytest.raises(MissingExtra, match=r"no model\.pt.*a folder with model\.pt, config\.yaml"):
        backend.create({"model": str(tmp_path)}).transcribe(noise(1), "zh")
    with pytest.raises(UserError, match="option of paraformer named 'batch_size'"):
        backend.create({"batch_size": 2})


def test_what_the_package_is_asked_for(fake: Fake, folder: Path) -> None:
    import torch

    made = backend.create({"model": str(folder), "device": "cpu"})
    clip = noise(1)
    clip.setflags(write=False)
    assert made.transcribe(clip, "zh").text == "你 好"
    assert made.transcribe(noise(2), "zh").evidence == {}
    assert fake.loads == [
        {
            "model": str(folder), "device": "cpu", "disable_update": True, "disable_pbar": True,
            "ncpu": torch.get_num_threads(), "frontend_conf": {"dither": 0.0},
            "ignore_init_mismatch": False,
        }
    ]  # fmt: skip
    heard, options = fake.heard[0]
    assert options == {"fs": 16000}
    assert heard.dtype == np.float32
    assert np.array_equal(heard, clip)
    assert heard.flags.writeable


def test_what_holds_no_speech_is_not_asked_for(fake: Fake, folder: Path) -> None:
    made = backend.create({"model": str(folder), "device": "cpu"})
    for silence in (np.zeros(16000, np.float32), np.zeros(0, np.float32)):
        assert made.transcribe(silence, "zh").evidence == {"reason": "digital silence"}
    assert made.transcribe(noise(0.024), "zh").evidence == {"reason": "shorter than 25 ms"}
    assert not fake.heard
    fake.text = None
    nothing = made.transcribe(noise(0.025), "zh")
    assert (nothing.text, nothing.evidence) == ("", {"reason": "no character was found"})
    with pytest.raises(MeasurementError, match=r"knows Chinese \(zh\), the text is 'en'"):
        made.transcribe(noise(1), "en")


def test_another_network_or_half_of_one_is_refused(fake: Fake, folder: Path) -> None:
    made = backend.create({"model": str(folder), "device": "cpu"})
    fake.printed = "Warning, miss key in ckpt: encoder.embed.weight, /a/model.pt\n" * 2
    with pytest.raises(MissingExtra, match=r"lack 2 parameters .*, encoder\.embed\.weight among"):
        made.transcribe(noise(1), "zh")
    fake.printed = "Warning, miss key in ckpt: seaco_decoder.embed.weight, /a/model.pt\n"
    assert made.transcribe(noise(1), "zh").text  # of hot words, which are not used
    fake.network = SimpleNamespace()
    with pytest.raises(MissingExtra, match="no Paraformer, but SimpleNamespace"):
        backend.create({"model": str(folder), "device": "cpu"}).transcribe(noise(1), "zh")


def test_no_package_for_features_and_no_such_device(
    fake: Fake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backend.create({"model": str(folder), "device": "cuda"})
    made.check()
    fake.features = False
    with pytest.raises(MissingExtra, match=r"nothing to compute features with.*kaldi-native-fbank"):
        made.check()
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match=r"no CUDA device here.*asr\.device=cpu"):
        made.transcribe(noise(1), "zh")


def test_what_it_prints_and_logs_stays_with_it(
    fake: Fake, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    with backend._quiet() as printed:
        print("funasr version")
        logging.basicConfig(level=logging.INFO, force=True)
        logging.info("download models")
    assert printed.getvalue() == "funasr version\n"
    assert capfd.readouterr() == ("", "")
    assert (root.level, root.handlers) == before
    assert logging.getLogger().isEnabledFor(logging.WARNING)


@pytest.fixture(scope="module")
def real() -> Any:
    with backend._quiet():
        package = pytest.importorskip("funasr.auto.auto_model", reason="funasr is not installed")
        features = pytest.importorskip("funasr.utils.fbank")
    if not (features._HAS_TORCHAUDIO or features._knf):
        pytest.skip("funasr has neither torchaudio nor kaldi-native-fbank")
    return package


LETTERS = [*"的一是在不了有和人这中大为上个国我以要他时来用们", "a@@", "b", "c", "ktv"]
TOKENS = ["<blank>", "<s>", "</s>", *LETTERS, "<unk>"]
WIDTH, FEATURES = 16, 560
LAYERS = {
    "attention_heads": 2, "linear_units": 32, "dropout_rate": 0.1, "positional_dropout_rate": 0.1,
}  # fmt: skip
DECODER = LAYERS | {
    "self_attention_dropout_rate": 0.1, "src_attention_dropout_rate": 0.1, "sanm_shfit": 0,
}  # fmt: skip
CONFIGURATION = {
    "model": "SeacoParaformer",
    "model_conf": {
        "ctc_weight": 0.0, "lsm_weight": 0.1, "predictor_weight": 1.0, "predictor_bias": 1,
        "inner_dim": WIDTH, "bias_encoder_type": "lstm", "bias_encoder_bid": False,
        "train_decoder": False, "NO_BIAS": len(TOKENS) - 2,
    },
    "encoder": "SANMEncoder",
    "encoder_conf": LAYERS | {
        "output_size": WIDTH, "num_blocks": 2, "attention_dropout_rate": 0.1, "input_layer": "pe",
        "pos_enc_class": "SinusoidalPositionEncoder", "normalize_before": True, "kernel_size": 11,
        "sanm_shfit": 0, "selfattention_layer_type": "sanm",
    },
    "decoder": "ParaformerSANMDecoder",
    "decoder_conf": DECODER | {"num_blocks": 2, "att_layer_num": 2, "kernel_size": 11},
    "seaco_decoder": "ParaformerSANMDecoder",
    "seaco_decoder_conf": DECODER | {
        "num_blocks": 1, "kernel_size": 21, "use_output_layer": False, "wo_input_layer": True,
    },
    "predictor": "CifPredictorV3",
    "predictor_conf": {
        "idim": WIDTH, "threshold": 1.0, "l_order": 1, "r_order": 1, "tail_threshold": 0.45,
        "smooth_factor2": 0.25, "noise_threshold2": 0.01, "upsample_times": 3,
        "use_cif1_cnn": False, "upsample_type": "cnn_blstm",
    },
    "frontend": "WavFrontend",
    "frontend_conf": {
        "fs": 16000, "window": "hamming", "n_mels": 80, "frame_length": 25, "frame_shift": 10,
        "lfr_m": 7, "lfr_n": 6,
    },
    "tokenizer": "CharTokenizer",
    "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
    "ctc_conf": {"dropout_rate": 0.0, "ctc_type": "builtin"},
}  # fmt: skip
META = {
    "init_param": "model.pt", "config": "config.yaml",
    "tokenizer_conf": {"token_list": "tokens.json", "seg_dict_file": "seg_dict"},
    "frontend_conf": {"cmvn_file": "am.mvn"},
}  # fmt: skip


@pytest.fixture(scope="module")
def model(real: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The official model's files and layout, 16 wide and 2 layers deep, with random weights."""
    import torch

    folder = tmp_path_factory.mktemp("paraformer")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIGURATION), encoding="utf-8")
    (folder / "tokens.json").write_text(json.dumps(TOKENS), encoding="utf-8")
    (folder / "configuration.json").write_text(json.dumps({"file_path_metas": META}))
    (folder / "seg_dict").write_text("")
    shift, scale = (" ".join([value] * FEATURES) for value in ("-8.0", "0.2"))
    (folder / "am.mvn").write_text(
        f"<Nnet>\n<AddShift> {FEATURES} {FEATURES}\n<LearnRateCoef> 0 [ {shift} ]\n"
        f"<Rescale> {FEATURES} {FEATURES}\n<LearnRateCoef> 0 [ {scale} ]\n</Nnet>\n"
    )
    build = real.tables.model_classes["SeacoParaformer"]
    parts = {name: part for name, part in CONFIGURATION.items() if name not in ("model",)}
    torch.manual_seed(0)
    network = build(
        **CONFIGURATION["model_conf"], **{k: v for k, v in parts.items() if k != "model_conf"},
        input_size=FEATURES, vocab_size=len(TOKENS), token_list=TOKENS,
    )  # fmt: skip
    for parameter in network.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    torch.save({"state_dict": network.state_dict()}, folder / "model.pt")
    return folder


@pytest.fixture
def made(model: Path) -> backend.Paraformer:
    return backend.create({"model": str(model), "device": "cpu"})


CLIPS = [noise(seconds, seed, 0.001) for seed, seconds in enumerate((1.0, 2.0, 3.3))]


def test_a_transcript_depends_on_the_clip_alone(made: backend.Paraformer, model: Path) -> None:
    made.check()
    heard = [made.transcribe(clip, "zh") for clip in CLIPS]
    assert len({one.text for one in heard}) == len(CLIPS)
    assert all(set(one.text) <= {*"".join(LETTERS), " "} for one in heard)
    again = backend.create({"model": str(model), "device": "cpu"})
    assert [again.transcribe(clip, "zh") for clip in CLIPS[::-1]] == heard[::-1]


def test_dither_is_off_and_would_matter(made: backend.Paraformer, real: Any, model: Path) -> None:
    quiet = noise(3, level=1e-4)
    assert "dither" not in CONFIGURATION["frontend_conf"]
    with backend._quiet():
        usual = real.AutoModel(
            model=str(model), device="cpu", disable_update=True, disable_pbar=True, ncpu=1
        )
    assert len({usual.generate(input=quiet, fs=16000)[0]["text"] for _ in range(5)}) > 1
    assert len({made.transcribe(quiet, "zh").text for _ in range(5)}) == 1


def test_samples_are_heard_as_the_file_is(made: backend.Paraformer, tmp_path: Path) -> None:
    """The official call, on a file at 16 kHz."""
    import soundfile

    soundfile.write(tmp_path / "clip.wav", CLIPS[1], 16000, subtype="FLOAT")
    official = made._model.generate(input=str(tmp_path / "clip.wav"), batch_size_s=300)
    assert made.transcribe(CLIPS[1], "zh").text == official[0]["text"]


def test_clips_of_unequal_length_change_each_other_in_a_batch(made: backend.Paraformer) -> None:
    """Why there are no batches here; when FunASR mends it, there may be."""
    clips = [noise(seconds, 9) for seconds in np.linspace(0.5, 4.0, 16)]
    together = made._model.generate(input=clips, fs=16000, batch_size=len(clips))
    alone = [made.transcribe(clip, "zh").text for clip in clips]
    assert [one["text"] for one in together] != alone


def test_torchs_threads_and_the_logs_stay_as_they_are(
    model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        backend.create({"model": str(model), "device": "cpu"}).transcribe(CLIPS[0], "zh")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
    assert capfd.readouterr() == ("", "")


def test_hardly_anything_to_hear(made: backend.Paraformer) -> None:
    assert made.transcribe(noise(0.025), "zh").text in {"", *LETTERS}
    assert made.transcribe(noise(0.02), "zh").evidence == {"reason": "shorter than 25 ms"}


def test_weights_that_are_not_all_there_and_broken_ones(model: Path, tmp_path: Path) -> None:
    import torch

    shutil.copytree(model, tmp_path / "copy")
    weights = tmp_path / "copy" / "model.pt"
    state = torch.load(weights, weights_only=True)["state_dict"]
    copy = {"model": str(tmp_path / "copy"), "device": "cpu"}
    del state["decoder.decoders.0.norm1.weight"]
    torch.save({"state_dict": state}, weights)
    with pytest.raises(MissingExtra, match=r"lack 1 parameters .*decoder\.decoders\.0\.norm1"):
        backend.create(copy).transcribe(CLIPS[0], "zh")
    state["decoder.decoders.0.norm1.weight"] = torch.zeros(WIDTH + 1)
    torch.save({"state_dict": state}, weights)
    with pytest.raises(MissingExtra, match=r"can't load this model .*norm1"):
        backend.create(copy).transcribe(CLIPS[0], "zh")
