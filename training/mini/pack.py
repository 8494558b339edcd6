"""Put what was trained into the package, in half precision.

    python training/mini/pack.py codec CODEC
    python training/mini/pack.py decoder CHECKPOINT NAME [--hours H] [--machine TEXT]

NAME is a folder of ``mamtra_eval/systems/weights/mini``: ``teacher``, ``1-1`` … The card keeps what
the training wrote and gets hours, machine and licence.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from mamtra_eval.models import checkpoint
from mamtra_eval.systems._mini_voices import BUNDLE, CODEC

LICENCE = (
    "Apache-2.0. Trained on output of flite 2.2 (voices awb, rms, kal16, slt; BSD-style licence), "
    "speaking sentences of Debian's fortunes and documentation, of a grammar, and random words."
)


def pack_codec(source: Path) -> None:
    """Weights of encoder and decoder as float16, and the card."""
    weights = load_file(source / "codec.safetensors")
    kept = {name: value.to(torch.float16) for name, value in weights.items()}
    CODEC.mkdir(parents=True, exist_ok=True)
    save_file(kept, CODEC / "codec.safetensors")
    card = json.loads((source / "codec.json").read_text("utf-8"))
    text = json.dumps({**card, "licence": LICENCE}, indent=1)
    (CODEC / "codec.json").write_text(text + "\n", "utf-8")


def pack_decoder(source: Path, name: str, hours: float | None, machine: str | None) -> None:
    """A checkpoint as float16, with its card completed."""
    card = {**checkpoint.read_card(source), "licence": LICENCE, "hours": hours, "machine": machine}
    checkpoint.save(BUNDLE / name, checkpoint.load(source), card, dtype="fp16")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    codec = kinds.add_parser("codec")
    codec.add_argument("source", type=Path)
    decoder = kinds.add_parser("decoder")
    decoder.add_argument("source", type=Path)
    decoder.add_argument("name")
    decoder.add_argument("--hours", type=float)
    decoder.add_argument("--machine")
    given = parser.parse_args()
    if given.kind == "codec":
        pack_codec(given.source)
    else:
        pack_decoder(given.source, given.name, given.hours, given.machine)


if __name__ == "__main__":
    main()
