"""The bridge to utmosv2, against a stand-in with that package's signatures and use of chance."""

from __future__ import annotations

import random
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from synthetic_voice import RATE_HZ, speak

from mamtra_eval import audio, extras, registry
from mamtra_eval.errors import MeasurementError, MissingExtra, UserError
from mamtra_eval.metrics import Item, utmosv2
from mamtra_eval.testset import TestSet, Utterance

TESTSET = TestSet("some", Path("some.lst"), "en", (Utterance("u", "some text"),))

# As in v1.3.0: excerpts and mixtures come from numpy's global generator, the data loader draws from
# torch's; silence is what stays below 0.1 for 0.3 s; an empty clip can't be repeated.
STAND_IN = """
import huggingface_hub.constants
import numpy as np
import torch

CALLS = []


def create_model(pretrained=True, config="fusion_stage3", fold=0, checkpoint_path=None, seed=42,
                 device="auto"):
    CALLS.append(("create_model", dict(pretrained=pretrained, config=config, fold=fold)))
    assert huggingface_hub.constants.HF_HUB_OFFLINE, "it would have fetched models"
    assert not pretrained, "it would have fetched weights"
    return Model()


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.rand(1))

    def predict(self, *, data=None, sr=16000, input_path=None, input_dir=None, val_list=None,
                val_list_path=None, predict_dataset="sarulab", device="cuda:0", num_workers=0,
                batch_size=16, num_repetitions=1, remove_silent_section=True, verbose=True):
        assert sr == 16000 and isinstance(data, np.ndarray) and data.ndim == 1
        CALLS.append(("predict", dict(
            predict_dataset=predict_dataset, device=device, num_workers=num_workers,
            num_repetitions=num_repetitions, remove_silent_section=remove_silent_section,
            verbose=verbose,
        )))
        samples = loud(data) if remove_silent_section else data
        looks = [self.look(samples) for _ in range(num_repetitions)]
        return np.array([np.mean(looks)], dtype=np.float32)

    def look(self, samples):
        torch.empty((), dtype=torch.int64).random_()
        n = 3 * 16000
        samples = np.tile(samples, n // len(samples) + 1) if len(samples) <= n else samples
        start = np.random.randint(0, len(samples) - n)
        level = np.abs(samples[start : start + n]).mean()
        return self.scale.item() * level * np.random.beta(0.4, 0.4)


def loud(samples):
    kept, start = np.ones(len(samples), dtype=bool), 0
    for index in np.flatnonzero(np.append(samples >= 0.1, True)):
        if index - start > 4800:
            kept[start:index] = False
        start = index + 1
    return samples[kept]
"""


@pytest.fixture
def package(monkeypatch, tmp_path):
    """The stand-in, importable and as if installed; its calls."""
    pytest.importorskip("huggingface_hub")
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "utmosv2.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    monkeypatch.delitem(sys.modules, "utmosv2", raising=False)
    monkeypatch.setattr(extras, "version", lambda name: {"utmosv2": "1.3.0"}[name])
    import utmosv2 as stand_in

    yield stand_in.CALLS
    sys.modules.pop("utmosv2", None)


@pytest.fixture
def weights(tmp_path):
    torch.save({"scale": torch.full((1,), 2.0)}, tmp_path / "own.pth")
    return tmp_path / "own.pth"


@pytest.fixture
def make(package, weights):
    def create(**options):
        return utmosv2.create({"weights": weights, "device": "cpu", **options})

    return create


def item(samples):
    made = Item("u", "some text", Path("none.wav"))
    made._at_16k["soxr"] = samples
    return made


def score(metric, clip):
    return metric.measure(item(clip)).counts["utmosv2"]


def test_neither_order_nor_other_clips_matter(make):
    clips = [speak(seed, 4.0) for seed in (1, 2, 3)]
    metric = make()
    first = [score(metric, clip) for clip in clips]
    np.random.rand(7)
    torch.rand(7)
    assert [score(metric, clip) for clip in reversed(clips)] == first[::-1]
    assert [score(make(), clip) for clip in clips] == first
    assert len(set(first)) == 3
    readings = metric.measure_many([item(clip) for clip in clips])
    assert [reading.counts["utmosv2"] for reading in readings] == first


def test_excerpts_are_drawn_by_the_clip(make):
    clip, metric = speak(1, 4.0), make(remove_silent_section=False)
    half = score(metric, clip * np.float32(0.5))
    assert half != pytest.approx(0.5 * score(metric, clip), rel=1e-3)


def test_another_seed_or_more_looks_are_another_measurement(make):
    clip = speak(1, 4.0)
    found = {score(make(**options), clip) for options in (
        {}, {"seed": 1}, {"num_repetitions": 6}, {"remove_silent_section": False})}  # fmt: skip
    assert len(found) == 4


def test_the_generators_are_left_as_they_were(make):
    metric = make()
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(99)
    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    score(metric, speak(1, 4.0))
    assert random.getstate() == states[0]
    assert repr(np.random.get_state()) == repr(states[1])
    assert torch.equal(torch.random.get_rng_state(), states[2])
    with pytest.raises(MeasurementError):
        score(metric, speak(1, 4.0) * np.float32(0.1))
    assert repr(np.random.get_state()) == repr(states[1])


