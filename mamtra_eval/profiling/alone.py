"""Efficiency is measured alone: one process, on one machine that does nothing else."""

from __future__ import annotations

import os

from mamtra_eval.errors import UserError

LOCAL = "local"
RAY_WORKER = "RAY_RAYLET_PID"
"""A variable that Ray gives its workers, and nobody else."""


def check(executor: str | None = None) -> None:
    """UserError where a profile would be made beside other work.

    Args:
        executor: that was asked for, if one was.
    """
    if executor not in (None, LOCAL):
        raise UserError(
            f"a profile can't be made by the executor {executor}: times and memory would be those "
            "of whatever else runs there",
            fix="Leave it out, and profile on one machine that does nothing else.",
        )
    if RAY_WORKER in os.environ:
        raise UserError(
            "a profile can't be made by a worker of a Ray cluster, beside its other work",
            fix="Call mamtra-eval profile on one machine that does nothing else.",
        )
