"""The network of UTMOS22-strong: wav2vec 2.0, a listener and a domain, an LSTM, one score a frame.

Every frame's features get two vectors appended: one of the data set (domain) and one of the
listener (judge) whose opinion is asked for. Training had many of both; the published file keeps
one row of each: domain 0, the main data, and judge 288, by the numbering of UTMOS22's data the mean
of its listeners. A bidirectional LSTM and two dense layers give a score for each frame; the clip's
is their mean over time, brought from about -1 to 1 to the scale of opinions by ``2 * score + 3``.
Nothing bounds it to 1 to 5.

The keys of ``state_dict`` are those of SpeechMOS's weights. Method: Saeki et al., "UTMOS", 2022.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mamtra_eval.audio import Samples
from mamtra_eval.errors import MissingExtra
from mamtra_eval.metrics._utmos_ssl import SslDimensions, Wav2Vec2
from mamtra_eval.models.strict import check_finite, differences
from mamtra_eval.weights import why

UNUSED = "wav2vec2.mask_emb"
"""In the file, but no part of the score."""


@dataclass(frozen=True)
class Dimensions:
    """Sizes of the network; the defaults are those of the published weights."""

    ssl: SslDimensions = field(default_factory=SslDimensions)
    domain: int = 128
    judge: int = 128
    recurrent: int = 512
    projection: int = 2048


PUBLISHED = Dimensions()


class Utmos22Strong(nn.Module):
    """Samples at 16 kHz, (B, T) of one length, to predicted opinions (B,)."""

    def __init__(self, sizes: Dimensions) -> None:
        super().__init__()
        self.wav2vec2 = Wav2Vec2(sizes.ssl)
        self.domain_emb = nn.Parameter(torch.zeros(1, sizes.domain))
        self.judge_emb = nn.Parameter(torch.zeros(1, sizes.judge))
        self.blstm = nn.LSTM(
            sizes.ssl.width + sizes.domain + sizes.judge,
            sizes.recurrent,
            batch_first=True,
            bidirectional=True,
        )
        self.projection = nn.Sequential(
            nn.Linear(2 * sizes.recurrent, sizes.projection),
            nn.ReLU(),
            nn.Linear(sizes.projection, 1),
        )

    def forward(self, samples: Tensor) -> Tensor:
        """Predicted opinions."""
        features = self.wav2vec2(samples)  # (B, F, W)
        conditions = torch.cat([self.domain_emb, self.judge_emb], dim=1)
        conditions = conditions.expand(*features.shape[:2], -1)
        hidden, _ = self.blstm(torch.cat([features, conditions], dim=2))
        scores: Tensor = self.projection(hidden)[..., 0]  # (B, F)
        return 2 * scores.mean(dim=1) + 3


def load(path: Path, sizes: Dimensions) -> Utmos22Strong:
    """The network with the weights of a file, float32, on the CPU, for evaluation.

    MissingExtra if the file can't be read or its tensors are not exactly the network's.
    """
    with torch.device("meta"):  # shapes without numbers: nothing is initialised for nothing
        network = Utmos22Strong(sizes)
    expected = {name: tensor.shape for name, tensor in network.state_dict().items()}
    tensors = _read(path)
    if wrong := differences(expected, tensors):
        raise _unusable(path, f"not the weights of UTMOS22-strong; {wrong}")
    check_finite({name: t for name, t in tensors.items() if name != UNUSED}, str(path))
    network.load_state_dict({name: t.float() for name, t in tensors.items()}, assign=True)
    return network.eval().requires_grad_(False)


@torch.inference_mode()
def predict(network: Utmos22Strong, clips: Sequence[Samples]) -> list[float]:
    """Scores of clips at 16 kHz that all have one length."""
    batch = torch.from_numpy(np.stack(clips)).to(network.judge_emb.device)
    with _full_precision():
        return [float(score) for score in network(batch).cpu()]


def _read(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of archives that hold programs, which are refused
            tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of the file system, of the format, of what is pickled
        raise _unusable(path, f"no file of weights ({why(error)})") from error
    if not isinstance(tensors, dict) or not all(
        isinstance(tensor, Tensor) for tensor in tensors.values()
    ):
        raise _unusable(path, "no file of weights (it holds something else than named tensors)")
    return tensors


def _unusable(path: Path, what: str) -> MissingExtra:
    return MissingExtra(
        what,
        where=str(path),
        fix="The file is utmos22_strong_step7459_v1.pt of SpeechMOS, as it was published; "
        "fetch it again.",
    )


@contextmanager
def _full_precision() -> Iterator[None]:
    """Convolutions and LSTM in true float32 on a GPU too; torch rounds them to TF32 by default."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
