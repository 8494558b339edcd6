import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from mamtra_eval import prompts
from mamtra_eval.errors import MissingExtra, SynthesisError, UserError
from mamtra_eval.stage_times import collecting
from mamtra_eval.systems import Request, _llasa_model, _llasa_options, llasa
from mamtra_eval.systems import _llasa_prompt as prompt_of

OPTIONS = {"env": "none"}
SPECIAL = re.compile(r"<\|[^|]*\|>|.", re.DOTALL)


class Tokenizer:
    """A token for each letter and mark; the interface of transformers' tokenizers."""

    def __init__(self):
        speech = [prompt_of.speech_token(code) for code in range(prompt_of.CODES)]
        self.tokens = [*map(chr, range(128)), *prompt_of.MARKS, *speech]
        self.ids = {token: n for n, token in enumerate(self.tokens)}
        self.asked = []

    def get_vocab(self):
        return self.ids

    def convert_ids_to_tokens(self, ids):
        return [self.tokens[one] for one in ids]

    def apply_chat_template(
        self, messages, *, tokenize, continue_final_message, return_dict, date_string
    ):
        assert tokenize
        assert continue_final_message
        assert not return_dict
        self.asked.append((messages, date_string))
        text = date_string + "".join(message["content"] for message in messages)
        return [self.ids[token] for token in SPECIAL.findall(text)]


class LanguageModel:
    """Answers with what it was given to say, as ``generate`` does; the first codes are drawn."""

    device = "cpu"

    def __init__(self, tokenizer, answer):
        self.tokenizer, self.answer, self.asked = tokenizer, answer, {}

    def generate(self, ids, **asked):
        assert asked["attention_mask"].shape == ids.shape
        self.asked = asked
        drawn = [f"<|s_{code}|>" for code in torch.randint(0, 1000, (3,)).tolist()]
        said = [self.tokenizer.ids[token] for token in [*drawn, *self.answer]]
        room = asked["max_length"] - ids.shape[1]
        return torch.cat([ids, torch.tensor([said[:room]])], 1)


