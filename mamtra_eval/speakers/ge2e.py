"""GE2E voice encoder: LSTM trained for speaker verification, 256 dimensions.

The speech is brought to one level, stretches without voice are cut out (WebRTC voice activity
detector), and windows of 1.6 s of a 40-band mel spectrogram pass through three LSTM layers. The
embedding is the mean over the windows, scaled to length 1. Several windows overlap at every
instant, so a clip is described as a whole; the order of its sounds hardly matters.

Trained on human English (LibriSpeech, VoxCeleb). Two clips of one voice come out near 0.9, of two
unlike voices near 0.4 to 0.7.

Options:
    level: ``even`` (default) scales every clip to -20 dBFS RMS before anything else. ``raise`` is
        what the original package does: up to -30 dBFS if it is quieter, else as it is. The
        spectrogram is not logarithmic, so that with ``raise`` a clip against itself 12 dB quieter
        gives 0.88 to 0.96, and a system loses similarity by being quiet. Both tell the four voices
        of mini-en apart equally well (no error at equal-error threshold).

The weights are those of the ``resemblyzer`` package 0.1.4 (Apache-2.0), which is not
imported; the file is looked for in ``mamtra_eval/speakers/weights/ge2e.pt`` and in an installed
``resemblyzer``. Method: Wan et al., "Generalized End-to-End Loss for Speaker Verification", 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mamtra_eval import audio, features
from mamtra_eval.audio import Samples
from mamtra_eval.errors import MeasurementError, MissingExtra, UserError, unknown_name
from mamtra_eval.registry import read_options
from mamtra_eval.speakers import Embedding, SpeakerEncoder
from mamtra_eval.torch_threads import torch_threads

if TYPE_CHECKING:
    from torch import Tensor, nn

PACKAGES = ("webrtcvad",)

WEIGHTS_SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
BUNDLED_WEIGHTS = Path(__file__).parent / "weights" / "ge2e.pt"
HOW_TO_GET_WEIGHTS = "Get them with: pip install --no-deps resemblyzer==0.1.4"

RATE_HZ = 16000
RAISED_RMS = 10.0 ** (-30.0 / 20.0)
EVEN_RMS = 10.0 ** (-20.0 / 20.0)
LEVELS = ("even", "raise")
INT16_FULL_SCALE = 32767

VAD_MODE = 3  # the strictest
VAD_FRAME = 480  # 30 ms
VAD_SMOOTHING = 8  # frames that vote on one
VAD_DILATION = 7  # frames that one voiced frame keeps, itself in the middle

HOP = 160
N_FFT = 400
N_MELS = 40
WINDOW_FRAMES = 160
WINDOW_STEP = 77  # frames: 1.3 windows a second, rounded to the hop
MIN_COVERAGE = 0.75  # a last window with less than this share of speech in it is left out

HIDDEN = 256
LAYERS = 3
IGNORED_WEIGHTS = {"similarity_weight", "similarity_bias"}
"""Scale and offset of the training loss; no part of the embedding."""


class Ge2eEncoder(SpeakerEncoder):
    """The encoder; weights are read at the first ``embed``."""

    def __init__(self, level: str = "even") -> None:
        if level not in LEVELS:
            raise unknown_name("level of the speaker encoder ge2e", level, LEVELS)
        self._level = level

    def signature(self) -> str:
        """Weights by hash, and the parameters that decide what the network gets to hear."""
        return (
            f"encoder:ge2e|weights:{WEIGHTS_SHA256[:8]}|level:{self._level}"
            f"|vad:webrtc-{VAD_MODE}|windows:1.6s@1.3Hz"
        )

    def check(self) -> None:
        """UserError without weights or without the voice activity detector."""
        find_weights()
        if find_spec("webrtcvad") is None:
            raise UserError(
                "the voice activity detector of the speaker encoder ge2e is not installed",
                fix="Install it with: pip install webrtcvad-wheels",
            )

    def embed(self, samples_16k: Samples) -> Embedding:
        """Embedding of one clip, float32 (256,), at 16 kHz."""
        speech = keep_voiced(set_level(samples_16k, self._level))
        starts = window_starts(len(speech))
        needed = (starts[-1] + WINDOW_FRAMES) * HOP
        speech = np.pad(speech, (0, max(0, needed - len(speech))))
        mel = features.mel_spectrogram(
            speech, sample_rate_hz=RATE_HZ, n_fft=N_FFT, hop=HOP, n_mels=N_MELS
        )
        windows = np.stack([mel[start : start + WINDOW_FRAMES] for start in starts])
        mean = self._embed_windows(windows).mean(axis=0)
        length = float(np.linalg.norm(mean))
        if not np.isfinite(length) or length == 0.0:
            raise MeasurementError("the speaker encoder found no direction for this clip")
        embedding: Embedding = (mean / length).astype(np.float32)
        return embedding

    def _embed_windows(self, windows: features.Floats) -> features.Floats:
        import torch

        with torch_threads(1), torch.inference_mode():
            hidden: Tensor = self._network["lstm"](torch.from_numpy(windows))[1][0][-1]
            raw = torch.relu(self._network["linear"](hidden))
            unit = raw / raw.norm(dim=1, keepdim=True)
            return np.asarray(unit.numpy(), dtype=np.float32)

    @cached_property
    def _network(self) -> nn.ModuleDict:
        import torch
        from torch import nn

        network = nn.ModuleDict(
            {
                "lstm": nn.LSTM(N_MELS, HIDDEN, LAYERS, batch_first=True),
                "linear": nn.Linear(HIDDEN, HIDDEN),
            }
        )
        checkpoint = torch.load(find_weights(), map_location="cpu", weights_only=True)
        state = checkpoint["model_state"]
        network.load_state_dict({k: v for k, v in state.items() if k not in IGNORED_WEIGHTS})
        return network.eval().requires_grad_(False)


def create(options: Mapping[str, Any]) -> SpeakerEncoder:
    """Make the encoder with the given options."""
    return Ge2eEncoder(**read_options("speaker encoder ge2e", options, {"level": "even"}))


def find_weights() -> Path:
    """The weights' file, its hash checked; MissingExtra says how to get it."""
    candidates = [BUNDLED_WEIGHTS]
    package = find_spec("resemblyzer")
    if package is not None and package.origin is not None:
        candidates.append(Path(package.origin).with_name("pretrained.pt"))
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        raise MissingExtra(
            "the weights of the speaker encoder ge2e are not installed", fix=HOW_TO_GET_WEIGHTS
        )
    if (found := audio.sha256(path)) != WEIGHTS_SHA256:
        raise MissingExtra(
            f"not the weights that the speaker encoder ge2e knows: SHA-256 {found[:8]}…, "
            f"expected {WEIGHTS_SHA256[:8]}…",
            where=str(path),
            fix=f"Remove the file. {HOW_TO_GET_WEIGHTS}",
        )
    return path


