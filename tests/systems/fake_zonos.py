"""A clone of Zonos as far as our code touches it: the interface of the real one, no network.

``write`` makes the package's modules in a folder; ``calls`` of its module ``zonos.utils`` keeps
what they were asked. Its codes are drawn from torch's global generator, as the real ones are.
"""

from __future__ import annotations

from pathlib import Path

MODULES = {
    "__init__": "",
    "utils": "calls = []\n",
    "autoencoder": """
from zonos.utils import calls


class DacModel:
    @classmethod
    def from_pretrained(cls, name):
        calls.append(("dac", name))
        return cls()


class DACAutoencoder:
    sampling_rate = 44100

    def __init__(self):
        self.dac = DacModel.from_pretrained("descript/dac_44khz")

    def decode(self, codes):
        return codes.sum(1, keepdim=True).float().repeat_interleave(512, -1) / 1e6
""",
    "speaker_cloning": """
from zonos.utils import calls


def hf_hub_download(repo_id, filename):
    raise AssertionError("it would download")


class SpeakerEmbeddingLDA:
    def __init__(self, device="cuda"):
        for name in ("ResNet293_SimAM_ASP_base.pt", "ResNet293_SimAM_ASP_base_LDA-128.pt"):
            path = hf_hub_download(repo_id="Zyphra/Zonos-v0.1-speaker-embedding", filename=name)
            calls.append(("speaker", path))
        self.device = device
""",
    "conditioning": """
import torch
from zonos.utils import calls

supported_language_codes = ["cmn", "en-us", "ja", "de"]


def make_cond_dict(text="", language="en-us", speaker=None, fmax=22050.0, pitch_std=20.0,
                   speaking_rate=15.0, device="cuda"):
    assert language in supported_language_codes
    calls.append(("condition", text, language, fmax, pitch_std, speaking_rate, device))
    return {"speaker": speaker, "length": torch.tensor(len(text))}
""",
    "backbone/__init__": "BACKBONES = {'torch': object}\n",
    "model": """
import torch
from zonos.autoencoder import DACAutoencoder
from zonos.utils import calls


class Zonos(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.autoencoder = DACAutoencoder()
        self.spk_clone_model = None

    @classmethod
    def from_local(cls, config_path, model_path, device="cuda", backbone=None):
        calls.append(("load", config_path, model_path, device))
        return cls()

    def make_speaker_embedding(self, wav, sr):
        assert self.spk_clone_model is not None and wav.ndim == 2
        calls.append(("voice", sr))
        return torch.full((1, 1, 128), float(wav.abs().max()))

    def prepare_conditioning(self, cond_dict, uncond_dict=None):
        return torch.zeros(2, int(cond_dict["length"]), 8)

    @torch.inference_mode()
    def generate(self, prefix_conditioning, audio_prefix_codes=None, max_new_tokens=86 * 30,
                 cfg_scale=2.0, batch_size=1, sampling_params=dict(min_p=0.1), progress_bar=True,
                 disable_torch_compile=False, callback=None):
        calls.append(("generate", max_new_tokens, cfg_scale, sampling_params, progress_bar,
                      disable_torch_compile))
        wanted = prefix_conditioning.shape[1]  # a frame for each letter
        frames = min(wanted, max_new_tokens)
        codes = torch.randint(0, 1024, (1, 9, frames))
        for step in range(1, max_new_tokens + 1):
            frame = codes[..., step : step + 1].clone()  # empty at the very last step
            if step == wanted:
                frame = torch.full((1, 9, 1), 1025)
                frame[:, 0] = 1024
            callback(frame, step, max_new_tokens)
            if step == wanted:
                break
        return codes
""",
}


def write(folder: Path) -> Path:
    """The clone's root."""
    for name, text in MODULES.items():
        path = folder / "zonos" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder
