"""Variants of an advice: one shape, of the run where it has another than CosyVoice 2's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mamtra_eval.advisor.advising import advise
from mamtra_eval.advisor.cards import find
from mamtra_eval.advisor.choosing import choose
from mamtra_eval.advisor.deployment import DEFAULT_VARIANTS, Deployment, parse_variants
from mamtra_eval.advisor.measured import Profile, Source
from mamtra_eval.errors import UserError
from mamtra_eval.models.config import DecoderConfig, preset

MINI, LARGE = preset("mini"), preset("cosyvoice2")
HYBRID = MINI.with_layout(tuple(range(0, MINI.layers, 2)))


def _profile(**systems: DecoderConfig | tuple[DecoderConfig, int]) -> Profile:
    found = []
    for name, one in systems.items():
        config, bits = one if isinstance(one, tuple) else (one, None)
        found += [Source(name, d, False, False, 4, config, bits, {}) for d in ("x", "y")]
    return Profile(tuple(found))


def test_without_a_profile_the_default_variants_stand() -> None:
    assert choose([], Profile()) == (parse_variants(DEFAULT_VARIANTS), [])


def test_a_run_of_another_shape_gives_its_systems() -> None:
    profile = _profile(teacher=MINI, half=HYBRID, small=(MINI, 8))
    found, notes = choose([], profile)
    assert [(one.name, one.config, one.bits) for one in found] == [
        ("teacher", MINI, None), ("half", HYBRID, None), ("small", MINI, 8),
    ]  # fmt: skip
    assert "width 128" in notes[0]
    assert "teacher, half, small" in notes[0]
    assert "HiFT vocoder" in notes[1]
    assert "CosyVoice 2's all the same" in notes[1]


def test_popular_figures_are_not_held_against_another_shape() -> None:
    load = Deployment(find("L4"), (), streams=1, context=10)
    found, _ = choose([], _profile(teacher=MINI, half=HYBRID))
    assert "popular" not in " ".join(advise(load, found).notes)
    assert "popular" not in " ".join(advise(load, found[1:]).notes)
    assert "popular" in " ".join(advise(load, choose([], Profile())[0]).notes)


def test_a_run_of_the_published_shape_keeps_the_default_variants() -> None:
    found, notes = choose([], _profile(teacher=MINI, big=LARGE))
    assert found == parse_variants(DEFAULT_VARIANTS)
    assert {one.config.hidden for one in found} == {896}
    assert "left out: teacher" in notes[0]
    assert choose([], _profile(teacher=LARGE)) == (parse_variants(DEFAULT_VARIANTS), [])


def test_several_other_shapes_must_be_chosen_from() -> None:
    profile = _profile(a=MINI, b=replace(MINI, mlp=MINI.mlp + 32))
    with pytest.raises(UserError, match=r"2 shapes.*one shape with --variant"):
        choose([], profile)
    assert [one.name for one in choose(["b"], profile)[0]] == ["b"]


def test_written_variants_have_one_shape() -> None:
    profile = _profile(teacher=MINI, half=HYBRID)
    found, notes = choose(["teacher", "half"], profile)
    assert [one.config for one in found] == [MINI, HYBRID]
    assert len(notes) == 1
    assert "HiFT vocoder" in notes[0]
    with pytest.raises(UserError, match="2 shapes"):
        choose(["teacher", "1:3"], profile)
    assert choose(["1:1", "1:3"], profile)[1] == []
