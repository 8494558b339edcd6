"""What a file of claims may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from mamtra_eval.claims import Source, check
from mamtra_eval.claims._reading import read
from mamtra_eval.errors import UserError

GOOD = """
sources:
  here: {title: A page}
claims:
  - id: one
    topic: cache
    claim: It grows
      so.
    source: here
    check: kv_growth
    numbers:
      exponent: {unit: exponent, value: 1, within: 0.1}
    settings: {contexts: [10, 20]}
"""


def _read(folder: Path, text: str) -> object:
    path = folder / "claims.yaml"
    path.write_text(text, encoding="utf-8")
    return read(path)


def test_a_claim_of_ones_own(tmp_path: Path) -> None:
    book = _read(tmp_path, GOOD)
    claim = book.claims[0]
    assert claim.text == "It grows so."
    assert book.sources == {"here": Source("A page")}
    assert check(claim, book.sources["here"]).verdict == "holds"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("check: kv_growth", "check: kv_grow", "no check named 'kv_grow'.*Did you mean kv_growth"),
        ("source: here", "source: there", "no source named 'there'"),
        ("unit: exponent", "unit: exponents", "no unit named 'exponents'.*Did you mean exponent"),
        ("value: 1", "value: one", "'one' is no number"),
        ("value: 1,", "", "either a value or at"),
        ("within: 0.1", "within: 0.1, tolerance: 0.1", "a tolerance is one positive number"),
        ("within: 0.1", "relation: about", "no relation named 'about'"),
        ("within: 0.1", "verdict: holds", "no key named 'verdict'"),
        ("topic: cache", "verdict: holds", "no key named 'verdict'"),
        ("topic: cache", "", "topic is missing.*Give its topic"),
        ("{title: A page}", "A page", "no mapping of keys"),
        ("claims:", "claim:", "no key named 'claim'"),
    ],
)
def test_what_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(UserError, match=said) as caught:
        _read(tmp_path, GOOD.replace(old, new))
    assert "claims.yaml" in str(caught.value)


def test_a_claim_stands_once(tmp_path: Path) -> None:
    again = GOOD + GOOD[GOOD.index("  - id") :]
    with pytest.raises(UserError, match="the claim one stands twice"):
        _read(tmp_path, again)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("settings: {contexts: [10, 20]}", "", "needs the setting contexts.*Add contexts"),
        ("exponent: {unit", "growth: {unit", "needs the number exponent"),
        ("value: 1,", "at: {a: 1},", "other keys than the number exponent"),
    ],
)
def test_a_claim_that_its_check_can_not_use(tmp_path: Path, old: str, new: str, said: str) -> None:
    book = _read(tmp_path, GOOD.replace(old, new))
    with pytest.raises(UserError, match=said):
        check(book.claims[0], book.sources["here"])
