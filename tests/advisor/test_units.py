"""Sizes and their units: never guessed, never mixed."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval.advisor.cards import find, larger, table
from mamtra_eval.advisor.units import GIB, parse_gib, parse_size
from mamtra_eval.errors import UserError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GB", 8_000_000_000),
        ("8GiB", 8 * 2**30),
        ("7.5 gib", 8_053_063_680),
        ("900MB", 900_000_000),
        ("900MiB", 900 * 2**20),
        (".5GB", 500_000_000),
    ],
)
def test_sizes_are_read_in_their_own_unit(text: str, size: int) -> None:
    assert parse_size(text, "--resident x") == size


@pytest.mark.parametrize("text", ["8", "8.5 ", "0.25"])
def test_a_size_without_unit_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(UserError, match=r"no unit.*2\.9 GB"):
        parse_size(text, "--resident x")


@pytest.mark.parametrize(
    "text", ["8Gb/s", "8TB", "8G", "0GB", "-8GB", "eight GB", "", "1e9GiB", "8"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--resident"):
        parse_size(text, "--resident x")


@given(st.integers(1, 2**45))
def test_the_same_bytes_in_either_unit_are_the_same(size: int) -> None:
    decimal = f"{size // 10**9}.{size % 10**9:09d}GB"
    assert parse_size(decimal, "x") == size
    binary = Fraction(size, GIB)  # a multiple of 2**-30 has at most 30 decimals
    digits = f"{binary.numerator * 10**30 // binary.denominator:031d}"
    assert parse_size(f"{digits[:-30]}.{digits[-30:]}GiB", "x") == size


def test_a_card_without_unit_is_in_gib() -> None:
    assert parse_gib("39.5", "--gpu") == round(39.5 * 2**30)
    assert parse_gib("40GB", "--gpu") == 40_000_000_000
    assert parse_gib("A100", "--gpu") is None


def test_cards_have_sources_and_less_than_their_name_says() -> None:
    for name, card in table().items():
        assert 0 < card.low <= card.high
        assert card.source
        assert (card.bandwidth is None) == (not card.bandwidth_source)
        sold = next((int(p[:-2]) for p in name.split("-") if p.endswith("GB")), None)
        if sold and "1g" not in name:
            assert card.high < sold * GIB
    assert find("a100-40gb") is find("A100-40GB")
    assert "#" in find("T4").source  # YAML would take what follows it for a comment


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("NVIDIA A100-SXM4-40GB", "A100-40GB"),
        ("NVIDIA A100 80GB PCIe", "A100-80GB"),
        ("NVIDIA A100-SXM4-80GB MIG 1g.10gb", "A100-80GB-1g.10gb"),
        ("NVIDIA H100 80GB HBM3", "H100-80GB"),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40", "L40"),
        ("NVIDIA L40S", "L40S"),
        ("Tesla T4", "T4"),
        ("NVIDIA A10G", "A10G"),
        ("NVIDIA GeForce RTX 4090", "RTX-4090"),
        ("Intel(R) Xeon(R)", None),
    ],
)
def test_torchs_names_of_devices_find_one_card(device: str, name: str | None) -> None:
    assert [card.name for card in table().values() if card.is_device(device)] == (
        [name] if name else []
    )


def test_unknown_cards_name_near_ones() -> None:
    with pytest.raises(UserError, match=r"A100-40GB or A100-80GB.*39\.5"):
        find("a100")
    for nothing in (None, " "):
        with pytest.raises(UserError, match="RTX-4090"):
            find(nothing)
    sizes = [card.low for card in larger(find("L4"))]
    assert sizes == sorted(sizes)
    assert min(sizes) > find("L4").low
