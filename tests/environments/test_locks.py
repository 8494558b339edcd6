"""Lock files: those of the package, how they are read, and how they are written."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from mamtra_eval import environments
from mamtra_eval.environments import lockfiles, locking
from mamtra_eval.errors import UserError
from mamtra_eval.systems import _cosyvoice_diagnosis, llasa, zonos

NAMES = ("cosyvoice2", "llasa", "zonos")
OURS = {"torch", "numpy", "soundfile", "soxr", "safetensors", "pyyaml", "omegaconf"}
"""What our own modules import in an environment."""


def _versions(name: str) -> dict[str, str]:
    lock = lockfiles.read(environments.locks()[name])
    return {lockfiles.name_of(pin): pin.partition("==")[2] for pin in lock.pins + lock.alone}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def test_there_is_a_lock_for_each_system_that_needs_one() -> None:
    assert sorted(environments.locks()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_pins_everything_once(name: str) -> None:
    lock = lockfiles.read(environments.locks()[name])
    names = [lockfiles.name_of(pin) for pin in lock.pins + lock.alone]
    assert len(names) == len(set(names)) > 40
    assert names == sorted(names)
    assert not {"pip", "mamtra-eval"} & set(names)
    assert _numbers(_versions(name)["torch"]) >= (2, 5)


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_brings_what_our_own_modules_import(name: str) -> None:
    assert set(_versions(name)) >= OURS


@pytest.mark.parametrize("name", NAMES)
def test_the_header_says_what_it_is_for_and_how_it_was_made(name: str) -> None:
    path = environments.locks()[name]
    text = path.read_text(encoding="utf-8")
    lock = lockfiles.read(path)
    assert len(lock.about) > 20
    assert lock.python == "3.11"
    assert re.search(r"^# Resolved \d{4}-\d\d-\d\d for Linux on x86-64", text, re.MULTILINE)
    assert f"# Written from {name}.in by: nox -s locks -- {name}" in text
    assert "://" not in re.sub(r"https://github\.com/\S+", "", text)  # no index is named


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_has_what_is_asked_for_by_exact_pin(name: str) -> None:
    versions = _versions(name)
    asked = (locking.FOLDER / f"{name}.in").read_text(encoding="utf-8").splitlines()
    requirements = [line for line in asked if line and not line.startswith("#")]
    for requirement in requirements:
        found = re.match(r"[\w.-]+", requirement)
        assert found is not None
        assert lockfiles.name_of(found[0]) in versions
        if "==" in requirement:
            assert versions[lockfiles.name_of(found[0])] == requirement.partition("==")[2]


@pytest.mark.parametrize(
    ("name", "tested"),
    [
        ("cosyvoice2", _cosyvoice_diagnosis.PACKAGES),
        ("zonos", zonos.TESTED),
        ("llasa", llasa.TESTED),
    ],
)
def test_a_lock_has_the_versions_that_its_system_was_tested_with(
    name: str, tested: dict[str, str]
) -> None:
    versions = _versions(name)
    assert {key: versions.get(lockfiles.name_of(key)) for key in tested} == tested


def test_locks_are_in_the_wheel() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["mamtra_eval"]
    assert not wheel.get("exclude")


def _lock(folder: Path, text: str) -> lockfiles.Lock:
    path = folder / "x.txt"
    path.write_text(text, encoding="utf-8")
    return lockfiles.read(path)


def test_a_lock_is_read(tmp_path: Path) -> None:
    lock = _lock(tmp_path, "# For tests\n# python: 3.12\na==1\nb.c==2.0+cpu\n# --no-deps\nd==3\n")
    assert lock == lockfiles.Lock(("a==1", "b.c==2.0+cpu"), ("d==3",), "For tests", "3.12")


def test_the_digest_is_of_the_pins(tmp_path: Path) -> None:
    first = _lock(tmp_path, "# One\n# python: 3.11\na==1\n").digest
    assert first == _lock(tmp_path, "# Two\n\n# python: 3.11\n\n  a==1\n").digest
    assert first != _lock(tmp_path, "# One\n# python: 3.11\na==2\n").digest
    assert first != _lock(tmp_path, "# One\n# python: 3.11\n# --no-deps\na==1\n").digest


@pytest.mark.parametrize("line", ["a", "a>=1", "a==1; python_version<'3'", "a==1.*", "-r other"])
def test_what_is_no_exact_pin_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(UserError, match=r"x\.txt:3: .* is no exact pin") as caught:
        _lock(tmp_path, f"# One\n# python: 3.11\n{line}\n")
    assert line in caught.value.what


def test_a_lock_without_a_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not say its Python"):
        _lock(tmp_path, "# One\na==1\n")


PINS = ("numpy==2.0", "nvidia-cublas-cu12==12.6", "torch==2.7.1", "torchaudio==2.7.1",
        "torchmetrics==1.9.0", "triton==3.3.1")  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "audio"),
    [("torch==2.6.0", "2.6.0"), ("torch==2.7.1+cpu", "2.7.1+cpu"), ("torch==2.13.0", "2.11.0")],
)
def test_another_torch_takes_its_neighbours_away(spec: str, audio: str) -> None:
    lock = lockfiles.Lock(PINS).with_torch(spec)
    assert lock.pins == ("numpy==2.0", "torchmetrics==1.9.0", spec, f"torchaudio=={audio}")


def test_torchaudio_comes_only_where_it_was() -> None:
    assert lockfiles.Lock(("torch==2.7.1",)).with_torch("torch==2.6.0").pins == ("torch==2.6.0",)


@pytest.mark.parametrize("spec", ["2.13.0", "torch", "torch>=2", "numpy==2.0", ""])
def test_another_torch_is_pinned_too(spec: str) -> None:
    with pytest.raises(UserError, match="pins no torch"):
        lockfiles.Lock(PINS).with_torch(spec)


def test_a_lock_is_written_of_what_pip_reports(tmp_path: Path) -> None:
    asked = tmp_path / "voice.in"
    asked.write_text("# A voice\n#\n# It needs b.\n\nb>1\n\n# why\na\n", encoding="utf-8")
    report = {"install": [{"metadata": {"name": name, "version": "2.0"}} for name in ("b", "A_c")]}
    text = locking.written(asked, locking.pins_of(report))
    lock = _lock(tmp_path, text)
    assert lock.pins == ("A_c==2.0", "b==2.0")
    assert (lock.about, lock.alone) == ("A voice", ())
    assert "# It needs b.\n" in text
    assert "why" not in text


def test_what_is_pinned_by_hand_is_kept(tmp_path: Path) -> None:
    asked = tmp_path / "voice.in"
    asked.write_text("# A voice\nb>1\n# --no-deps: it asks for an older b\nd==1\n", "utf-8")
    lock = _lock(tmp_path, locking.written(asked, ["b==2.0"]))
    assert (lock.pins, lock.alone) == (("b==2.0",), ("d==1",))
