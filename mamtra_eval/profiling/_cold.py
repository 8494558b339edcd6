"""The process of a cold start: speak one request, and note the times on the way.

``python -m mamtra_eval.profiling._cold JOB RESULT``: JOB is a JSON file with ``target`` and
``request``, RESULT a file for what was found: ``imported``, ``made`` and ``first_audio`` on the
monotonic clock, which all processes of a machine share, or ``error``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from mamtra_eval import registry, targets
from mamtra_eval.errors import SynthesisError, describe
from mamtra_eval.systems import Request, System


def main(job: Path, result: Path) -> None:
    """Do it, and write what was found or what went wrong."""
    given = json.loads(job.read_text("utf-8"))
    try:
        found: dict[str, float | str] = {**_speak(given["target"], _request(given["request"]))}
    except Exception as error:  # told to the one who waits, whatever it is
        found = {"error": describe(error)}
    result.write_text(json.dumps(found), "utf-8")


def _speak(target: str, request: Request) -> dict[str, float]:
    spec = targets.parse("cold", target)
    registry.load("systems", spec.kind)
    imported = time.monotonic()
    system: System = registry.create("systems", spec.kind, spec.options)
    try:
        system.prepare()
        made = time.monotonic()
        for piece in system.stream(request):
            if len(piece.samples):
                return {"imported": imported, "made": made, "first_audio": time.monotonic()}
        raise SynthesisError("the system made a clip without samples")
    finally:
        system.close()


def _request(given: dict[str, Any]) -> Request:
    paths = {name: Path(given[name]) for name in ("prompt_audio", "ground_truth") if given[name]}
    return Request(**{**given, **paths})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