class Codec:
    """Codes of 320 samples: 7 for a prompt's; samples that are their code."""

    device = "cpu"

    def __init__(self):
        self.encoded, self.decoded = [], []

    def encode_code(self, input_waveform, sample_rate=16000):
        assert sample_rate == 16000
        self.encoded.append(tuple(input_waveform.shape))
        return torch.full((1, 1, input_waveform.shape[1] // 320 + 1), 7)

    def decode_code(self, vq_code):
        self.decoded.append(vq_code[0, 0].tolist())
        return vq_code.float().repeat_interleave(320, -1)


@pytest.fixture
def folder(tmp_path):
    """A model folder as far as options look into it."""
    made = tmp_path / "model"
    made.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        (made / name).write_text("{}")
    return made


@pytest.fixture
def make(folder):
    """The system around fakes of the three packages' objects, which answers as told."""

    def made(answer=("<|SPEECH_GENERATION_END|>",), **options):
        settings = _llasa_options.read({"model": str(folder), "device": "cpu"} | options)
        system, tokenizer = llasa.Llasa(settings), Tokenizer()
        parts = SimpleNamespace(
            tokenizer=tokenizer, model=LanguageModel(tokenizer, answer), codec=Codec()
        )
        system._loaded = _llasa_model.Loaded(parts.model, tokenizer, parts.codec, settings)
        return system, parts

    return made


def _request(prompt, **more):
    return Request(**{"utterance": "u", "text": "Bye.", "prompt_text": "Hi. "} | more,
                   prompt_audio=prompt)  # fmt: skip


def test_a_clip(make, prompt):
    answer = ["<|s_5|>", "a", "<|s_65535|>", "<|SPEECH_GENERATION_END|>"]
    system, parts = make(answer)
    with collecting() as collector:
        clip = system.speak(_request(prompt, seed=4))
    assert clip.cost == {"tokens": 7.0, "cut": 0.0}
    # 8000 samples of the prompt make 26 codes, 320 samples more than it has: the card cuts there.
    assert (clip.sample_rate_hz, len(clip.samples)) == (16000, (26 + 5) * 320 - 8000)
    assert clip.samples[-320:].tolist() == [65535.0] * 320
    assert clip.samples[-640:-320].tolist() == [5.0] * 320
    assert parts.codec.decoded[0][:26] == [7] * 26
    [(messages, date)] = parts.tokenizer.asked
    assert date == "26 Jul 2024"
    assert messages[0]["content"] == (
        "Convert the text to speech:<|TEXT_UNDERSTANDING_START|>Hi. Bye.<|TEXT_UNDERSTANDING_END|>"
    )
    assert messages[1]["content"] == "<|SPEECH_GENERATION_START|>" + "<|s_7|>" * 26
    assert [message["role"] for message in messages] == ["user", "assistant"]
    asked = parts.model.asked
    end = parts.tokenizer.ids["<|SPEECH_GENERATION_END|>"]
    del asked["attention_mask"]
    assert asked == {
        "do_sample": True, "eos_token_id": end, "pad_token_id": end, "temperature": 0.8,
        "top_p": 1.0, "top_k": 50, "repetition_penalty": 1.0, "max_length": 2048,
    }  # fmt: skip
    assert set(collector.seconds) == {"front_end", "decoder", "vocoder"}


def test_the_global_generator_is_seeded_for_each_clip(make, prompt):
    system, _ = make()
    first, other, again = (system.speak(_request(prompt, seed=n)).samples for n in (1, 2, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_clip_that_the_length_ended_is_cut_and_loses_nothing(make, prompt):
    system, parts = make(["<|s_5|>"] * 10_000, max_length=200)
    clip = system.speak(_request(prompt))
    [(messages, date)] = parts.tokenizer.asked
    taken = len(prompt_of.input_ids(parts.tokenizer, messages, date))
    assert clip.cost == {"tokens": 200.0 - taken, "cut": 1.0}
    assert len(parts.codec.decoded[0]) == 26 + 200 - taken


def test_a_prompt_is_encoded_once_at_16_khz(make, prompt, tmp_path, monkeypatch):
    monkeypatch.setattr(prompts, "KEPT", 1)
    system, parts = make()
    soundfile.write(tmp_path / "other.wav", np.full((8000, 2), 0.5, np.float32), 8000)
    for path in (prompt, prompt, tmp_path / "other.wav", prompt):
        system.speak(_request(path))
    assert parts.codec.encoded == [(1, 8000), (1, 16000), (1, 8000)]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"prompt_text": None, "utterance": "u7"}, "no transcript of it for u7"),
        ({"prompt_text": "  "}, "no transcript"),
        ({"text": "x" * 3000}, "no room is left"),
    ],
)
def test_what_can_not_be_said(make, prompt, more, words):
    with pytest.raises(SynthesisError, match=words):
        make()[0].speak(_request(prompt, **more))


def test_prompts_that_can_not_be_read(make, tmp_path):
    soundfile.write(tmp_path / "short.wav", np.zeros(100, np.float32), 16000)
    for path, words in (
        (None, "has none for u"), (tmp_path / "no.wav", r"no\.wav"),
        (tmp_path / "short.wav", r"takes 0\.1 s at the least"),
    ):  # fmt: skip
        with pytest.raises(SynthesisError, match=words):
            make()[0].speak(_request(path))


def test_a_model_that_says_nothing(make, prompt, monkeypatch):
    system, _ = make()
    monkeypatch.setattr(torch, "randint", lambda *_: torch.tensor([], dtype=torch.long))
    with pytest.raises(SynthesisError, match="before it said anything"):
        system.speak(_request(prompt))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": 0}, "temperature"),
        ({"top_p": 0}, "no token would be left"),
        ({"top_p": 1.1}, "top_p"),
        ({"max_length": 1}, "max_length"),
        ({"precision": "int8"}, "precision"),
        ({"joiner": ","}, "joiner"),
        ({"codecs": "x"}, "Did you mean codec"),
    ],
)
def test_bad_options(folder, options, words):
    with pytest.raises(UserError, match=words):
        llasa.create(OPTIONS | {"model": str(folder)} | options)


