"""Figures of the checks against tables that were worked out apart from this code."""

from __future__ import annotations

import pytest

from mamtra_eval.claims import Checked, check_all
from mamtra_eval.claims.checks._shapes import TEACHER, decoder
from mamtra_eval.claims.checks.memory import streams_for


@pytest.fixture(scope="module")
def found() -> dict[str, Checked]:
    return {checked.claim.id: checked for checked in check_all()}


def _ours(checked: Checked, number: str) -> dict[str, object]:
    return {item.key: item.ours for item in checked.finding.comparisons if item.number == number}


def test_keys_and_values(found: dict[str, Checked]) -> None:
    # 24 layers x 2 x 2 heads x 64 x 2 B = 12,288 B a token, in GB.
    ours = _ours(found["kv-gigabytes"], "kv")
    assert ours == {
        "512": pytest.approx(6.291456e-3), "1024": pytest.approx(12.582912e-3),
        "2048": pytest.approx(25.165824e-3), "4096": pytest.approx(50.331648e-3),
    }  # fmt: skip
    told, setup = found["kv-gigabytes"].finding.told, found["kv-gigabytes"].finding.setup
    assert "127, 127, 127 and 254 times" in told
    # 0.8e9 / 12,288 and 12.8e9 / 12,288 tokens; at 25 tokens a second.
    assert "65,104 tokens (43.4 min)" in told
    assert "1,041,667 tokens (11.6 h)" in told
    # 128 x 12,288 B; 1.5625 MB / 86,016 B with 14 key heads; 12.8e9 B at 1.5625 MB a token.
    assert "128 or 64 has 1.573 MB a token" in setup
    assert "18 in fp16" in setup
    assert "8,192 tokens, not at 4,096" in setup


def test_a_mamba_2_layers_state(found: dict[str, Checked]) -> None:
    # 14 x 64 x 64 of the scan, 1,152 x 4 of the convolution; 122,880 with twice the width.
    assert _ours(found["mamba-block"], "elements") == {"": 61_952}
    for part in ("57,344", "4,608", "122,880"):
        assert part in found["mamba-block"].finding.told


def test_all_bars_of_the_cache_figure(found: dict[str, Checked]) -> None:
    bars = found["cache-figure"].finding.comparisons
    assert len(bars) == 28
    assert all(bar.agrees for bar in bars)
    # n_T 1,024 L + n_M 8 L bytes: at 1:11 and 4,096, 2 x 1,024 + 22 x 8 = 2,224 B a token.
    assert _ours(found["cache-figure"], "1:11")["4096"] == pytest.approx(2224 * 4096 / 1e6)


def test_added_parameters(found: dict[str, Checked]) -> None:
    added = _ours(found["fewer-parameters"], "added")
    assert added == {ratio: 820_906 * n for ratio, n in
                     (("1:1", 12), ("1:3", 18), ("1:5", 20), ("1:11", 22))}  # fmt: skip


def test_what_explains_a_third_less_memory(found: dict[str, Checked]) -> None:
    finding = found["vram-teacher"].finding
    # 7.6 to 5.0 GB; weights + 39.4 MB and the cache's difference in fp32, with the dummy entries
    # left out: 39.4 - 22.2 at 2,048 and 39.4 - 47.4 at 4,096 tokens.
    assert _ours(found["vram-teacher"], "saving")[""] == pytest.approx(34.2, abs=0.02)
    for part in ("−38.08 MB at 350", "−17.21 MB at 2,048", "+7.95 MB at 4,096", "176.27 MB",
                 "100.66 MB"):  # fmt: skip
        assert part in finding.told
    assert finding.explained is not None
    assert finding.explained[0] == pytest.approx(7.95e6 / 2.6e9, rel=1e-3)
    # 2.6e9 / 24,576 B of fp32 keys and values; 350 x 151,936 x 4 B of logits.
    assert "105,794 tokens" in finding.setup
    assert "212.71 MB at 350" in finding.setup


@pytest.mark.parametrize(
    ("ratio", "fixed", "context", "streams"),
    [("1:1", None, 1024, 653), ("1:1", None, 2048, 135), ("1:1", None, 4096, 52),
     ("1:11", None, 4096, 13), ("1:1", 7.6e9, 4096, 394)],
)  # fmt: skip
def test_streams_whose_caches_save_a_third(
    ratio: str, fixed: float | None, context: int, streams: int
) -> None:
    # Worked out apart from this code and rounded there: the first whole number may be the next.
    weights = 2 * 505_803_812
    found = streams_for(decoder(ratio), 0.34, fixed or weights, context)
    assert found in (streams, streams + 1)


