"""torch's counter on the decoder's own code, against the closed form."""

from __future__ import annotations

import pytest

from mamtra_eval.models import cost, layout
from mamtra_eval.models.config import preset
from mamtra_eval.models.layout import PUBLISHED_RATIOS, Ratio
from mamtra_eval.profiling import flops
from mamtra_eval.profiling.rows import ProfileKey


@pytest.mark.parametrize("ratio", ["1:0", *map(str, PUBLISHED_RATIOS)])
@pytest.mark.parametrize("size", ["mini", "cosyvoice2"])
def test_the_counter_sees_what_the_closed_form_says(ratio: str, size: str) -> None:
    config = preset(size)
    config = config.with_layout(layout.transformer_layers(Ratio.parse(ratio), config.layers))
    length = 2 * config.chunk
    assert flops.counted(config, length) == flops.visible(config, length)


def test_rows_have_both_and_their_conventions() -> None:
    config = preset("mini")
    rows = flops.rows(config, [64, 128], ProfileKey("s", "x", ""))
    found = {(row.key.quantity, row.key.context): row for row in rows}
    assert found["flops.token", 128].value == cost.flops_per_token(config, 128)
    assert found["flops.pass", 64].value == cost.flops_per_pass(config, 64)
    assert "causal" in found["flops.token", 64].detail["convention"]
    counted = found["flops.counted", 64]
    assert counted.detail["relative"] == 0
    assert counted.notes == ()


def test_a_closed_form_that_is_off_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        flops, "counted", lambda config, length: 1.02 * flops.visible(config, length)
    )
    [row] = [row for row in flops.rows(preset("mini"), [64], ProfileKey("s", "x", ""))
             if row.key.quantity == "flops.counted"]  # fmt: skip
    assert row.notes == ("+2.0 % off the closed form",)
