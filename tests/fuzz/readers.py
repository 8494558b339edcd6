"""What is fuzzed: readers that take bytes, and the errors that they may raise."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from mamtra_eval import audio, config, structured, targets
from mamtra_eval.audio import AudioError
from mamtra_eval.errors import MeasurementError, SynthesisError, UserError
from mamtra_eval.testset import parse

TOLD = (UserError, AudioError, SynthesisError, MeasurementError)
"""Words to the user: everything else is a bug."""
Reader = Callable[[bytes, Path], object]


def _audio(data: bytes, folder: Path) -> None:
    clip = audio.read_bytes(data, "fuzzed")
    assert clip.samples.ndim == 1
    assert len(clip.samples) > 0


def _list(data: bytes, folder: Path) -> None:
    (folder / "meta.lst").write_bytes(data)
    rows, problems = parse(folder / "meta.lst")
    ids = [utterance.id for _, utterance in rows]
    assert len({*ids}) == len(ids)
    assert all(problem.line > 0 for problem in problems)
    for name in ids:  # which become file names
        assert PurePosixPath(name).name == name
        assert (folder / name).parent == folder


def _config(data: bytes, folder: Path) -> None:
    path = folder / "run.yaml"
    path.write_bytes(data)
    made = config.build(structured.read_yaml(path, "testset"), [], where="fuzzed")
    path.write_text(config.to_yaml(made), encoding="utf-8")
    assert config.build(structured.read_yaml(path, "testset"), [], where="again") == made


def _overrides(data: bytes, folder: Path) -> None:
    given = data.decode("utf-8", "replace").splitlines()
    config.build({"testset": "mini-en", "systems": {"a": "recorded"}}, given, where="fuzzed")


def _target(data: bytes, folder: Path) -> None:
    targets.parse("a", data.decode("utf-8", "replace"))


def _transcripts(data: bytes, folder: Path) -> None:
    from mamtra_eval.systems import Request, transcripts

    (folder / "heard.jsonl").write_bytes(data)
    transcripts.create({"file": str(folder / "heard.jsonl")}).identity([Request("u1", "hello")])


def _archive(data: bytes, folder: Path) -> None:
    from mamtra_eval import importing

    (folder / "x.tar").write_bytes(data)
    try:
        importing.unpack(folder / "x.tar", folder / "sets" / "new", "new", any_counts=True)
    finally:
        outside = {path.name for path in folder.iterdir()} - {"x.tar", "sets"}
        assert not outside, outside


def tar(name: str, data: bytes) -> bytes:
    """An archive with one member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


READERS: Mapping[str, Reader] = MappingProxyType({
    "audio": _audio, "list": _list, "config": _config, "overrides": _overrides, "target": _target,
    "transcripts": _transcripts, "archive": _archive,
})  # fmt: skip
