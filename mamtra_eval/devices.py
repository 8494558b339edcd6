"""On what, and in what precision, an evaluator's network computes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from mamtra_eval.errors import UserError, unknown_name

PRECISIONS = ("fp32", "fp16", "auto")
"""``auto``: half precision on a CUDA device, which is made for it, and single on a CPU."""


VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable by which a process is shown some of a machine's GPUs."""


def choose(device: str | None) -> str:
    """The device asked for; by default ``cuda`` where there is one, else ``cpu``."""
    if device:
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def visible() -> list[str]:
    """What ``VISIBLE`` names each GPU that this process sees; empty without any."""
    import torch

    if not torch.cuda.is_available():
        return []
    named = os.environ.get(VISIBLE)
    if named is not None:
        return [one.strip() for one in named.split(",") if one.strip()]
    return [str(index) for index in range(torch.cuda.device_count())]


def check(device: str | None, option: str) -> None:
    """UserError for a device that was asked for by an option and is not here."""
    if device is None:
        return
    import torch

    try:
        wanted = torch.device(device)
        if wanted.type == "meta" or (wanted.type == "cpu" and wanted.index not in (None, 0)):
            raise ValueError(f"{device} computes nothing")
        torch.empty(1, device=wanted)
    except Exception as error:  # no such device, or no such name
        raise UserError(
            f"there is no device {device!r} here for {option}",
            fix=f"Set {option}=cpu, or leave it out.",
        ) from error


def is_lost(error: BaseException) -> bool:
    """Whether after this error a process can use its GPU no more.

    CUDA keeps what is not about memory: every later call fails with the same error, an illegal
    address or a failed assertion, until the process ends.
    """
    message = str(error)
    return "CUDA error:" in message and "out of memory" not in message


def check_precision(precision: str) -> None:
    """UserError for a precision that is none."""
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)


def resolve_precision(precision: str, device: str | None) -> str:
    """``fp32`` or ``fp16``."""
    if precision != "auto":
        return precision
    return "fp16" if choose(device).startswith("cuda") else "fp32"


@contextmanager
def exact() -> Iterator[None]:
    """Single precision as it is meant: convolutions on a GPU would round to 10 bits of mantissa."""
    import torch

    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
