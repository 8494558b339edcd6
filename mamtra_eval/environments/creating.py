"""Making an environment of its lock, and removing one; by ``venv`` and ``pip`` alone.

The folder is made where it stays (programs in a virtual environment know their own path), with a
mark in it, ``mamtra-eval.part``. Its record is written last. So an environment is complete or it
is none, whatever happens; the next creator clears away what an interrupted one left. With
``recreate`` the old one stands aside until the new one is complete, and comes back if that fails.
A folder that bears neither mark nor record is not ours, and is never touched.

pip is called as the user has set it up: index, proxies and cache are theirs. Pins are installed
without looking at what they declare, for they are all there is; with another torch than the lock's
that one is installed first, with what it needs.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mamtra_eval import environments
from mamtra_eval.environments import PART, RECORD, Environment, lockfiles
from mamtra_eval.environments.running import Say, call, choose_python, distributions
from mamtra_eval.errors import UserError

PATIENCE = 25
"""Attempts at removing a folder, 0.2 s apart."""


def create(
    name: str,
    *,
    python: str | None = None,
    torch: str | None = None,
    recreate: bool = False,
    say: Say = lambda _: None,
) -> tuple[Environment, bool]:
    """The environment, and whether it was made now; one that is complete is left alone.

    Args:
        name: of a lock.
        python: to make it with; by default this one if it is the lock's, else one on the path.
        torch: in place of the lock's torch, ``torch==2.13.0``.
        recreate: make it anew.
        say: told what is going on, a line at a time.

    UserError for an unknown name, if the one that is there was made of something else, if another
    process is at it, or with pip's last lines.
    """
    lock = lockfiles.read(environments.lock_of(name))
    wanted = lock.with_torch(torch) if torch else lock
    folder = environments.root() / name
    with _held(name) as held:
        _recover(name, say)
        found = environments.find(name)
        if found is not None and not recreate:
            _refuse_another(found, torch)
            return found, False
        program, version = choose_python(python, lock.python, name)
        with _aside(name, found is not None):
            _mark(folder)
            say(f"making {folder} with Python {version}")
            call([program, "-m", "venv", str(folder)], f"environment {name}", held, say)
            _install(name, wanted, lock, held, say)
            _require_whole(folder, wanted)
            record = {
                "name": name, "lock": lock.digest, "torch": torch, "python": version,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
            }  # fmt: skip
            _complete(folder, record)
            made = environments.find(name)
            if made is None:
                raise UserError(
                    "it was made and has no Python", where=str(folder), fix="See what removes it."
                )
        return made, True


def remove(name: str) -> bool:
    """Remove an environment, complete or interrupted; whether there was one."""
    if environments.find(name) is None and not environments.begun(name):
        return False
    with _held(name):
        folder = environments.root() / name
        _recover(name, lambda _: None)
        if folder.is_dir():
            _clear(folder)
    return True


def at_work(name: str) -> bool:
    """Whether a process is making or removing it right now."""
    if not _lock_file(name).is_file():
        return False
    try:
        with _held(name):
            return False
    except UserError:
        return True


def _install(name: str, wanted: lockfiles.Lock, lock: lockfiles.Lock, held: int, say: Say) -> None:
    """All pins; those that the lock does not have (another torch) first and with what they need."""
    folder = environments.root() / name
    other = [pin for pin in wanted.pins if pin not in lock.pins]
    kept = [pin for pin in wanted.pins if pin in lock.pins]
    for pins, options in ((other, []), (kept, ["--no-deps"]), (wanted.alone, ["--no-deps"])):
        if not pins:
            continue
        listed = folder / "pins.txt"
        listed.write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--progress-bar", "off"]
        pip += ["--no-input", "--disable-pip-version-check", "--no-warn-script-location"]
        call([*pip, "--use-pep517", *options, "-r", str(listed)], f"environment {name}", held, say)
        listed.unlink()


def _require_whole(folder: Path, wanted: lockfiles.Lock) -> None:
    """UserError if a pin is not there: pip can be set up to install elsewhere, or nothing."""
    found = {lockfiles.name_of(name) for name in distributions(folder / "bin" / "python")}
    absent = [pin for pin in wanted.pins + wanted.alone if lockfiles.name_of(pin) not in found]
    if absent:
        raise UserError(
            f"pip ended well, and {len(absent)} of its packages are not there ({absent[0]}, say)",
            where=str(folder),
            fix="See pip config list: target, prefix, root or dry-run have it install elsewhere.",
        )


def _refuse_another(found: Environment, torch: str | None) -> None:
    if environments.stale(found):
        what = "was made of another lock than this version's"
    elif torch is not None and torch != found.torch:
        what = f"is here with {found.torch or 'the torch of its lock'}, not with {torch}"
    else:
        return
    raise UserError(
        f"the environment {found.name} {what}",
        where=str(found.folder),
        fix=f"Make it anew with: mamtra-eval env create {found.name} --recreate",
    )


@contextmanager
def _held(name: str) -> Iterator[int]:
    """Hold the name against other processes; yields the descriptor that pip holds, too."""
    root = environments.root()
    root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(_lock_file(name), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another process is making or removing the environment {name}",
                where=str(root / name),
                fix="Wait until it is done; see how it stands with: mamtra-eval env list",
            ) from None
        yield descriptor
    finally:
        os.close(descriptor)


def _lock_file(name: str) -> Path:
    return environments.root() / f".{name}.lock"


def _recover(name: str, say: Say) -> None:
    """Clear away what an interrupted creator left, and bring back what it had put aside."""
    folder, aside = environments.root() / name, _aside_of(name)
    if environments.find(name) is None and folder.exists():
        _require_ours(folder)
        say(f"clearing away what was interrupted: {folder}")
        _clear(folder)
    if aside.is_dir():
        if folder.exists():
            _clear(aside)
        else:
            aside.rename(folder)


@contextmanager
def _aside(name: str, there: bool) -> Iterator[None]:
    """Have the old one stand aside while the new one is made; failing that, it comes back."""
    folder, aside = environments.root() / name, _aside_of(name)
    if there:
        folder.rename(aside)
    try:
        yield
    except BaseException:  # Ctrl-C too
        if folder.exists():
            _clear(folder)
        if there:
            aside.rename(folder)
        raise
    if there:
        _clear(aside)


def _aside_of(name: str) -> Path:
    return environments.root() / f".{name}.old"


def _mark(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / PART).touch()


def _complete(folder: Path, record: Mapping[str, object]) -> None:
    """Write the record, in one step, and take the mark away."""
    part = folder / PART
    part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    part.rename(folder / RECORD)


def _require_ours(folder: Path) -> None:
    if (folder / PART).exists() or (folder / RECORD).exists():
        return
    if folder.is_dir() and not any(folder.iterdir()):  # killed before it could be marked
        return
    raise UserError(
        "there is something else than an environment of ours",
        where=str(folder),
        fix="Move it away, or name another folder for environments in MAMTRA_EVAL_ENVS.",
    )


def _clear(folder: Path) -> None:
    """Remove a folder of ours; until it is gone it bears the mark and is no environment."""
    if (folder / RECORD).exists():
        (folder / RECORD).rename(folder / PART)
    for entry in sorted(folder.iterdir(), key=lambda path: path.name == PART):  # the mark last
        if entry.is_dir() and not entry.is_symlink():
            _remove_tree(entry)
        else:
            entry.unlink()
    folder.rmdir()


def _remove_tree(folder: Path) -> None:
    """Remove it, though what a killed creator had started may still write there for a moment."""
    for _ in range(PATIENCE):
        try:
            shutil.rmtree(folder)
        except OSError:
            time.sleep(0.2)
        else:
            return
    shutil.rmtree(folder)
