"""Audio in and out: the only room that opens audio files.

A ``Clip`` is mono float32 at the rate its system produced, full scale at ±1. Whatever arrives
(any rate, channel count, bit depth that libsndfile reads) becomes one; metrics ask for the rate
they need with ``resample``. Channels are averaged. Samples are kept as they are, so that a clip
over full scale or with NaN in it can be found by ``health`` and is not repaired in silence.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

MAX_DURATION_S = 3600.0
"""Longer files are refused: a wrong header can announce hours of audio."""

MAX_SAMPLES = 500_000_000
"""Of all channels together (2 GB decoded): memory is bounded whatever a header says."""

TEXT_SUFFIX = ".txt"
MAX_FLAC_RATE_HZ = 655_350
"""By the FLAC format (RFC 9639)."""

Samples = npt.NDArray[np.float32]


class AudioError(Exception):
    """A file that is no readable audio. The message names the file and the reason."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Mono speech.

    Attributes:
        samples: float32 of shape (n,), full scale ±1.
        sample_rate_hz: samples per second.
        source: the file it was read from, if it is to be kept byte for byte.
        cost: what making it took beside time, as far as its maker knows: ``tokens`` (speech
            tokens), ``cache_bytes`` (of its caches at their fullest), ``cut`` (1 if it was ended at
            a longest length).
    """

    samples: Samples
    sample_rate_hz: int
    source: Path | None = None
    cost: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            raise ValueError(
                f"samples must be float32 (n,), not {self.samples.dtype} {self.samples.shape}"
            )
        if self.sample_rate_hz <= 0:
            raise ValueError(f"sample_rate_hz must be positive, not {self.sample_rate_hz}")

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate_hz


def read(path: Path, name: str | None = None) -> Clip:
    """Read a file of any rate, channel count and bit depth; AudioError if that can't be done.

    The error calls the file ``name``, or by its path without one.
    """
    name = name or str(path)
    try:
        if not path.is_file():
            raise AudioError(f"{name}: no such file")
        if path.stat().st_size == 0:
            raise AudioError(f"{name}: the file is empty (0 bytes)")
    except OSError as error:
        raise AudioError(f"{name}: not readable as audio ({error.strerror})") from error
    return _decode(path, name)


def read_bytes(data: bytes, name: str) -> Clip:
    """Read a whole audio file from memory, as ``read`` does; ``name`` stands in its AudioError."""
    if not data:
        raise AudioError(f"{name}: empty (0 bytes)")
    return _decode(_Memory(data), name)


class _Memory(io.BytesIO):
    """Bytes in which a decoder may seek anywhere: a broken header sends it before the beginning."""

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):  # which would be printed, and ignored, in a callback
            return super().seek(0)


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Band-limited resampling by soxr at its high-quality setting; (n,) in, (n',) out."""
    if from_hz == to_hz or len(samples) == 0:
        return samples
    return np.asarray(soxr.resample(samples, from_hz, to_hz, quality="HQ"), dtype=np.float32)


def write(clip: Clip, stem: Path) -> Path:
    """Store a clip under ``stem`` plus a suffix, atomically; returns the path.

    A clip that came from a file is copied byte for byte. Others become FLAC: 16 bits where that
    is exact, else 24. What FLAC can't hold (over full scale, not finite, over 655 kHz) becomes
    float WAV. AudioError if no container takes the clip, OSError if the disk does not.
    """
    if clip.source is not None:
        target = _with_suffix(stem, clip.source.suffix.lower())
        part = _part(target)
        shutil.copyfile(clip.source, part)
    else:
        suffix, subtype = _container(clip)
        target = _with_suffix(stem, suffix)
        part = _part(target)
        # By way of memory, so that a full disk shows as what it is.
        part.write_bytes(encode(clip.samples, clip.sample_rate_hz, suffix[1:], subtype))
    part.replace(target)
    return target


def encode(
    samples: npt.NDArray[np.generic], sample_rate_hz: int, container: str, subtype: str
) -> bytes:
    """A file's bytes, without metadata; AudioError if its container doesn't take the samples.

    Args:
        samples: (n,) or (n, channels).
        sample_rate_hz: samples per second.
        container: ``wav`` or ``flac``.
        subtype: libsndfile's name of the sample format, ``PCM_16``.
    """
    buffer = io.BytesIO()
    try:
        soundfile.write(buffer, samples, sample_rate_hz, format=container.upper(), subtype=subtype)
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"a clip of {sample_rate_hz} Hz can't be stored ({error.error_string})"
        ) from error
    return buffer.getvalue()


def write_text(text: str, stem: Path) -> Path:
    """Store a transcript in a clip's place, as ``.txt``, atomically; returns the path."""
    target = _with_suffix(stem, TEXT_SUFFIX)
    part = _part(target)
    part.write_bytes(text.encode("utf-8"))
    part.replace(target)
    return target


def remove_parts(folder: Path) -> None:
    """Delete what writers that were killed have left behind."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _decode(file: Path | io.BytesIO, name: str) -> Clip:
    try:
        # As bytes, since a file's name need not be UTF-8.
        with soundfile.SoundFile(os.fsencode(file) if isinstance(file, Path) else file) as sound:
            if sound.frames > MAX_DURATION_S * sound.samplerate:
                raise AudioError(f"{name}: longer than {MAX_DURATION_S:.0f} s by its header")
            if sound.frames * sound.channels > MAX_SAMPLES:
                raise AudioError(f"{name}: {sound.channels} channels of {sound.frames} samples")
            data = sound.read(dtype="float32", always_2d=True)
            rate = int(sound.samplerate)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{name}: not readable as audio ({error.error_string})") from error
    except (OSError, MemoryError) as error:
        raise AudioError(f"{name}: not readable as audio ({error})") from error
    if len(data) == 0:
        raise AudioError(f"{name}: holds no samples")
    mono = data[:, 0] if data.shape[1] == 1 else data.mean(axis=1, dtype=np.float64)
    return Clip(np.ascontiguousarray(mono, dtype=np.float32), rate)


def _container(clip: Clip) -> tuple[str, str]:
    samples = clip.samples
    fits = clip.sample_rate_hz <= MAX_FLAC_RATE_HZ and len(samples) > 0
    if not fits or not np.isfinite(samples).all() or np.abs(samples).max() > 1.0:
        return ".wav", "FLOAT"
    scaled = samples * np.float32(32768)
    exact = bool(np.all(scaled == np.round(scaled)) and scaled.max() <= 32767)
    return ".flac", "PCM_16" if exact else "PCM_24"


def _with_suffix(stem: Path, suffix: str) -> Path:
    # Not Path.with_suffix: utterance ids may hold dots.
    return stem.parent / (stem.name + suffix)


def _part(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.part")
