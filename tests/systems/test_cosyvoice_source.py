"""The clone of CosyVoice: found, recognised, and asked which sampler it has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mamtra_eval.codecs import _cosyvoice_source as sources
from mamtra_eval.errors import MissingExtra, UserError
from tests.systems import fake_cosyvoice as fake


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(sources.VARIABLE, raising=False)
    with fake.forgotten():
        yield


def test_it_is_given_or_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = fake.write_source(tmp_path / "clone")
    assert sources.find(str(clone), any_revision=True).folder == clone
    with pytest.raises(MissingExtra, match="git clone --recursive"):
        sources.find(None)
    monkeypatch.setenv(sources.VARIABLE, str(clone))
    assert sources.find(None, any_revision=True).folder == clone
    monkeypatch.delenv(sources.VARIABLE)
    monkeypatch.syspath_prepend(str(clone))
    assert sources.find(None, any_revision=True).folder == clone


def test_another_folder_and_a_clone_without_its_submodule_are_told(tmp_path: Path) -> None:
    with pytest.raises(MissingExtra, match="no clone of CosyVoice"):
        sources.find(str(tmp_path))
    clone = fake.write_source(tmp_path / "clone")
    (clone / sources.MATCHA / "matcha" / "__init__.py").unlink()
    (clone / sources.MATCHA / "matcha").rmdir()
    with pytest.raises(MissingExtra, match="submodule update --init"):
        sources.find(str(clone), any_revision=True)


def test_only_tested_revisions_are_taken_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = fake.write_source(tmp_path / "clone")
    with pytest.raises(UserError, match=sources.PIN):
        sources.find(str(clone))
    untested = sources.find(str(clone), any_revision=True)
    assert untested.revision is None
    monkeypatch.setitem(sources.KNOWN, untested.fingerprint, "this one")
    assert sources.find(str(clone)).revision == "this one"


def test_the_fingerprint_is_of_contents_and_not_of_line_ends(tmp_path: Path) -> None:
    one = fake.write_source(tmp_path / "one")
    other = fake.write_source(tmp_path / "other")
    assert sources.PROJECT.fingerprint(one) == sources.PROJECT.fingerprint(other)
    file = other / "cosyvoice/cli/model.py"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert sources.PROJECT.fingerprint(one) == sources.PROJECT.fingerprint(other)
    file.write_bytes(file.read_bytes() + b"x = 1\n")
    assert sources.PROJECT.fingerprint(one) != sources.PROJECT.fingerprint(other)
    (one / "cosyvoice/notes.txt").write_text("not used")
    (one / "cosyvoice/cli/extra.py").write_text("")
    assert sources.PROJECT.fingerprint(one) != sources.PROJECT.fingerprint(tmp_path / "other")


@pytest.mark.parametrize(("bans", "kind"), [(True, "ras-2026"), (False, "ras-2024")])
def test_the_sampler_shows_its_rule_by_drawing(bans: bool, kind: str, tmp_path: Path) -> None:
    clone = fake.write_source(tmp_path / "clone", bans=bans)
    assert sources.sampler_kind(sources.find(str(clone), any_revision=True)) == kind


def test_a_module_that_does_not_import_says_what_to_make(tmp_path: Path) -> None:
    clone = fake.write_source(tmp_path / "clone")
    (clone / "cosyvoice/cli/frontend.py").write_text("import not_there_at_all\n")
    source = sources.find(str(clone), any_revision=True)
    with pytest.raises(MissingExtra, match=r"not_there_at_all.*env create cosyvoice2"):
        source.module("cosyvoice.cli.frontend")
