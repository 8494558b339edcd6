"""Contracts that every plugin keeps, and the registry itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mamtra_eval import registry
from mamtra_eval.errors import MissingExtra, UserError
from mamtra_eval.metrics import Metric
from mamtra_eval.systems import System

MAKEABLE = {"transcripts": {"file": "t.jsonl"},
            "command": {"template": f"{sys.executable} -c pass {{out}}"},
            "http": {"url": "http://127.0.0.1:9/v1/audio/speech"},
            **{name: {"model": ".", "env": "none"}
               for name in ("cosyvoice2", "zonos", "llasa")}}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in registry.KINDS for name in registry.plugins(kind)]
)
def test_every_plugin_has_a_summary_of_one_line(kind: str, name: str) -> None:
    plugin = registry.plugins(kind)[name]
    assert 20 <= len(plugin.summary) <= 110


OPTIONS = {"second_wer": {"backend": "pocketsphinx"}}
"""What a metric can't be made without."""


def _signature(metric: Metric) -> str | None:
    """A signature, or none where only some machines have the weights; that says what to do."""
    try:
        return metric.signature()
    except MissingExtra as missing:
        found = missing
    assert found.fix
    return None


@pytest.mark.parametrize("name", registry.plugins("metrics"))
def test_every_metric_describes_its_figures_and_signs_them(name: str) -> None:
    metric = registry.create("metrics", name, OPTIONS.get(name, {}))
    assert isinstance(metric, Metric)
    assert name in {figure.name for figure in metric.figures}
    assert len({figure.name for figure in metric.figures}) == len(metric.figures)
    assert any(figure.headline for figure in metric.figures)
    assert metric.sources == getattr(registry.load("metrics", name), "SOURCES", ())
    signature = _signature(metric)
    if signature is None:
        return
    assert ":" in signature
    assert "\n" not in signature
    assert signature == registry.create("metrics", name, OPTIONS.get(name, {})).signature()


@pytest.mark.parametrize("name", registry.plugins("systems"))
def test_every_system_is_made_without_loading_torch(name: str) -> None:
    options = MAKEABLE.get(name, {})
    script = (
        "import sys, json; from mamtra_eval import registry; "
        f"registry.create('systems', {name!r}, json.loads(sys.argv[1])); "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, json.dumps(options)], check=True, timeout=60,
                   cwd=Path(__file__).parent.parent)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in ("systems", "metrics", "asr", "speakers", "normalize")
     for name in registry.plugins(kind)],
)  # fmt: skip
def test_unknown_options_are_refused_by_name(kind: str, name: str) -> None:
    base = (MAKEABLE if kind == "systems" else OPTIONS).get(name, {})
    with pytest.raises(UserError, match="nonsense_option"):
        registry.create(kind, name, {**base, "nonsense_option": "1"})


def test_systems_are_systems() -> None:
    for name in registry.plugins("systems"):
        assert isinstance(registry.create("systems", name, MAKEABLE.get(name, {})), System)


def test_listing_imports_no_plugin() -> None:
    script = (
        "import sys; from mamtra_eval import registry\n"
        "[registry.plugins(kind) for kind in registry.KINDS]\n"
        "loaded = [m for m in sys.modules if m.startswith('mamtra_eval.') and m.count('.') > 1]\n"
        "sys.exit(' '.join(loaded) or 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60,
                   cwd=Path(__file__).parent.parent)  # fmt: skip


def test_importing_the_package_is_instant_and_light() -> None:
    script = (
        "import sys, time; start = time.perf_counter(); import mamtra_eval; "
        "took = time.perf_counter() - start; "
        "heavy = {'torch', 'numpy', 'soundfile', 'omegaconf'} & set(sys.modules); "
        "sys.exit(f'{took} {heavy}' if heavy or took > 0.3 else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60,
                   cwd=Path(__file__).parent.parent)  # fmt: skip


def test_a_near_match_is_offered() -> None:
    with pytest.raises(UserError, match=r"no metric named 'similarty'. Did you mean similarity"):
        registry.load("metrics", "similarty")


@pytest.mark.parametrize(
    ("default", "given", "expected"),
    [(1, "3", 3), (1.5, "2", 2.0), (True, "no", False), ("a", "b", "b"), (None, "x", "x")],
)
def test_options_take_the_type_of_their_default(
    default: object, given: str, expected: object
) -> None:
    assert registry.read_options("owner", {"key": given}, {"key": default}) == {"key": expected}


def test_an_option_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(UserError, match="option key of owner must be int, not 'many'"):
        registry.read_options("owner", {"key": "many"}, {"key": 1})
