"""Shards of a run as jobs of a Slurm cluster, submitted by submitit as an array.

``execution.slurm`` holds submitit's parameters under their own names: ``timeout_min``, ``mem_gb``,
``cpus_per_task``, ``gpus_per_node`` and ``name``, and Slurm's: ``partition``, ``account``, ``qos``,
``constraint``, ``setup``, ``array_parallelism``, … (``additional_parameters`` for what submitit
does not know). Ours are ``clip_s``, a guess of the seconds that making and scoring a clip takes,
and ``cluster: local``, by which the same jobs run as processes of this machine, without Slurm.

A job is one process that brings its shard's run folder to its end (``pipeline.evaluate``). Nothing
but plain values travels to it. Where the cluster preempts or a job reaches its time, submitit puts
it back into the queue (``checkpoint``), and the shard goes on from its rows. At a signal to end,
the job leaves before its workers' deaths could be taken for faults of the clips that they had.

Whether a job is alive is asked of ``squeue``, which every cluster has; submitit asks the
accounting, which many have not.
"""

from __future__ import annotations

import getpass
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from mamtra_eval.errors import UserError
from mamtra_eval.extras import import_extra
from mamtra_eval.parts import Part

if TYPE_CHECKING:
    from mamtra_eval.config import ExecutionConfig

PACKAGES = ("submitit",)
WHAT = ("the executor slurm", "submitit", "slurm")
"""What needs which package, by which extra."""
GENERIC = ("name", "timeout_min", "mem_gb", "cpus_per_task", "gpus_per_node", "stderr_to_stdout")
"""Parameters that submitit knows for every kind of cluster."""
CLUSTERS = ("slurm", "local")
SLOTS, CLIP_S, TIMEOUT_MIN = 8, 4.0, 60
TAIL_LINES = 12


