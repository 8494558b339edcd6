"""What ``mamtra-eval doctor`` says: what a system needs, how it is with that, and what mends it.

A system's plugin may offer ``diagnose(options) -> list[Check]``: packages with their versions,
sources and weights, where they are, and what to run to get the rest. It loads no weights, and it
runs where the system would run (``isolation/``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mamtra_eval.errors import UserError

if TYPE_CHECKING:
    from mamtra_eval.isolation.process import Interpreter
    from mamtra_eval.smoke import Smoke
    from mamtra_eval.targets import SystemSpec

UNTESTED = "tested with"
"""Stands in the detail of a package that is of another version than was tested."""


class Check(NamedTuple):
    """One line of the report; ``fix`` is empty where nothing is to be done.

    ``state`` is ``ok``, ``absent`` (it is not here), ``unusable`` (it is here and can't be used)
    or ``broken`` (the harness itself needs it and it does not work).
    """

    name: str
    state: str
    detail: str
    fix: str = ""


def of_system(spec: SystemSpec) -> list[Check]:
    """Where a system would run, and what it finds there of what it needs."""
    from mamtra_eval.isolation import placing

    try:
        interpreter = placing.interpreter_of(spec.kind, spec.options)
    except UserError as error:
        return [_from_error("environment", error)]
    checks = _environment(spec, interpreter)
    try:
        checks += placing.diagnose(spec.kind, spec.options)
    except UserError as error:
        checks.append(_from_error("diagnosis", error))
    return checks


def causes(spec: SystemSpec, checks: Sequence[Check], smoke: Smoke) -> list[str]:
    """What a bad clip may come from, and what to try; of a good one nothing."""
    if smoke.healthy:
        return []
    found = [f"{check.name} {check.detail}" for check in checks if UNTESTED in check.detail]
    found += [f"{check.name}: {check.detail}" for check in checks if check.state != "ok"]
    if spec.kind == "cosyvoice2" and smoke.error is None:
        found.append(_compare(spec.options))
    return found


def environment(name: str) -> Check | None:
    """How it stands with the environment of that name; ``None`` if nobody made it."""
    from mamtra_eval import environments

    found = environments.find(name)
    if found is None:
        return None
    detail = f"{found.folder}, Python {found.version}"
    if found.torch:
        detail = f"{detail}, with {found.torch} in place of its lock's"
    if environments.stale(found):
        again = f"mamtra-eval env create {name} --recreate"
        return Check(f"environment {name}", "ok", f"{detail}; its lock is another one now", again)
    return Check(f"environment {name}", "ok", detail)


def _compare(options: Mapping[str, str]) -> str:
    """What else to try of CosyVoice 2; what differs between the two is to blame."""
    if options.get("checkpoint"):
        other, blamed = "without the checkpoint", "the checkpoint is"
    elif options.get("engine") == "upstream":
        other, blamed = "with engine=own", "the package's own loop with this transformers is"
    else:
        other, blamed = "with engine=upstream", "our decoder, or how it read llm.pt, is"
    return (
        f"try doctor {other}, too: if that one is understood, {blamed} to blame, else torch, "
        "weights, source or prompt"
    )


def _environment(spec: SystemSpec, interpreter: Interpreter | None) -> list[Check]:
    """Where it runs; and packages that are missing where that is this process."""
    from mamtra_eval import environments, registry

    if interpreter is not None:
        made = environment(interpreter.name) if interpreter.lock else None
        ran = Check("environment", "ok", f"{interpreter.name}: {interpreter.python}")
        return [made or ran]
    missing = registry.plugins("systems")[spec.kind].missing()
    if spec.kind in environments.locks():
        make = f"mamtra-eval env create {spec.kind}"
        if missing and spec.options.get("env", "auto") == "auto":
            told = "not made yet; versions below are of this Python, which lacks " + ", ".join(
                missing
            )
            return [Check(f"environment {spec.kind}", "absent", told, make)]
        return [Check("environment", "ok", f"none, it runs in this process; to make one: {make}")]
    if missing:
        fix = f"Install them: pip install {' '.join(missing)}"
        return [Check("packages", "absent", ", ".join(missing), fix)]
    return []


def _from_error(name: str, error: UserError) -> Check:
    from mamtra_eval.errors import MissingExtra

    state = "absent" if isinstance(error, MissingExtra) else "unusable"
    where = f"{error.where}: " if error.where else ""
    return Check(name, state, f"{where}{error.what}", error.fix or "")
