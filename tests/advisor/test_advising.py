"""The whole advice: which variant, why, and the worked example of the reference."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mamtra_eval.advisor.advising import Advice, advise, document
from mamtra_eval.advisor.cards import find
from mamtra_eval.advisor.deployment import (
    DEFAULT_VARIANTS,
    Deployment,
    parse_residents,
    parse_variants,
)
from mamtra_eval.advisor.quality import Loss
from mamtra_eval.advisor.terms import Verdict
from mamtra_eval.advisor.units import GIB

WORKED = Deployment(
    find("A100-40GB"),
    parse_residents(["whisper-large-v3=8GB", "llm-11b=22GB"]),
    streams=4,
    context=1024,
    reserve=round(0.3 * GIB),
)
BOOK = Deployment(find("RTX-3090"), (), streams=40, context=32_768)
VARIANTS = parse_variants(DEFAULT_VARIANTS)


def _answer(advice: Advice, word: str) -> str:
    return next(answer for question, answer in advice.decisions if word in question)


def test_the_worked_example_fits_for_every_ratio_and_the_ratio_hardly_matters() -> None:
    advice = advise(WORKED, VARIANTS)
    assert {one.verdict for one in advice.assessments} == {Verdict.FITS}
    teacher, *hybrids = advice.assessments[:5]
    for one in hybrids:
        change = abs(one.budget.mid - teacher.budget.mid)
        assert change < 0.1e9
        assert change < 0.01 * teacher.budget.mid
    assert advice.recommended == "teacher"
    assert "30.00 GB" in _answer(advice, "else on the card")
    # 32.5 to 36.3 GB: neighbours, 1.5 GB of weights, and guesses of 1.0 to 3.7 GiB
    assert 32e9 < teacher.budget.low < teacher.budget.high < 37e9
    assert teacher.largest[:2] == ["llm-11b", "whisper-large-v3"]
    edge = teacher.max_streams
    assert edge is not None
    assert 250 < edge < 556
    assert f"N x L = {1024 * edge:,}" in _answer(advice, "streams")


def test_popular_numbers_are_answered_by_computed_ones() -> None:
    notes = " ".join(advise(WORKED, VARIANTS).notes)
    assert "6.3, 12.6, 25.2, 50.3 MB" in notes
    assert "127 to 254 times" in notes
    assert "34%" in notes
    assert "no cause" in notes
    half = " ".join(advise(replace(WORKED, cache="fp32"), VARIANTS).notes)
    assert "12.6, 25.2, 50.3, 100.7 MB" in half
    assert "64 to 127 times" in half


def test_long_contexts_are_where_the_ratio_decides() -> None:
    advice = advise(BOOK, VARIANTS)
    found = {one.variant.name: one for one in advice.assessments}
    assert found["teacher"].verdict is Verdict.RISKY
    assert found["1:3"].verdict is Verdict.FITS
    assert advice.recommended == "1:3"
    assert "18" in advice.why
    assert "more than the popular 34%" in " ".join(advice.notes)
    assert "does not change the verdict" in _answer(advice, "quantised")


def test_a_variant_that_fails_in_quality_is_never_recommended() -> None:
    bad = {name: Loss(9.0, 8.0, 10.0, "measured", "here") for name in ("1:3", "1:5")}
    advice = advise(BOOK, VARIANTS, margin=0.5, losses=bad)
    assert advice.recommended == "1:11"
    failed = next(one for one in advice.assessments if one.variant.name == "1:3")
    assert failed.verdict is Verdict.FITS
    assert failed.binding == "quality"
    bad["1:11"] = bad["1:3"]
    none = advise(BOOK, VARIANTS, margin=0.5, losses=bad)
    assert none.recommended is None
    assert "quality" in none.why
    assert "1:3 fail (+9.00 points [+8.00, +10.00], measured)" in _answer(none, "quality")


def test_quantising_the_teacher_goes_before_replacing_its_layers() -> None:
    small = parse_variants(["teacher", "1:1", "teacher:int4"])
    for gib in [4 + step / 5 for step in range(60)]:
        advice = advise(Deployment(find(f"{gib}"), (), 1, 512), small)
        if advice.recommended == "teacher-int4":
            assert "quantising the teacher is enough" in advice.why
            assert "flips the verdict" in _answer(advice, "quantised")
            return
        assert advice.recommended is None
    pytest.fail("no card on which int4 alone fits")


def test_without_a_fit_the_smallest_change_is_named() -> None:
    tight = replace(WORKED, card=find("RTX-4060-8GB"), residents=(), weight="fp32", tensorrt=1)
    advice = advise(tight, VARIANTS)
    assert advice.recommended is None
    teacher = advice.assessments[0]
    assert teacher.verdict is Verdict.NO
    assert teacher.binding == "memory"
    assert teacher.max_streams is None
    assert [flip.change for flip in teacher.flips][:2] == [
        "no TensorRT context instead of 1",
        "weights in fp16",
    ]
    assert "Smallest change that makes one fit: " in advice.why
    assert "(teacher: fits)" in advice.why


def test_a_target_below_the_memorys_peak_binds_by_latency() -> None:
    advice = advise(replace(WORKED, latency_s=0.002), VARIANTS)
    assert {one.binding for one in advice.assessments} == {"latency"}
    assert {str(one.verdict) for one in advice.assessments} == {"no"}
    assert "teacher fits in memory" in advice.why
    # … and where the ratio would matter for memory is told all the same.
    assert "the ratio decides only above" in _answer(advice, "streams")
    assert {one.max_streams for one in advice.assessments} == {None}


def test_the_document_is_whole() -> None:
    found = document(advise(WORKED, VARIANTS, margin=0.5))
    assert found["gpu"]["usable_gib"] == pytest.approx(39.08)
    assert [len(found["decisions"]), len(found["variants"])] == [5, 7]
    for variant in found["variants"]:
        low, high = (sum(term["gib"][end] for term in variant["terms"]) for end in (0, 1))
        assert variant["total_gib"] == pytest.approx([low, high])
        sizes = [sum(term["gib"]) for term in variant["terms"]]
        assert variant["largest"] == [term["name"] for term in variant["terms"][:3]]
        assert sizes[0] == max(sizes)
        assert {term["tag"] for term in variant["terms"]} <= {"given", "closed form", "default"}


def test_gb_and_gib_of_the_same_bytes_give_the_same_advice() -> None:
    one = replace(WORKED, residents=parse_residents(["a=8.589934592GB", "b=16GiB"]))
    other = replace(WORKED, residents=parse_residents(["a=8GiB", "b=17179.869184MB"]))
    assert document(advise(one, VARIANTS)) == document(advise(other, VARIANTS))
