"""Training: a student from its teacher, or a teacher from data alone.

``distill`` runs a ``DistillConfig`` to its end and leaves a checkpoint folder. Killed at any
moment and started again, it goes on from its last state and ends with the same weights as if
nothing had happened, on the same machine with the same number of threads: batches, learning rate
and fresh weights are functions of step and seed, and nothing else is random. (On a CUDA device
sums of atomics differ in their last bits from run to run, disturbed or not.)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mamtra_eval.distill import optimizer as optimizing
from mamtra_eval.distill import state
from mamtra_eval.distill.batches import Schedule
from mamtra_eval.distill.config import STARTS, DistillConfig, to_dict
from mamtra_eval.distill.evaluate import HeldOut, evaluate
from mamtra_eval.distill.losses import cross_entropy, hidden_match, skew_kl
from mamtra_eval.distill.setup import Parts, prepare
from mamtra_eval.errors import UserError
from mamtra_eval.models import checkpoint
from mamtra_eval.models.cache import DTYPES
from mamtra_eval.models.decoder import Decoder, Layer
from mamtra_eval.models.sequences import IGNORE, Batch, Example, collate
from mamtra_eval.progress import Progress, Silent

SNAPSHOTS = "snapshots"
MEANS, SCALING = "means", "scaling"
"""Names of what a run's state holds beside weights and moments."""


def distill(config: DistillConfig, progress: Progress | None = None) -> Path:
    """Train as configured; returns the checkpoint folder. A finished run is left as it is."""
    folder = Path(config.out)
    _refuse_own_sources(config)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    with state.locked(folder):
        entered = state.entered(folder, to_dict(config))
        if checkpoint.exists(folder):
            if entered:
                return folder
            raise UserError(
                "the folder holds a checkpoint that this run did not make",
                where=str(folder),
                fix="Give another out=FOLDER.",
            )
        run = _Run(config, folder)
        state.enter(folder, to_dict(config))
        steps = config.optimizer.steps
        with (progress or Silent()).stage("training", steps - run.step) as advance:
            while run.step < steps:
                run.advance()
                advance()
        run.finish()
    return folder


def _refuse_own_sources(config: DistillConfig) -> None:
    """UserError if the run would write into a folder that it reads."""
    start = None if config.student.start in STARTS else config.student.start
    for key, given in (("teacher", config.teacher), ("student.start", start)):
        if given is not None and Path(given).resolve() == Path(config.out).resolve():
            raise UserError(f"out is the folder of {key}", where=config.out, fix="Give another.")


@dataclass
class _Means:
    """Losses of the steps since the last line of the log, each per token."""

    ce: float = 0.0
    kl: float = 0.0
    hidden: float = 0.0
    steps: int = 0
    tokens: int = 0


