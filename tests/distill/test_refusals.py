"""What a training run will not do: train into what is not its own, or go on with other inputs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mamtra_eval.distill import config as configuration
from mamtra_eval.distill import state, train
from mamtra_eval.errors import UserError
from mamtra_eval.models import checkpoint

pytestmark = pytest.mark.slow

STUDENT = {"ratio": "1:1"}


def _begun(toy: Any, out: str, **changes: Any) -> configuration.DistillConfig:
    """A run that was stopped after 4 of 8 steps, with copies of its own to read from."""
    folder = toy.folder / f"{out}-inputs"
    folder.mkdir(exist_ok=True)
    shutil.copytree(toy.teacher, folder / "teacher", dirs_exist_ok=True)
    for name in ("few.jsonl", "held_out.jsonl"):
        shutil.copy(toy.folder / name, folder / name)
    values = toy.values(out, 8, student=STUDENT, checkpoint_every=4, log_every=3)
    values["teacher"] = str(folder / "teacher")
    values["data"] |= {k: str(folder / v) for k, v in
                       (("train", "few.jsonl"), ("held_out", "held_out.jsonl"))}  # fmt: skip
    config = configuration.build(values | changes)
    run_folder = Path(config.out)
    with state.locked(run_folder):
        run = train._Run(config, run_folder)
        state.enter(run_folder, configuration.to_dict(config))
        for _ in range(4):
            run.advance()
    return config


@pytest.mark.parametrize("changed", ["few.jsonl", "held_out.jsonl"])
def test_other_data_is_not_gone_on_with(changed: str, toy: Any) -> None:
    config = _begun(toy, f"data-{changed}")
    path = toy.folder / f"data-{changed}-inputs" / changed
    before = path.read_text()
    path.write_text("\n".join(before.splitlines()[:-1]))
    with pytest.raises(UserError, match="begun with other contents of data"):
        train.distill(config)
    path.write_text(before)
    assert train.distill(config) == Path(config.out)


def test_another_teacher_is_not_gone_on_with(toy: Any) -> None:
    config = _begun(toy, "other-teacher")
    other = toy.train("another", 2, **{**toy.ALONE, "seed": 5})
    shutil.copytree(other, Path(str(config.teacher)), dirs_exist_ok=True)
    with pytest.raises(UserError, match="begun with other contents of teacher"):
        train.distill(config)


def test_a_folder_with_another_checkpoint_is_not_trained_into(toy: Any) -> None:
    made = toy.train("strange", 2, student=STUDENT)
    (made / state.CONFIG).unlink()
    before = checkpoint.weights_hash(made)
    with pytest.raises(UserError, match="this run did not make"):
        toy.train("strange", 2, student=STUDENT)
    assert checkpoint.weights_hash(made) == before
    assert not (made / state.CONFIG).exists()
    with pytest.raises(UserError, match="out is the folder of teacher"):
        toy.train("teacher", 2, student=STUDENT)
    with pytest.raises(UserError, match=r"out is the folder of student\.start"):
        toy.train("strange", 2, student={"start": str(made)})


def test_a_start_that_failed_does_not_block_the_corrected_one(toy: Any) -> None:
    values = toy.values("typo", 2, student=STUDENT)
    with pytest.raises(UserError):
        train.distill(configuration.build({**values, "teacher": "no/such/folder"}))
    train.distill(configuration.build(values))


def test_a_checkpoint_goes_on_in_its_own_layout_alone(toy: Any) -> None:
    made = str(toy.train("beginning", 2, student=STUDENT))
    out = toy.train("going-on", 2, student={"start": made})
    assert checkpoint.read_config(out).transformer == (0, 2)
    toy.train("going-on-said", 2, student={"start": made, "ratio": "1:1"})
    with pytest.raises(UserError, match=r"Transformer layers are \[0, 2\]"):
        toy.train("going-off", 2, student={"start": made, "ratio": "1:3"})


def test_half_precision_with_skipped_steps_is_resumed_exactly(toy: Any) -> None:
    """The first steps overflow at the scaler's first scale, which AdamW must not count."""
    changes = {"precision": "fp16", "loss": {"ce": 1e4}}
    config = _begun(toy, "half", **changes)
    resumed = train.distill(config)
    config.out = str(toy.folder / "half-whole")
    whole = train.distill(config)
    assert checkpoint.weights_hash(resumed) == checkpoint.weights_hash(whole)
    assert "NaN" not in (whole / state.LOG).read_text()


def test_nothing_scored_is_nothing_to_learn_or_measure(toy: Any) -> None:
    path = toy.folder / "unscored.jsonl"
    path.write_text('{"ids": [1, 2], "targets": [-100, -100]}\n')
    values = toy.values("unscored", 2, student=STUDENT)
    values["data"]["held_out"] = str(path)
    with pytest.raises(UserError, match="not one token in it is scored"):
        train.distill(configuration.build(values))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"threads": 0}, "threads must be"),
        ({"device": "cudaa"}, "device 'cudaa' can't be used"),
        ({"seed": 2**64}, "seed must be below"),
        ({"optimizer": {"steps": 2, "clip": float("inf")}}, "optimizer.clip must be finite"),
        ({"student": {"conv": "nope"}}, "student.conv named 'nope'"),
        ({"student": {"layout": [0], "ratio": "1:1"}}, "names the layers itself"),
        ({"student": {"ratio": "65"}}, "in quotes"),
    ],
)
def test_what_can_not_work_is_said_before_anything(
    changes: dict[str, Any], said: str, toy: Any
) -> None:
    with pytest.raises(UserError, match=said):
        toy.train("refused", 2, **changes)
    assert not (toy.folder / "refused" / state.CONFIG).exists()


def test_a_ratio_can_be_given_on_the_command_line(toy: Any) -> None:
    config = configuration.build(toy.values("x", 2), ["student.ratio=1:5"])
    assert config.student.ratio == "1:5"