def test_no_number_of_short_streams_saves_a_third() -> None:
    assert streams_for(decoder("1:1"), 0.34, 1e9, 300) is None
    assert streams_for(TEACHER, 0.34, 1e9, 4096) is None


def test_operations(found: dict[str, Checked]) -> None:
    # TFLOP a pass over 2,048 tokens: whole score matrix, no scan, no head; and the differences.
    totals = {"1:0": 1.8264, "1:1": 1.6861, "1:3": 1.6160, "1:5": 1.5926, "1:11": 1.5692}
    assert _ours(found["tflops"], "flops") == pytest.approx(totals, abs=5e-5)
    saved = {"1:1": 0.1403, "1:3": 0.2105, "1:5": 0.2339, "1:11": 0.2572}
    assert _ours(found["tflops-saved"], "saved") == pytest.approx(saved, abs=1e-4)
    # Causal and with the scan: 1.6461 against 1.6244, 1.6135, 1.6099 and 1.6063.
    shares = {"1:1": 1.3, "1:3": 2.0, "1:5": 2.2, "1:11": 2.4}
    assert _ours(found["tflops-share"], "saved") == pytest.approx(shares, abs=0.05)
    assert _ours(found["tflops-llasa"], "flops")[""] == pytest.approx(4.5355, abs=5e-5)
    # 24 x 4 x 896 x 2,048^2, and half of it.
    assert "0.361 TFLOP full, 0.180 TFLOP causal" in found["attention-matrix"].finding.figure


def test_what_a_token_saves(found: dict[str, Checked]) -> None:
    finding = found["saved-per-token"].finding
    assert (finding.figure, finding.how) == ("64.9 MFLOP", "closed form")
    assert finding.comparisons[0].ours == pytest.approx(0.0649, abs=5e-5)
    for part in ("64.9 MFLOP", "68.7 MFLOP", "10.6 MFLOP a token", "2,156 times"):
        assert part in finding.told
    assert "0.140 TFLOP" in finding.setup


def test_break_evens(found: dict[str, Checked]) -> None:
    for claim, parts in {
        "cache-saved": ("242 tokens", "484 tokens"),
        "decoder-smaller": ("3,449 tokens", "3,476 tokens"),
        "decode-flops": ("538 tokens",),
        "prefill-flops": ("1,298 ", "1,554 tokens"),
        "decode-traffic": ("484 tokens", "968 tokens"),
    }.items():
        for part in parts:
            assert part in found[claim].finding.told


def test_traffic(found: dict[str, Checked]) -> None:
    # 1:1 with fp32 states against an fp16 teacher at 350 tokens: + 3, + 16 and + 40 %.
    ours = _ours(found["decode-traffic"], "saved")
    assert ours == pytest.approx({"1": -3, "32": -16, "128": -40}, abs=0.5)


def test_text_logits(found: dict[str, Checked]) -> None:
    assert _ours(found["text-logits"], "flops")[""] == pytest.approx(0.2723, abs=1e-4)
    assert _ours(found["text-logits"], "logits") == pytest.approx(
        {"350": 212.7, "2048": 1244.7}, abs=0.1
    )


def test_steps_grow_with_the_transformer_layers_alone(found: dict[str, Checked]) -> None:
    assert _ours(found["linear-time"], "growth")["0:1"] == 1
    for part in ("50.0 % at 1:1", "25.0 % at 1:3", "16.7 % at 1:5", "8.3 % at 1:11"):
        assert part in found["linear-time"].finding.told


def test_which_placement_the_front_is(found: dict[str, Checked]) -> None:
    assert "the claimed set is Front of" in found["transformers-in-front"].finding.told


def test_the_headlines_verdicts(found: dict[str, Checked]) -> None:
    # As worked out by hand from the sources (arithmetic of each claim, apart from this code).
    verdicts = {
        "layer-maps": "holds", "transformers-in-front": "does not hold", "mamba-block": "holds",
        "cache-figure": "holds", "kv-quadratic": "does not hold",
        "kv-gigabytes": "does not hold", "cache-sublinear": "holds in part",
        "state-nearly-constant": "holds", "fewer-parameters": "does not hold",
        "vram-teacher": "not explained by the architecture", "tflops-saved": "holds",
        "attention-matrix": "does not hold", "saved-per-token": "does not hold",
        "token-rate": "does not hold", "wer": "not checkable here", "nmos": "not checkable here",
    }  # fmt: skip
    assert {claim: found[claim].verdict for claim in verdicts} == verdicts