def set_level(samples: Samples, level: str) -> Samples:
    """Scale to the RMS that ``level`` asks for; silence stays as it is."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
    if rms == 0.0 or (level == "raise" and rms >= RAISED_RMS):
        return samples
    return samples * np.float32((RAISED_RMS if level == "raise" else EVEN_RMS) / rms)


def keep_voiced(samples: Samples) -> Samples:
    """Drop the stretches without voice; MeasurementError if nothing is left."""
    import webrtcvad

    n_frames = len(samples) // VAD_FRAME
    frames = samples[: n_frames * VAD_FRAME].reshape(n_frames, VAD_FRAME)
    # A rare very spiky clip exceeds full scale after the gain: limit it, for int16 wraps around.
    pcm = np.clip(np.round(frames * INT16_FULL_SCALE), -32768, 32767).astype("<i2")
    detector = webrtcvad.Vad(VAD_MODE)
    flags = np.array([detector.is_speech(frame.tobytes(), RATE_HZ) for frame in pcm], dtype=bool)
    voiced = smooth_flags(flags)
    if not voiced.any():
        raise MeasurementError("no voiced frame was found by the voice activity detector")
    return frames[voiced].reshape(-1)


def smooth_flags(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Frames to keep: those around which a majority is voiced, and their neighbours."""
    n = len(flags)
    if n == 0:
        return flags
    # Of 8 voters 3 precede the frame and 4 follow it; a tie counts as unvoiced.
    votes = np.convolve(flags.astype(int), np.ones(VAD_SMOOTHING, dtype=int))
    majority = votes[VAD_SMOOTHING // 2 :][:n] > VAD_SMOOTHING // 2
    near = np.convolve(majority.astype(int), np.ones(VAD_DILATION, dtype=int))
    return np.asarray(near[VAD_DILATION // 2 :][:n] > 0)


def window_starts(n_samples: int) -> list[int]:
    """First mel frames of the windows; there is always one, however short the speech."""
    n_frames = -(-(n_samples + 1) // HOP)
    last = max(1, n_frames - WINDOW_FRAMES + WINDOW_STEP + 1)
    starts = list(range(0, last, WINDOW_STEP))
    covered = (n_samples - starts[-1] * HOP) / (WINDOW_FRAMES * HOP)
    if covered < MIN_COVERAGE and len(starts) > 1:
        starts.pop()
    return starts
