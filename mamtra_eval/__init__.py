"""Evaluation harness for speech synthesis: one command speaks, scores and reports.

The public names are loaded when first used, so that importing the package stays instant and
pulls in neither torch nor an audio library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "Clip": "mamtra_eval.audio",
    "RunConfig": "mamtra_eval.config",
    "RunReader": "mamtra_eval.reader",
    "TestSet": "mamtra_eval.testset",
    "UserError": "mamtra_eval.errors",
    "Utterance": "mamtra_eval.testset",
    "evaluate": "mamtra_eval.pipeline",
    "load_testset": "mamtra_eval.catalogue:load",
    "read_meta": "mamtra_eval.testset",
}
__all__ = [
    "Clip",
    "RunConfig",
    "RunReader",
    "TestSet",
    "UserError",
    "Utterance",
    "__version__",
    "evaluate",
    "load_testset",
    "read_meta",
]

if TYPE_CHECKING:
    from mamtra_eval.audio import Clip
    from mamtra_eval.catalogue import load as load_testset
    from mamtra_eval.config import RunConfig
    from mamtra_eval.errors import UserError
    from mamtra_eval.pipeline import evaluate
    from mamtra_eval.reader import RunReader
    from mamtra_eval.testset import TestSet, Utterance, read_meta


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- PEP 562: the type depends on the name
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(import_module(module), attribute or name)