@dataclass(frozen=True)
class Settings:
    """What ``execution.slurm`` says.

    Attributes:
        cluster: ``slurm`` or ``local``.
        slots: jobs that may run at a time.
        clip_s: guess of the time of a clip, in seconds.
        max_num_timeout: how often a job that reaches its time is put back into the queue.
        parameters: for submitit, as its ``AutoExecutor`` takes them.
    """

    cluster: str
    slots: int
    clip_s: float
    max_num_timeout: int
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A job that was submitted: its id (``12_3`` for the third of an array), and its files."""

    id: str
    cluster: str
    logs: str
    result: str

    @classmethod
    def of(cls, plain: dict[str, str]) -> Self:
        """From plain values."""
        return cls(**plain)

    def plain(self) -> dict[str, str]:
        """As plain values."""
        return asdict(self)

    @property
    def ended(self) -> bool:
        """Whether it has come to its end by itself, well or not."""
        return Path(self.result).is_file()

    def last_words(self) -> str:
        """The end of what it wrote, errors first."""
        for path in (Path(f"{self.logs}.err"), Path(f"{self.logs}.out")):
            if path.is_file():
                with path.open(encoding="utf-8", errors="replace") as file:
                    lines = deque(file, TAIL_LINES)
                if said := "".join(lines).strip():
                    return said
        return ""


class ShardJob:
    """What a job calls. Its attributes are plain values: it is pickled, and again by a requeue."""

    def __init__(self, plan: str, retry_failed: bool) -> None:
        self.plan, self.retry_failed = plan, retry_failed

    def __call__(self, folder: str, index: int, count: int) -> str:
        """Bring a shard to its end."""
        from mamtra_eval import config, pipeline

        signal.signal(signal.SIGTERM, _leave)
        pipeline.evaluate(
            config.load(self.plan), Path(folder), retry_failed=self.retry_failed,
            part=Part(index, count),
        )  # fmt: skip
        return folder

    def checkpoint(self, folder: str, index: int, count: int) -> Any:  # noqa: ANN401 -- submitit's
        """The same again: the shard's rows are all that it goes on from."""
        helpers = import_extra("submitit.helpers", *WHAT)
        return helpers.DelayedSubmission(self, folder, index, count)


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once: the job is preempted, requeued or cancelled."""
    sys.exit(128 + number)


class Cluster:
    """Where jobs are submitted, and looked after.

    Args:
        execution: of the run's configuration.
        folder: for submitit's files, which all machines must see.
    """

    def __init__(self, execution: ExecutionConfig, folder: Path) -> None:
        self.settings = self.settings_of(execution)
        self._folder = folder.absolute()
        self._submitit = import_extra("submitit", *WHAT)
        self._processes: list[Any] = []
        self._executor()  # what is wrong with the parameters is said before anything is written

    @staticmethod
    def settings_of(execution: ExecutionConfig) -> Settings:
        """``execution.slurm`` read; UserError names what is wrong."""
        given = dict(execution.slurm)
        cluster = given.pop("cluster", "slurm")
        if cluster not in CLUSTERS:
            raise _wrong(f"cluster must be one of {', '.join(CLUSTERS)}, not {cluster!r}")
        for key in ("nodes", "tasks_per_node", "ntasks_per_node"):
            if given.pop(key, 1) != 1:
                raise _wrong(f"{key} must be 1: a shard is one process")
        slots = _number(given, "array_parallelism", SLOTS)
        clip_s = _number(given, "clip_s", CLIP_S)
        given.pop("clip_s", None)
        timeouts = _number(given, "max_num_timeout", 3)
        given.pop("max_num_timeout", None)
        parameters = {"timeout_min": TIMEOUT_MIN, "name": "mamtra-eval"}
        for key, value in {"array_parallelism": int(slots), **given}.items():
            own = key in GENERIC or key.startswith("slurm_")
            parameters[key if own else f"slurm_{key}"] = value
        return Settings(cluster, int(slots), clip_s, int(timeouts), parameters)

    def submit(
        self, plan: Path, folders: Sequence[Path], shards: Sequence[Part], *, retry_failed: bool
    ) -> list[Job]:
        """Submit an array of one job a shard.

        Args:
            plan: the configuration's file.
            folders: the run folder of each shard.
            shards: which they are.
            retry_failed: as ``pipeline.evaluate`` has it.
        """
        call = ShardJob(str(plan.absolute()), retry_failed)
        where = [str(folder.absolute()) for folder in folders]
        numbers = [part.index for part in shards], [part.count for part in shards]
        try:
            jobs = self._executor().map_array(call, where, *numbers)
        except (OSError, subprocess.CalledProcessError, RuntimeError) as error:
            raise UserError(
                f"the jobs can't be submitted ({' '.join(str(error).split())})",
                where="execution.slurm",
                fix="Mend what sbatch says; the same command goes on from here.",
            ) from error
        if self.settings.cluster == "local":
            self._processes += jobs
        return [
            Job(job.job_id, self.settings.cluster, str(job.paths.stderr.with_suffix("")),
                str(job.paths.result_pickle))
            for job in jobs
        ]  # fmt: skip

    def alive(self, jobs: Sequence[Job]) -> set[str]:
        """Ids of the jobs that wait, run or are being requeued; all of them if nobody can tell."""
        asked = {job.id for job in jobs if job.cluster == "slurm" and not job.ended}
        found = {job.id for job in jobs if job.cluster == "local" and _process_lives(job)}
        return found | _queued(asked) if asked else found

    def close(self) -> None:
        """Wait for the processes of local jobs, which end right after their work."""
        while self._processes:
            self._processes = [job for job in self._processes if not job.done()]
            time.sleep(0.05)

    def _executor(self) -> Any:  # noqa: ANN401 -- submitit's
        settings = self.settings
        try:
            executor = self._submitit.AutoExecutor(
                self._folder, cluster=settings.cluster,
                slurm_max_num_timeout=settings.max_num_timeout,
            )  # fmt: skip
            executor.update_parameters(**settings.parameters)
        except RuntimeError as error:
            raise UserError(
                "this machine can't submit jobs: srun and sbatch are not here",
                fix="Run it where they are, or say --set execution.slurm.cluster=local.",
            ) from error
        except (NameError, ValueError, AssertionError, TypeError) as error:
            raise _wrong(" ".join(str(error).split())) from error
        return executor


def _queued(ids: set[str]) -> set[str]:
    """Those of the jobs that Slurm has in its queue; all of them if it does not answer."""
    command = ["squeue", "--noheader", "--array", "--format=%i", f"--user={getpass.getuser()}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return ids
    return ids & {*answer.stdout.split()}


def _process_lives(job: Job) -> bool:
    """Whether submitit's process of a local job runs (a zombie does not, nor a later namesake)."""
    try:
        said = Path(f"/proc/{job.id}/cmdline").read_bytes()
    except OSError:
        return False
    return b"submitit" in said


def _number(given: dict[str, Any], key: str, default: float) -> float:
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise _wrong(f"{key} must be a number above 0, not {value!r}")
    return value


def _wrong(what: str) -> UserError:
    return UserError(what, where="execution.slurm", fix="Its keys are submitit's parameters.")
