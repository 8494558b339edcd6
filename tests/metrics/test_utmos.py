"""UTMOS22-strong: the network against other implementations, the metric with small weights."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny_utmos
import torch
from synthetic_voice import RATE_HZ, speak

from mamtra_eval import audio, rates, registry
from mamtra_eval.errors import MeasurementError, MissingExtra, UserError
from mamtra_eval.metrics import Item, Reading, _utmos_network, utmos
from mamtra_eval.metrics._utmos_ssl import SslDimensions, Wav2Vec2
from mamtra_eval.testset import TestSet, Utterance

TESTS = Path(__file__).parent.parent
MINI = TESTS.parent / "testsets" / "mini-en" / "recordings"
TESTSET = TestSet("some", Path("some.lst"), "en", (Utterance("u", "some text"),))
PUBLISHED_BYTES = 411_179_119


@pytest.fixture
def weights(tmp_path, monkeypatch):
    tiny_utmos.use(monkeypatch)
    return tiny_utmos.write(tmp_path / "tiny.pt")


@pytest.fixture
def metric(weights):
    return utmos.create({"weights": weights, "device": "cpu", "batch_size": 3})


@pytest.fixture(scope="module")
def network():
    return tiny_utmos.make()


def item(samples):
    made = Item("u", "some text", Path("none.wav"))
    made._at_16k.update(sinc=samples, soxr=samples)
    return made


def score(network, *clips):
    return _utmos_network.predict(network, clips)


# --- the network --------------------------------------------------------------------------------


def test_features_are_those_of_transformers_wav2vec2():
    transformers = pytest.importorskip("transformers")
    sizes = tiny_utmos.TINY.ssl
    kernels, strides = zip(*sizes.convolutions, strict=True)
    theirs = transformers.Wav2Vec2Model(
        transformers.Wav2Vec2Config(
            hidden_size=sizes.width, num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads, intermediate_size=sizes.feed_forward,
            conv_dim=[sizes.channels] * len(kernels), conv_kernel=[*kernels],
            conv_stride=[*strides], num_feat_extract_layers=len(kernels), conv_bias=False,
            num_conv_pos_embeddings=sizes.position_kernel,
            num_conv_pos_embedding_groups=sizes.position_groups,
            feat_extract_norm="group", do_stable_layer_norm=False,
        )
    ).eval()  # fmt: skip
    tiny_utmos.randomize(theirs)
    ours = Wav2Vec2(sizes).eval()
    ours.load_state_dict({fairseq_name(k): v for k, v in theirs.state_dict().items()})
    samples = torch.from_numpy(np.stack([speak(1, 1.03), speak(2, 1.03)]))
    with torch.inference_mode():
        expected = theirs(samples).last_hidden_state
        found = ours(samples)
    assert expected.std() > 0.5
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def fairseq_name(name):
    """A name of transformers in fairseq's terms."""
    replacements = {
        "masked_spec_embed": "mask_emb",
        "feature_projection.layer_norm": "layer_norm",
        "feature_projection.projection": "post_extract_proj",
        "conv.weight": "0.weight",
        "conv_layers.0.layer_norm": "conv_layers.0.2",
        "pos_conv_embed.conv": "pos_conv.0",
        "pos_conv_embed.0.weight": "pos_conv.0.weight",
        "parametrizations.weight.original0": "weight_g",
        "parametrizations.weight.original1": "weight_v",
        "attention": "self_attn",
        "feed_forward.intermediate_dense": "fc1",
        "feed_forward.output_dense": "fc2",
    }
    for theirs, fairseq in replacements.items():
        name = name.replace(theirs, fairseq)
    parts = name.split(".")
    if parts[:2] == ["encoder", "layers"] and parts[3] == "layer_norm":
        parts[3] = "self_attn_layer_norm"
    return ".".join(parts)


def test_the_score_by_hand(network):
    clips = [speak(1, 0.6), speak(2, 0.6)]
    tensors = {name: value.double().numpy() for name, value in network.state_dict().items()}
    with torch.inference_mode():
        features = network.wav2vec2(torch.from_numpy(np.stack(clips))).double().numpy()
    expected = [opinion(frames, tensors) for frames in features]
    assert abs(expected[0] - expected[1]) > 1e-3
    assert score(network, *clips) == pytest.approx(expected, abs=1e-5)


