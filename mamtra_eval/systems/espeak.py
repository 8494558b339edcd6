"""espeak-ng, the rule-based synthesizer, from the library that ``espeakng-loader`` carries.

Options:

``voice``  a language (``en-us``, ``en-gb``, ``de``), alone or with a variant: ``en-us+f3``.
           Default ``en-us``. It speaks whatever the language of the text.
``rate``   words per minute, 80 to 2000; default 175. Above 450 the sound is compressed.
``pitch``  0 to 99; default 50.

Target: ``espeak:voice=en-gb+f2,rate=160``. Output has 22050 Hz.

The same request gives the same bytes, whatever was spoken before. espeak-ng keeps hidden state
from one utterance to the next (the phase of its pitch flutter, its gain control), and no call of
its API resets that. So the library is loaded anew for each utterance, which takes about 2 ms. The
breath noise of some variants is random; it follows the seed of the request.
"""

from __future__ import annotations

import ctypes
import difflib
import itertools
import os
import threading
from _ctypes import dlclose
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import espeakng_loader
import numpy as np

from mamtra_eval.audio import Clip
from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.registry import read_options
from mamtra_eval.systems import Request, System

PACKAGES = ("espeakng_loader",)

DEFAULTS = {"voice": "en-us", "rate": 175, "pitch": 50}
RATES = range(80, 2001)
PITCHES = range(100)

# Constants of espeak-ng's speak_lib.h.
_SYNCHRONOUS, _DONT_EXIT, _UTF8 = 2, 0x8000, 1
_RATE, _PITCH = 1, 3
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)

# NUL would end the text, and U+0001 starts an embedded command of espeak.
_CONTROLS = {0: " ", 1: " "}

_one_at_a_time = threading.Lock()


class _Voice(ctypes.Structure):
    """The head of ``espeak_VOICE``, as far as it is read here."""

    _fields_ = tuple((name, ctypes.c_char_p) for name in ("name", "languages", "identifier"))


class Espeak(System):
    """Speaks with one voice at one rate and pitch; UserError for a voice that there isn't."""

    def __init__(self, voice: str, rate: int, pitch: int) -> None:
        _check_range("rate", rate, RATES)
        _check_range("pitch", pitch, PITCHES)
        self.voice, self.rate, self.pitch = voice, rate, pitch
        self._name = _find_voice(voice).encode()

    def identity(self, requests: Sequence[Request]) -> dict[str, Any]:
        """Options, and the versions of espeak-ng and of the package that carries it."""
        return {
            "voice": self.voice,
            "rate": self.rate,
            "pitch": self.pitch,
            "espeak-ng": release(),
            "espeakng-loader": version("espeakng-loader"),
        }

    def speak(self, request: Request) -> Clip:
        """Mono at 22050 Hz; SynthesisError if espeak fails or the text has nothing to say."""
        pcm = bytearray()

        def collect(wave: int | None, count: int, events: int) -> int:
            if wave and count:
                pcm.extend(ctypes.string_at(wave, 2 * count))
            return 0

        callback = _CALLBACK(collect)  # named, as espeak holds no reference to it
        with loaded_library() as (library, rate_hz):
            _seed(library, request.seed)
            library.espeak_SetSynthCallback(callback)
            _demand(library.espeak_SetVoiceByName(self._name), f"voice {self.voice}")
            _demand(library.espeak_SetParameter(_RATE, self.rate, 0), f"rate {self.rate}")
            _demand(library.espeak_SetParameter(_PITCH, self.pitch, 0), f"pitch {self.pitch}")
            _synthesize(library, request.text)
        samples = np.frombuffer(bytes(pcm), dtype=np.int16)
        if not samples.any():
            raise SynthesisError(f"espeak said nothing for the text {request.text[:60]!r}")
        return Clip((samples / np.float32(32768)).astype(np.float32), rate_hz)


def create(options: Mapping[str, Any]) -> Espeak:
    """The system; options ``voice``, ``rate`` (words per minute) and ``pitch`` (0 to 99)."""
    return Espeak(**read_options("espeak", options, DEFAULTS))


