"""A bundle that was changed after its export can't claim that anything was settled before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.listening.analysis import integrity, scoring
from mamtra_eval.listening.analysis.analysing import analyse
from mamtra_eval.listening.bundle import Bundle, open_bundle, sums
from mamtra_eval.listening.screening.applying import Rules
from tests.listening import larger_bundles


@pytest.fixture
def made(tmp_path: Path) -> Bundle:
    """A bundle with its sums, as an export has them."""
    bundle = larger_bundles.write(tmp_path, "mos", items=12)
    (tmp_path / "PREREG.md").write_text("Margin 0.3.\n", encoding="utf-8")
    (tmp_path / "README.md").write_text("About.\n", encoding="utf-8")
    (tmp_path / "SHA256SUMS").write_text(sums(tmp_path), encoding="utf-8")
    return bundle


def _edit(bundle: Bundle, **sections: dict[str, object]) -> Bundle:
    path = bundle.folder / "bundle.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    for name, more in sections.items():
        values[name] |= more
    path.write_text(json.dumps(values), encoding="utf-8")
    return open_bundle(bundle.folder)


def test_an_untouched_bundle_is_as_settled(made: Bundle) -> None:
    (made.folder / "ratings/more.jsonl").write_text("")
    assert integrity.changed(made) == ()
    found = analyse(made, [], [], Rules.of(made), integrity.changed(made))
    assert found.as_settled


@pytest.mark.parametrize("edit", [{"screening": {"traps_min": 0}}, {"analysis": {"margin": 0.9}}])
def test_rules_and_margin_edited_later_are_not(made: Bundle, edit) -> None:
    edited = _edit(made, **edit)
    changed = integrity.changed(edited)
    assert changed == ("bundle.json",)
    found = analyse(edited, [], [], Rules.of(edited), changed)
    assert not found.as_settled
    assert found.to_dict()["changed"] == ["bundle.json"]


@pytest.mark.parametrize("name", ["PREREG.md", "design/lists.json", "key/key.json"])
def test_a_score_is_refused_where_plan_or_key_changed(made: Bundle, name: str) -> None:
    path = made.folder / name
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=f"changed since the export: {name}"):
        scoring.check_unchanged(made, integrity.changed(made))


def test_a_score_is_taken_where_only_a_readme_changed(made: Bundle) -> None:
    (made.folder / "README.md").unlink()
    assert integrity.changed(made) == ("README.md",)
    scoring.check_unchanged(made, integrity.changed(made))


@pytest.mark.parametrize("text", [None, b"\xff\xfe\x00", b"", b"no sums at all\n"])
def test_without_readable_sums_nothing_is_known(made: Bundle, text: bytes | None) -> None:
    path = made.folder / "SHA256SUMS"
    path.unlink()
    if text is not None:
        path.write_bytes(text)
    found = integrity.changed(made)
    assert found
    assert integrity.decisive(found)
    with pytest.raises(UserError, match="changed since the export"):
        scoring.check_unchanged(made, found)


def test_sums_that_leave_out_the_manifest_say_nothing_of_it(made: Bundle) -> None:
    path = made.folder / "SHA256SUMS"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(one for one in lines if "bundle.json" not in one), encoding="utf-8")
    assert integrity.changed(made) == ("bundle.json",)
