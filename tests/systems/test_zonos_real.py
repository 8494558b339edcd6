"""Zonos by its real package, where its source and an environment for it are at hand.

``MAMTRA_EVAL_ZONOS_SOURCE`` is a clone, ``MAMTRA_EVAL_ZONOS_PYTHON`` the Python of an environment
with its packages (``mamtra-eval env create zonos``). Weights are random; two minutes on a CPU.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mamtra_eval.isolation import placing
from mamtra_eval.systems import Request, _zonos_source, zonos
from tests.systems.tiny_zonos import HYBRID

SOURCE = os.environ.get("MAMTRA_EVAL_ZONOS_SOURCE")
PYTHON = os.environ.get("MAMTRA_EVAL_ZONOS_PYTHON")
pytestmark = pytest.mark.skipif(
    not (SOURCE and PYTHON),
    reason="MAMTRA_EVAL_ZONOS_SOURCE and MAMTRA_EVAL_ZONOS_PYTHON name no clone and no Python",
)
TEXT = "I will call you back in 5 minutes."
EXAMPLE = """
import sys
from types import SimpleNamespace

import numpy, sudachipy, torch, torchaudio

source, folder, prompt, text, seed, out = sys.argv[1:]
sys.path.insert(0, source)
sudachipy.Dictionary = lambda **_: SimpleNamespace(create=lambda: None)
import espeakng_loader
from phonemizer.backend.espeak.wrapper import EspeakWrapper
EspeakWrapper.set_library(espeakng_loader.get_library_path())
EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
import zonos.autoencoder, zonos.speaker_cloning
dac = zonos.autoencoder.DacModel
zonos.autoencoder.DacModel = SimpleNamespace(
    from_pretrained=lambda _: dac.from_pretrained(f"{folder}/dac"))
zonos.speaker_cloning.hf_hub_download = lambda repo_id, filename: f"{folder}/speaker/{filename}"
from zonos.conditioning import make_cond_dict
from zonos.model import Zonos
model = Zonos.from_local(f"{folder}/model/config.json", f"{folder}/model/model.safetensors", "cpu")
speaker = model.make_speaker_embedding(*torchaudio.load(prompt))
torch.manual_seed(int(seed))
asked = make_cond_dict(text=text, speaker=speaker, language="en-us")
codes = model.generate(model.prepare_conditioning(asked), disable_torch_compile=True)
numpy.save(out, model.autoencoder.decode(codes)[0, 0].numpy())
"""
"""The package's own example, on a CPU and from folders."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Model, codec and speaker network with random weights."""
    made = tmp_path_factory.mktemp("zonos")
    script = Path(__file__).with_name("tiny_zonos.py")
    subprocess.run([PYTHON, script, SOURCE, made], check=True, timeout=600)
    return made


@pytest.fixture(scope="module")
def options(folder):
    return {
        "source": SOURCE, "env": PYTHON, "device": "cpu",
        **{name: str(folder / name) for name in ("model", "dac", "speaker")},
    }  # fmt: skip


@pytest.fixture(scope="module")
def system(options):
    made = zonos.create(options)
    made.prepare()
    yield made
    made.close()


@pytest.fixture
def prompt(mini):
    return mini / "prompts" / "awb-1.flac"


def test_it_speaks_as_the_package_s_own_example(system, folder, prompt, tmp_path):
    clip = system.speak(Request("u", TEXT, prompt_audio=prompt, seed=1))
    command = [PYTHON, "-c", EXAMPLE, SOURCE, folder, prompt, TEXT, "1", tmp_path / "out.npy"]
    subprocess.run(command, check=True, timeout=600)
    wanted = np.load(tmp_path / "out.npy")
    assert clip.sample_rate_hz == 44100
    assert clip.cost["cut"] == 0.0
    assert len(wanted) == len(clip.samples) == 512 * clip.cost["tokens"]
    assert np.array_equal(wanted, clip.samples)


def test_the_same_seed_the_same_clip_and_chinese(system, prompt):
    requests = [Request("u", "一九五零年", prompt_audio=prompt, seed=2, language="zh")] * 2
    first, second = (system.speak(request).samples for request in requests)
    assert len(first) > 0
    assert np.array_equal(first, second)


def test_a_clip_is_cut_at_its_longest(options, prompt):
    system = zonos.create(options | {"max_new_tokens": 20})
    try:
        clip = system.speak(Request("u", TEXT, prompt_audio=prompt, seed=3))
        assert (clip.cost["tokens"], clip.cost["cut"]) == (20.0, 1.0)
        with pytest.raises(Exception, match="nothing to say"):
            system.speak(Request("u", "…", prompt_audio=prompt))
        assert system.identity([])["source"]["revision"] in _zonos_source.KNOWN.values()
    finally:
        system.close()


def test_the_hybrid_is_explained(options, folder, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(HYBRID), "utf-8")
    (tmp_path / "model.safetensors").symlink_to(folder / "model" / "model.safetensors")
    found = {one.name: one for one in placing.diagnose("zonos", options)}
    assert {one.state for one in found.values()} == {"ok"}, found
    found = {one.name: one for one in placing.diagnose("zonos", options | {"model": str(tmp_path)})}
    assert "CUDA" in found["model"].detail
