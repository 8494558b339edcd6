"""Time to first audio against a target, and loss of WER against a margin."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from written_runs import run

from mamtra_eval import footprint
from mamtra_eval.advisor import quality
from mamtra_eval.advisor.cards import find
from mamtra_eval.advisor.deployment import Deployment, Variant, parse_variants
from mamtra_eval.advisor.latency import bytes_per_step, first_audio
from mamtra_eval.advisor.measured import Profile, Source
from mamtra_eval.advisor.quality import Loss, judge
from mamtra_eval.advisor.terms import Verdict
from mamtra_eval.reader import RunReader

TEACHER, HALF, LAST, SMALL = parse_variants(["teacher", "1:1", "1:11", "teacher:int8"])
PLAIN = Deployment(find("A100-40GB"), (), streams=1, context=1024)


def _timed(points: dict, device: str = "NVIDIA A100-SXM4-40GB") -> Profile:
    card = find("A100-40GB")
    return Profile(
        (Source("p", device, True, card.is_device(device), 2, TEACHER.config, None, points),)
    )


def test_the_floor_of_a_step_is_the_references() -> None:
    """0.47 ms a token on an A100-40 (1,555 GB/s) in fp16: weights but embeddings."""
    weights, state = bytes_per_step(TEACHER, PLAIN)
    assert weights / 1555e9 == pytest.approx(0.47e-3, abs=0.01e-3)
    assert state == 0
    assert bytes_per_step(HALF, PLAIN)[1] == 2 * 12 * 61_952 * 2
    assert bytes_per_step(SMALL, PLAIN)[0] < 0.6 * weights
    bound = first_audio(TEACHER, PLAIN, Profile()).bound
    assert bound is not None
    assert bound == pytest.approx(28 * weights / 1555e9, rel=0.01)


def test_a_bound_refuses_and_never_promises() -> None:
    for target, wanted in ((0.013, Verdict.NO), (0.5, Verdict.RISKY), (None, Verdict.FITS)):
        found = first_audio(TEACHER, replace(PLAIN, latency_s=target), Profile())
        assert found.verdict is wanted
    unknown = replace(PLAIN, card=find("40"), latency_s=1e-6)
    found = first_audio(TEACHER, unknown, Profile())
    assert found.verdict is Verdict.RISKY
    assert "unknown" in found.why


def test_measured_times_of_this_card_decide_inside_their_grid() -> None:
    cells = {(256, 1): 0.1, (2048, 4): 0.4}
    profile, asked = _timed({"time.first_audio": cells}), replace(PLAIN, latency_s=0.4)
    assert first_audio(TEACHER, asked, profile).verdict is Verdict.FITS
    assert first_audio(TEACHER, replace(asked, latency_s=0.39), profile).verdict is Verdict.RISKY
    for outside in (replace(asked, streams=5), replace(asked, context=4096)):
        assert first_audio(TEACHER, outside, profile).verdict is Verdict.RISKY
    elsewhere = _timed({"time.first_audio": cells}, "NVIDIA L20")
    assert first_audio(TEACHER, asked, elsewhere).verdict is Verdict.RISKY
    assert first_audio(HALF, asked, profile).measured is None


def test_stages_add_up_where_all_are_measured() -> None:
    stages = {
        "time.front_end": {(0, 1): 0.05},
        "time.prefill": {(1024, 1): 0.02},
        "time.step": {(1024, 1): 0.004},
        "time.vocoder": {(0, 1): 0.1},
    }
    found = first_audio(TEACHER, PLAIN, _timed(stages))
    assert found.measured == pytest.approx(0.05 + 0.02 + 52 * 0.004 + 0.1)
    del stages["time.vocoder"]
    assert first_audio(TEACHER, PLAIN, _timed(stages)).measured is None


@pytest.mark.parametrize(
    ("loss", "margin", "wanted"),
    [
        ((0.1, -0.2, 0.4), 0.5, "pass"),
        ((0.9, 0.6, 1.2), 0.5, "fail"),
        ((0.4, 0.1, 0.7), 0.5, "open"),
        ((0.4, None, None), 0.5, "open"),
        ((0.6, None, None), 0.5, "fail"),
        ((0.6, None, None), None, "not asked"),
    ],
)
def test_a_loss_is_judged_by_its_interval(
    loss: tuple[float, float | None, float | None], margin: float | None, wanted: str
) -> None:
    found = judge(LAST, margin, {"1:11": Loss(*loss, "measured", "here")})
    assert found.verdict == wanted
    assert found.is_acceptable is (wanted != "fail")


def test_published_losses_need_the_teacher_in_the_same_source() -> None:
    found = judge(HALF, 0.5, {})
    assert found.verdict == "open"
    assert found.loss is not None
    assert found.loss.value == pytest.approx(0.25)
    assert found.loss.source == "published"
    assert "not measured here" in found.why
    assert judge(HALF, 0.2, {}).verdict == "fail"
    assert judge(LAST, 0.5, {}).verdict == "unknown"  # its figure stands beside no teacher's
    assert judge(SMALL, 0.5, {}).verdict == "unknown"
    assert judge(TEACHER, 0.5, {}).verdict == "reference"


def test_a_runs_readings_go_before_published_ones(tmp_path: Path) -> None:
    data = run(tmp_path / "r", {"base": 0, "half": 2, "same": 0}, baseline="base")
    variants = parse_variants(["half=1:1", "same=1:3", "absent=1:5"])
    with RunReader(data.folder) as store:
        losses, notes = quality.read(store, variants)
    assert set(losses) == {"half", "same"}
    assert len(notes) == 1
    assert "No system of" in notes[0]
    assert "is absent: what it read of half, same" in notes[0]
    assert losses["half"].value == pytest.approx(20.0)  # two of ten words more
    assert [judge(v, 0.5, losses).verdict for v in variants] == ["fail", "pass", "unknown"]
    assert "base" in losses["half"].told


def test_a_profile_alone_says_nothing_of_quality(tmp_path: Path) -> None:
    from mamtra_eval.store import Store

    with Store(tmp_path / "p") as store:
        assert quality.read(store, [Variant("x", TEACHER.config)]) == ({}, [])


def _told(folder: Path, systems: dict[str, Variant], footprints: dict[str, Variant]) -> None:
    """Tell the shapes of a run's systems, by its profile or by their closed forms."""
    from mamtra_eval.store import Store

    shapes = {n: {"config": v.config.to_dict(), "bits": v.bits} for n, v in systems.items()}
    forms = {name: asdict(footprint.of(v.config, 2)) for name, v in footprints.items()}
    with Store(folder) as store:
        store.set_meta("profile", {"systems": shapes, "sessions": {}})
        store.set_meta("footprints", forms)


