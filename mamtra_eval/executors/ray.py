"""Actors of a Ray cluster that is there already: many machines, the rows of one.

``--executor ray`` joins the cluster at ``--address`` (or the one of this machine, or that of
``RAY_ADDRESS``), which ``ray start`` or a scheduler has started. Every machine must have this very
package and see the run folder under the same path; one that does not is left out, and said so.

Each stage has a pool of its own (what speaks, what scores), as many actors as the machines have
room for by ``execution.cpus`` and, where networks want one, ``execution.gpus``; machines that join
later are used, those that go away are missed by nobody. An actor gets one batch at a time from the
queue of this process and sends results one by one; at most a few wait for this process, which alone
writes the database. A payload that takes its worker down is tried again on another machine, then
quarantined; of a machine that is lost, the batch goes elsewhere (``_work``).

No engine of our own: Ray places, starts and watches the actors. GPU memory is not shared out by
Ray, so that a fraction of a GPU is taken only if ``execution.gpus`` asks for it.
"""

from __future__ import annotations

import os
import pickle
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mamtra_eval import provenance
from mamtra_eval.errors import UserError
from mamtra_eval.executors import _cluster
from mamtra_eval.executors._actor import Failed, Fell, Job, Result
from mamtra_eval.executors._cluster import Machine, Member
from mamtra_eval.executors._work import NO_NEED, Need, OnLost, OnResult, Work
from mamtra_eval.executors._worker import Handler

if TYPE_CHECKING:
    from mamtra_eval.config import ExecutionConfig

PACKAGES = ("ray",)
LOOK_S = 2.0
"""Between two looks at which machines there are."""
JOINING_S = 10.0
"""How long machines with enough room may be on their way."""
MOST_WORKERS = 10_000
"""Where no number is asked for, the machines are the bound, also those that join later."""
GRACE_S = 60.0
"""What an actor may be silent beyond its own worker's timeout before it is taken for lost."""


@dataclass(frozen=True)
class Share:
    """What one worker takes of a machine: cores and GPUs, as Ray counts them."""

    cpus: float
    gpus: float

    def room(self, machine: Machine) -> int:
        """Workers that the machine has room for."""
        by = [machine.cpus / self.cpus] if self.cpus else []
        by += [machine.gpus / self.gpus] if self.gpus else []
        return int(min(by, default=1.0) + 1e-9)


class RayExecutor:
    """Pools of actors on a cluster, for the stages of one run."""

    distributed = True

    def __init__(self, settings: ExecutionConfig, folder: Path) -> None:
        self._settings = settings
        self._folder = folder.absolute()
        _cluster.join(settings.address)
        room = sum(Share(settings.cpus, 0).room(one) for one in _cluster.machines())
        self.workers = settings.workers or max(1, room)
        self._most = settings.workers or MOST_WORKERS

    @classmethod
    def of(cls, settings: ExecutionConfig, folder: Path) -> Self:
        """The pools that a run's configuration asks for; joins the cluster."""
        return cls(settings, folder)

    def on_gpu(self, device: str | None) -> bool:
        """Whether the cluster has GPUs and the network is not told to stay away from them."""
        wanted = device is None or device.startswith("cuda")
        return wanted and any(one.gpus > 0 for one in _cluster.machines())

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
        """Work through all batches, as ``LocalExecutor.run`` does.

        Raises:
            UserError: from a worker, or because no machine of the cluster can work.
        """
        settings = self._settings
        work = Work(batches, on_result, on_lost, settings.tries, settings.give_up)
        gpus = settings.gpus if settings.gpus is not None else float(need.per_device)
        most = self._most
        if need.workers and not need.per_device:
            most = min(most, need.workers)
        with _visible(self._folder) as token:
            job = Job(
                pickle.dumps((factory, args)), settings.timeout_s, self._folder, token,
                provenance.code(),
            )  # fmt: skip
            pool = Pool(job, Share(settings.cpus, gpus), most)
            try:
                while work.left:
                    pool.fill(work.left)
                    pool.hand_out(work, together)
                    for member in pool.heard():
                        _take(pool, member, work)
            finally:
                pool.close()


