"""Weights that users fetch: found, absent, damaged."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mamtra_eval import registry, weights
from mamtra_eval.cli import doctor
from mamtra_eval.errors import MissingExtra
from mamtra_eval.weights import Weights

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def make(path: Path | None, *alias: Path) -> Weights:
    return Weights("NET", path, "curl somewhere", "1 MB", "x.weights", SHA256, alias)


def test_absent_weights_are_refused_with_the_command_that_fetches_them(tmp_path: Path) -> None:
    wanted = make(tmp_path / "net.pt")
    with pytest.raises(MissingExtra, match=r"NET \(1 MB\) are not.*curl somewhere.*x\.weights"):
        wanted.require()
    assert wanted.damage() is None
    assert doctor._weights("net", wanted, verify=True)[1:2] == ("absent",)


def test_found_at_their_place_or_another(tmp_path: Path) -> None:
    other = tmp_path / "elsewhere.pt"
    other.write_bytes(CONTENT)
    assert make(tmp_path / "net.pt", tmp_path / "nowhere.pt", other).require() == other
    (tmp_path / "net.pt").write_bytes(CONTENT)
    found = make(tmp_path / "net.pt", other)
    assert found.require() == tmp_path / "net.pt"
    check = doctor._weights("net", found, verify=True)
    assert check.state == "ok"
    assert check.detail.endswith(f"SHA-256 {SHA256} (checked)")


def test_damaged_weights_show_when_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    path.write_bytes(CONTENT[:-1])
    found = make(path)
    assert doctor._weights("net", found, verify=False).state == "ok"
    check = doctor._weights("net", found, verify=True)
    assert check.state == "unusable"
    assert f"published is {SHA256}" in check.detail
    assert check.fix == "Fetch it again: curl somewhere"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in ("asr", "speakers", "metrics")
        for name in registry.plugins(kind)
        if hasattr(registry.load(kind, name), "weights")
    ],
)
def test_every_plugin_says_what_it_loads_and_how_to_get_it(kind: str, name: str) -> None:
    for listed in registry.load(kind, name).weights():
        assert listed.fetch.split()[0] in {"curl", "hf", "modelscope", "python"}
        assert listed.size.endswith(("MB", "GB"))
        assert "." in listed.option
        assert listed.sha256 is None or len(listed.sha256) == 64


def test_folders_are_those_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights.folder() == tmp_path / "mamtra-eval" / "weights"
    assert str(weights.folder() / "f.pt") in weights.download("https://x/f.pt", "f.pt")
    assert weights.in_hub("no-one/nothing-of-the-kind") is None
