"""Where the work runs. Whichever executor is used, the rows are the same.

``local`` is a pool of processes on this machine and the default; ``ray`` a pool of actors on a Ray
cluster. Both work through the same batches with the same worker process, and the process that
started the run is the only one that writes its database. ``slurm`` runs whole shards of a plan as
jobs, whose run folders are joined afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mamtra_eval.executors._work import NO_NEED, Need, OnLost, OnResult
from mamtra_eval.executors._worker import Handler
from mamtra_eval.executors.local import LocalExecutor

if TYPE_CHECKING:
    from mamtra_eval.config import ExecutionConfig

LOCAL, RAY, SLURM = "local", "ray", "slurm"
__all__ = ["Executor", "Need", "choose", "local"]


class Executor(Protocol):
    """What a stage of a run needs of the place where its work is done; see ``LocalExecutor``."""

    distributed: bool
    workers: int

    def on_gpu(self, device: str | None) -> bool:
        """Whether a network that goes to this device (or to any) computes on a GPU there."""

    def run(
        self,
        factory: Callable[..., Handler],
        args: tuple[Any, ...],
        batches: Iterable[Sequence[Any]],
        on_result: OnResult,
        on_lost: OnLost,
        need: Need = NO_NEED,
        together: bool = False,
    ) -> None:
        """Work through all batches; each payload gets a result or is lost."""


def local(settings: ExecutionConfig) -> Executor:
    """The pool on this machine, whatever else is asked for."""
    return LocalExecutor.of(settings)


def choose(settings: ExecutionConfig, folder: Path) -> Executor:
    """The executor that a configuration asks for.

    Args:
        settings: of the run.
        folder: the run's, which every machine must see.
    """
    if settings.executor != RAY:  # a shard of a Slurm array has a machine of its own
        return local(settings)
    from mamtra_eval.executors.ray import RayExecutor

    return RayExecutor.of(settings, folder)