class Pool:
    """The actors of one stage, on whichever machines there are.

    Args:
        job: what each begins with.
        share: what each takes of a machine.
        most: actors at a time.
    """

    def __init__(self, job: Job, share: Share, most: int) -> None:
        self._job, self._share, self._most = job, share, most
        self.members: list[Member] = []
        self._unfit: dict[str, str] = {}
        self._looked = -LOOK_S
        self._alone_since = time.monotonic()

    def fill(self, wanted: int) -> None:
        """Have an actor wherever there is room, but no more than there is work for."""
        if time.monotonic() < self._looked + LOOK_S:
            return
        self._looked = time.monotonic()
        machines = [one for one in _cluster.machines() if one.id not in self._unfit]
        counts = {one.id: self._share.room(one) for one in machines}
        for member in self.members:
            counts[member.machine.id] = counts.get(member.machine.id, 0) - 1
        by_id = {one.id: one for one in machines}
        while len(self.members) < min(self._most, wanted):
            free = max(counts, key=lambda machine: counts[machine], default=None)
            if free is None or counts[free] < 1:
                break
            counts[free] -= 1
            share = self._share
            self.members.append(Member(self._job, by_id[free], share.cpus, share.gpus))
        self._check_hope()

    def _check_hope(self) -> None:
        """UserError if nobody works, and nobody is going to."""
        if any(member.ready for member in self.members):
            self._alone_since = time.monotonic()
            return
        waited = time.monotonic() - self._alone_since
        if self.members and waited < self._job.timeout_s + GRACE_S:
            return
        if not self.members and not self._unfit and waited < JOINING_S:
            return
        reasons = [f"{name}: {why}" for name, why in self._unfit.items()]
        asked = f"{self._share.cpus:g} CPUs and {self._share.gpus:g} GPUs a worker"
        raise UserError(
            f"no machine of the Ray cluster can work ({asked})"
            + (f": {'; '.join(reasons)}" if reasons else ""),
            fix="Every machine needs the run folder under the same path, this version of "
            "mamtra-eval, and room (execution.cpus, execution.gpus; ray status).",
        )

    def hand_out(self, work: Work, together: bool) -> None:
        """Give every idle actor a batch."""
        places = {member.machine.id for member in self.members if member.ready}
        for member in self.members:
            if member.idle and (batch := work.take(member.machine.id, places)) is not None:
                member.give(batch, together, self._job.timeout_s + GRACE_S)

    def heard(self) -> list[Member]:
        """Members that have something to say, or have been silent for too long."""
        return _cluster.heard(self.members, LOOK_S)

    def leave_out(self, member: Member, why: str) -> None:
        """Use this machine no more."""
        self._unfit[member.machine.id] = why
        for one in [one for one in self.members if one.machine.id == member.machine.id]:
            if not one.ready:
                self.drop(one)

    def drop(self, member: Member) -> None:
        """End an actor, or what is left of it; another one takes its place at the next look."""
        member.kill()
        if member in self.members:
            self.members.remove(member)
        self._looked = -LOOK_S

    def close(self) -> None:
        """End all actors with their worker processes."""
        for member in self.members:
            member.close()
        self.members.clear()


def _take(pool: Pool, member: Member, work: Work) -> None:
    """One word of an actor, and what follows from it."""
    batch, event = member.batch, member.hear()
    if isinstance(event, _cluster.Unfit):
        pool.leave_out(member, event.why)
    elif isinstance(event, _cluster.Lost):
        if batch is not None:
            work.moved(batch, event.why)
        pool.drop(member)
    elif isinstance(event, Failed):
        raise event.error
    elif batch is not None and isinstance(event, Result):
        work.done(batch, event.index, event.value)
    elif batch is not None and isinstance(event, Fell):
        member.batch = None
        if event.begun:
            work.fell(batch, event.reason, member.machine.id)
        else:
            work.untouched(batch)
    elif isinstance(event, _cluster.Ended) and batch is not None:
        member.batch = None
        if batch.pending:
            work.moved(batch, "an actor ended without a result")


@contextmanager
def _visible(folder: Path) -> Iterator[str]:
    """A file in the run folder by which a machine can tell that it sees the same one."""
    token = folder / f".seen-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    token.touch()
    try:
        yield token.name
    finally:
        token.unlink(missing_ok=True)
