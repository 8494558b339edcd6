"""Train the mini codec: log-mel in, one code of 4,096 each 40 ms, log-mel out.

    python training/mini/codec.py SPEECH OUT [--minutes 12] [--width 160] [--precision fp32]

SPEECH is a folder of ``speech.py``; its last shard is held out. OUT gets ``codec.safetensors`` and
``codec.json`` (sizes, steps, losses). Losses: absolute error of log-mel, and the cross-entropy of
the phone that a small head, thrown away afterwards, reads from the quantized values: it keeps apart
what must sound different. The learning rate ends with the time.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from _data import Utterance, labels, utterances
from safetensors.torch import save_file
from torch import Tensor, nn

from mamtra_eval.codecs._mini_network import LEVELS, CodecConfig, CodecNetwork
from mamtra_eval.frontend.phones import SYMBOLS

TOKENS, BATCH = 48, 24
"""Of a training batch: tokens a crop, crops."""

PHONE_WEIGHT = 0.1
PEAK_LR = 2e-3


def crops(data: list[Utterance], marks: list[Tensor], seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Log-mel (B, 4T, 80), voices (B,) and phones (B, T) of random places."""
    generator = torch.Generator().manual_seed(seed)
    mels, voices, phones = [], [], []
    while len(mels) < BATCH:
        index = int(torch.randint(len(data), (), generator=generator))
        room = data[index].tokens - TOKENS
        if room < 0:
            continue
        at = int(torch.randint(room + 1, (), generator=generator))
        mels.append(data[index].mel[4 * at : 4 * (at + TOKENS)])
        voices.append(data[index].voice)
        phones.append(marks[index][at : at + TOKENS])
    return torch.stack(mels).float(), torch.tensor(voices), torch.stack(phones)


def phone_head() -> nn.Module:
    """Scores of all phones (B, N, T) from quantized values (B, D, T)."""
    narrow, wide = len(LEVELS), 128
    return nn.Sequential(
        nn.Conv1d(narrow, wide, 3, padding=1), nn.GELU(), nn.Conv1d(wide, len(SYMBOLS) + 1, 1)
    )


def losses(
    network: CodecNetwork, head: nn.Module, batch: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Error of the log-mel, and of the phones."""
    mel, voice, phone = batch
    quantized = network.quantizer(network.encoder(mel))
    error = F.l1_loss(network.decoder(quantized, voice), mel)
    scores = head(quantized.transpose(1, 2))
    return error, F.cross_entropy(scores, phone)


def main() -> None:
    """Train for the given time and write the codec."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--shards", type=int, help="only so many shards (all)")
    given = parser.parse_args()
    torch.manual_seed(0)
    count = len(list(given.speech.glob("[0-9]*.npz")))
    data = list(utterances(given.speech, 0, min(given.shards or count, count - 1)))
    marks = [labels(one) for one in data]
    held = list(utterances(given.speech, count - 1))
    fixed = [crops(held, [labels(one) for one in held], seed) for seed in range(8)]
    network, head = CodecNetwork(CodecConfig(width=given.width)), phone_head()
    learning = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(learning, lr=PEAK_LR, betas=(0.9, 0.98))
    begin, step, history = time.monotonic(), 0, []
    while (done := (time.monotonic() - begin) / (60 * given.minutes)) < 1:
        falling = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))
        rate = PEAK_LR * min(1, (step + 1) / 100) * falling
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = crops(data, marks, step)
        with torch.autocast("cpu", torch.bfloat16, enabled=given.precision == "bf16"):
            error, phone = losses(network, head, batch)
        optimizer.zero_grad()
        (error + PHONE_WEIGHT * phone).backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        step += 1
        if step % 200 == 0:
            with torch.no_grad():
                found = torch.tensor(
                    [[float(v) for v in losses(network, head, one)] for one in fixed]
                )
                used = len(torch.unique(torch.cat([network.encode(one[0]) for one in fixed])))
            mel, phones = found.mean(0).tolist()
            history.append({"step": step, "mel": mel, "phone": phones})
            print(
                f"step {step}, {done:.0%}: mel {mel:.4f}, phone {phones:.3f}, {used} codes",
                flush=True,
            )
    given.out.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), given.out / "codec.safetensors")
    card = {
        "config": asdict(network.config),
        "steps": step,
        "minutes": given.minutes,
        "history": history,
    }
    (given.out / "codec.json").write_text(json.dumps(card, indent=1) + "\n")


if __name__ == "__main__":
    main()