def test_fp16_is_for_a_gpu(folder):
    settings = _llasa_options.read({"model": str(folder), "device": "cpu", "precision": "fp16"})
    with pytest.raises(UserError, match="CUDA"):
        _llasa_options.check_device(settings)


def test_the_model_must_be_there(folder, monkeypatch):
    monkeypatch.delenv(_llasa_options.MODEL_VARIABLE, raising=False)
    with pytest.raises(MissingExtra, match="llasa:model=FOLDER"):
        llasa.create(OPTIONS)
    monkeypatch.setenv(_llasa_options.MODEL_VARIABLE, str(folder))
    system = llasa.create(OPTIONS)
    (folder / "model.safetensors").unlink()
    (folder / "tokenizer.json").unlink()
    with pytest.raises(MissingExtra, match=r"tokenizer\.json, model\.safetensors not there"):
        system.identity([])
    with pytest.raises(UserError, match="no such folder"):
        llasa.create(OPTIONS | {"model": str(folder / "no")})


@pytest.fixture
def folders(folder, tmp_path):
    """Model, codec and what that is built on, as the options name them."""
    for name, model in (("codec", _llasa_model.CODEC), ("semantic", _llasa_model.SEMANTIC)):
        (tmp_path / name).mkdir()
        for file in model.files:
            (tmp_path / name / file.partition("|")[0]).write_text('{"model_type": "xcodec"}')
    made = {name: str(tmp_path / name) for name in ("model", "codec", "semantic")}
    return made | {"device": "cpu"}


def test_identity_is_what_decides_the_clips(folders, tmp_path):
    def identity(**more):
        return llasa.Llasa(_llasa_options.read(folders | more)).identity([])

    one = identity()
    assert json.loads(json.dumps(one)) == one == identity()
    for name, value in (
        ("temperature", 1), ("top_p", 0.9), ("top_k", 0), ("max_length", 512), ("joiner", "space"),
        ("date", "01 Jan 2025"), ("precision", "bf16"), ("repetition_penalty", 1.2),
    ):  # fmt: skip
        assert identity(**{name: value}) != one, name
    for path in ("model/model.safetensors", "model/tokenizer.json", "codec/model.safetensors",
                 "semantic/preprocessor_config.json"):  # fmt: skip
        before = (tmp_path / path).read_text()
        (tmp_path / path).write_text('{"model_type": "xcodec", "x": 1}')
        assert identity() != one, path
        (tmp_path / path).write_text(before)
    assert identity() == one


def test_the_codec_of_transformers_is_not_taken_for_the_package_s(folders, tmp_path):
    (tmp_path / "codec" / "config.json").write_text('{"model_type": "xcodec2"}')
    with pytest.raises(UserError, match=r"'xcodec2'.*HKUSTAudio/xcodec2"):
        _llasa_model.find_codec(folders["codec"])
    found = {check.name: check for check in llasa.diagnose(folders)}
    assert found["the codec XCodec2"].state == "unusable"


def test_a_diagnosis(folders, monkeypatch):
    monkeypatch.setattr("mamtra_eval.weights.in_hub", lambda _: None)
    monkeypatch.delenv(_llasa_options.MODEL_VARIABLE, raising=False)
    found = {check.name: check for check in llasa.diagnose(folders)}
    assert {found[name].state for name in ("model", "the codec XCodec2")} == {"ok"}
    found = {check.name: check for check in llasa.diagnose({"model": folders["model"]})}
    semantic = found[_llasa_model.SEMANTIC.what]
    assert semantic.state == "absent"
    assert "download facebook/w2v-bert-2.0" in semantic.fix
    monkeypatch.setattr(llasa, "TESTED", {"no-such-package": "1", "numpy": "0.0"})
    found = {check.name: check for check in llasa.diagnose({})}
    assert found["no-such-package"].fix.endswith("mamtra-eval env create llasa")
    assert "tested with 0.0" in found["numpy"].detail
    assert found["model"].state == "absent"


def test_the_package_is_missed_by_name(folders, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "xcodec2", None)
    with pytest.raises(MissingExtra, match=r"xcodec2.*env create llasa"):
        llasa.Llasa(_llasa_options.read(folders)).prepare()
