"""The README's Python, run as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mamtra_eval.models import checkpoint
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder

README = Path(__file__).parents[1] / "README.md"


def test_the_networks_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [code] = re.findall(r"```python\n(.+?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    shape = DecoderConfig(
        layers=2, hidden=16, heads=2, kv_heads=1, head_dim=8, mlp=16, speech_codes=40,
        text_vocabulary=20, transformer=(0,),
    )  # fmt: skip
    checkpoint.save(tmp_path / "student", Decoder(shape), {})
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(README), "exec"), {})
    assert re.match(r"\[\d+, .*\] (True|False)", capsys.readouterr().out)
