"""A run fetches nothing: hubs are told so before any library of theirs is imported.

    from mamtra_eval import offline

    offline.stay()     # at the beginning of a worker process
    offline.outside()  # the environment for a program of the user's own

Every loader of ours names files that are there (``local_files_only``, folders). Libraries below
them ask a hub of their own accord all the same: whether a file has changed, which templates there
are, for telemetry. ``huggingface_hub`` and ``transformers`` read these variables when they are
imported, which happens in workers only, so that setting them there is in time.
"""

from __future__ import annotations

import os

VARIABLES = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
_before: dict[str, str | None] = {}


def stay() -> None:
    """Tell this process, and what it starts, that hubs are not to be asked."""
    for name, value in VARIABLES.items():
        _before.setdefault(name, os.environ.get(name))
        os.environ[name] = value


def outside() -> dict[str, str]:
    """The environment as it was before ``stay``: what a user's own program fetches is its own."""
    found = dict(os.environ)
    for name, value in _before.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = value
    return found
