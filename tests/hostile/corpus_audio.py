"""Audio: every container and depth, cut off everywhere, headers that lie, things that are no file."""

from __future__ import annotations

import io
import os
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
from cases import EITHER, READ, Case, holding

RATE = 16000
NOT_AUDIO = "not readable as audio|holds no samples"
CONTAINERS = (
    ("WAV", "PCM_U8"), ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_32"), ("WAV", "FLOAT"),
    ("WAV", "DOUBLE"), ("WAV", "ULAW"), ("WAV", "ALAW"), ("WAV", "IMA_ADPCM"), ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"), ("W64", "PCM_16"), ("AIFF", "PCM_16"), ("AIFF", "PCM_S8"), ("AU", "PCM_16"),
    ("CAF", "PCM_16"), ("FLAC", "PCM_S8"), ("FLAC", "PCM_16"), ("FLAC", "PCM_24"),
    ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("SVX", "PCM_16"),
    ("NIST", "PCM_16"), ("VOC", "PCM_16"), ("IRCAM", "PCM_16"), ("MAT5", "PCM_16"),
)  # fmt: skip


def encoded(container: str, subtype: str, channels: int = 1, rate: int = RATE) -> bytes:
    """A quarter of a second of a tone."""
    times = np.arange(rate // 4) / rate
    tone = 0.3 * np.sin(2 * np.pi * 220 * times)
    buffer = io.BytesIO()
    samples = np.repeat(tone[:, None], channels, axis=1)
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    return buffer.getvalue()


def wav(
    *, channels: int = 1, rate: int = RATE, bits: int = 16, data: bytes = b"\0" * 800,
    size: int | None = None, riff: int | None = None, form: int = 1, fmt_size: int = 16,
    magic: bytes = b"RIFF",
) -> bytes:  # fmt: skip
    """A WAV file whose header says whatever it is told to."""
    block = max(1, channels * bits // 8) & 0xFFFF
    fmt = struct.pack("<HHIIHH", form, channels, rate, rate * block & 0xFFFFFFFF, block, bits)
    told = len(data) if size is None else size
    body = b"WAVEfmt " + struct.pack("<I", fmt_size) + fmt + b"data" + struct.pack("<I", told)
    whole = len(body) + len(data) if riff is None else riff
    return magic + struct.pack("<I", whole) + body + data


def cases() -> Iterator[Case]:
    yield from _containers()
    yield from _cut()
    yield from _lying()
    yield from _samples()
    yield from _noise()
    yield from _no_files()


def _containers() -> Iterator[Case]:
    for container, subtype in CONTAINERS:
        name = f"{container}-{subtype}"
        yield Case(name, holding(encoded(container, subtype), f"x.{container.lower()}"), READ)
    for channels in (2, 6, 32):
        yield Case(
            f"channels-{channels}", holding(encoded("WAV", "PCM_16", channels), "x.wav"), READ
        )
    for rate in (8000, 11025, 44100, 96000, 192000):
        yield Case(f"rate-{rate}", holding(encoded("WAV", "PCM_16", rate=rate), "x.wav"), READ)
    disguised = (("MP3", "MPEG_LAYER_III", "mp3-named.wav"), ("WAV", "PCM_16", "wav-named.mp3"),
                 ("FLAC", "PCM_16", "flac-named.wav"), ("OGG", "VORBIS", "ogg-named.flac"),
                 ("AIFF", "PCM_16", "aiff-without-suffix"))  # fmt: skip
    for container, subtype, name in disguised:
        yield Case(name, holding(encoded(container, subtype), name), READ)


def _cut() -> Iterator[Case]:
    for container, subtype in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"),
                               ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16")):  # fmt: skip
        data = encoded(container, subtype)
        for at in (1, 3, 11, 12, 20, 35, 43, 44, 45, 100, len(data) // 2, len(data) - 1):
            name = f"{container.lower()}-cut-at-{at}"
            yield Case(name, holding(data[:at], f"x.{container.lower()}"), EITHER)


def _lying() -> Iterator[Case]:
    lies: dict[str, tuple[bytes, str]] = {
        "size-4-GB": (wav(size=0xFFFFFFFE), EITHER),
        "size-2-GB": (wav(size=0x7FFFFFFF), EITHER),
        "size-0": (wav(size=0), EITHER),
        "size-odd": (wav(size=799), EITHER),
        "riff-0": (wav(riff=0), EITHER),
        "riff-4-GB": (wav(riff=0xFFFFFFFF), EITHER),
        "channels-0": (wav(channels=0), NOT_AUDIO),
        "channels-65535": (wav(channels=65535), EITHER),
        "channels-1024": (wav(channels=1024, data=b"\0" * 2048 * 40), EITHER),
        "rate-0": (wav(rate=0), NOT_AUDIO + "|rate"),
        "rate-1": (wav(rate=1, data=b"\0" * 8000), "longer than 3600 s|" + NOT_AUDIO),
        "rate-2^31": (wav(rate=2**31), EITHER),
        "rate-2^32-1": (wav(rate=2**32 - 1), EITHER),
        "bits-0": (wav(bits=0), EITHER),
        "bits-7": (wav(bits=7), EITHER),
        "bits-1": (wav(bits=1), EITHER),
        "bits-64": (wav(bits=64), EITHER),
        "bits-65535": (wav(bits=65535), EITHER),
        "format-0": (wav(form=0), EITHER),
        "format-0xffff": (wav(form=0xFFFF), EITHER),
        "format-mp3": (wav(form=0x55), EITHER),
        "fmt-size-0": (wav(fmt_size=0), EITHER),
        "fmt-size-4-GB": (wav(fmt_size=0xFFFFFFFF), EITHER),
        "rifx": (wav(magic=b"RIFX"), EITHER),
        "no-data": (wav(data=b""), NOT_AUDIO),
        "ten-headers": (wav() * 10, EITHER),
        "an-hour-and-more": (wav(rate=8000, bits=8, data=b"\x80" * (8000 * 3601)), "longer than"),
        "flac-2^36-samples": (_flac_of(2**36 - 1), EITHER),
        "flac-10-hours": (_flac_of(16000 * 36000), "longer than"),
        "rf64-huge": (_rf64(2**62), EITHER),
        "aiff-2^32-frames": (_aiff(0xFFFFFFFF), EITHER),
        "au-unknown-size": (_au(0xFFFFFFFF), EITHER),
    }
    for name, (data, expected) in lies.items():
        yield Case(f"header-{name}", holding(data, "x.wav"), expected)


def _flac_of(samples: int) -> bytes:
    data = bytearray(encoded("FLAC", "PCM_16"))
    low = data[21] & 0xF0
    data[21] = low | (samples >> 32 & 0x0F)
    data[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(data)


def _rf64(size: int) -> bytes:
    data = bytearray(encoded("RF64", "PCM_16"))
    at = data.find(b"ds64")
    data[at + 16 : at + 24] = size.to_bytes(8, "little")
    return bytes(data)


def _aiff(frames: int) -> bytes:
    data = bytearray(encoded("AIFF", "PCM_16"))
    at = data.find(b"COMM")
    data[at + 10 : at + 14] = frames.to_bytes(4, "big")
    return bytes(data)


def _au(size: int) -> bytes:
    data = bytearray(encoded("AU", "PCM_16"))
    data[8:12] = size.to_bytes(4, "big")
    return bytes(data)


def _samples() -> Iterator[Case]:
    odd = {
        "nan": np.full(800, np.nan), "inf": np.full(800, np.inf), "-inf": np.full(800, -np.inf),
        "one-nan": np.r_[np.zeros(799), np.nan], "1e30": np.full(800, 1e30),
        "denormal": np.full(800, 1e-40), "one-sample": np.zeros(1), "zeros": np.zeros(800),
    }  # fmt: skip
    for name, samples in odd.items():
        data = samples.astype("<f4").tobytes()
        yield Case(f"float-{name}", holding(wav(form=3, bits=32, data=data), "x.wav"), READ)


def _noise() -> Iterator[Case]:
    rng = random.Random(0)
    for size in (1, 4, 44, 45, 1000, 100_000):
        yield Case(f"random-{size}", holding(rng.randbytes(size), "x.wav"), EITHER)
    for magic in (b"RIFF", b"fLaC", b"OggS", b"ID3\x04", b"FORM", b".snd", b"caff", b"riff"):
        data = magic + rng.randbytes(2000)
        yield Case(f"random-after-{magic!r}", holding(data, "x.wav"), EITHER)
    for name in ("WAV-PCM_16", "FLAC-PCM_16", "OGG-VORBIS", "MP3-MPEG_LAYER_III"):
        container, subtype = name.split("-", 1)
        for seed in range(4):
            data = bytearray(encoded(container, subtype))
            noise = random.Random(seed)
            for _ in range(20):
                data[noise.randrange(len(data))] = noise.randrange(256)
            yield Case(f"flipped-{name}-{seed}", holding(bytes(data), "x.wav"), EITHER)
    others = {"html": b"<!DOCTYPE html><h1>404</h1>", "json": b'{"error": "no such voice"}',
              "zip": b"PK\x03\x04" + b"\0" * 100, "png": b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
              "pickle": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.",
              "text": b"hello", "zeros": b"\0" * 5000, "gzip": b"\x1f\x8b\x08" + b"\0" * 50}  # fmt: skip
    for name, data in others.items():
        yield Case(f"{name}-named-wav", holding(data, "x.wav"), NOT_AUDIO)


def _no_files() -> Iterator[Case]:
    yield Case("zero-bytes", holding(b"", "x.wav"), "the file is empty")
    yield Case("missing", lambda folder: folder / "x.wav", "no such file")
    yield Case("name-of-5000", lambda folder: folder / ("x" * 5000), "not readable|no such file")
    yield Case(
        "name-with-nul", lambda folder: folder / "a\0b.wav", "not readable|no such file|null"
    )
    yield Case("folder", _made(Path.mkdir), "no such file")
    yield Case("pipe", _made(os.mkfifo), "no such file")
    yield Case("dangling-link", _made(lambda path: path.symlink_to("nowhere")), "no such file")
    yield Case(
        "link-to-itself",
        _made(lambda path: path.symlink_to(path.name)),
        "no such file|not readable",
    )
    yield Case("link-to-device", _made(lambda path: path.symlink_to("/dev/zero")), "no such file")
    yield Case("name-of-other-bytes", _named("\udcff\udcfe.wav"), READ)
    yield Case("name-with-line-break", _named("a\nb\x1b[31m.wav"), READ)


def _made(make: Callable[[Path], object]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        make(folder / "x.wav")
        return folder / "x.wav"

    return write


def _named(name: str) -> Callable[[Path], Path]:
    return holding(encoded("WAV", "PCM_16"), name)