def opinion(frames, tensors):
    """Domain behind the features, then the judge; LSTM both ways, dense, ReLU, dense, mean."""
    n = len(frames)
    domain, judge = (np.repeat(tensors[name], n, axis=0) for name in ("domain_emb", "judge_emb"))
    inputs = np.concatenate([frames, domain, judge], axis=1)
    forward = lstm(inputs, tensors, "")
    backward = lstm(inputs[::-1], tensors, "_reverse")[::-1]
    hidden = np.concatenate([forward, backward], axis=1)
    wide = hidden @ tensors["projection.0.weight"].T + tensors["projection.0.bias"]
    scores = np.maximum(wide, 0) @ tensors["projection.2.weight"].T + tensors["projection.2.bias"]
    return scores.mean() * 2 + 3


def lstm(inputs, tensors, direction):
    own = {name: tensors[f"blstm.{name}_l0{direction}"] for name in (
        "weight_ih", "weight_hh", "bias_ih", "bias_hh")}  # fmt: skip
    size = own["weight_hh"].shape[1]
    hidden, cell, outputs = np.zeros(size), np.zeros(size), []
    for frame in inputs:
        gates = own["weight_ih"] @ frame + own["bias_ih"] + own["weight_hh"] @ hidden
        enter, forget, new, leave = np.split(gates + own["bias_hh"], 4)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
        hidden = sigmoid(leave) * np.tanh(cell)
        outputs.append(hidden)
    return np.array(outputs)


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def test_names_and_shapes_are_those_of_the_published_file():
    with torch.device("meta"):
        made = _utmos_network.Utmos22Strong(_utmos_network.PUBLISHED)
    found = {name: tuple(tensor.shape) for name, tensor in made.state_dict().items()}
    expected = published_shapes()
    assert found == expected
    size = 4 * sum(int(np.prod(shape)) for shape in expected.values())
    # What is left of the published file are the headers of its records.
    assert 0 < PUBLISHED_BYTES - size < 512 * (len(expected) + 8)


def published_shapes():
    ssl, encoder = "wav2vec2", "wav2vec2.encoder"
    shapes = {f"{ssl}.mask_emb": (768,), "domain_emb": (1, 128), "judge_emb": (1, 128)}
    for index, kernel in enumerate((10, 3, 3, 3, 3, 2, 2)):
        name = f"{ssl}.feature_extractor.conv_layers.{index}.0.weight"
        shapes[name] = (512, 512 if index else 1, kernel)
    shapes[f"{encoder}.pos_conv.0.weight_g"] = (1, 1, 128)
    shapes[f"{encoder}.pos_conv.0.weight_v"] = (768, 48, 128)
    shapes[f"{encoder}.pos_conv.0.bias"] = (768,)
    layers = [f"{encoder}.layers.{index}" for index in range(12)]
    norms = {f"{ssl}.feature_extractor.conv_layers.0.2": 512, f"{ssl}.layer_norm": 512}
    norms[f"{encoder}.layer_norm"] = 768
    dense = {f"{ssl}.post_extract_proj": (768, 512)}
    dense["projection.0"], dense["projection.2"] = (2048, 1024), (1, 2048)
    for layer in layers:
        norms[f"{layer}.self_attn_layer_norm"] = norms[f"{layer}.final_layer_norm"] = 768
        dense[f"{layer}.fc1"], dense[f"{layer}.fc2"] = (3072, 768), (768, 3072)
        for part in "qkv":
            dense[f"{layer}.self_attn.{part}_proj"] = (768, 768)
        dense[f"{layer}.self_attn.out_proj"] = (768, 768)
    for name, size in norms.items():
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (size,)
    for name, (rows, columns) in dense.items():
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (rows, columns), (rows,)
    for direction in ("l0", "l0_reverse"):
        shapes[f"blstm.weight_ih_{direction}"] = (4 * 512, 768 + 128 + 128)
        shapes[f"blstm.weight_hh_{direction}"] = (4 * 512, 512)
        shapes[f"blstm.bias_ih_{direction}"] = shapes[f"blstm.bias_hh_{direction}"] = (4 * 512,)
    return shapes


def test_one_frame_takes_400_samples_and_the_next_320_more(network):
    assert SslDimensions().receptive_field == 400
    for samples, frames in ((400, 1), (719, 1), (720, 2), (16000, 49)):
        found = network.wav2vec2(torch.zeros(1, samples))
        assert found.shape == (1, frames, tiny_utmos.TINY.ssl.width)
    with pytest.raises(RuntimeError):
        network.wav2vec2(torch.zeros(1, 399))


