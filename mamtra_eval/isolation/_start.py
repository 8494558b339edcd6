"""What another environment's Python runs to become a guest.

Its arguments are PACKAGE IN OUT LIFE FOLDER.

A plain script, run with ``-I``: it imports nothing but the standard library until it has told the
host which Python this is, and is written so that an old one (3.6) understands it and can say so.

It makes ``mamtra_eval`` importable from PACKAGE, the host's own folder of it, and nothing of what
lies beside that folder: the host's other packages must not be seen here, nor this environment's
own copy of the package.

IN, OUT and LIFE are descriptors: messages to and from the host, and a pipe whose other end the host
holds. A guard waits on LIFE: when the host is gone, in whatever way, it removes FOLDER and kills
the process group, the guest and all that it has started. (A signal for the death of the parent, as
prctl(2) offers, would be sent at the end of the host's *thread* that started the guest.)
"""

import importlib.util
import json
import os
import shutil
import signal
import struct
import sys

OLDEST = (3, 11)
PROTOCOL = 1


class Finder:
    """Finds the package itself; its modules are then found in its folder."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        """As ``importlib.abc.MetaPathFinder`` has it."""
        if name != "mamtra_eval":
            return None
        return importlib.util.spec_from_file_location(
            name,
            os.path.join(self.package, "__init__.py"),  # noqa: PTH118 -- pathlib is slow to import
            submodule_search_locations=[self.package],
        )


def guard(life: int, descriptors: list, folder: str) -> None:  # type: ignore[type-arg]
    """Leave a process behind that ends this one and its children with the host."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)  # it has ended at once: the guard is nobody's child to wait for
        return
    if os.fork():
        os._exit(0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for descriptor in [0, 1, 2] + descriptors:  # noqa: RUF005 -- for old Pythons
        os.close(descriptor)
    while os.read(life, 1):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def say(out: int, message: dict) -> None:  # type: ignore[type-arg]
    """One frame, as in ``messages``."""
    body = json.dumps(message).encode("ascii")
    os.write(out, struct.pack(">I", len(body)) + body)


def main(package: str, inward: int, out: int, life: int, folder: str) -> None:
    """Say which Python this is, import the guest's loop and enter it."""
    for descriptor in (inward, out, life):
        os.set_inheritable(descriptor, False)
    guard(life, [inward, out], folder)
    os.close(life)
    os.dup2(2, 1)  # what a library prints must not be taken for anything
    hello = {"type": "hello", "protocol": PROTOCOL, "python": list(sys.version_info[:3])}
    if sys.version_info < OLDEST:
        say(out, hello)
        return
    sys.meta_path.insert(0, Finder(package))
    try:
        import mamtra_eval
        from mamtra_eval.isolation import guest
    except Exception as error:  # a broken wheel raises anything
        missing = getattr(error, "name", None)
        said = "{}: {}".format(type(error).__name__, error)  # noqa: UP032 -- for old Pythons
        say(out, {**hello, "missing": missing, "error": said})
        return
    say(out, {**hello, "package": mamtra_eval.__version__})
    guest.serve(inward, out, folder)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
