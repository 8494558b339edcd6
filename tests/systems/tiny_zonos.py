"""Folders of Zonos in their official layout, small and with random weights.

Run in an environment where Zonos's packages are: ``python tiny_zonos.py SOURCE OUT``. It writes
``OUT/model``, ``OUT/dac`` and ``OUT/speaker``. Widths are reduced where the official code allows;
the speaker network's is fixed there. The end of speech has a chance of about 1 in 130 a frame.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

WIDTH, LAYERS, HEADS = 64, 2, 2
CONFIGURATION = {
    "backbone": {
        "d_model": WIDTH, "d_intermediate": 0, "attn_mlp_d_intermediate": 2 * WIDTH,
        "n_layer": LAYERS, "ssm_cfg": {}, "attn_layer_idx": list(range(LAYERS)),
        "attn_cfg": {
            "causal": True, "num_heads": HEADS, "num_heads_kv": 1, "head_dim": WIDTH // HEADS,
            "out_proj_bias": False, "qkv_proj_bias": False, "rotary_emb_dim": WIDTH // HEADS,
            "rotary_emb_interleaved": True,
        },
        "rms_norm": False, "residual_in_fp32": False, "norm_epsilon": 1e-05,
    },
    "prefix_conditioner": {
        "conditioners": [
            {"type": "EspeakPhonemeConditioner", "name": "espeak"},
            {"type": "PassthroughConditioner", "name": "speaker", "cond_dim": 128,
             "uncond_type": "learned", "projection": "linear"},
            {"type": "FourierConditioner", "name": "emotion", "input_dim": 8,
             "uncond_type": "learned"},
            {"type": "FourierConditioner", "name": "fmax", "min_val": 0, "max_val": 24000,
             "uncond_type": "learned"},
            {"type": "FourierConditioner", "name": "pitch_std", "min_val": 0, "max_val": 400,
             "uncond_type": "learned"},
            {"type": "FourierConditioner", "name": "speaking_rate", "min_val": 0, "max_val": 40,
             "uncond_type": "learned"},
            {"type": "IntegerConditioner", "name": "language_id", "min_val": -1, "max_val": 126,
             "uncond_type": "learned"},
        ],
        "projection": "linear",
    },
    "eos_token_id": 1024, "masked_token_id": 1025,
}  # fmt: skip
HYBRID = CONFIGURATION | {
    "backbone": {
        **CONFIGURATION["backbone"], "ssm_cfg": {"layer": "Mamba2"}, "attn_layer_idx": [1],
    }
}  # fmt: skip
LIKELY_END = 2.08
"""Logit of the end above the even others: its probability is e^2.08 / 1024 = 0.8 %, and the least
that min_p = 0.1 leaves of the others is 0.1 e^2.08 = 0.8 of theirs."""


def write(source: Path, out: Path, seed: int = 0) -> None:
    """Write the three folders; the same bytes for the same seed."""
    import sudachipy
    import torch
    from transformers import DacConfig, DacModel

    sys.path.insert(0, str(source))
    sudachipy.Dictionary = lambda **_: SimpleNamespace(create=lambda: None)  # for Japanese alone
    torch.manual_seed(seed)
    dac = DacModel(
        DacConfig(
            encoder_hidden_size=4, downsampling_ratios=[2, 4, 8, 8], decoder_hidden_size=64,
            n_codebooks=9, codebook_size=1024, codebook_dim=8, hidden_size=64,
            sampling_rate=44100,
        )
    )  # fmt: skip
    dac.save_pretrained(out / "dac")
    _write_model(out / "model", dac)
    _write_speaker(out / "speaker")


def _write_model(folder: Path, dac: object) -> None:
    import torch
    import zonos.autoencoder
    from safetensors.torch import save_file
    from zonos.config import ZonosConfig
    from zonos.model import BACKBONES, Zonos

    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIGURATION, indent=1), "utf-8")
    zonos.autoencoder.DacModel = SimpleNamespace(from_pretrained=lambda _: dac)
    model = Zonos(ZonosConfig.from_dict(CONFIGURATION), BACKBONES["torch"]).to(torch.bfloat16)
    with torch.no_grad():
        norm = model.backbone.norm_f
        norm.bias.zero_()
        norm.bias[0], norm.weight[0] = 1.0, 0.0  # one dimension that is always 1
        for head in model.heads:
            head.weight.normal_(std=0.02)
            head.weight[:, 0] = 0.0
        model.heads[0].weight.mul_(0.02)
        model.heads[0].weight[1024] = 0.0
        model.heads[0].weight[1024, 0] = LIKELY_END
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()}, folder / "model.safetensors"
    )


def _write_speaker(folder: Path) -> None:
    import torch
    from zonos.speaker_cloning import ResNet293_based

    folder.mkdir(parents=True)
    torch.save(ResNet293_based().state_dict(), folder / "ResNet293_SimAM_ASP_base.pt")
    lda = torch.nn.Linear(256, 128).state_dict()
    torch.save(lda, folder / "ResNet293_SimAM_ASP_base_LDA-128.pt")


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
