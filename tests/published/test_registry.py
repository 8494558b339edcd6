"""The numbers as they stand in the package, and what is refused of a file."""

from __future__ import annotations

import re
import shutil
from datetime import date
from pathlib import Path

import pytest

from mamtra_eval import published, registry
from mamtra_eval.errors import UserError
from mamtra_eval.metrics import similarity, utmos, utmosv2, wer
from mamtra_eval.published import _reading

RANGES = {"fraction": (0.0, 1.5), "cosine": (0.0, 1.0), "mos": (1.0, 5.0)}


def _value(system: str, testset: str, metric: str) -> list[float]:
    return [
        number.value
        for number in published.registry().numbers
        if (number.system, number.testset, number.metric) == (system, testset, metric)
    ]


def test_every_number_is_whole() -> None:
    known = published.registry()
    assert len(known.numbers) > 30
    for number in known.numbers:
        low, high = RANGES[number.unit]
        assert low < number.value < high, number
        assert number.source
        assert number.name == known.systems[number.system]
        assert number.testset in known.testsets
        assert re.fullmatch(r"\d+\.\d+( %)?", number.text), number
        if number.date:
            day = number.date if len(number.date) == 10 else f"{number.date}-01"
            assert date(2023, 1, 1) < date.fromisoformat(day) < date(2027, 1, 1)
        if number.note:
            assert number.note.endswith("."), number


def test_no_number_stands_twice() -> None:
    keys = [(n.system, n.testset, n.metric, n.source) for n in published.registry().numbers]
    assert len(set(keys)) == len(keys)


def test_names_of_systems_and_test_sets_are_one_only() -> None:
    known = published.registry()
    called: dict[str, str] = {}
    for key, name in known.systems.items():
        for each in (key, name.casefold()):
            assert called.setdefault(each, key) == key
    owners: dict[tuple[str, str], str] = {}
    for testset in known.testsets.values():
        for alias in (testset.name, *testset.aliases, *testset.folders):
            assert alias == alias.casefold()
            assert owners.setdefault((alias, testset.language), testset.name) == testset.name


def test_figures_have_the_units_of_their_metrics() -> None:
    figures = [
        figure
        for kind in (wer.WordErrorRate, similarity.Similarity, utmos.Utmos, utmosv2.UtmosV2)
        for figure in kind.figures
    ]
    units = {figure.name: figure.unit for figure in figures}
    assert {name: units[name] for name in _reading.UNITS} == _reading.UNITS


def test_protocols_name_what_there_is() -> None:
    for number in published.registry().numbers:
        told = number.protocol
        assert told.normalizer is None or told.normalizer in registry.plugins("normalize")
        assert told.encoder is None or told.encoder in registry.plugins("speakers")
        assert told.asr in {None, "whisper-large-v3", "paraformer-zh"}


def test_where_sources_disagree_all_stand() -> None:
    assert set(_value("cosyvoice2", "seed-tts-en", "wer")) == {0.0257, 0.0324, 0.0203}
    assert set(_value("cosyvoice2", "seed-tts-en", "similarity")) == {0.652, 0.659, 0.6536}
    assert _value("human", "seed-tts-zh", "wer") == [0.0126]
    assert set(_value("mamtra-1-1", "seed-tts-en", "wer")) == {0.0228, 0.0399}