def test_readings_are_matched_by_shape_layout_and_bits(tmp_path: Path) -> None:
    drops = {"base": 0, "1-1": 2, "small": 1, "last": 3, "1:5": 0}
    data = run(tmp_path / "r", drops, baseline="base")
    _told(data.folder, {"1-1": HALF, "small": SMALL, "1:5": LAST}, {"last": LAST})
    with RunReader(data.folder) as store:
        variants = parse_variants(["teacher", "1:1", "1:5", "1:11", "teacher:int8", "1:11:int8"])
        losses, notes = quality.read(store, variants)
    found = {name: round(loss.value) for name, loss in losses.items()}
    # Of the two that are 1:11, by profile and by closed form, the one that loses more.
    assert found == {"1:1": 20, "1:11": 30, "teacher-int8": 10}
    said = " ".join(notes)
    assert "are 1:11: last, 1:5. Its WER is that of last." in said
    assert "1:5 of" in said
    assert "another shape, layout or bits" in said
    assert "is 1:5, 1:11-int8: what it read of" in said


def test_of_systems_that_are_one_variant_the_namesake_counts(tmp_path: Path) -> None:
    data = run(tmp_path / "r", {"base": 0, "a": 3, "1:1": 1}, baseline="base")
    _told(data.folder, {"a": HALF, "1:1": HALF}, {})
    with RunReader(data.folder) as store:
        losses, notes = quality.read(store, [HALF])
    assert losses["1:1"].value == pytest.approx(10.0)
    assert "Its WER is that of 1:1" in notes[0]


def test_a_run_without_a_baseline_has_no_losses_and_no_notes(tmp_path: Path) -> None:
    data = run(tmp_path / "r", {"half": 2})
    with RunReader(data.folder) as store:
        assert quality.read(store, [HALF]) == ({}, [])
