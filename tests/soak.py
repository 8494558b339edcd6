"""Random kills and restarts for as long as asked; at the end, the rows of an undisturbed run.

    python tests/soak.py --minutes 30 [--seed 0] [--ray]

One run is made without disturbance. Then, until the time is over, the same run is made again in a
folder of its own, by one to three workers (or, now and then, on a Ray cluster of two nodes), and at
random moments the process that leads it or one of its workers is killed, it is interrupted, a file
of a clip that is done vanishes, or pages of the database are overwritten with zeros, which
``rescue`` mends. When a round has come to its end its rows are compared, and the next one begins.
The exit code is 1 if any differ.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "faults"), str(HERE / "executors")]
from ray_cluster import Cluster, cluster  # noqa: E402
from run_rows import rows  # noqa: E402
from runs import command, mamtra, start  # noqa: E402

PAUSE_S = (0.5, 8.0)
"""Between a start and what happens to it."""
PATIENT = ("--set", "execution.tries=100", "--set", "execution.give_up=1000")
"""A worker that is killed from outside is not its clip's fault, however often."""


@dataclass
class Soak:
    """One session.

    Attributes:
        folder: for everything.
        n: utterances of the run.
        rng: decides what happens, and when.
        nodes: a Ray cluster to run on now and then.
        tally: what has happened, how often.
    """

    folder: Path
    n: int
    rng: random.Random
    nodes: Cluster | None = None
    tally: Counter[str] = field(default_factory=Counter)

    def command(self, out: str, *more: str) -> list[str]:
        return command(self.folder / out, *PATIENT, *more, n=self.n, body="sleep 0.05",
                       metrics="health,wer")  # fmt: skip

    def whole(self) -> dict[str, list[tuple[object, ...]]]:
        """The rows of an undisturbed run."""
        done = subprocess.run(self.command("whole"), capture_output=True, check=True)
        assert done.returncode == 0
        return rows(self.folder / "whole")

    def until(self, deadline: float, expected: dict[str, list[tuple[object, ...]]]) -> bool:
        """Rounds until the time is over; whether each had the expected rows."""
        torn = self.folder / "torn"
        while time.monotonic() < deadline or torn.exists():
            if not self._attempt(torn, calm=time.monotonic() >= deadline):
                continue
            self.tally["rounds"] += 1
            if rows(torn) != expected:
                print(f"round {self.tally['rounds']} differs: see {torn}", file=sys.stderr)
                return False
            shutil.rmtree(torn)
        return True

    def _attempt(self, torn: Path, *, calm: bool) -> bool:
        """Start it, let something happen; whether it came to its end."""
        process = start(self.command("torn", *self._where()))
        if not calm:
            deadline = time.monotonic() + self.rng.uniform(*PAUSE_S)
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            if process.poll() is None:
                self._disturb(process)
        output, errors = process.communicate(timeout=900)
        if process.returncode == 0:
            return True
        if process.returncode not in (-signal.SIGKILL, -signal.SIGINT, 130):
            raise AssertionError(f"it ended with {process.returncode}: {output}{errors}")
        self._harm(torn)
        return False

    def _where(self) -> tuple[str, ...]:
        if self.nodes is not None and self.rng.random() < 0.3:
            self.tally["starts on ray"] += 1
            return ("--executor", "ray", "--address", self.nodes.address)
        self.tally["starts"] += 1
        return ("--workers", str(self.rng.randint(1, 3)))

    def _disturb(self, process: subprocess.Popen[str]) -> None:
        """Kill or interrupt whatever leads the run, or kill its workers and see it go on."""
        what = self.rng.choice(("driver killed", "driver killed", "interrupted", "workers killed"))
        self.tally[what] += 1
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if what == "driver killed":
                process.kill()
            elif what == "interrupted":
                process.send_signal(signal.SIGINT)
            else:
                for worker in psutil.Process(process.pid).children():
                    if self.rng.random() < 0.7:
                        worker.kill()

    def _harm(self, torn: Path) -> None:
        """Now and then harm what lies there while nobody is at work."""
        database, chance = torn / "run.sqlite", self.rng.random()
        clips = sorted((torn / "clips").rglob("*.*")) if torn.exists() else []
        if chance < 0.2 and clips:
            self.tally["clips removed"] += 1
            self.rng.choice(clips).unlink()
        elif chance < 0.4 and (torn / "run.yaml").exists() and database.exists():
            self._harm_database(torn, database)

    def _harm_database(self, torn: Path, database: Path) -> None:
        pages = database.stat().st_size // 4096
        if pages < 8:
            return
        self.tally["pages overwritten"] += 1
        with database.open("r+b") as file:
            file.seek(4096 * self.rng.randrange(1, pages))
            file.write(b"\0" * 4096)
        subprocess.run(mamtra("rescue", torn), capture_output=True, check=True,
                       env={**os.environ, "PYTHONPATH": str(HERE.parent)})  # fmt: skip
        for old in torn.glob("run.sqlite.damaged-*"):
            old.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--utterances", type=int, default=40)
    parser.add_argument("--ray", action="store_true", help="also on a Ray cluster of two nodes")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        nodes = stack.enter_context(cluster(1, 1)) if asked.ray else None
        soak = Soak(folder, asked.utterances, random.Random(asked.seed), nodes)
        expected = soak.whole()
        same = soak.until(time.monotonic() + 60 * asked.minutes, expected)
    told = ", ".join(f"{count} {what}" for what, count in sorted(soak.tally.items()))
    print(f"{asked.minutes:g} minutes, seed {asked.seed}: {told}. "
          f"{'All rows as undisturbed.' if same else 'ROWS DIFFER.'}")  # fmt: skip
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