def test_a_recipe_says_the_rest() -> None:
    [number] = [n for n in published.registry().numbers if n.system == "f5-tts"]
    assert number.protocol == published.Protocol(
        "f5-tts", "paraformer-zh", "f5_tts", "mean", "wavlm"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(_reading.FOLDER / _reading.SYSTEMS, tmp_path)
    return tmp_path


GOOD = """
sets: {s: {language: en}}
sources:
  - title: a paper
    date: 2024-12-16
    numbers:
      - {system: cosyvoice2, set: s, metric: wer, value: 1.30, unit: percent}
"""


def test_a_file_of_ones_own(folder: Path) -> None:
    (folder / "a.yaml").write_text(GOOD)
    [number] = _reading.read(folder).numbers
    assert (number.value, number.text, number.date) == (0.013, "1.30 %", "2024-12-16")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title", "titel", "titel.*Did you mean title"),
        ("title: a paper\n    date", "date", "title is missing"),
        ("unit: percent", "unit: percent, page: 3", "page"),
        ("unit: percent", "unit: mos", "no unit named 'mos'.*percent"),
        (", unit: percent", "", "unit is missing"),
        ("value: 1.30", "value: lots", "number 1.*value"),
        ("value: 1.30", "value: 1300", "look at the unit"),
        ("metric: wer", "metric: similarity, note: x", None),
        ("metric: wer, value: 1.30", "metric: similarity, value: 130", "is no similarity"),
        ("metric: wer", "metric: cer", "no figure named 'cer'.*Did you mean wer"),
        ("set: s", "set: t", "no set named 't'"),
        ("cosyvoice2", "cosyvoice4", "Did you mean cosyvoice"),
        ("2024-12-16", "2024-13", "'2024-13' is no date.*YYYY-MM"),
        ("    date", "    recipe: f5\n    date", "no recipe named 'f5'"),
        ("    date", "    aggregate: median\n    date", "no aggregate named"),
        ("    date", "    aggregate: pooled\n    date", "wer_pooled"),
        ("sources:", "source:", "Did you mean sources"),
    ],
)
def test_odd_files_are_refused(folder: Path, old: str, new: str, said: str | None) -> None:
    (folder / "a.yaml").write_text(GOOD.replace(old, new))
    if said is None:
        assert len(_reading.read(folder).numbers) == 1
        return
    with pytest.raises(UserError, match=re.compile(said, re.DOTALL)) as error:
        _reading.read(folder)
    assert "a.yaml" in str(error.value)


def test_the_same_number_twice_is_refused(folder: Path) -> None:
    line = GOOD.strip().splitlines()[-1]
    (folder / "a.yaml").write_text(f"{GOOD}{line}\n")
    with pytest.raises(UserError, match=r"number 2.*stands twice"):
        _reading.read(folder)


@pytest.mark.parametrize("name", ["seed-tts-en", "SEED-TTS-eval/en", "data/seedtts_testset/en/"])
def test_test_sets_by_name(name: str) -> None:
    found = published.find_set(name)
    assert found is not None
    assert found.name == "seed-tts-en"


def test_lists_of_one_set_are_told_apart() -> None:
    def name(*arguments: object, **known: object) -> str | None:
        found = published.find_set(*arguments, **known)  # type: ignore[arg-type]
        return found and found.name

    assert name("seed-tts-eval", language="zh") == "seed-tts-zh"
    assert name("seed-tts-eval/hard", language="zh") == "seed-tts-zh-hard"
    assert name("seed-tts-eval/en", language="zh") is None
    # Any list may be called "en": only the official one has so many utterances.
    assert name("en", language="en", n=1088) == "seed-tts-en"
    assert name("en", language="en", n=50) is None
    assert name("en") is None
    assert name("my-seed-tts-en") is None


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        (("gt", "recorded", "recorded"), "human"),
        (("cosyvoice2", "command", "command:x"), "cosyvoice2"),
        (("CosyVoice 2", "recorded", "wavs/"), "cosyvoice2"),
        (("cosyvoice2-mine", "recorded", "wavs/"), None),
        (("1:3", "cosyvoice2", "cosyvoice2:ratio=1:3"), "mamtra-1-3"),
        (("1-11", "cosyvoice2", "cosyvoice2:ratio=1:11"), "mamtra-1-11"),
        (("1-7", "cosyvoice2", "cosyvoice2:ratio=1:7"), None),
        (("1-1", "recorded", "wavs/"), None),
        (("mini:1:1", "mini", "mini:1:1"), None),
        (("mamtra-1-1", "mini", "mini:1:1"), None),
        (("MamTra 1:1", "http", "http://x"), "mamtra-1-1"),
    ],
)
def test_systems_by_name(system: tuple[str, str, str], expected: str | None) -> None:
    assert published.matches(*system) == expected
