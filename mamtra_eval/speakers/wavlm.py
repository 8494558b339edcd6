"""WavLM-large with ECAPA-TDNN: the speaker encoder of Seed-TTS-eval's similarity, 256 dimensions.

The published SIM figures ("SIM-o", times 100) are cosines of this encoder. Two clips of one voice
come out near 0.6 to 0.7, of two voices near 0. Take ``speaker.resample=sinc`` with it, which is how
the protocol comes to 16 kHz.

Options, all behind ``speaker.``:

``weights``     path of the checkpoint (``wavlm_large_finetune.pth`` in
                ``~/.cache/mamtra-eval/weights``)
``device``      ``cuda`` or ``cpu``; by default cuda where there is one
``batch_size``  most clips of exactly one length that are encoded together (1, as the official
                script has it); others are not, since statistics over time would hear the padding

As there: the whole clip, nothing trimmed, float32, samples brought to mean 0 and variance 1. To the
variance 1e-5 is added, so that loudness hardly matters for speech, and does matter below -50 dBFS.

The network is written anew in torch and needs no other package. The checkpoint is UniSpeech's
fine-tuned WavLM-large for speaker verification (1.3 GB), which holds WavLM too. Its tensors must be
exactly those of the network; the official script loads whatever fits. Left out by name is only the
classifier of its training, ``loss_calculator.projection.weight``. UniSpeech's repository is under
CC BY-SA 3.0 and says nothing about the weights apart; they are fetched by the user, not shipped.

Sources: Chen et al., "WavLM", 2022; Desplanques et al., "ECAPA-TDNN", 2020; Anastassiou et al.,
"Seed-TTS", 2024; github.com/microsoft/UniSpeech, downstreams/speaker_verification.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mamtra_eval import audio
from mamtra_eval import weights as weight_files
from mamtra_eval.audio import Samples
from mamtra_eval.registry import read_options
from mamtra_eval.speakers._checkpoint import CheckpointEncoder
from mamtra_eval.weights import Weights

if TYPE_CHECKING:
    from torch import nn

    from mamtra_eval.speakers._ecapa import EcapaConfig
    from mamtra_eval.speakers._wavlm import WavLMConfig

DEFAULTS: dict[str, Any] = {"weights": None, "device": None, "batch_size": 1}
FAST = {"batch_size": 16}
FILE = "wavlm_large_finetune.pth"
SHA256 = "51f07e3b94d9e0262a6a675ef5a087be3dd09e8c62e9d886827f44f82fe7f94b"
URL = (
    "https://huggingface.co/k2-fsa/TTS_eval_models/resolve/"
    f"e876de7154845cd668b599bd4866f1d354c723df/speaker_similarity/{FILE}"
)


class WavLMEncoder(CheckpointEncoder):
    """The encoder; embeddings have 256 dimensions."""

    name = "wavlm"
    inside = "model"
    ignored = frozenset({"loss_calculator.projection.weight"})
    min_samples = 1600  # four frames

    def __init__(
        self,
        weights: str | None = None,
        device: str | None = None,
        batch_size: int = 1,
        sizes: tuple[WavLMConfig, EcapaConfig] | None = None,
    ) -> None:
        super().__init__(weights, device, batch_size)
        self._sizes = sizes

    def signature(self) -> str:
        """Weights by hash, and how they are computed with."""
        return f"encoder:wavlm-large-ecapa|weights:{self.sha256[:8]}|precision:fp32{self.batch}"

    def published(self) -> Weights:
        """The checkpoint that published figures come from."""
        return Weights(
            name=FILE,
            path=weight_files.folder() / FILE,
            fetch=weight_files.download(URL, FILE),
            size="1.3 GB",
            option="speaker.weights",
            sha256=SHA256,
        )

    def build(self) -> nn.Module:
        """WavLM-large and the head."""
        from mamtra_eval.speakers._ecapa import SMALL, SpeakerNetwork
        from mamtra_eval.speakers._wavlm import LARGE

        return SpeakerNetwork(*(self._sizes or (LARGE, SMALL)))

    def prepare(self, clips: Sequence[Samples]) -> audio.Samples:
        """The samples themselves."""
        return np.stack(clips)


def create(options: Mapping[str, Any]) -> WavLMEncoder:
    """An encoder with the given options; nothing heavy is imported yet."""
    return WavLMEncoder(**read_options("speaker encoder wavlm", options, DEFAULTS))


def weights() -> list[Weights]:
    """What it loads by default."""
    return [WavLMEncoder().published()]
