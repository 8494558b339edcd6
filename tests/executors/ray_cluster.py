"""A Ray cluster of several nodes on this machine, in a process of its own.

Started as a script with the CPUs of each node; prints the address, then obeys: ``kill N`` takes a
node away as a power cut would (its raylet and every process that it has started), ``add CPUS``
brings another one.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Cluster:
    """The script above, from outside."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._line()

    def kill(self, node: int) -> None:
        self._obey(f"kill {node}")

    def add(self, cpus: int) -> None:
        self._obey(f"add {cpus}")

    def _obey(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        assert self._line() == "done"

    def _line(self) -> str:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("> "):
                return line[2:].strip()
        raise AssertionError(f"the cluster ended with {self._process.wait()}")


@contextmanager
def cluster(*cpus: int) -> Iterator[Cluster]:
    """A head without CPUs, and a node for each number of them."""
    command = [sys.executable, __file__, *map(str, cpus)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as process:  # fmt: skip
        try:
            yield Cluster(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(60)


def _say(text: str) -> None:
    sys.stdout.write(f"> {text}\n")
    sys.stdout.flush()


def _kill(node: Any) -> None:
    import psutil

    roots = [psutil.Process(info.process.pid) for infos in node.all_processes.values()
             for info in infos]  # fmt: skip
    family = [*roots, *(child for root in roots for child in root.children(recursive=True))]
    for process in family:
        if process.is_running():
            process.kill()


def main() -> None:
    from ray.cluster_utils import Cluster as Made

    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 100_000_000}
    made = Made(initialize_head=True, head_node_args=head)
    more = {"object_store_memory": 100_000_000}
    nodes = [made.add_node(num_cpus=int(cpus), **more) for cpus in sys.argv[1:]]
    _say(made.address)
    for line in sys.stdin:
        word, number = line.split()
        if word == "kill":
            _kill(nodes[int(number)])
        else:
            nodes.append(made.add_node(num_cpus=int(number), **more))
        _say("done")
    made.shutdown()


if __name__ == "__main__":
    main()
