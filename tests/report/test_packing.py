"""Clips by column: nothing is lost on the way into the file, as the page reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval.report._packing import pack

WORD = st.text("ab", min_size=1, max_size=3)
STEP = st.one_of(
    WORD.map(lambda word: ["equal", word, word]),
    st.tuples(WORD, WORD).map(lambda pair: ["substitute", *pair]),
    WORD.map(lambda word: ["delete", word, ""]),
    WORD.map(lambda word: ["insert", "", word]),
    st.tuples(WORD, WORD).map(lambda pair: ["equal", *pair]),  # what normalisers may call equal
    st.tuples(WORD, WORD).map(lambda pair: ["other", *pair]),
)


def _told(column: Any, index: int, nothing: Any = None) -> Any:
    found = column[index] if isinstance(column, list) else column.get(str(index))
    return nothing if found is None else found


def _alignment(short: list[Any] | None, words: list[str] | None) -> list[list[str]] | None:
    """As clips.js reads it."""
    if short is None:
        return None
    ahead, steps = iter(words or []), []
    for step in short:
        if isinstance(step, list):
            steps.append(["insert", "", step[0]] if len(step) == 1 else step)
        elif isinstance(step, str):
            steps.append(["substitute", next(ahead), step])
        elif step == 0:
            steps.append(["delete", next(ahead), ""])
        else:
            steps += [["equal", word, word] for _, word in zip(range(step), ahead, strict=False)]
    return steps


def unpack(packed: dict[str, Any]) -> list[dict[str, Any]]:
    """The clips of packed data."""
    columns, clips = packed["clips"], []
    for index in range(columns["n"]):
        said = packed["texts"][columns["text"][index]]
        alignment = _alignment(_told(columns["alignment"], index), said["words"])
        transcript = _told(columns["transcript"], index)
        if transcript is True:
            transcript = " ".join(heard for _, _, heard in alignment if heard)
        values = {name: _told(column, index) for name, column in columns["values"].items()}
        clips.append({
            "system": packed["systems"][columns["system"][index]]["name"],
            **{name: said[name] for name in ("utterance", "text", "prompt", "ground_truth")},
            **{name: _told(columns[name], index)
               for name in ("audio", "duration_s", "error", "second", "agree", "envelope")},
            "repeat": _told(columns["repeat"], index, 0),
            "flags": _told(columns["flags"], index, []),
            "failures": _told(columns["failures"], index, {}),
            "reasons": _told(columns["reasons"], index, {}),
            "alignment": alignment, "transcript": transcript, "values": values,
        })  # fmt: skip
    return clips


def _through_json(data: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(pack(data)))


@pytest.mark.parametrize("seed", [1, 2])
def test_clips_come_back_as_they_were(sample, seed):
    data = sample.build(4, 30, seed=seed)
    for number, clip in enumerate(data["clips"]):
        clip["repeat"] = number % 3 // 2
    data["clips"][3] |= {"second": "", "agree": False, "reasons": {"empty": "no word"}}
    data["clips"][4] |= {"transcript": "", "alignment": []}
    found = unpack(_through_json(data))
    for before, after in zip(data["clips"], found, strict=True):
        values = {name: value for name, value in before["values"].items() if value is not None}
        assert {**after, "values": None} == {**before, "values": None}
        assert {name: value for name, value in after["values"].items() if value is not None} == (
            pytest.approx(values, abs=1e-6)
        )


@given(st.lists(st.lists(STEP, max_size=6), min_size=1, max_size=4))
def test_every_alignment_comes_back(alignments):
    clips = [
        {"system": "s", "utterance": "u", "repeat": number, "text": "x", "alignment": alignment,
         "transcript": "a b", "values": {}}
        for number, alignment in enumerate(alignments)
    ]  # fmt: skip
    found = unpack(_through_json({"systems": [{"name": "s"}], "clips": clips}))
    assert [clip["alignment"] for clip in found] == alignments
    assert {clip["transcript"] for clip in found} == {"a b"}


def test_what_is_said_once_stands_once(sample):
    data = sample.build(3, 10)
    packed = pack(data)
    assert len(packed["texts"]) == 10
    assert len(json.dumps(packed["clips"])) < len(json.dumps(data["clips"])) / 2


def test_an_empty_run_has_no_clips(sample):
    packed = pack(sample.build(1, 0))
    assert packed["clips"]["n"] == 0
    assert packed["texts"] == []
