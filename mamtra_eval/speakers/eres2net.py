"""ERes2Net of 3D-Speaker: the speaker encoder of CV3-Eval's similarity.

CV3-Eval's SIM, and "SS2" of the CosyVoice papers, are cosines of this encoder (times 100), means
over the clips. Its scale is its own: next to ``wavlm``'s figures say which is which.

Options, all behind ``speaker.``:

``model``       an id of ModelScope; by default ``iic/speech_eres2net_sv_en_voxceleb_16k``, English,
                192 dimensions, which CV3-Eval and UltraEval-Audio take. The others of this design
                are in ``MODELS``: Chinese of 200,000 speakers (large or base), and 3D-Speaker's own
                (base or large). ``damo/`` for ``iic/`` is understood
``weights``     path of that model's checkpoint; by default where ``modelscope download`` puts it
                (``~/.cache/modelscope`` or ``$MODELSCOPE_CACHE``)
``device``      ``cuda`` or ``cpu``; by default cuda where there is one
``batch_size``  most clips of exactly one length that are encoded together (1, as the official
                script has it); others are not, since statistics over time would hear the padding

As there: the whole clip, nothing trimmed, float32, 80 bands less their means over the clip. A gain
drops out with the means, but for what lies at the floor of the logarithm: pauses of digital silence
stay there, and noise below -50 dBFS reaches it in the lowest bands. Of several channels they take
the first, this package the mean.

They come to 16 kHz by torchaudio (``speaker.resample=sinc``) in UltraEval-Audio; 3D-Speaker's own
script does so by sox (``soxr`` comes nearest).

The network is written anew in torch and needs no other package; only fetching the weights takes
``pip install modelscope``. A checkpoint's tensors must be exactly those of the network. 3D-Speaker
and these models are under Apache-2.0; the weights are fetched by the user, not shipped.

Sources: Chen et al., "An Enhanced Res2Net with Local and Global Feature Fusion for Speaker
Verification", 2023; github.com/modelscope/3D-Speaker, ``speakerlab/bin/infer_sv.py``;
github.com/FunAudioLLM/CV3-Eval; github.com/OpenBMB/UltraEval-Audio, ``lib/cv3_speaker_sim``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mamtra_eval import audio
from mamtra_eval import weights as weight_files
from mamtra_eval.audio import Samples
from mamtra_eval.errors import unknown_name
from mamtra_eval.registry import read_options
from mamtra_eval.speakers._checkpoint import CheckpointEncoder
from mamtra_eval.speakers._fbank import FRAME, HOP, centred_log_mel
from mamtra_eval.weights import Weights

if TYPE_CHECKING:
    from torch import nn

    from mamtra_eval.speakers._eres2net import ERes2NetConfig


@dataclass(frozen=True)
class Published:
    """A model of 3D-Speaker on ModelScope: where its weights are, and the network's sizes."""

    revision: str
    file: str
    size: str
    sizes: Mapping[str, Any]
    sha256: str | None = None


DEFAULT_MODEL = "iic/speech_eres2net_sv_en_voxceleb_16k"
MODELS = {
    DEFAULT_MODEL: Published(
        "v1.0.2", "pretrained_eres2net.ckpt", "27 MB", {},
        "d8941f5952e31820173c8854562cb6d7897aaa58cd65c18f30d5a2e52d30847d",
    ),
    "iic/speech_eres2net_sv_zh-cn_16k-common": Published(
        "v1.0.5", "pretrained_eres2net_aug.ckpt", "221 MB",
        {"channels": 64, "expansion": 4, "base_width": 24, "slices": 3},
        "ad78a02cab9dc23385c3fe235d1c3a370c0bd89ef192d0250546b370b0b8f227",
    ),
    "iic/speech_eres2net_base_200k_sv_zh-cn_16k-common": Published(
        "v1.0.0", "pretrained_eres2net.pt", "40 MB", {"embedding": 512}
    ),
    "iic/speech_eres2net_base_sv_zh-cn_3dspeaker_16k": Published(
        "v1.0.1", "eres2net_base_model.ckpt", "40 MB", {"embedding": 512}
    ),
    "iic/speech_eres2net_large_sv_zh-cn_3dspeaker_16k": Published(
        "v1.0.0", "eres2net_large_model.ckpt", "116 MB", {"channels": 64, "embedding": 512}
    ),
}  # fmt: skip
FORMER_OWNER = "damo/"
"""Of these models on ModelScope, which older scripts still write."""

DEFAULTS: dict[str, Any] = {
    "model": DEFAULT_MODEL, "weights": None, "device": None, "batch_size": 1,
}  # fmt: skip
FAST = {"batch_size": 16}


class ERes2NetEncoder(CheckpointEncoder):
    """The encoder; embeddings have 192 or 512 dimensions, by the model."""

    name = "eres2net"
    min_samples = FRAME + 8 * HOP  # nine frames: below, nothing has a spread after the last stage

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        weights: str | None = None,
        device: str | None = None,
        batch_size: int = 1,
        config: ERes2NetConfig | None = None,
    ) -> None:
        super().__init__(weights, device, batch_size)
        self.model = _known(model)
        self._config = config

    def signature(self) -> str:
        """Model, weights by hash, and how they are computed with."""
        return (
            f"encoder:eres2net|model:{self.model}|weights:{self.sha256[:8]}"
            f"|features:kaldi-fbank-80|precision:fp32{self.batch}"
        )

    def published(self) -> Weights:
        """The model's checkpoint, where ModelScope's downloader puts it."""
        return published(self.model)

    def build(self) -> nn.Module:
        """The network of the model's sizes."""
        from mamtra_eval.speakers._eres2net import ERes2Net, ERes2NetConfig

        return ERes2Net(self._config or ERes2NetConfig(**MODELS[self.model].sizes))

    def how_to_fetch(self) -> str:
        """With a word on the other models, whose files look alike."""
        return f"{super().how_to_fetch()} If it is another model's, name it as speaker.model."

    def prepare(self, clips: Sequence[Samples]) -> audio.Samples:
        """Log-mel features, (B, T, 80)."""
        return np.stack([centred_log_mel(clip) for clip in clips])


def create(options: Mapping[str, Any]) -> ERes2NetEncoder:
    """An encoder with the given options; nothing heavy is imported yet."""
    return ERes2NetEncoder(**read_options("speaker encoder eres2net", options, DEFAULTS))


def published(model: str) -> Weights:
    """A model's checkpoint."""
    one = MODELS[model]
    folders = weight_files.modelscope(model, one.revision)
    return Weights(
        name=f"{one.file} of {model}",
        path=folders[0] / one.file,
        fetch=f"modelscope download {model} {one.file} --revision {one.revision}",
        size=one.size,
        option="speaker.weights",
        sha256=one.sha256,
        alias=tuple(folder / one.file for folder in folders[1:]),
    )


def weights() -> list[Weights]:
    """What it loads by default."""
    return [published(DEFAULT_MODEL)]


def _known(model: str) -> str:
    """The id of a model that is in ``MODELS``; UserError for another."""
    if model.startswith(FORMER_OWNER):
        model = f"iic/{model.removeprefix(FORMER_OWNER)}"
    if model not in MODELS:
        raise unknown_name("model of the speaker encoder eres2net", model, MODELS)
    return model
