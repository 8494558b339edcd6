"""Memory by part and phase, taken in a fresh process that loads one subject and nothing else.

Phases: ``base`` (the process before it loads anything), ``loaded`` (weights there), ``prefill`` (a
pass over the context), ``decode`` (steps up to the full context); of a system ``loaded`` and
``speaking``. Every phase is read at its peak and split:

    total = base or context + weights + kv + state.ssm + state.conv
            + activations + fragmentation + rest

``weights`` and caches are bytes of tensors, walked from the objects; a cache more than 1 % off its
closed form is an error. ``activations`` is the peak of what torch gave out beyond them.
``fragmentation`` is what its allocator holds beyond that peak (CUDA alone). ``rest`` is what no
part explains: on a CPU mostly the C allocator's and the matrix library's own buffers, and negative
where pages were handed out and never touched. The parts add up to the total, always.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from mamtra_eval.errors import UserError
from mamtra_eval.models import cost
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.processes import environment, tracked
from mamtra_eval.profiling.nvml import Sampler
from mamtra_eval.profiling.rows import MEASURED, ProfileKey, ProfileRow

TOLERANCE = 0.01
"""How far a cache may be from its closed form."""

PARTS = ("base", "context", "weights", "kv", "state.ssm", "state.conv", "activations",
         "fragmentation", "rest")  # fmt: skip
"""What a phase's total is the sum of."""


@dataclass(frozen=True)
class Cell:
    """One process to be started.

    Attributes:
        name, target: of the subject.
        context, streams: of the decoder's cache; 0 and 1 for a system that is asked to speak.
        device: ``cpu`` or ``cuda``.
        weights, kv, state: names of element types.
        used_before: bytes that others hold on a CUDA device.
        prefill: whether the context is read by a pass, or filled with random numbers.
        text, prompt_text, prompt_audio: what a system is asked to say.
    """

    name: str
    target: str
    context: int
    streams: int = 1
    device: str = "cpu"
    weights: str = "fp32"
    kv: str = "fp32"
    state: str = "fp32"
    used_before: int = 0
    prefill: bool = True
    text: str = ""
    prompt_text: str | None = None
    prompt_audio: str | None = None


def run(cell: Cell, session: str, timeout_s: float = 1800.0) -> list[ProfileRow]:
    """Rows of one cell, with an error for phases that ran out of memory or ended the process.

    UserError if a cache does not have the size that its closed form says.
    """
    key = ProfileKey(session, cell.name, "", context=cell.context, streams=cell.streams)
    phases, failures = _in_a_process(cell, timeout_s)
    made = [row for phase, found in phases.items() for row in rows(phase, found, key)]
    for phase, reason in failures.items():
        failed = replace(key, quantity="memory.total", phase=phase)
        made.append(ProfileRow(failed, "bytes", MEASURED, None, n=0, error=reason))
    return made


def rows(phase: str, found: Mapping[str, Any], key: ProfileKey) -> Iterator[ProfileRow]:
    """The rows of one phase from what its process told."""
    parts: dict[str, int] = found["parts"]
    peak: dict[str, int] = found["peak"]
    total = max(peak["total"], peak.get("nvml", 0))
    split = {part: parts[part] for part in PARTS if part in parts}
    if "reserved" in peak:
        split["fragmentation"] = peak["reserved"] - peak["allocated"]
    split["rest"] = total - sum(split.values())
    notes = ("peak since the process began",) if peak.get("since_start") else ()
    if "nvml" in peak:
        notes = (*notes, "the driver's samples see no more than a lower bound of the peak")
    whole = {"memory.total": total, **{f"memory.{part}": size for part, size in split.items()}}
    if "state.ssm" in split:
        whole["memory.state"] = split["state.ssm"] + split["state.conv"]
    details = {
        "memory.total": {name: size for name, size in peak.items() if name != "total"},
        "memory.weights": found.get("weights", {}),
    }
    for quantity, size in whole.items():
        yield ProfileRow(
            replace(key, quantity=quantity, phase=phase), "bytes", MEASURED, float(size),
            notes=notes if quantity == "memory.total" else (), detail=details.get(quantity, {}),
        )  # fmt: skip


def check_cache(config: DecoderConfig, found: Mapping[str, int], cell: Cell) -> None:
    """UserError if walked bytes of a cache are more than 1 % off their closed form."""
    kv = cell.streams * cost.kv_bytes(config, cell.context, cost.element_bytes(cell.kv))
    state = cell.streams * cost.state_bytes(config, cost.element_bytes(cell.state))
    walked = {"keys and values": (found["kv"], kv),
              "states": (found["state.ssm"] + found["state.conv"], state)}  # fmt: skip
    for what, (bytes_there, expected) in walked.items():
        if abs(bytes_there - expected) > TOLERANCE * expected:
            raise UserError(
                f"{what} take {bytes_there:,} bytes, their closed form says {expected:,}",
                where=f"{cell.name}, {cell.context:,} tokens x {cell.streams}",
                fix="The cache or the closed form has a mistake; no figure would mean anything.",
            )


def _in_a_process(cell: Cell, timeout_s: float) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """What each phase told, in order, and why others told nothing."""
    command = [sys.executable, "-m", "mamtra_eval.profiling._phases"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, encoding="utf-8", start_new_session=True, env=environment(),
    )  # fmt: skip
    with tracked(process.pid), Sampler(cell.device) as sampler:
        try:
            told, complaint = process.communicate(json.dumps(asdict(cell)), timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            told, complaint = process.communicate()
            complaint = f"took longer than {timeout_s:g} s\n"
        except BaseException:
            process.kill()
            raise
    phases: dict[str, dict[str, Any]] = {}
    failures: dict[str, str] = {}
    for line in told.splitlines():
        if line.startswith("{"):
            message = json.loads(line)
            if "user_error" in message:
                raise UserError(message["user_error"])
            if "out_of_memory" in message:
                phase = message.get("phase") or _next({*phases, *failures}, cell)
                failures[phase] = message["out_of_memory"]
                continue
            most = sampler.most(message.get("began", 0.0), message.get("ended", 0.0))
            if most is not None:
                message["peak"]["nvml"] = most - cell.used_before
            phases[message.pop("phase")] = message
    if process.returncode:
        failures[_next({*phases, *failures}, cell)] = _reason(process.returncode, complaint)
    return phases, failures


def _next(phases: Collection[str], cell: Cell) -> str:
    """The phase that was under way."""
    passed = ["prefill"] if cell.prefill else []
    own = ["loaded", *passed, "decode"] if cell.context else ["loaded", "speaking"]
    return next((phase for phase in own if phase not in phases), own[-1])


def _reason(code: int, complaint: str) -> str:
    last = next((line for line in reversed(complaint.splitlines()) if line.strip()), "")
    if code == -signal.SIGKILL and "longer" not in last:
        return "its process was killed, most likely for want of memory"
    return f"its process ended with {code}: {last.strip()}" if last else f"ended with {code}"
