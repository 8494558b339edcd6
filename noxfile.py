# /// script
# dependencies = ["nox>=2025.2"]
# ///
"""Sessions: everything that is done to this project, each complete on a fresh machine.

``nox -s quickstart`` and ``nox -s tests`` need Python 3.11 or later and a package registry, nothing
else. torch is pinned here (and only here), so that its CPU build is taken where one is offered.
What stands behind ``--`` goes to the program: ``nox -s quickstart -- --limit 6``.
"""

from __future__ import annotations

import shutil
from itertools import takewhile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2"
nox.options.sessions = ["tests"]
nox.options.reuse_existing_virtualenvs = True

TORCH = "torch==2.13.0"
PROJECT = nox.project.load_toml("pyproject.toml")
SOURCES = (
    "mamtra_eval",
    "tests",
    "testsets",
    "benchmarks",
    "training",
    "noxfile.py",
    "hatch_build.py",
)
GPU_BENCH = "gpu_decoding"


def _groups(*names: str) -> list[str]:
    return [*nox.project.dependency_groups(PROJECT, *names)]


@nox.session
def quickstart(session: nox.Session) -> None:
    """Evaluate the mini family between its topline and its floor on the mini test set.

    On its first 24 sentences, six a voice, for a coffee's time; ``-- --limit 64`` takes all.
    """
    session.install(TORCH)
    session.install(".")
    session.run(
        "mamtra-eval", "evaluate",
        "recordings=recorded", "resynthesis", "teacher=mini",
        "1-1=mini:1:1", "1-3=mini:1:3", "1-5=mini:1:5", "1-11=mini:1:11", "noise",
        "--testset", "mini-en", "--baseline", "teacher", "--limit", "24",
        *session.posargs,
    )  # fmt: skip


@nox.session
def tests(session: nox.Session) -> None:
    """Run the test suite, two files at a time; ``slow`` has the rest."""
    _test(session, "not slow")


@nox.session
def slow(session: nox.Session) -> None:
    """Run the tests that take long: kills and resumes, trainings, profiles, whole runs."""
    _test(session, "slow")


def _test(session: nox.Session, which: str) -> None:
    session.install(TORCH)
    session.install("-e", ".", *_groups("test"))
    session.run(
        "pytest", "-n", "2", "--dist", "loadfile", "-m", f"{which} and not browser and not gpu",
        *session.posargs, env={"OMP_NUM_THREADS": "1"},  # two processes share the cores
    )  # fmt: skip


@nox.session
def soak(session: nox.Session) -> None:
    """Kill and restart a run for 30 minutes (``-- --minutes 5``), and compare its rows."""
    session.install(TORCH)
    session.install("-e", ".", *_groups("test"))
    session.run("python", "tests/soak.py", "--ray", *session.posargs)


@nox.session(python="3.11")
def fuzz(session: nox.Session) -> None:
    """Fuzz the readers, guided by coverage, a minute each; ``-- --seconds 600``."""
    session.install(TORCH)
    session.install("-e", ".", "atheris==3.0.0")
    for reader in sorted(path.name for path in Path("tests/fuzz/seeds").iterdir()):
        session.run("python", "tests/fuzz/guided.py", reader, *session.posargs)


@nox.session
def evaluators(session: nox.Session) -> None:
    """Run the evaluators' tests with every optional package that installs here."""
    session.install(TORCH)
    session.install("-e", ".[asr,zh]", *_groups("test"))
    session.run("pytest", "-rs", "tests/asr", "tests/speakers", "tests/metrics", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install(*_groups("lint"))
    session.run("ruff", "check", *SOURCES)
    session.run("ruff", "format", "--check", *SOURCES)


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    session.install(TORCH)
    session.install("-e", ".", *_groups("types"))
    session.run("mypy")


@nox.session
def browser(session: nox.Session) -> None:
    """Open the report in a real Chromium (Debian: apt install chromium); skips without one."""
    session.install(TORCH)
    session.install("-e", ".", *_groups("browser"))
    session.run("pytest", "-m", "browser", "-rs", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks, or those named: ``nox -s bench -- decoding --batches 1``."""
    scripts = {path.stem: str(path) for path in sorted(Path("benchmarks").glob("[!_]*.py"))}
    del scripts[GPU_BENCH]
    named = [*takewhile(lambda argument: not argument.startswith("-"), session.posargs)]
    if unknown := set(named) - set(scripts):
        session.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(scripts)}")
    session.install(TORCH)
    session.install("-e", ".", *_groups("bench"))
    for name in named or scripts:
        session.run("python", scripts[name], *session.posargs[len(named) :])


@nox.session
def bench_gpu(session: nox.Session) -> None:
    """Measure the decoder on a CUDA device; skips visibly without one."""
    if shutil.which("nvidia-smi") is None:
        session.skip("no CUDA device here (nvidia-smi is not to be found)")
    session.install("-e", ".")  # fused kernels are measured where [mamba] is installed too
    session.run("python", f"benchmarks/{GPU_BENCH}.py", *session.posargs)


@nox.session
def gpu(session: nox.Session) -> None:
    """Run the tests that need a CUDA device; skips visibly without one."""
    if shutil.which("nvidia-smi") is None:
        session.skip("no CUDA device here (nvidia-smi is not to be found)")
    session.install("-e", ".", *_groups("test"))
    session.run("pytest", "-m", "gpu", *session.posargs, success_codes=[0, 5])


@nox.session(python="3.11")
def locks(session: nox.Session) -> None:
    """Resolve the environments' locks anew, or those named: ``nox -s locks -- zonos``."""
    session.run("python", "-m", "mamtra_eval.environments.locking", *session.posargs)
