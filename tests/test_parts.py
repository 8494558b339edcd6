"""Parts of a plan: every clip in exactly one, as many and as long in each, the same everywhere."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval import parts
from mamtra_eval.errors import UserError
from mamtra_eval.parts import Part
from mamtra_eval.systems import Request

lengths = st.lists(st.integers(0, 300), min_size=1, max_size=60)


def _requests(lengths: list[int], repeats: int = 1) -> list[Request]:
    return [
        Request(f"u{number}", "x" * length, repeat=repeat)
        for number, length in enumerate(lengths)
        for repeat in range(repeats)
    ]


@given(lengths, st.integers(1, 3), st.integers(1, 80), st.text(max_size=5))
def test_every_clip_is_in_exactly_one_part(
    lengths: list[int], repeats: int, count: int, system: str
) -> None:
    asked = _requests(lengths, repeats)
    dealt = [one for index in range(1, count + 1) for one in Part(index, count).of(asked, system)]
    assert Counter((one.utterance, one.repeat) for one in dealt) == Counter(
        (one.utterance, one.repeat) for one in asked
    )


@given(lengths, st.integers(1, 80))
def test_parts_have_as_many_clips_and_about_as_much_to_say(lengths: list[int], count: int) -> None:
    asked = _requests(lengths)
    dealt = [Part(index, count).of(asked, "s") for index in range(1, count + 1)]
    sizes = [len(own) for own in dealt]
    assert max(sizes) - min(sizes) <= 1
    work = [sum(len(one.text) for one in own) for own in dealt]
    # Snake order: two parts differ by one clip of each turn at most, and turns make up for it.
    assert max(work) - min(work) <= 2 * max(lengths)


@given(lengths, st.integers(1, 20), st.randoms())
def test_the_order_of_the_list_and_further_repeats_move_no_clip(
    lengths: list[int], count: int, rng: object
) -> None:
    once = parts.owners(_requests(lengths), "s", count)
    twice = _requests(lengths, 2)
    rng.shuffle(twice)  # type: ignore[attr-defined]
    again = parts.owners(twice, "s", count)
    assert {key: again[key] for key in once} == once


def test_what_cannot_be_dealt_evenly_does_not_fall_on_one_part() -> None:
    asked = _requests([10, 20, 30])
    owned = Counter(
        index for system in range(40) for index in parts.owners(asked, f"s{system}", 8).values()
    )
    assert len(owned) == 8
    assert max(owned.values()) < 4 * min(owned.values())


def test_another_process_deals_the_same() -> None:
    code = (
        "from mamtra_eval import parts; from mamtra_eval.systems import Request;"
        "asked = [Request(f'u{n}', 'x' * (7 * n % 13)) for n in range(30)];"
        "print(sorted(parts.owners(asked, 'sæ', 7).items()))"
    )
    asked = [Request(f"u{n}", "x" * (7 * n % 13)) for n in range(30)]
    for seed in ("0", "1"):
        said = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path),
            "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert said.strip() == str(sorted(parts.owners(asked, "sæ", 7).items()))


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "a/b", "1/2/3", "1/99999"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="no shard"):
        parts.parse(text)


def test_a_part_is_read_and_kept() -> None:
    part = parts.parse(" 3/48")
    assert part == Part(3, 48)
    assert str(part) == "3/48"
    assert parts.of_meta(parts.to_meta(part)) == part
    assert parts.of_meta(None) is None