class _Run:
    """A run on its way: everything that changes from step to step."""

    def __init__(self, config: DistillConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.parts: Parts = prepare(config)
        self.student = self.parts.student
        if config.compile:
            _compile(self.student, self.parts.teacher)
        self.optimizers = optimizing.make(self.student, config.optimizer)
        self.scaler = torch.amp.GradScaler(
            self.student.device.type, enabled=config.precision == "fp16"
        )
        self.schedule = Schedule(
            [len(example.ids) for example in self.parts.train],
            config.data.batch_tokens, config.optimizer.accumulate, config.seed,
        )  # fmt: skip
        self.step = 0
        self._means = _Means()
        self._found: HeldOut | None = None
        self._since = time.monotonic()
        self._resume()

    def advance(self) -> None:
        """One step of the optimizer, with what is due after it."""
        batches = [
            [self.parts.train[index] for index in rows] for rows in self.schedule.step(self.step)
        ]
        norm = self._learn(batches)
        self.step += 1
        last = self.step == self.config.optimizer.steps
        if self.step % self.config.log_every == 0 or last:
            self._log(norm)
        if self.parts.held_out and (self.step % self.config.evaluate_every == 0 or last):
            self._found = self._evaluate()
            state.log(self.folder, {"step": self.step, "held_out": self._found._asdict()})
        # Before the state: a kill between the two makes the step, and its snapshot, anew.
        if self.config.snapshot_every and self.step % self.config.snapshot_every == 0 and not last:
            place = self.folder / SNAPSHOTS / f"step-{self.step:06d}"
            checkpoint.save(place, self.student, self._card(None))
        if self.step % self.config.checkpoint_every == 0 and not last:
            self._save()

    def finish(self) -> None:
        """Write the checkpoint with its card, and let go of the state."""
        checkpoint.save(
            self.folder, self.student, self._card(self._last() if self.parts.held_out else None)
        )
        (self.folder / state.TRAINING).unlink(missing_ok=True)

    def _card(self, held_out: HeldOut | None) -> dict[str, Any]:
        """Where the weights of this step come from."""
        return {
            "teacher": self.parts.inputs.get("teacher"),
            "training": {
                "configuration": _portable(self.config),
                "steps": self.step,
                "train_examples": len(self.parts.train),
                "train_sha256": self.parts.inputs["data.train"],
                "held_out": held_out._asdict() if held_out else None,
                "kernels": self.student.kernels.description,
            },
        }

    def _learn(self, batches: Sequence[Sequence[Example]]) -> float:
        """Gradients of all batches of a step, and the step; returns the gradient's norm."""
        settings = self.config.optimizer
        scored = sum(t != IGNORE for batch in batches for one in batch for t in one.targets)
        real = sum(len(one.ids) for batch in batches for one in batch)
        for batch in batches:
            loss = self._losses(collate(batch, self.student.device), max(1, scored), real)
            if not torch.isfinite(loss):
                raise UserError(
                    f"the loss is {loss.item()} in step {self.step}",
                    where=str(self.folder),
                    fix="Lower optimizer.lr, or set precision=fp32.",
                )
            torch.autograd.backward(self.scaler.scale(loss))
        learning = [p for p in self.student.parameters() if p.requires_grad]
        for optimizer in self.optimizers:
            self.scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(learning, settings.clip or float("inf"))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = optimizing.learning_rate(self.step, settings)
            self.scaler.step(optimizer)
        self.scaler.update()
        self.student.zero_grad(set_to_none=True)
        self._means.steps += 1
        self._means.tokens += real
        return float(norm)

    def _losses(self, batch: Batch, scored: int, real: int) -> Tensor:
        """The weighted losses of a batch, as its share of the step's means per token."""
        weights, teacher = self.config.loss, self.parts.teacher
        matching = teacher is not None and weights.hidden > 0
        device = batch.ids.device.type
        half = self.config.precision != "fp32"
        with torch.autocast(device, DTYPES[self.config.precision], enabled=half):
            output = self.student(batch.ids, keep_hidden=matching)
            if teacher is not None and (matching or weights.kl > 0):
                with torch.no_grad():
                    reference = teacher(batch.ids, keep_hidden=matching)
        ce = cross_entropy(output.logits, batch.targets) / scored
        self._means.ce += ce.item()
        total = weights.ce * ce
        if teacher is not None and weights.kl > 0:
            kl = skew_kl(
                reference.logits, output.logits, batch.targets, alpha=weights.kl_alpha,
                temperature=weights.temperature, direction=weights.kl_direction,
            ) / scored  # fmt: skip
            self._means.kl += kl.item()
            total = total + weights.kl * kl
        if matching:
            layers = self.parts.hidden_layers
            hidden = hidden_match(
                reference.hidden, output.hidden, batch.real, layers,
                relative=weights.hidden_relative,
            ) / real  # fmt: skip
            self._means.hidden += hidden.item()
            total = total + weights.hidden * hidden
        return total

    def _last(self) -> HeldOut:
        """What the last step found; measured again where a kill came between."""
        return self._found or self._evaluate()

    def _evaluate(self) -> HeldOut:
        return evaluate(
            self.student, self.parts.teacher, self.parts.held_out, self.config.data.batch_tokens
        )

    def _log(self, norm: float) -> None:
        means, seconds = self._means, time.monotonic() - self._since
        n = max(1, means.steps)
        state.log(
            self.folder,
            {
                "step": self.step,
                "epoch": self.schedule.epoch_of(self.step - 1),
                "ce": means.ce / n,
                "kl": means.kl / n,
                "hidden": means.hidden / n,
                "grad_norm": norm,
                "lr": self.optimizers[0].param_groups[0]["lr"],
                "tokens_per_s": means.tokens / max(seconds, 1e-9),
            },
        )
        self._means, self._since = _Means(), time.monotonic()

    def _save(self) -> None:
        weights = {f"student/{k}": v for k, v in self.student.state_dict().items()}
        kept = optimizing.moments(self.student, self.optimizers)
        means = {MEANS: torch.tensor(astuple(self._means), dtype=torch.float64)}
        tensors = {**weights, **kept, **means, **_scaling(self.scaler)}
        state.save(self.folder, state.Training(self.step, tensors, self.parts.inputs))

    def _resume(self) -> None:
        kept = state.load(self.folder)
        if kept is None:
            state.trim_log(self.folder, 0)
            return
        state.check_inputs(self.folder, kept.inputs, self.parts.inputs)
        prefix = "student/"
        self.student.load_state_dict(
            {k.removeprefix(prefix): v for k, v in kept.tensors.items() if k.startswith(prefix)}
        )
        optimizing.restore(self.student, self.optimizers, kept.tensors)
        if self.scaler.is_enabled():
            scale, tracker = kept.tensors[SCALING].tolist()
            self.scaler.load_state_dict(
                {**self.scaler.state_dict(), "scale": scale, "_growth_tracker": int(tracker)}
            )
        ce, kl, hidden, steps, tokens = kept.tensors[MEANS].tolist()
        self._means = _Means(ce, kl, hidden, int(steps), int(tokens))
        self.step = kept.step
        state.trim_log(self.folder, self.step)


def _compile(*decoders: Decoder | None) -> None:
    """Fuse the operations of Transformer layers and MLPs; one compilation serves them all.

    Mamba-2 mixers stay as they are: lengths cut into chunks keep the compiler busy for minutes.
    """
    for layer in (layer for decoder in decoders if decoder for layer in decoder.layers):
        assert isinstance(layer, Layer)
        fused = layer if layer.is_transformer else layer.mlp
        fused.compile(dynamic=True)


def _scaling(scaler: torch.amp.GradScaler) -> dict[str, Tensor]:
    """The loss scale and the steps since it last changed, where there is one."""
    if not scaler.is_enabled():
        return {}
    kept = scaler.state_dict()
    return {SCALING: torch.tensor([kept["scale"], kept["_growth_tracker"]], dtype=torch.float64)}


def _portable(config: DistillConfig) -> dict[str, Any]:
    """The configuration without paths, for a card that travels."""
    plain = to_dict(config)
    for key in ("out", "teacher"):
        plain.pop(key)
    for key in ("ranking", "start"):  # files of this machine
        if plain["student"][key] is not None:
            plain["student"][key] = Path(plain["student"][key]).name
    plain["data"] = {k: v for k, v in plain["data"].items() if k not in ("train", "held_out")}
    return plain
