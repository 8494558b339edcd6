"""On what, and in what precision, an evaluator's network computes."""

from __future__ import annotations

from mamtra_eval.errors import unknown_name

PRECISIONS = ("fp32", "fp16", "auto")
"""``auto``: half precision on a CUDA device, which is made for it, and single on a CPU."""


def choose(device: str | None) -> str:
    """The device asked for; by default ``cuda`` where there is one, else ``cpu``."""
    if device:
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def check_precision(precision: str) -> None:
    """UserError for a precision that is none."""
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)


def resolve_precision(precision: str, device: str | None) -> str:
    """``fp32`` or ``fp16``."""
    if precision != "auto":
        return precision
    return "fp16" if choose(device).startswith("cuda") else "fp32"
