"""The reliability page names tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
PAGES = ("RELIABILITY.md", "SECURITY.md")
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def _named(page: str) -> list[tuple[str, str]]:
    path = REPOSITORY / page
    return NAMED.findall(path.read_text(encoding="utf-8")) if path.exists() else []


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_is_there(page: str) -> None:
    named = _named(page)
    assert len(named) > 10
    for file, test in named:
        tree = ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))
        known = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not test or test in known, f"{page}: {file}::{test}"


def test_every_line_of_the_fault_table_names_a_test() -> None:
    table = (REPOSITORY / "RELIABILITY.md").read_text(encoding="utf-8").partition("## What can")[2]
    rows = [line for line in table.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    for row in rows[1:]:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[2] == "---" or not cells[1] or NAMED.search(cells[2]), row
