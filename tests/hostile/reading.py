"""Hands every case of a kind to the real reader, within bounds, and tells what came of it.

    python tests/hostile/reading.py KIND

A line of JSON a case: name, outcome (``read``, ``told`` or the class of an error that nobody is to
see), message, seconds, and whether a payload was carried out. Memory is bounded by the system, time
by an alarm.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from cases import Case

from mamtra_eval.audio import AudioError
from mamtra_eval.errors import SynthesisError, UserError

ROOM = 3 * 2**30
"""Address space beyond what the process has when it begins: a WAV of an hour takes a tenth."""
SECONDS = 30
MARK = "executed"


def _audio(path: Path) -> None:
    from mamtra_eval import audio

    audio.read(path)


def _list(path: Path) -> None:
    from mamtra_eval.testset import read_meta

    read_meta(path)


def _config(path: Path) -> None:
    from mamtra_eval import config

    config.load(str(path))


def _checkpoint(path: Path) -> None:
    from mamtra_eval.models import checkpoint

    checkpoint.load(path)


def _official(path: Path) -> None:
    from mamtra_eval.models import cosyvoice2

    cosyvoice2.read_llm(path)


def _archive(path: Path) -> None:
    from mamtra_eval import importing

    target = path.parent / "sets" / "imported"
    importing.unpack(path, target, "imported", any_counts=True)
    for found in target.rglob("*"):
        assert found.resolve().is_relative_to(target.resolve())


def _transcripts(path: Path) -> None:
    from mamtra_eval.systems import Request, transcripts

    system = transcripts.create({"file": str(path)})
    system.identity([Request("u1", "hello")])
    system.speak(Request("u1", "hello"))


def _kinds() -> dict[str, tuple[Callable[[], Iterable[Case]], Callable[[Path], None]]]:
    import corpus_audio
    import corpus_configs
    import corpus_files
    import corpus_lists

    return {
        "audio": (corpus_audio.cases, _audio),
        "lists": (corpus_lists.cases, _list),
        "configurations": (corpus_configs.cases, _config),
        "checkpoints": (corpus_files.checkpoints, _checkpoint),
        "official weights": (corpus_files.official, _official),
        "archives": (corpus_files.archives, _archive),
        "transcripts": (corpus_files.transcripts, _transcripts),
    }


KINDS = ("audio", "lists", "configurations", "checkpoints", "official weights", "archives",
         "transcripts")  # fmt: skip


def corpus(kind: str) -> list[Case]:
    """All cases of a kind."""
    return [*_kinds()[kind][0]()]


class Overdue(BaseException):
    """A case takes too long; no reader is to swallow that."""


def _overdue(*_: object) -> None:
    raise Overdue


def _told(read: Callable[[Path], None], path: Path) -> tuple[str, str]:
    try:
        read(path)
    except (UserError, AudioError, SynthesisError) as error:
        return "told", str(error)
    except Overdue:
        return "Overdue", ""
    except BaseException as error:
        return type(error).__name__, str(error)
    return "read", ""


def main(kind: str) -> None:
    warnings.simplefilter("ignore")
    make, read = _kinds()[kind]
    cases = [*make()]
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
    signal.signal(signal.SIGALRM, _overdue)
    for case in cases:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            path = case.write(folder)
            started = time.perf_counter()
            signal.alarm(SECONDS)
            outcome, message = _told(read, path)
            signal.alarm(0)
            executed = bool([*folder.rglob(MARK)])
        line = {"name": case.name, "outcome": outcome, "message": message, "executed": executed,
                "seconds": round(time.perf_counter() - started, 2)}  # fmt: skip
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