def release() -> str:
    """Version of espeak-ng."""
    with loaded_library() as (library, _):
        library.espeak_Info.restype = ctypes.c_char_p
        return str(library.espeak_Info(None).decode())


@contextmanager
def loaded_library() -> Iterator[tuple[ctypes.CDLL, int]]:
    """The library in its first state, with its rate in Hz; unloaded at the end. One at a time."""
    with _one_at_a_time:
        path = espeakng_loader.get_library_path()
        if _is_loaded(path):
            # Then dlclose would keep its state, and clips would depend on what came before.
            raise UserError(
                "something else in this process holds the library, so its state can't be reset",
                where=path,
                fix="Run espeak in a process of its own.",
            )
        library = ctypes.CDLL(path)
        try:
            data = espeakng_loader.get_data_path()
            rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(data), _DONT_EXIT)
            if rate_hz <= 0:
                raise UserError(
                    f"espeak-ng can't read its data (it takes a path of about 150 "
                    f"characters; this one has {len(data)})",
                    where=data,
                    fix="Install at a shorter path.",
                )
            yield library, rate_hz
        finally:
            library.espeak_Terminate()
            dlclose(library._handle)


def _is_loaded(path: str) -> bool:
    try:
        library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
    except OSError:
        return False
    dlclose(library._handle)
    return True


def _seed(library: ctypes.CDLL, seed: int) -> None:
    # Its own generator, and the C library's rand(), which some variants use.
    library.espeak_ng_SetRandSeed(ctypes.c_long(seed % 2**31))
    ctypes.CDLL(None).srand(ctypes.c_uint(seed % 2**32))


def _synthesize(library: ctypes.CDLL, text: str) -> None:
    data = text.translate(_CONTROLS).encode("utf-8", "replace") + b"\0"
    size = ctypes.c_size_t(len(data))
    _demand(library.espeak_Synth(data, size, 0, 1, 0, _UTF8, None, None), "the text")
    _demand(library.espeak_Synchronize(), "the text")


def _demand(status: int, what: str) -> None:
    if status != 0:
        raise SynthesisError(f"espeak-ng refused {what} (status {status})")


def _check_range(option: str, value: int, allowed: range) -> None:
    if value not in allowed:
        raise UserError(
            f"option {option} of espeak is {value}", fix=f"Give {allowed[0]} to {allowed[-1]}."
        )


def _find_voice(voice: str) -> str:
    """The name that the library takes for a voice; UserError with near matches for an unknown."""
    base, plus, variant = voice.partition("+")
    with loaded_library() as (library, _):
        found = base
        # An empty name would be taken for the default voice.
        if not base or library.espeak_SetVoiceByName(base.encode()) != 0:
            # Voices go by file, and some by another name than their language: en-gb is gmw/en.
            languages = _languages(library)
            if base.lower() not in languages:
                raise _no_such("voice", base, sorted(languages), "en-us, en-gb, de, fr-fr, cmn")
            found = languages[base.lower()]
    variants = [path.name for path in Path(espeakng_loader.get_data_path(), "voices/!v").iterdir()]
    if plus and variant not in variants:  # which espeak would pass over in silence
        raise _no_such("voice variant", variant, variants, "en-us+f3, en-us+m1")
    return found + plus + variant


def _no_such(kind: str, name: str, known: Sequence[str], examples: str) -> UserError:
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.4)
    hint = f"Nearest: {', '.join(near)}." if near else f"There are {len(known)}, like {examples}."
    return UserError(f"espeak has no {kind} named {name!r}", fix=hint)


def _languages(library: ctypes.CDLL) -> dict[str, str]:
    """The first language of each voice (it stands after one byte of priority), and its file."""
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    voices = library.espeak_ListVoices(None)
    files: dict[str, str] = {}
    for n in itertools.takewhile(lambda n: bool(voices[n]), itertools.count()):
        voice = voices[n].contents
        files.setdefault(voice.languages[1:].decode().lower(), voice.identifier.decode())
    return files
