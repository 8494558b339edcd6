"""SpeechBrain: the refusals always, the encoding with random weights where the package works."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mamtra_eval import audio, extras
from mamtra_eval.errors import MeasurementError, MissingExtra, UserError
from mamtra_eval.speakers import speechbrain as plugin

REPOSITORY = Path(__file__).parent.parent.parent
RNG = np.random.default_rng(0)
HYPERPARAMETERS = """
pretrained_path: nobody/nowhere
n_mels: 20
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: [16, 16, 16, 16, 48]
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    attention_channels: 8
    lin_neurons: 12
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: 12
    out_neurons: 2
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    classifier: !ref <classifier>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
"""


def noise(seconds: float) -> audio.Samples:
    return (0.1 * RNG.standard_normal(int(16000 * seconds))).astype(np.float32)


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder whose packages take the place of the real ones, for the length of a test."""
    real = _forget()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    _forget()
    sys.modules.update(real)


def _forget() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.startswith(("speechbrain", "torchaudio"))]
    return {name: sys.modules.pop(name) for name in names}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the package were there, as far as its metadata go."""
    monkeypatch.setattr(extras, "version", lambda package: "1")


def test_absent_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(extras, "version", absent)
    for attempt in (plugin.create({}).signature, plugin.create({}).check):
        with pytest.raises(MissingExtra, match=r"speechbrain, which is not installed.*\[speaker\]"):
            attempt()


def test_a_release_without_what_is_needed(installed: None, hidden: Path) -> None:
    (hidden / "speechbrain").mkdir()
    (hidden / "speechbrain" / "__init__.py").write_text("")
    with pytest.raises(MissingExtra, match=r"No module named 'speechbrain\.inference'.*--upgrade"):
        plugin.create({}).check()


def test_a_torchaudio_that_does_not_load_its_library(installed: None, hidden: Path) -> None:
    package = hidden / "speechbrain" / "inference"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("import torchaudio\n")
    (hidden / "torchaudio.py").write_text(
        'raise OSError("libcudart.so.13: cannot open shared object file: No such file")\n'
    )
    with pytest.raises(MissingExtra) as caught:
        plugin.create({}).check()
    assert "(torchaudio: OSError: libcudart.so.13: cannot open" in str(caught.value)
    assert "The wheel of torchaudio is built for CUDA: install the CUDA build" in str(caught.value)


def test_nothing_heavy_is_imported_to_be_made_and_signed(installed: None) -> None:
    before = set(sys.modules)
    signature = plugin.create({}).signature()
    assert signature == f"encoder:speechbrain-1|source:{plugin.HUB}"
    assert not {"torch", "speechbrain", "torchaudio"} & (set(sys.modules) - before)


def test_files_are_put_into_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert Path.home() in plugin.create({}).savedir.parents
    assert REPOSITORY not in plugin.create({}).savedir.parents
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert plugin.create({}).savedir.parent == Path("/cache/mamtra-eval/speechbrain")
    assert plugin.create({"savedir": "/there"}).savedir == Path("/there")


@pytest.mark.parametrize("source", ["./nowhere", "nowhere", "/no/where/at/all"])
def test_a_folder_that_holds_no_model(installed: None, source: str) -> None:
    with pytest.raises(UserError, match=r"no hyperparams\.yaml.*speechbrain/spkrec-ecapa"):
        plugin.create({"source": source}).signature()


@pytest.fixture(scope="module")
def speechbrain() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return extras.import_extra("speechbrain.inference.classifiers", *plugin.NEEDS)
    except MissingExtra as error:  # importorskip knows ImportError only
        pytest.skip(str(error))


@pytest.fixture
def folder(speechbrain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small ECAPA-TDNN of random weights, whose hyperparameters point elsewhere."""
    import torch
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.manual_seed(0)
    network = ECAPA_TDNN(20, channels=[16, 16, 16, 16, 48], attention_channels=8, lin_neurons=12)
    path = tmp_path / "ecapa"
    path.mkdir()
    (path / "hyperparams.yaml").write_text(HYPERPARAMETERS)
    torch.save(network.state_dict(), path / "embedding_model.ckpt")
    return path


@pytest.mark.filterwarnings("ignore")
def test_random_weights_encode(folder: Path) -> None:
    encoder = plugin.create({"source": str(folder), "device": "cpu"})
    encoder.check()
    one = noise(1.0)
    first = encoder.embed(one)
    assert first.shape == (12,)
    assert first.dtype == np.float32
    assert np.linalg.norm(first) == pytest.approx(1.0, abs=1e-6)
    assert np.dot(first, encoder.embed(noise(2.0))) < 0.9999
    np.testing.assert_array_equal(first, encoder.embed(one))
    assert {path.name for path in folder.iterdir()} == {"hyperparams.yaml", "embedding_model.ckpt"}


@pytest.mark.filterwarnings("ignore")
def test_other_weights_in_the_folder_are_another_encoder(folder: Path) -> None:
    import torch

    first = plugin.create({"source": str(folder), "device": "cpu"})
    clip = noise(1.0)
    before = first.embed(clip)
    state = torch.load(folder / "embedding_model.ckpt", weights_only=True)
    torch.save({key: value * 1.5 for key, value in state.items()}, folder / "embedding_model.ckpt")
    other = plugin.create({"source": str(folder), "device": "cpu"})
    assert other.signature() != first.signature()
    assert np.abs(other.embed(clip) - before).max() > 1e-3


@pytest.mark.filterwarnings("ignore")
def test_clips_without_a_voice(folder: Path) -> None:
    encoder = plugin.create({"source": str(folder), "device": "cpu"})
    for clip in (np.zeros(16000, np.float32), noise(0.05), np.zeros(0, np.float32)):
        with pytest.raises(MeasurementError, match="no voice to encode"):
            encoder.embed(clip)


@pytest.mark.filterwarnings("ignore")
def test_a_hub_out_of_reach(
    speechbrain: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.hf_hub_download", _out_of_reach)
    with pytest.raises(MissingExtra) as caught:
        plugin.create({"savedir": str(tmp_path)}).check()
    assert "can't be loaded (ConnectionError: no network)" in str(caught.value)
    assert "speaker.source=FOLDER" in str(caught.value)


def _out_of_reach(**options: object) -> str:
    raise ConnectionError("no network")
