"""Layout of inputs and targets, and what files of examples may hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval.errors import UserError
from mamtra_eval.models import sequences
from mamtra_eval.models.config import DecoderConfig, preset
from mamtra_eval.models.sequences import IGNORE, Example


def test_ids_of_cosyvoice2() -> None:
    """6561 speech tokens and three stops, as in its ``speech_embedding`` of 6564 rows."""
    config = preset("cosyvoice2")
    assert (config.eos, config.stops, config.speech_rows) == (6561, (6561, 6562, 6563), 6564)
    assert (config.sos, config.task, config.text_offset) == (6564, 6565, 6566)
    assert config.vocabulary == 6566 + 151936
    assert sequences.zero_shot(config, [7, 8], [9], [100, 0]) == [
        6564, 6566 + 9, 6566 + 7, 6566 + 8, 6565, 100, 0,
    ]  # fmt: skip


def test_speech_and_its_eos_are_scored(tiny: DecoderConfig) -> None:
    example = sequences.example(tiny, [3, 1], [5, 6, 7])
    assert example.ids == [tiny.sos, 45 + 3, 45 + 1, tiny.task, 5, 6, 7]
    assert example.targets == [IGNORE, IGNORE, IGNORE, 5, 6, 7, tiny.eos]


@given(st.lists(st.tuples(st.lists(st.integers(0, 19)), st.lists(st.integers(0, 39))), min_size=1))
def test_a_batch_holds_its_examples_and_scores_nothing_else(
    pairs: list[tuple[list[int], list[int]]],
) -> None:
    config = DecoderConfig(1, 8, 2, 1, 4, 8, 40, 20, (0,))
    examples = [sequences.example(config, text, speech) for text, speech in pairs]
    batch = sequences.collate(examples)
    assert batch.ids.shape == batch.targets.shape == batch.real.shape
    for row, (one, (_, speech)) in enumerate(zip(examples, pairs, strict=True)):
        length = len(one.ids)
        assert batch.ids[row, :length].tolist() == one.ids
        assert batch.targets[row, :length].tolist() == one.targets
        assert batch.real[row].tolist() == [t < length for t in range(batch.ids.shape[1])]
        scored = batch.targets[row][batch.targets[row] != IGNORE]
        assert scored.tolist() == [*speech, config.eos]
        # Each scored position predicts the input after it.
        assert batch.ids[row, length - len(speech) : length].tolist() == speech
    assert batch.ids.dtype == batch.targets.dtype == torch.int64


def test_files_of_both_kinds_of_line(tiny: DecoderConfig, tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    finished = {"ids": [tiny.sos, 1, tiny.task, 2], "targets": [-100, 1, -100, tiny.eos]}
    lines = [json.dumps({"text": [1], "speech": [2]}), "", json.dumps(finished)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert sequences.read_examples(path, tiny) == [
        sequences.example(tiny, [1], [2]), Example(finished["ids"], finished["targets"]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "no example"),
        ("[1, 2]", "no example"),
        ("3", "no example"),
        ('{"text": [1]}', "KeyError: 'speech'"),
        ('{"text": [20], "speech": []}', "text token 20 is not one of 0 … 19"),
        ('{"text": ["a"], "speech": []}', "text token 'a'"),
        ('{"text": [1], "speech": [40]}', "speech token 40 is not one of 0 … 39"),
        ('{"text": [1], "speech": [1.0]}', "speech token 1.0"),
        ('{"text": 1, "speech": [1]}', "no example"),
        ('{"ids": [1, 65], "targets": [1, 1]}', "input id 65 is not one of 0 … 64"),
        ('{"ids": [1], "targets": [43]}', "target 43 is not one of 0 … 42"),
        ('{"ids": [1], "targets": [1, 2]}', "1 ids with 2 targets"),
        ('{"ids": [], "targets": []}', "0 ids with 0 targets"),
    ],
)
def test_a_bad_line_is_named(tiny: DecoderConfig, tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text(f'{{"text": [1], "speech": [2]}}\n{line}\n', encoding="utf-8")
    with pytest.raises(UserError) as error:
        sequences.read_examples(path, tiny)
    assert said in str(error.value)
    assert f"{path}, line 2" in str(error.value)


def test_a_file_without_examples(tiny: DecoderConfig, tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    with pytest.raises(UserError, match="can't be read"):
        sequences.read_examples(path, tiny)
    path.write_text("\n\n", encoding="utf-8")
    with pytest.raises(UserError, match="no example in it"):
        sequences.read_examples(path, tiny)
