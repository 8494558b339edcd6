"""What a training run is: data, student, teacher, losses, optimizer. One YAML file.

The paper names the losses (cross-entropy, a skewed KL divergence, a match of hidden states layer by
layer); their weights, α, temperature and the optimizer's settings are not published. The defaults
here are choices of ours: equal weights, α = 0.1 as in DistiLLM (arXiv 2402.03898), T = 1, hidden
states compared relative to the teacher's size, AdamW with a cosine schedule. Every one is a key.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from mamtra_eval import structured
from mamtra_eval.distill.linearize import CONVOLUTIONS
from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.models.cache import DTYPES

STARTS = ("linearized", "random")
DIRECTIONS = ("forward", "reverse")
OPTIMIZERS = ("adamw", "muon")
PARTS = ("embedding", "head", "norms", "mlp", "attention", "mamba")


@dataclass
class StudentConfig:
    """The network to be trained.

    ``start``: ``linearized`` (from the teacher's weights), ``random``, or the folder of a
    checkpoint. The layout comes from ``layout`` (indices), or else ``ratio`` (1:1 unless given) and
    ``placement``, with ``ranking`` a file of ``rank-layers``; a checkpoint has its own. ``shape``
    is a preset's name, or fields of a decoder over it (``preset`` names it), for a student
    without a teacher.
    """

    start: str = "linearized"
    ratio: str | None = None
    placement: str | None = None
    layout: list[int] | None = None
    ranking: str | None = None
    keep_biases: bool = False
    conv: str = "standard"
    shape: dict[str, Any] = field(default_factory=dict)


@dataclass
class DataConfig:
    """Files of examples (``models.sequences``), and how batches are cut.

    A batch holds examples of similar length, up to ``batch_tokens`` tokens with padding. Longer
    examples than ``max_length`` are refused.
    """

    train: str = MISSING
    held_out: str | None = None
    batch_tokens: int = 4000
    max_length: int = 4000


@dataclass
class LossConfig:
    """Weights of the losses, and their forms.

    ``kl_alpha`` mixes teacher and student: forward is KL(p ‖ α p + (1-α) q), reverse is
    KL(q ‖ α q + (1-α) p), with teacher p and student q; 0 is the plain divergence.
    ``hidden_layers`` are indices, or null for all. ``hidden_relative`` divides by the teacher's
    mean square at that layer, for the residual stream grows with depth.
    """

    ce: float = 1.0
    kl: float = 1.0
    kl_alpha: float = 0.1
    kl_direction: str = "forward"
    temperature: float = 1.0
    hidden: float = 1.0
    hidden_layers: list[int] | None = None
    hidden_relative: bool = True


@dataclass
class OptimizerConfig:
    """A linear warm-up and a cosine down to ``final`` times the learning rate.

    ``kind`` is ``adamw``, or ``muon`` for the layers' matrices and AdamW for the rest.
    ``accumulate`` batches make a step. Matrices decay; norms, biases, embeddings and the
    recurrence's own parameters do not.
    """

    steps: int = MISSING
    kind: str = "adamw"
    lr: float = 1e-3
    warmup: float = 0.02
    final: float = 0.05
    beta1: float = 0.9
    beta2: float = 0.95
    weight_decay: float = 0.1
    clip: float = 1.0
    accumulate: int = 1


@dataclass
class DistillConfig:
    """A training run. ``teacher`` is the folder of a checkpoint; null trains without one.

    ``compile`` fuses each layer's small operations by ``torch.compile``, which takes a C++ compiler
    and half a minute: a third more tokens a second on two cores. ``snapshot_every`` steps a
    checkpoint is kept in ``out/snapshots`` (null: never), to be evaluated like any other.
    """

    out: str = MISSING
    teacher: str | None = None
    student: StudentConfig = field(default_factory=StudentConfig)
    data: DataConfig = field(default_factory=DataConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    freeze: list[str] = field(default_factory=list)
    precision: str = "fp32"
    device: str = "cpu"
    kernels: str = "auto"
    compile: bool = False
    threads: int | None = None
    seed: int = 0
    log_every: int = 10
    evaluate_every: int = 200
    checkpoint_every: int = 200
    snapshot_every: int | None = None


def load(path: Path, overrides: Sequence[str] = ()) -> DistillConfig:
    """A configuration of a YAML file with overrides ``key=value``."""
    if not path.is_file():
        raise UserError("no such file", where=str(path), fix="Give a YAML file; see the README.")
    return build(structured.read_yaml(path, "teacher"), overrides, where=str(path))


def build(
    values: dict[str, Any], overrides: Sequence[str] = (), where: str = "configuration"
) -> DistillConfig:
    """A checked configuration; UserError names what is wrong."""
    needed = {
        "out": "Add out: FOLDER.",
        "data.train": "Add data: {train: FILE.jsonl}.",
        "optimizer.steps": "Add optimizer: {steps: 1000}.",
    }
    config = structured.merge(DistillConfig, values, overrides, where, needed)
    _check_names(config)
    _check_numbers(config, where)
    if config.teacher is None:
        _check_alone(config, where)
    return config


def to_dict(config: DistillConfig) -> dict[str, Any]:
    """Plain values, as ``distill.yaml`` keeps them."""
    return asdict(config)


def _check_names(config: DistillConfig) -> None:
    if config.loss.kl_direction not in DIRECTIONS:
        raise unknown_name("loss.kl_direction", config.loss.kl_direction, DIRECTIONS)
    if config.precision not in DTYPES:
        raise unknown_name("precision", config.precision, DTYPES)
    if config.optimizer.kind not in OPTIMIZERS:
        raise unknown_name("optimizer.kind", config.optimizer.kind, OPTIMIZERS)
    student = config.student
    if student.conv not in CONVOLUTIONS:
        raise unknown_name("student.conv", student.conv, CONVOLUTIONS)
    if student.layout is not None and (student.ratio or student.placement or student.ranking):
        raise UserError(
            "student.layout names the layers itself",
            fix="Leave student.ratio, student.placement and student.ranking out.",
        )
    for part in config.freeze:
        if part not in PARTS:
            raise unknown_name("part to freeze", part, PARTS)


def _check_numbers(config: DistillConfig, where: str) -> None:
    loss, optimizer = config.loss, config.optimizer
    least: list[tuple[str, float, float]] = [
        ("loss.ce", loss.ce, 0), ("loss.kl", loss.kl, 0), ("loss.hidden", loss.hidden, 0),
        ("optimizer.steps", optimizer.steps, 1), ("optimizer.lr", optimizer.lr, 0),
        ("optimizer.accumulate", optimizer.accumulate, 1), ("optimizer.clip", optimizer.clip, 0),
        ("optimizer.weight_decay", optimizer.weight_decay, 0), ("seed", config.seed, 0),
        ("data.batch_tokens", config.data.batch_tokens, 1),
        ("data.max_length", config.data.max_length, 1), ("log_every", config.log_every, 1),
        ("evaluate_every", config.evaluate_every, 1),
        ("threads", 1 if config.threads is None else config.threads, 1),
        ("checkpoint_every", config.checkpoint_every, 1),
        ("snapshot_every", 1 if config.snapshot_every is None else config.snapshot_every, 1),
    ]  # fmt: skip
    for key, value, bound in least:
        if not bound <= value < math.inf:
            raise UserError(
                f"{key} must be finite and at least {bound:g}, not {value:g}", where=where
            )
    if not config.seed < 2**63:
        raise UserError(f"seed must be below 2^63, not {config.seed}", where=where)
    fractions = [
        ("loss.kl_alpha", loss.kl_alpha), ("optimizer.warmup", optimizer.warmup),
        ("optimizer.final", optimizer.final), ("optimizer.beta1", optimizer.beta1),
        ("optimizer.beta2", optimizer.beta2),
    ]  # fmt: skip
    for key, value in fractions:
        if not 0 <= value < 1:
            raise UserError(f"{key} must lie from 0 to below 1, not {value:g}", where=where)
    if not 0 < loss.temperature < math.inf:
        raise UserError("loss.temperature must be positive and finite", where=where)
    if loss.ce == loss.kl == loss.hidden == 0:
        raise UserError("all losses have weight 0", where=where, fix="Give one a weight.")


def _check_alone(config: DistillConfig, where: str) -> None:
    """Without a teacher nothing can be taken from it."""
    if config.loss.kl or config.loss.hidden:
        raise UserError(
            "loss.kl and loss.hidden need a teacher",
            where=where,
            fix="Add teacher: CHECKPOINT, or set both to 0.",
        )
    if config.student.start == "linearized":
        raise UserError(
            "student.start linearized needs a teacher",
            where=where,
            fix="Add teacher: CHECKPOINT, or start: random with student.shape.",
        )
