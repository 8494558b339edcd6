from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from mamtra_eval import catalogue, importing
from mamtra_eval.errors import UserError


def _wav() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(160), 16000, format="WAV")
    return file.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _official(path: Path, *, hard: int = 400, root: str = "seedtts_testset/") -> Path:
    """An archive of the official layout with its true list lengths."""
    with tarfile.open(path, "w:gz") as tar:
        for language, text, n in (("en", "some words", 1088), ("zh", "你好", 2020)):
            lines = [f"u{i}|p|prompt-wavs/p.wav|{text}" for i in range(n)]
            _add(tar, f"{root}{language}/meta.lst", "\n".join(lines).encode())
            _add(tar, f"{root}{language}/prompt-wavs/p.wav", _wav())
        lines = [f"h{i}|p|prompt-wavs/p.wav|绕口令" for i in range(hard)]
        _add(tar, f"{root}zh/hardcase.lst", "\n".join(lines).encode())
    return path


@pytest.mark.parametrize("root", ["seedtts_testset/", ""])
def test_the_official_archive_becomes_a_named_set(tmp_path: Path, root: str) -> None:
    archive = _official(tmp_path / "a.tar.gz", root=root)
    lines = importing.unpack(archive, tmp_path / "sets" / "seed", "seed")
    assert "en: 1088 utterances" in lines
    assert catalogue.load(str(tmp_path / "sets" / "seed")).name == "seed"
    card = yaml.safe_load((tmp_path / "sets" / "seed" / "testset.yaml").read_text())
    assert {name: row["n"] for name, row in card["lists"].items()} == {
        "en": 1088, "zh": 2020, "hard": 400,
    }  # fmt: skip
    assert all(len(row["sha256"]) == 64 for row in card["lists"].values())
    hard = catalogue.load(str(tmp_path / "sets" / "seed" / "zh" / "hardcase.lst"))
    assert (hard.name, hard.language, len(hard.utterances)) == ("seed/hard", "zh", 400)
    assert sorted(path.name for path in (tmp_path / "sets").iterdir()) == ["seed"]


def test_other_counts_are_refused_unless_accepted(tmp_path: Path) -> None:
    archive = _official(tmp_path / "a.tar.gz", hard=399)
    with pytest.raises(UserError, match="399 utterances, the official list has 400"):
        importing.unpack(archive, tmp_path / "seed", "seed")
    assert not (tmp_path / "seed").exists()
    importing.unpack(archive, tmp_path / "seed", "seed", any_counts=True)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "en/../../evil", "en\\..\\evil"])
def test_members_that_lead_out_are_refused_and_nothing_is_written(
    tmp_path: Path, name: str
) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        _add(tar, name, b"x")
    with pytest.raises(UserError, match="leads out of the target folder"):
        importing.unpack(tmp_path / "a.tar", tmp_path / "sets" / "seed", "seed")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("en/link")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(UserError, match="neither a file nor a folder"):
        importing.unpack(tmp_path / "a.tar", tmp_path / "seed", "seed")


def test_what_is_no_archive_or_another_one_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"no archive")
    with pytest.raises(UserError, match="can't be unpacked"):
        importing.unpack(tmp_path / "a.tar", tmp_path / "seed", "seed")
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        _add(tar, "holiday.txt", b"x")
    with pytest.raises(UserError, match="none of the lists"):
        importing.unpack(tmp_path / "b.tar", tmp_path / "seed", "seed")


def test_a_truncated_archive_leaves_nothing_behind(tmp_path: Path) -> None:
    archive = _official(tmp_path / "a.tar.gz")
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(UserError, match="can't be unpacked"):
        importing.unpack(archive, tmp_path / "sets" / "seed", "seed")
    assert not (tmp_path / "sets" / "seed").exists()
    assert list((tmp_path / "sets").iterdir() if (tmp_path / "sets").exists() else []) == []


def test_an_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "seed").mkdir()
    (tmp_path / "a.tar").touch()
    with pytest.raises(UserError, match="there already"):
        importing.unpack(tmp_path / "a.tar", tmp_path / "seed", "seed")