def test_every_choice_is_said_to_the_package(make, package):
    score(make(fold=3, num_repetitions=2, predict_dataset="bvcc"), speak(1, 4.0))
    assert package == [
        ("create_model", {"pretrained": False, "config": "fusion_stage3", "fold": 3}),
        (
            "predict",
            {
                "predict_dataset": "bvcc", "device": "cpu", "num_workers": 0, "verbose": False,
                "num_repetitions": 2, "remove_silent_section": True,
            },
        ),
    ]  # fmt: skip


def test_every_choice_is_in_the_signature(make, weights):
    assert make().signature() == (
        f"metric:utmosv2-1.3.0|config:fusion_stage3|fold:0|weights:{audio.sha256(weights)[:8]}"
        "|repetitions:5|remove_silent:true|dataset:sarulab|seed:0-content|precision:fp32"
    )
    others = (
        {"fold": 1}, {"num_repetitions": 1}, {"remove_silent_section": "no"}, {"seed": 4},
        {"predict_dataset": "somos"}, {"device": "cuda:0"},
    )  # fmt: skip
    signatures = {make(**options).signature() for options in ({}, *others)}
    assert len(signatures) == 1 + len(others)
    assert make(device="cuda:0").signature().endswith("precision:fp16-autocast")


def test_a_quiet_clip_of_which_the_package_leaves_nothing(make):
    quiet = speak(1, 4.0) * np.float32(0.1)
    with pytest.raises(MeasurementError, match=r"no sample above 0\.1.*remove_silent_section"):
        score(make(), quiet)
    assert score(make(remove_silent_section=False), quiet) > 0
    with pytest.raises(MeasurementError, match="digital silence"):
        score(make(), np.zeros(16000, np.float32))


def test_end_to_end_from_a_file(make, weights, tmp_path):
    clip = speak(1, 4.0)
    soundfile.write(tmp_path / "clip.flac", clip, RATE_HZ, subtype="PCM_16")
    metric = registry.create("metrics", "utmosv2", {"weights": str(weights), "device": "cpu"})
    metric.check(TESTSET)
    reading = metric.measure(Item("u", "some text", tmp_path / "clip.flac"))
    assert reading.counts == {"utmosv2": score(make(), clip)}
    (figure,) = metric.figures
    assert (figure.name, figure.unit, figure.higher_is_better) == ("utmosv2", "mos", True)


def test_the_hub_is_kept_to_its_cache_for_the_loading_only(make):
    constants = pytest.importorskip("huggingface_hub.constants")
    before = constants.HF_HUB_OFFLINE
    make().check(TESTSET)  # in which the stand-in looks
    assert before == constants.HF_HUB_OFFLINE


@pytest.mark.parametrize("state", [{"other": torch.ones(1)}, {"scale": torch.ones(2)}, {}])
def test_other_weights_and_models_out_of_reach_are_refused(make, tmp_path, state):
    torch.save(state, tmp_path / "wrong.pth")
    with pytest.raises(
        MissingExtra, match=r"loaded \(RuntimeError.*hf download facebook/wav2vec2-base"
    ):
        make(weights=tmp_path / "wrong.pth").check(TESTSET)


def test_without_the_package(monkeypatch, weights):
    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(extras, "version", absent)
    monkeypatch.setitem(sys.modules, "utmosv2", None)
    metric = utmosv2.create({"weights": weights, "device": "cpu"})
    for attempt in (lambda: metric.check(TESTSET), metric.signature):
        with pytest.raises(MissingExtra) as caught:
            attempt()
        assert "utmosv2" in caught.value.what
        source = "pip install 'git+https://github.com/sarulab-speech/UTMOSv2@v1.3.0'"
        assert source in (caught.value.fix or "").replace("--force-reinstall ", "")


def test_without_weights(package, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("UTMOSV2_CHACHE", str(tmp_path / "own"))
    with pytest.raises(MissingExtra, match=r"curl .*UTMOSv2/resolve/main/fold2_s42_best_model"):
        utmosv2.create({"fold": 2}).check(TESTSET)
    own = tmp_path / "own" / "models" / "fusion_stage3" / "fold2_s42_best_model.pth"
    own.parent.mkdir(parents=True)
    torch.save({"scale": torch.ones(1)}, own)
    utmosv2.create({"fold": 2, "device": "cpu"}).check(TESTSET)
    (listed,) = utmosv2.weights()
    assert listed.find() is None
    assert listed.sha256 is not None


def test_options():
    for options, message in (
        ({"fold": 5}, "must be 0 to 4"),
        ({"fold": -1}, "must be 0 to 4"),
        ({"num_repetitions": 0}, "at least 1"),
        ({"predict_dataset": "sarulap"}, "Did you mean sarulab"),
        ({"folds": 1}, "Did you mean fold"),
    ):
        with pytest.raises(UserError, match=message):
            utmosv2.create(options)
