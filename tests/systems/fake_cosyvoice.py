"""A clone with the interface of the official CosyVoice source, which computes next to nothing.

It stands in where the real one is not at hand: the calls, their arguments and the shapes are those
of the real code (tests/systems/test_cosyvoice2_real.py runs against that), the sounds are not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from tests.models import official_llm

FRONT_END = """
import torch

LOADED = []


class CosyVoiceFrontEnd:
    def __init__(self, get_tokenizer, feat_extractor, campplus, tokenizer, spk2info, special):
        self.device = torch.device("cpu")
        self.text_frontend = "wetext"

    def text_normalize(self, text, split=True, text_frontend=True):
        if text_frontend is False or text == "":
            return [text] if split else text
        text = text.lower()
        return [part for part in text.split("|") if part.strip(". ")] if split else text

    def _extract_text_token(self, text):
        ids = [ord(character) % 50 for character in text]
        row = torch.tensor([ids], dtype=torch.int32)
        return row, torch.tensor([len(ids)], dtype=torch.int32)

    def frontend_zero_shot(self, text, prompt_text, prompt_wav, rate, speaker):
        LOADED.append(prompt_wav)
        assert rate == 24000 and speaker == ""
        words, n_words = self._extract_text_token(prompt_text)
        speech = torch.tensor([[1, 2, 3, 4, 5, 6, 7]], dtype=torch.int32)
        length = torch.tensor([7], dtype=torch.int32)
        return {
            "text": torch.zeros(1, 0, dtype=torch.int32), "text_len": torch.tensor([0]),
            "prompt_text": words, "prompt_text_len": n_words,
            "llm_prompt_speech_token": speech, "llm_prompt_speech_token_len": length,
            "flow_prompt_speech_token": speech, "flow_prompt_speech_token_len": length,
            "prompt_speech_feat": torch.zeros(1, 14, 80),
            "prompt_speech_feat_len": torch.tensor([14]),
            "llm_embedding": torch.ones(1, 192), "flow_embedding": torch.ones(1, 192),
        }
"""
MODEL = """
import torch


class CosyVoice2Model:
    def __init__(self, llm, flow, hift, fp16=False):
        self.flow, self.hift, self.hift_cache_dict = flow, hift, {}

    def token2wav(self, token, prompt_token, prompt_feat, embedding, token_offset, uuid,
                  stream=False, finalize=False, speed=1.0):
        assert self.hift_cache_dict[uuid] is None or stream or finalize
        assert stream is not finalize
        self.hift_cache_dict[uuid] = {}
        end = token.shape[1] if finalize else token.shape[1] - self.flow.pre_lookahead_len
        spoken = token[:, token_offset:end].float() / 100
        return spoken.repeat_interleave(960, dim=1) + 0.001 * torch.rand(1, 1)
"""
COMMON = """
import torch


def ras_sampling(scores, said, sampling, top_p=0.8, top_k=25, win_size=10, tau_r=0.1):
    drawn = int(scores.softmax(0).multinomial(1))
    if said[-win_size:].count(drawn) >= win_size * tau_r:
        {ban}
        drawn = int(scores.softmax(0).multinomial(1))
    return drawn
"""
BAN = "scores[drawn] = -float('inf')"
LANGUAGE_MODEL = '''
class Qwen2LM:
    """Says its text twice over; draws nothing."""
'''
LOADER = """
import torch


class Flow(torch.nn.Linear):
    pre_lookahead_len = 3


def load_hyperpyyaml(text, overrides):
    assert "qwen_pretrain_path" in overrides
    made = {"get_tokenizer": None, "feat_extractor": None, "allowed_special": "all",
            "llm": None, "flow": Flow(2, 2), "hift": torch.nn.Linear(2, 2)}
    return {name: value for name, value in made.items() if name not in overrides}
"""


def write_source(folder: Path, *, bans: bool = True) -> Path:
    """The clone's files; ``bans``: whether its sampler has the rule of 2026."""
    files = {
        "cosyvoice/__init__.py": "", "cosyvoice/cli/__init__.py": "",
        "cosyvoice/utils/__init__.py": "", "cosyvoice/cli/cosyvoice.py": "",
        "cosyvoice/cli/frontend.py": FRONT_END, "cosyvoice/cli/model.py": MODEL,
        "cosyvoice/utils/common.py": COMMON.format(ban=BAN if bans else "pass"),
        "cosyvoice/llm/llm.py": LANGUAGE_MODEL, "hyperpyyaml.py": LOADER,
        "third_party/Matcha-TTS/matcha/__init__.py": "",
    }  # fmt: skip
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def write_model(folder: Path) -> Path:
    """A model folder: a language model of 24 small layers, and weights of the fakes."""
    official_llm.write(folder, official_llm.weights())
    torch.save(torch.nn.Linear(2, 2).state_dict(), folder / "flow.pt")
    torch.save(torch.nn.Linear(2, 2).state_dict(), folder / "hift.pt")
    text = "\nllm: x\nflow: x\nhift: x\nhifigan: x\n"
    (folder / "cosyvoice2.yaml").write_text(text, "utf-8")
    for name in ("campplus.onnx", "speech_tokenizer_v2.onnx"):
        (folder / name).write_bytes(b"network")
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        (folder / "CosyVoice-BlankEN" / name).write_text("{}", "utf-8")
    return folder


@contextmanager
def forgotten() -> Iterator[None]:
    """Whatever is imported of a clone within the block is forgotten after it."""
    names, path = set(sys.modules), list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - names:
            if name.partition(".")[0] in ("cosyvoice", "matcha", "hyperpyyaml"):
                del sys.modules[name]
