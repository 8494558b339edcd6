"""Checkpoints, official weights, archives and transcripts that are broken or mean harm."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from cases import EITHER, READ, Case, holding
from safetensors.torch import save, save_file

from mamtra_eval.models import checkpoint
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder

MARK = "executed"
"""A file that a payload would make beside itself."""
Change = Callable[[Path], object]


class _Payload:
    """What a pickle runs when it is loaded."""

    def __init__(self, folder: Path) -> None:
        self.command = f"touch {folder / MARK}"

    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os.system, (self.command,)


SMALL = DecoderConfig(
    layers=2, hidden=8, heads=2, kv_heads=1, head_dim=4, mlp=8, speech_codes=40,
    text_vocabulary=20, transformer=(0,),
)  # fmt: skip
"""The smallest shape that has both kinds of layers."""


def _written(change: Change) -> Callable[[Path], Path]:
    """A whole checkpoint, then changed."""

    def write(folder: Path) -> Path:
        torch.manual_seed(0)
        made = folder / "checkpoint"
        checkpoint.save(made, Decoder(SMALL), {})
        change(made)
        return made

    return write


def checkpoints() -> Iterator[Case]:
    damaged = "no file of weights, or a damaged one"
    weights, config, card = "model.safetensors", "config.yaml", "card.json"

    def replaced(file: str, data: bytes) -> Change:
        return lambda folder: (folder / file).write_bytes(data)

    def cut(file: str, at: float) -> Change:
        return lambda folder: (folder / file).write_bytes(
            (folder / file).read_bytes()[: int(at * (folder / file).stat().st_size)]
        )

    def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Change:
        from safetensors.torch import load_file

        def write(folder: Path) -> None:
            found = load_file(folder / weights)
            change(found)
            save_file(found, folder / weights)
            (folder / card).unlink()  # whose hash would tell first

        return write

    yield Case("whole", _written(lambda folder: None), READ)
    for share in (0.0, 0.001, 0.1, 0.5, 0.99):
        yield Case(f"weights-cut-{share}", _written(cut(weights, share)), damaged + "|sha256")
    for name, size in {"huge": 2**63, "2-GB": 2**31, "zero": 0, "one": 1}.items():
        data = struct.pack("<Q", size) + b"{}" + b"\0" * 64
        yield Case(f"header-{name}", _written(replaced(weights, data)), damaged + "|lack|miss")
    header = {"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    yield Case("tensor-of-4-TB", _written(replaced(weights, _safetensors(header))), damaged)
    header = {"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}
    yield Case("negative-shape", _written(replaced(weights, _safetensors(header))), damaged)
    header = {"x": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}
    yield Case("unknown-dtype", _written(replaced(weights, _safetensors(header))), damaged)
    header = {"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 400]}}
    yield Case("offsets-beyond-the-end", _written(replaced(weights, _safetensors(header))), damaged)
    yield Case(
        "header-no-json", _written(replaced(weights, struct.pack("<Q", 4) + b"{{{{")), damaged
    )
    yield Case("pickle-named-safetensors", _written(lambda folder: (folder / weights).write_bytes(
        pickle.dumps(_Payload(folder)))), damaged)  # fmt: skip
    yield Case("torch-file-named-safetensors", _written(lambda folder: torch.save(
        {"x": torch.zeros(2)}, folder / weights)), damaged)  # fmt: skip
    yield Case("other-hash", _written(lambda folder: save_file({"x": torch.zeros(2)}, folder / weights)),
               "sha256|hash")  # fmt: skip
    yield Case("one-missing", _written(tensors(lambda t: t.pop(next(iter(t))))), "missing|lacks")
    yield Case("one-too-many", _written(tensors(lambda t: t.update(extra=torch.zeros(2)))),
               "unexpected|extra")  # fmt: skip
    yield Case("all-missing", _written(tensors(lambda t: (t.clear(), t.update(x=torch.zeros(1))))),
               "missing|unexpected")  # fmt: skip
    yield Case("wrong-shape", _written(tensors(lambda t: t.update(
        {next(iter(t)): torch.zeros(3, 5, 7)}))), "shape|3, 5, 7")  # fmt: skip
    yield Case("wrong-dtype", _written(tensors(lambda t: t.update(
        {name: value.to(torch.int64) for name, value in t.items()}))), "int64|dtype|type")  # fmt: skip
    yield Case("not-finite", _written(tensors(lambda t: next(iter(t.values())).fill_(float("nan")))),
               "finite|NaN|nan")  # fmt: skip
    for file, expected in ((config, "no|missing"), (weights, "no|missing")):
        yield Case(
            f"without-{file}",
            _written(lambda folder, file=file: (folder / file).unlink()),
            expected,
        )
    broken = {"list": "[1]", "open": "{", "python": "decoder: !!python/object/apply:os.system [id]",
              "nothing": "", "negative": "decoder: {layers: -1}", "huge": f"decoder: {{layers: {10**12}}}",
              "text": "decoder: hello", "unknown": "decoder: {no_such: 1}"}  # fmt: skip
    for name, text in broken.items():
        yield Case(f"config-{name}", _written(replaced(config, text.encode())), ".")
    for name, text in {"list": "[1]", "open": "{", "deep": "[" * 100_000, "text": '"x"'}.items():
        yield Case(f"card-{name}", _written(replaced(card, text.encode())), "no card")
    yield Case("missing-folder", lambda folder: folder / "no", "no")
    yield Case("file-for-folder", holding(b"x", "checkpoint"), ".")


def _safetensors(header: dict[str, object]) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * 64


def official() -> Iterator[Case]:
    """The ``llm.pt`` of CosyVoice 2's release."""

    def payload(folder: Path) -> Path:
        torch.save({"x": _Payload(folder)}, folder / "llm.pt")
        return folder

    def bare(folder: Path) -> Path:
        (folder / "llm.pt").write_bytes(pickle.dumps(_Payload(folder)))
        return folder

    def zipped(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "llm.pt", "w") as file:
            file.writestr("archive/data.pkl", pickle.dumps(_Payload(folder)))
            file.writestr("archive/version", "3\n")
        return folder

    def saved(value: object) -> Callable[[Path], Path]:
        def write(folder: Path) -> Path:
            torch.save(value, folder / "llm.pt")
            return folder

        return write

    yield Case("payload-in-a-torch-file", payload, ".")
    yield Case("payload-in-a-pickle", bare, ".")
    yield Case("payload-in-a-zip", zipped, ".")
    yield Case("tensor", saved(torch.zeros(3)), ".")
    yield Case("empty-dict", saved({}), ".")
    yield Case("strange-names", saved({"a": torch.zeros(2)}), ".")
    yield Case("numbers-as-names", saved({1: torch.zeros(2)}), ".")
    for name, data in {"empty": b"", "text": b"hello", "zip-cut": b"PK\x03\x04" + b"\0" * 40,
                       "safetensors": save({"x": torch.zeros(2)})}.items():  # fmt: skip
        yield Case(name, _in_folder(data), ".")


