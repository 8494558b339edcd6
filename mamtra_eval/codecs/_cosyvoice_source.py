"""The official CosyVoice source: where it lies, which revision it is, and its modules.

The project is no distribution but a clone that users make, with Matcha-TTS as a submodule::

    git clone --recursive https://github.com/FunAudioLLM/CosyVoice
    git -C CosyVoice checkout ace7c47f41bbd303aa6bf1ea80e6f9fbd595cd40

Speech depends on some of its files: their contents, not the name of a commit, are compared with
the revisions that were tested (``KNOWN``). Another one is refused, unless ``any_revision`` is set;
then its fingerprint is part of the identity all the same.

Which repetition-aware sampler a source has (``ras-2024`` or, from commit f2ddcbe on, ``ras-2026``)
is found by asking it to draw, not by its age.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from mamtra_eval.clones import Project
from mamtra_eval.errors import MissingExtra

VARIABLE = "COSYVOICE_SOURCE"
PIN = "ace7c47f41bbd303aa6bf1ea80e6f9fbd595cd40"
MATCHA = Path("third_party/Matcha-TTS")
MATCHA_PIN = "dd9105b34bf2be2230f4aa1e4769fb586a3c824e"

USED = (
    "cosyvoice/cli/*.py", "cosyvoice/flow/*.py", "cosyvoice/hifigan/*.py", "cosyvoice/llm/*.py",
    "cosyvoice/tokenizer/*.py", "cosyvoice/transformer/*.py", "cosyvoice/utils/*.py",
    f"{MATCHA}/matcha/models/components/*.py", f"{MATCHA}/matcha/utils/audio.py",
)  # fmt: skip
"""Files that speech is made by, as patterns within the clone."""

KNOWN = {
    "4c8d89e9f41ed161d2cbf0e895731a91b9b2c85ff528fe7b5f20762da6c7aa1a": "ace7c47 of 2026-03-16",
    "5d7e083db0a5771e159c4b2a4e49d0f64af55a0ab1a9558fe67076bd8223e036": "c93d3dd of 2026-01-29",
}
"""Revisions that were tested, by fingerprint."""

PIN_IT = f"git -C {{folder}} checkout {PIN} && git -C {{folder}} submodule update --init"
GET = "git clone --recursive https://github.com/FunAudioLLM/CosyVoice && " + PIN_IT.format(
    folder="CosyVoice"
)
"""What brings the pinned source."""
PROJECT = Project(
    "CosyVoice", "cosyvoice", "cosyvoice/cli/cosyvoice.py", VARIABLE, USED, KNOWN, GET, PIN_IT
)


@dataclass(frozen=True)
class Source:
    """A clone.

    Attributes:
        folder: its root.
        fingerprint: SHA-256 over names and contents of the files in use.
        revision: the tested one that it is; ``None`` for another.
    """

    folder: Path
    fingerprint: str
    revision: str | None

    def module(self, name: str) -> ModuleType:
        """One of its modules; MissingExtra where a package that it needs is absent or broken."""
        for path in (self.folder / MATCHA, self.folder):
            if str(path) not in sys.path:
                sys.path.insert(0, str(path))
        try:
            return import_module(name)
        except Exception as error:  # a broken wheel raises anything
            raise MissingExtra(
                f"CosyVoice's {name} does not import ({type(error).__name__}: {error})",
                where=str(self.folder),
                fix="Make its environment: mamtra-eval env create cosyvoice2",
            ) from error


def find(given: str | None, any_revision: bool = False) -> Source:
    """The source that was given, or is named by ``$COSYVOICE_SOURCE``, or is importable.

    Raises:
        MissingExtra: there is none, or not all of it.
        UserError: it is no tested revision, and ``any_revision`` is not set.
    """
    folder = PROJECT.locate(given)
    if not (folder / MATCHA / "matcha").is_dir():
        raise MissingExtra(
            "the submodule Matcha-TTS is not there",
            where=str(folder / MATCHA),
            fix=f"git -C {folder} submodule update --init",
        )
    return Source(folder, *PROJECT.recognise(folder, any_revision))


@cache
def sampler_kind(source: Source) -> str:
    """``ras-2024`` or ``ras-2026``: whether the source's sampler repeats what it must not.

    Of two tokens, one nearly certain and just said ten times, the older rule draws the same again
    (up to a chance of 2e-9), the newer can't.
    """
    import torch

    common: Any = source.module("cosyvoice.utils.common")
    with torch.random.fork_rng():
        drawn = common.ras_sampling(torch.tensor([20.0, 0.0]).log_softmax(0), [0] * 10, 25)
    return "ras-2024" if int(drawn) == 0 else "ras-2026"
