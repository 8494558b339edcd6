"""A training run's folder: what a resumed run needs, and the log.

``distill.yaml``          the configuration, resolved
``training.safetensors``  student and optimizer after a step; replaced as a whole, gone at the end
``log.jsonl``             a line for every ``log_every`` steps and every evaluation
``snapshots/step-N``      a checkpoint of each ``snapshot_every`` steps, where that is asked for

A resumed run drops the lines of the log that lie behind its checkpoint, since it writes them again.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from torch import Tensor

from mamtra_eval.errors import UserError

CONFIG, TRAINING, LOG = "distill.yaml", "training.safetensors", "log.jsonl"
FREE = (
    "log_every",
    "evaluate_every",
    "checkpoint_every",
    "snapshot_every",
    "threads",
    "device",
    "out",
)
"""Keys that a resumed run may change: they are no part of what is learned."""


class Training(NamedTuple):
    """The state after ``step`` steps.

    Attributes:
        step: steps that were made.
        tensors: by name, the student's with ``student/`` in front.
        inputs: hashes of what the run reads (teacher, data, start), by configuration key.
    """

    step: int
    tensors: dict[str, Tensor]
    inputs: dict[str, str]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep the folder for this process; UserError if another one has it."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                "another process is training into this folder",
                where=str(folder),
                fix="Wait for it, or give another out=FOLDER.",
            ) from error
        yield


def entered(folder: Path, config: Mapping[str, Any]) -> bool:
    """Whether the folder holds this very run; UserError if it holds another one."""
    path = folder / CONFIG
    if path.exists():
        before = _read_config(path)
        changed = [key for key in config if key not in FREE and before.get(key) != config[key]]
        if changed:
            raise UserError(
                f"the folder holds a run with other settings ({', '.join(changed)})",
                where=str(folder),
                fix="Give another out=FOLDER, or the settings of its distill.yaml.",
            )
        return True
    return False


def enter(folder: Path, config: Mapping[str, Any]) -> None:
    """Write the configuration, once everything that it names was found to be good."""
    path = folder / CONFIG
    if not path.exists():
        _replace(path, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True).encode())


def check_inputs(folder: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """UserError if what the run reads is not what it was begun with."""
    changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if changed:
        raise UserError(
            f"the run was begun with other contents of {', '.join(changed)}",
            where=str(folder),
            fix=f"Bring them back, or remove its {TRAINING} to begin anew.",
        )


def save(folder: Path, training: Training) -> None:
    """Replace the state on disk; a kill leaves the old or the new one."""
    from safetensors.torch import save_file

    part = folder / f"{TRAINING}.part"
    tensors = {name: tensor.contiguous() for name, tensor in training.tensors.items()}
    metadata = {"step": str(training.step), "inputs": json.dumps(training.inputs)}
    save_file(tensors, part, metadata=metadata)
    _publish(part, folder / TRAINING)


def load(folder: Path) -> Training | None:
    """The state of an earlier start, if there is one."""
    from safetensors import SafetensorError, safe_open

    path = folder / TRAINING
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            step, inputs = int(file.metadata()["step"]), json.loads(file.metadata()["inputs"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- no dict
            return Training(step, tensors, inputs)
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise UserError(
            f"no state of a training run ({error})",
            where=str(path),
            fix="Remove the file to begin anew.",
        ) from error


def trim_log(folder: Path, step: int) -> None:
    """Drop what was logged after ``step`` steps, and a line that a kill tore."""
    path = folder / LOG
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    _replace(path, "".join(f"{line}\n" for line in kept).encode())


def log(folder: Path, row: Mapping[str, Any]) -> None:
    """Add a line to the log; a number that is not finite becomes null, as JSON knows none."""
    row = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
    with (folder / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _read_config(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        found = error
    if not isinstance(found, dict):
        raise UserError(
            "the configuration of the run in this folder can't be read",
            where=str(path),
            fix="Give another out=FOLDER, or remove this one.",
        )
    return found


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(data)
    _publish(part, path)


def _publish(part: Path, path: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
