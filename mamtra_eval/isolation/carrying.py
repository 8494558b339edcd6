"""How requests, clips and errors travel between host and guest.

Audio goes by a file of raw float32 samples in a folder of the two, everything else in the message;
so samples arrive bit for bit, NaN too. The reader checks the file's length and deletes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mamtra_eval.audio import MAX_SAMPLES, Clip
from mamtra_eval.errors import MissingExtra, SynthesisError, UserError, describe
from mamtra_eval.isolation.messages import Message, ProtocolError, numbers, text, whole
from mamtra_eval.systems import Request, Words

SUFFIX = ".f32"
HIGHEST_HZ = 10_000_000
_PATHS = ("prompt_audio", "ground_truth")
_MEMORY_WORDS = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "failed to map segment",
)  # fmt: skip
"""The last is the loader's, of a library that finds no address space."""


class OutOfMemory(SynthesisError):  # noqa: N818 -- it names the state, not the error
    """The guest had not enough memory for a clip; it is replaced, since it may hold some still."""


class Unloadable(SynthesisError):  # noqa: N818 -- it names the state, not the error
    """Something could not be imported in the guest."""


def pack_request(request: Request) -> Message:
    """A request as plain values."""
    plain = asdict(request)
    return plain | {name: str(plain[name]) for name in _PATHS if plain[name] is not None}


def unpack_request(message: Mapping[str, Any]) -> Request:
    """The request that ``pack_request`` was given."""
    paths = {name: Path(message[name]) for name in _PATHS if message[name] is not None}
    return Request(**{**message, **paths})


def pack_result(result: Clip | Words | Exception, folder: Path, name: str) -> Message:
    """A clip (its samples go into ``folder`` under ``name``), a transcript or an error.

    OSError if the folder does not take the samples.
    """
    if isinstance(result, Exception):
        return {"error": pack_error(result)}
    if isinstance(result, Words):
        return {"words": result.text}
    path = folder / (name + SUFFIX)
    try:
        path.write_bytes(np.ascontiguousarray(result.samples).data)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return {
        "clip": name,
        "samples": len(result.samples),
        "rate_hz": int(result.sample_rate_hz),
        "source": None if result.source is None else str(result.source),
        "cost": {key: float(value) for key, value in result.cost.items()},
    }


def unpack_result(message: Message, folder: Path) -> Clip | Words | Exception:
    """What ``pack_result`` was given; the file of a clip is gone then.

    ProtocolError for what is none, or a file that is not as long as the message says.
    """
    if "error" in message:
        return unpack_error(message["error"])
    if "words" in message:
        return Words(text(message, "words"))
    name = text(message, "clip")
    if not (name.isascii() and name.isdecimal()):
        raise ProtocolError(f"{name!r:.60} is no name of a clip")
    count = whole(message, "samples", 0, MAX_SAMPLES)
    rate_hz = whole(message, "rate_hz", 1, HIGHEST_HZ)
    source = None if message.get("source") is None else Path(text(message, "source"))
    cost = numbers(message, "cost")
    return Clip(_read(folder / (name + SUFFIX), count), rate_hz, source, cost)


def pack_error(error: Exception) -> Message:
    """What an error says, and what it is to the host."""
    if isinstance(error, UserError):
        kind = "missing" if isinstance(error, MissingExtra) else "user"
        return {"kind": kind, "what": error.what, "where": error.where, "fix": error.fix}
    if is_out_of_memory(error):
        return {"kind": "memory", "what": describe(error)}
    if isinstance(error, ImportError):
        return {"kind": "import", "what": describe(error)}
    return {"kind": "failed", "what": describe(error)}


def unpack_error(message: object) -> Exception:
    """The error to raise or to keep here; ProtocolError for what is none."""
    if not isinstance(message, dict):
        raise ProtocolError(f"{message!r:.60} is no error")
    kind, what = text(message, "kind"), text(message, "what")
    where, fix = message.get("where"), message.get("fix")
    if kind in ("user", "missing"):
        made = MissingExtra if kind == "missing" else UserError
        return made(
            what,
            where=None if where is None else text(message, "where"),
            fix=None if fix is None else text(message, "fix"),
        )
    known = {"memory": OutOfMemory, "import": Unloadable, "failed": SynthesisError}
    if kind not in known:
        raise ProtocolError(f"{kind!r:.60} is no kind of error")
    return known[kind](f"out of memory: {what}" if kind == "memory" else what)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was short, of this machine or of a device, by class or by what is said."""
    seen: BaseException | None = error
    chain: list[BaseException] = []
    while seen is not None and seen not in chain:  # causes may go round in a circle
        chain.append(seen)
        if isinstance(seen, MemoryError) or type(seen).__name__ == "OutOfMemoryError":
            return True
        if isinstance(seen, RuntimeError | ImportError | OSError) and any(
            word in str(seen).lower() for word in _MEMORY_WORDS
        ):
            return True
        seen = seen.__cause__
    return False


def _read(path: Path, count: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """The samples, their file deleted whatever is found in it."""
    try:
        with path.open("rb") as file:
            path.unlink()
            found = file.seek(0, 2)
            if found != 4 * count:
                raise ProtocolError(f"{found} bytes of audio where {4 * count} were announced")
            file.seek(0)
            return np.fromfile(file, np.float32, count)
    except OSError as error:
        raise ProtocolError(f"no audio where it was announced ({error.strerror})") from error