def _in_folder(data: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "llm.pt").write_bytes(data)
        return folder

    return write


def archives() -> Iterator[Case]:
    """What is given for the official test set."""
    out, link = "leads out of the target folder", "links are refused|neither a file nor a folder"
    good = [("en/meta.lst", b"u1|Hello.\n")]
    yield Case("small", _tar(good), READ)
    for name in ("../evil", "/tmp/evil", "en/../../evil", "..", "a\\..\\b", "en/..\\..\\evil"):
        yield Case(f"member-{name!r}", _tar([*good, (name, b"x")]), out)
    kinds = {"symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE,
             "device": tarfile.CHRTYPE, "block-device": tarfile.BLKTYPE}  # fmt: skip
    for name, kind in kinds.items():
        yield Case(name, _tar(good, kind=kind), link)
    yield Case("announces-1-TB", _tar(good, size=2**40), "GiB|can't be unpacked")
    yield Case("member-for-a-folder", _tar([("en", b"x"), *good]), ".")
    yield Case("the-same-member-twice", _tar([*good, *good]), EITHER)
    yield Case("nothing-in-it", _tar([]), "holds none of the lists|can't be unpacked")
    yield Case("another-archive", _tar([("readme", b"x")]), "holds none of the lists")
    yield Case("a-broken-list", _tar([("en/meta.lst", b"\xff\xfe")]), "UTF-8")
    yield Case("a-list-with-problems", _tar([("en/meta.lst", b"u1|\n")]), "the text is empty")
    yield Case(
        "prompts-that-lead-out", _tar([("en/meta.lst", b"u1|a|../../../no.wav|b\n")]), "is missing"
    )
    yield Case("control-characters", _tar([*good, ("en/\x1b[31m", b"x")]), EITHER)
    yield Case("long-name", _tar([*good, ("en/" + "x" * 300, b"x")]), "can't be unpacked")
    yield Case("deep-folders", _tar([*good, ("d/" * 1500 + "x", b"x")]), EITHER)
    for size in (0, 10, 512, 700):
        yield Case(f"cut-at-{size}", _cut(size), "can't be unpacked|holds none")
    yield Case("header-of-1-GB", _long_header, "a header of")
    yield Case("text", holding(b"hello", "x.tar"), "can't be unpacked")
    yield Case("zip", holding(b"PK\x03\x04" + b"\0" * 100, "x.tar"), "can't be unpacked")
    yield Case("gzip-cut", holding(b"\x1f\x8b\x08\0\0\0\0\0", "x.tar.gz"), "can't be unpacked")
    yield Case("missing", lambda folder: folder / "x.tar", "no such file")
    yield Case("folder", lambda folder: folder, "no such file")