def test_clips_of_one_length_do_not_hear_each_other(network):
    clips = [speak(seed, 1.1) for seed in (1, 2, 3)]
    alone = [score(network, clip)[0] for clip in clips]
    assert np.ptp(alone) > 1e-3
    assert score(network, *clips) == pytest.approx(alone, abs=1e-5)


def test_zeros_behind_a_clip_change_its_score_and_every_frame(network):
    clip = speak(5, 1.0)
    padded = np.pad(clip, (0, len(clip)))
    assert abs(score(network, padded)[0] - score(network, clip)[0]) > 0.05
    # Without the norm over time, features of 25 ms could not hear what follows half a second on.
    local = network.wav2vec2.feature_extractor
    plain, other = (local(torch.from_numpy(samples)[None])[0, :, :25] for samples in (clip, padded))
    assert (plain - other).norm() / plain.norm() > 0.1


def test_offset_level_and_sign(network):
    loud = speak(5, 1.0)
    plain = score(network, loud)[0]
    # The first convolution has no bias and its norm takes the mean out: an offset can't be heard.
    assert score(network, loud + np.float32(0.3))[0] == pytest.approx(plain, abs=1e-4)
    # Level is heard through the norm's constant only: where that is nothing, a gain is nothing.
    high = [score(network, loud * np.float32(gain))[0] for gain in (1e3, 2e3)]
    assert high[0] == pytest.approx(high[1], abs=1e-4)
    moved = [abs(score(network, loud * np.float32(gain))[0] - plain) for gain in (0.5, 0.1, 0.01)]
    assert moved == sorted(moved)
    assert 1e-3 < moved[0] < 0.05 < moved[-1]
    assert abs(score(network, -loud)[0] - plain) > 1e-3


def test_global_settings_are_left_as_they_were(metric, monkeypatch):
    seen = []
    monkeypatch.setattr(
        _utmos_network.Utmos22Strong, "forward",
        lambda self, samples: seen.append(torch.backends.cudnn.allow_tf32) or samples[:, 0],
    )  # fmt: skip
    before = torch.backends.cudnn.allow_tf32, torch.get_num_threads()
    metric.measure(item(speak(1, 0.5)))
    assert seen == [False]
    assert (torch.backends.cudnn.allow_tf32, torch.get_num_threads()) == before


# --- its weights --------------------------------------------------------------------------------


def load(path):
    return _utmos_network.load(path, tiny_utmos.TINY)


def test_weights_are_all_read(tmp_path, network):
    loaded = load(tiny_utmos.write(tmp_path / "tiny.pt"))
    clip = speak(1, 1.0)
    assert score(loaded, clip) == score(network, clip)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    for name, tensor in network.state_dict().items():
        # A bias of the keys adds the same to all that a softmax compares.
        if name != _utmos_network.UNUSED and not name.endswith("k_proj.bias"):
            other = load(tiny_utmos.write(tmp_path / "o.pt", **{name: tensor + signs(tensor)}))
            assert score(other, clip) != score(network, clip), name


def signs(tensor):
    return 0.5 * torch.sign(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1)))


def test_what_is_not_used_may_be_anything(tmp_path, network):
    nothing = torch.full((tiny_utmos.TINY.ssl.width,), float("nan"))
    loaded = load(tiny_utmos.write(tmp_path / "tiny.pt", **{_utmos_network.UNUSED: nothing}))
    assert score(loaded, speak(1, 1.0)) == score(network, speak(1, 1.0))


