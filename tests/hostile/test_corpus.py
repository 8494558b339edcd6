"""Hostile and broken input: each is read, or told in words, within bounds of memory and time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from cases import EITHER, READ  # noqa: E402
from reading import KINDS, corpus  # noqa: E402

LEAST = 300


@pytest.mark.parametrize("kind", KINDS)
def test_every_case_is_read_or_told(kind: str) -> None:
    done = subprocess.run(
        [sys.executable, HERE / "reading.py", kind], capture_output=True, text=True, timeout=500,
        check=False,
    )  # fmt: skip
    found = [json.loads(line) for line in done.stdout.splitlines()]
    cases = corpus(kind)
    assert [one["name"] for one in found] == [case.name for case in cases], done.stderr[-2000:]
    wrong = []
    for case, one in zip(cases, found, strict=True):
        outcome, message = one["outcome"], one["message"]
        right = {
            READ: outcome == "read",
            EITHER: outcome in ("read", "told"),
        }.get(case.expected, outcome == "told" and re.search(case.expected, message) is not None)
        if not right or one["executed"] or "Traceback" in message or "\n" in message:
            wrong.append(f"{case.name}: expected {case.expected!r}, got {outcome}: {message[:300]}")
    assert not wrong, "\n".join(wrong)


def test_there_are_hundreds_of_cases_each_with_a_name_of_its_own() -> None:
    names = [(kind, case.name) for kind in KINDS for case in corpus(kind)]
    assert len(names) >= LEAST
    assert len({*names}) == len(names)


def test_a_corpus_is_the_same_at_every_making() -> None:
    for kind in ("audio", "lists", "configurations", "transcripts"):
        for case, again in zip(corpus(kind), corpus(kind), strict=True):
            if "ogg" in case.name.lower():  # whose encoder draws a number for each stream
                continue
            with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
                paths = case.write(Path(one)), again.write(Path(other))
                data = [path.read_bytes() for path in paths if _is_file(path)]
                assert len({*data}) <= 1, case.name


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