def _tar(
    members: list[tuple[str, bytes]], *, kind: bytes | None = None, size: int | None = None
) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "x.tar"
        with tarfile.open(path, "w") as tar:
            for name, data in members:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            if kind is not None:
                info = tarfile.TarInfo("en/link")
                info.type, info.linkname = kind, "/etc/passwd"
                tar.addfile(info)
        if size is not None:
            info = tarfile.TarInfo("en/huge")
            info.size = size
            path.write_bytes(path.read_bytes()[:-10240] + info.tobuf(tarfile.GNU_FORMAT))
        return path

    return write


def _long_header(folder: Path) -> Path:
    """Its first member announces a gigabyte of attributes, and has them: zeros, compressed."""
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 2**30
    with gzip.open(folder / "x.tar.gz", "wb", compresslevel=1) as file:
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(64):
            file.write(b"0" * 2**20)
    return folder / "x.tar.gz"


def _cut(size: int) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = _tar([("en/meta.lst", b"u1|Hello.\n" * 100)])(folder)
        path.write_bytes(path.read_bytes()[:size])
        return path

    return write


def transcripts() -> Iterator[Case]:
    good = '{"id": "u1", "text": "hello"}\n'
    form = "id and text must be texts"
    every: dict[str, tuple[str | bytes, str]] = {
        "plain": (good, READ), "bom": ("\ufeff" + good, READ), "crlf": (good.replace("\n", "\r\n"), READ),
        "empty-lines": ("\n\n" + good + "\n", READ), "other-keys": ('{"id": "u1", "text": "x", "z": [1]}', READ),
        "empty-text": ('{"id": "u1", "text": ""}', READ), "line-separator": ('{"id": "u1", "text": "a\u2028b"}', READ),
        "1-MB": (json.dumps({"id": "u1", "text": "x " * 500_000}), READ), "no-json": ("hello", "no JSON"),
        "list": ("[1]", "no JSON object"), "number": ("7", "no JSON object"), "null-text": ('{"id": "u1", "text": null}', form),
        "number-id": ('{"id": 1, "text": "x"}', form), "no-id": ('{"text": "x"}', form),
        "repeat-text": ('{"id": "u1", "text": "x", "repeat": "1"}', form),
        "repeat-negative": ('{"id": "u1", "text": "x", "repeat": -1}', form),
        "repeat-true": ('{"id": "u1", "text": "x", "repeat": true}', form),
        "deep": ("[" * 100_000, "no JSON"), "twice": (good + good, "a second transcript"),
        "half-surrogate": ('{"id": "u1", "text": "\\ud800"}', "no text"), "nan": ('{"id": "u1", "text": NaN}', form),
        "huge-number": ('{"id": "u1", "text": "x", "repeat": ' + "9" * 5000 + "}", "no JSON|must be"),
        "duplicate-keys": ('{"id": "u1", "id": "u2", "text": "x"}', EITHER), "utf-16": (good.encode("utf-16"), "not UTF-8"),
        "latin-1": ('{"id": "u1", "text": "é"}'.encode("latin-1"), "not UTF-8"), "nothing": ("", "none of"),
        "other-ids": ('{"id": "zz", "text": "x"}', "none of"), "nul": ('{"id": "u1", "text": "\\u0000"}', READ),
    }  # fmt: skip
    for name, (text, expected) in every.items():
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        yield Case(name, holding(data, "heard.jsonl"), expected)