def test_half_precision_weights_work_in_float32(tmp_path, network):
    halved = {name: tensor.half() for name, tensor in network.state_dict().items()}
    torch.save(halved, tmp_path / "half.pt")
    loaded = load(tmp_path / "half.pt")
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    assert score(loaded, speak(1, 1.0)) == pytest.approx(score(network, speak(1, 1.0)), abs=0.01)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"judge_emb": None}, "missing: judge_emb"),
        ({"extra.weight": torch.ones(2)}, r"unexpected: extra\.weight"),
        ({"domain_emb": torch.ones(1, 7)}, r"misshapen: domain_emb \(1, 7\) instead of \(1, 6\)"),
        ({"judge_emb": torch.full((1, 5), float("nan"))}, "not finite: judge_emb"),
    ],
)
def test_other_weights_are_refused_by_name(tmp_path, changed, message):
    path = tiny_utmos.write(tmp_path / "other.pt", **changed)
    with pytest.raises(UserError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


class Program:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize("content", [b"", b"nothing", pickle.dumps(Program())])
def test_what_is_no_file_of_weights(tmp_path, capsys, content):
    (tmp_path / "bad.pt").write_bytes(content)
    with pytest.raises(MissingExtra, match=r"no file of weights.*utmos22_strong_step7459_v1\.pt"):
        load(tmp_path / "bad.pt")
    torch.save({"state": {"x": 1}}, tmp_path / "nested.pt")
    with pytest.raises(MissingExtra, match="something else than named tensors"):
        load(tmp_path / "nested.pt")
    assert capsys.readouterr().out == ""


# --- the metric ---------------------------------------------------------------------------------


def test_end_to_end_on_recordings(weights):
    metric = registry.create("metrics", "utmos", {"weights": str(weights), "batch_size": "2"})
    metric.check(TESTSET)
    digest = audio.sha256(weights)[:8]
    assert metric.signature() == (
        f"metric:utmos22-strong|weights:{digest}|judge:288|domain:0|precision:fp32|batch:2"
    )
    paths = sorted(MINI.glob("*.flac"))[:3]
    readings = metric.measure_many([Item(path.stem, "some text", path) for path in paths])
    values = [reading.counts["utmos"] for reading in readings]
    assert len(set(values)) == 3
    (figure,) = metric.figures
    assert (figure.name, figure.numerator, figure.unit) == ("utmos", "utmos", "mos")
    assert figure.higher_is_better
    assert figure.aggregate == "mean"
    assert "English" in metric.note


def test_batches_and_order_change_nothing(metric):
    lengths = (1.0, 0.7, 1.0, 0.7, 1.0, 1.0, 0.31)
    clips = [speak(seed, seconds) for seed, seconds in enumerate(lengths)]
    alone = [metric.measure(item(clip)).counts["utmos"] for clip in clips]
    for order in (range(7), (6, 3, 0, 5, 2, 1, 4)):
        readings = metric.measure_many([item(clips[position]) for position in order])
        found = [reading.counts["utmos"] for reading in readings]
        assert found == pytest.approx([alone[position] for position in order], abs=1e-5)


def test_clips_of_several_lengths_are_never_batched(metric, monkeypatch):
    batches = []
    predict = _utmos_network.predict

    def spy(network, clips):
        batches.append(sorted(len(clip) for clip in clips))
        return predict(network, clips)

    monkeypatch.setattr(_utmos_network, "predict", spy)
    lengths = (8000, 8001, 8000, 8000, 8000, 8001)
    metric.measure_many([item(speak(1, 1.0)[:length]) for length in lengths])
    assert sorted(batches) == [[8000], [8000, 8000, 8000], [8001, 8001]]


def test_what_goes_wrong_with_one_clip_is_its_own(metric, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"nothing")
    items = [
        item(speak(1, 0.5)), Item("u", "some text", broken), item(np.zeros(8000, np.float32)),
        item(speak(2, 0.5)),
    ]  # fmt: skip
    first, unread, silent, last = metric.measure_many(items)
    assert isinstance(unread, MeasurementError)
    assert "silence" in str(silent)
    assert first == metric.measure(items[0])
    assert last.counts["utmos"] == pytest.approx(metric.measure(items[3]).counts["utmos"], abs=1e-5)


def test_silent_and_short_clips_are_not_scored(metric):
    for clip in (np.zeros(8000, np.float32), np.full(8000, 0.25, np.float32)):
        with pytest.raises(MeasurementError, match="digital silence"):
            metric.measure(item(clip))
    with pytest.raises(MeasurementError, match="too short to score: 399 samples"):
        metric.measure(item(speak(1, 1.0)[2000:2399]))
    assert isinstance(metric.measure(item(speak(1, 1.0)[2000:2400])), Reading)


def test_a_score_that_is_no_number_is_a_failure(tmp_path, monkeypatch):
    tiny_utmos.use(monkeypatch)
    huge = torch.full((1, tiny_utmos.TINY.projection), 3e38)
    path = tiny_utmos.write(tmp_path / "huge.pt", **{"projection.2.weight": huge})
    metric = utmos.create({"weights": path, "device": "cpu"})
    with pytest.raises(MeasurementError, match="no number"):
        metric.measure(item(speak(1, 0.5)))
    (failure,) = metric.measure_many([item(speak(1, 0.5))])
    assert isinstance(failure, MeasurementError)


def test_the_format_of_the_file_changes_nothing(metric, tmp_path):
    clip = speak(5, 0.8)
    formats = {
        "plain.wav": (clip, "PCM_16"),
        "plain.flac": (clip, "PCM_16"),
        "float.wav": (clip, "FLOAT"),
        "stereo.wav": (np.stack([clip, clip], axis=1), "PCM_16"),
    }
    for name, (samples, kind) in formats.items():
        soundfile.write(tmp_path / name, samples, RATE_HZ, subtype=kind)
    scores = {metric.measure(Item("u", "x", tmp_path / name)).counts["utmos"] for name in formats}
    assert scores == {metric.measure(item(clip)).counts["utmos"]}


def test_other_rates_are_resampled_as_speechmos_does(weights, tmp_path):
    clip = speak(5, 1.2)
    soundfile.write(tmp_path / "fast.wav", clip, 24000, subtype="FLOAT")
    found = {}
    for method in ("sinc", "soxr"):
        options = {"weights": weights, "device": "cpu", "resample": method}
        metric = utmos.create(options)
        assert metric.resampler == method
        found[method] = metric.measure(Item("u", "x", tmp_path / "fast.wav")).counts["utmos"]
        expected = rates.resample(clip, 24000, 16000, method)
        assert found[method] == metric.measure(item(expected)).counts["utmos"]
    assert utmos.create({"weights": weights}).resampler == "sinc"
    assert found["sinc"] != found["soxr"]


def test_without_weights_it_is_refused_with_the_line_that_fetches_them(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    metric = utmos.create({})
    place = tmp_path / "mamtra-eval" / "weights" / utmos.FILE
    for attempt in (lambda: metric.check(TESTSET), metric.signature):
        with pytest.raises(MissingExtra) as caught:
            attempt()
        assert (
            f"curl -fL --create-dirs -o '{place}' 'https://github.com/tarepan/SpeechMOS/releases/"
            f"download/v1.0.0/utmos22_strong_step7459_v1.pt'" in str(caught.value)
        )
        assert "utmos.weights" in str(caught.value)
    (listed,) = utmos.weights()
    assert listed.path == place
    assert listed.sha256 is not None
    with pytest.raises(MissingExtra, match="there is no file with the weights"):
        utmos.create({"weights": tmp_path / "none.pt"}).check(TESTSET)


@pytest.mark.parametrize("home", ["torch", "elsewhere"])
def test_weights_where_speechmos_put_them_are_found(monkeypatch, tmp_path, home):
    tiny_utmos.use(monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    if home != "torch":
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / home))
    folder = tmp_path / home / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    path = tiny_utmos.write(folder / utmos.FILE)
    with pytest.raises(MissingExtra, match=r"not the published weights.*Fetch them again: curl"):
        utmos.create({}).check(TESTSET)
    monkeypatch.setattr(utmos, "SHA256", audio.sha256(path))
    metric = utmos.create({"device": "cpu"})
    metric.check(TESTSET)
    assert metric.measure(item(speak(1, 0.5))).counts["utmos"] != 3.0


def test_weights_that_do_not_fit_are_refused_before_the_first_clip(tmp_path, monkeypatch):
    tiny_utmos.use(monkeypatch)
    path = tiny_utmos.write(tmp_path / "other.pt", **{"projection.0.bias": None})
    with pytest.raises(MissingExtra, match=r"missing: projection\.0\.bias"):
        utmos.create({"weights": path}).check(TESTSET)


def test_options(weights):
    one = utmos.create({"weights": weights})
    assert one.batch_size == 1
    assert one.signature().endswith("|precision:fp32")
    assert "batch" not in one.signature()
    with pytest.raises(UserError, match="at least 1"):
        utmos.create({"batch_size": 0})
    with pytest.raises(UserError, match="way to resample"):
        utmos.create({"resample": "linear"})
    with pytest.raises(UserError, match="option of metric utmos"):
        utmos.create({"judge": 1})
    with pytest.raises(UserError, match=r"no device 'abacus' here.*utmos\.device=cpu"):
        utmos.create({"weights": weights, "device": "abacus"}).check(TESTSET)


def test_nothing_heavy_is_imported_to_make_it():
    program = "import sys, mamtra_eval.metrics.utmos as m; m.create({}); m.weights(); " + (
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=TESTS.parent)
