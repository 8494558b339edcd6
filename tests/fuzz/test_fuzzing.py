"""Readers meet bytes that nobody has written: words to the user, or a result, and nothing else."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from readers import READERS, TOLD, tar  # noqa: E402

SEEDS = sorted((HERE / "seeds").glob("*/*"))
MOST_BYTES = 300_000
FEW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _read(reader: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(*TOLD):
        READERS[reader](data, Path(folder))


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_seeds(seed: Path) -> None:
    _read(seed.parent.name, seed.read_bytes())


def test_every_reader_has_seeds_and_they_are_small() -> None:
    assert {path.parent.name for path in SEEDS} == {*READERS}
    assert sum(path.stat().st_size for path in SEEDS) < MOST_BYTES


def _changed(reader: str) -> st.SearchStrategy[bytes]:
    """Seeds with some bytes changed, cut or put in; and bytes out of nowhere."""
    seeds = [path.read_bytes() for path in SEEDS if path.parent.name == reader]

    @st.composite
    def change(draw: st.DrawFn) -> bytes:
        data = bytearray(draw(st.sampled_from(seeds)))
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, len(data)))
            cut = draw(st.integers(0, 8))
            data[at : at + cut] = draw(st.binary(max_size=8))
        return bytes(data)

    return st.one_of(change(), st.binary(max_size=300))


@pytest.mark.parametrize("reader", [*READERS])
def test_bytes(reader: str) -> None:
    @FEW
    @given(_changed(reader))
    def check(data: bytes) -> None:
        _read(reader, data)

    check()


@pytest.mark.parametrize("reader", ["list", "config", "overrides", "target", "transcripts"])
def test_texts(reader: str) -> None:
    @FEW
    @given(st.text(max_size=200))
    def check(text: str) -> None:
        _read(reader, text.encode("utf-8", "surrogatepass"))

    check()


@FEW
@given(st.text(min_size=1, max_size=60), st.binary(max_size=50))
def test_members_of_an_archive_stay_inside(name: str, data: bytes) -> None:
    with contextlib.suppress(ValueError, UnicodeError):  # no name of a member
        _read("archive", tar(name, data))
