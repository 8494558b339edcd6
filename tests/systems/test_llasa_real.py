"""Llasa by its real packages, where an environment for it is at hand.

``MAMTRA_EVAL_LLASA_PYTHON`` is the Python of an environment with xcodec2 (``mamtra-eval env create
llasa``). Weights are random; about four minutes on a CPU, and 1 GB of disk.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mamtra_eval import audio
from mamtra_eval.isolation import placing
from mamtra_eval.systems import Request, llasa

PYTHON = os.environ.get("MAMTRA_EVAL_LLASA_PYTHON")
pytestmark = pytest.mark.skipif(not PYTHON, reason="MAMTRA_EVAL_LLASA_PYTHON names no Python")
TRANSCRIPT, TEXT = "The garden looks lovely.", "I will call you back."
EXAMPLE = """
import sys
from types import SimpleNamespace

import numpy, soundfile, torch
import xcodec2.modeling_xcodec2 as package
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, prompt, transcript, text, seed, out = sys.argv[1:]
for name in ("Wav2Vec2BertModel", "AutoFeatureExtractor"):
    loader = getattr(package, name)
    setattr(package, name, SimpleNamespace(from_pretrained=lambda _, loader=loader, **rest:
        loader.from_pretrained(f"{folder}/semantic", **rest)))
tokenizer = AutoTokenizer.from_pretrained(f"{folder}/model")
model = AutoModelForCausalLM.from_pretrained(f"{folder}/model").eval()
codec = package.XCodec2Model.from_pretrained(f"{folder}/codec").eval()
wave = torch.from_numpy(soundfile.read(prompt)[0]).float()[None]
with torch.no_grad():
    said = [f"<|s_{code}|>" for code in codec.encode_code(input_waveform=wave)[0, 0]]
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Convert the text to speech:<|TEXT_UNDERSTANDING_START|>"
          f"{transcript}{text}<|TEXT_UNDERSTANDING_END|>"},
         {"role": "assistant", "content": "<|SPEECH_GENERATION_START|>" + "".join(said)}],
        tokenize=True, return_tensors="pt", continue_final_message=True, date_string="26 Jul 2024")
    torch.manual_seed(int(seed))  # w2v-BERT draws a number a layer, used or not
    end = tokenizer.convert_tokens_to_ids("<|SPEECH_GENERATION_END|>")
    made = model.generate(
        ids, max_length=2048, eos_token_id=end, do_sample=True, top_p=1, temperature=0.8)
    tokens = tokenizer.batch_decode(made[0][ids.shape[1] - len(said):-1], skip_special_tokens=True)
    codes = torch.tensor([[[int(token[4:-2]) for token in tokens]]])
    numpy.save(out, codec.decode_code(codes)[0, 0, wave.shape[1]:].numpy())
"""
"""What the model cards show, on a CPU and from folders; the date apart."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Language model, codec and w2v-BERT with random weights."""
    made = tmp_path_factory.mktemp("llasa")
    script = Path(__file__).with_name("tiny_llasa.py")
    subprocess.run([PYTHON, script, made], check=True, timeout=600)
    return made


@pytest.fixture(scope="module")
def options(folder):
    return {
        "env": PYTHON, "device": "cpu",
        **{name: str(folder / name) for name in ("model", "codec", "semantic")},
    }  # fmt: skip


@pytest.fixture
def prompt(mini):
    return mini / "prompts" / "awb-1.flac"


def test_it_speaks_as_the_model_card_shows(options, folder, prompt, tmp_path):
    system = llasa.create(options)
    try:
        request = Request("u", TEXT, TRANSCRIPT, prompt, seed=1)
        first, second = system.speak(request), system.speak(request)
        assert system.identity([])["versions"]["xcodec2"] == llasa.TESTED["xcodec2"]
        with pytest.raises(Exception, match="no transcript"):
            system.speak(Request("u", TEXT, prompt_audio=prompt))
    finally:
        system.close()
    assert first.sample_rate_hz == 16000
    assert first.cost["cut"] == 0.0
    assert np.array_equal(first.samples, second.samples)
    command = [PYTHON, "-c", EXAMPLE, folder, prompt, TRANSCRIPT, TEXT, "1", tmp_path / "out.npy"]
    subprocess.run(command, check=True, timeout=600)
    assert np.array_equal(np.load(tmp_path / "out.npy"), first.samples)


def test_half_precision_cut_and_diagnosis(options, prompt):
    system = llasa.create(options | {"precision": "bf16", "max_length": 320})
    try:
        # The prompt's 176 codes and the chat leave a few tokens: none of these seeds ends so soon.
        clip = system.speak(Request("u", TEXT, TRANSCRIPT, prompt, seed=1))
    finally:
        system.close()
    assert clip.cost["cut"] == 1.0
    at_16_khz = round(audio.read(prompt).duration_s * 16000)
    codes = at_16_khz // 320 + 1 + clip.cost["tokens"]
    assert len(clip.samples) == 320 * codes - at_16_khz
    found = {one.name: one for one in placing.diagnose("llasa", options)}
    assert {one.state for one in found.values()} == {"ok"}, found
    assert "tested with" not in found["torch"].detail
