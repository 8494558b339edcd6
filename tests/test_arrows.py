"""The house's arrows: which room may import which."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mamtra_eval"

FORBIDDEN = {
    "systems": ("metrics", "asr", "speakers", "report", "cli", "pipeline", "store", "results"),
    "metrics": ("systems", "report", "cli", "pipeline", "store", "results"),
    "asr": ("systems", "metrics", "report", "cli", "pipeline", "store"),
    "speakers": ("systems", "metrics", "report", "cli", "pipeline", "store"),
    "report": ("systems", "asr", "speakers", "cli", "pipeline", "executors", "registry"),
    "profiling": ("metrics", "asr", "speakers", "report", "cli", "pipeline", "results"),
    "advisor": ("systems", "asr", "speakers", "report", "cli", "pipeline", "executors"),
    "claims": ("systems", "metrics", "asr", "speakers", "report", "cli", "pipeline", "results"),
    "listening": ("metrics", "asr", "speakers", "report", "cli", "pipeline", "executors", "store"),
    "isolation": (
        "metrics", "asr", "speakers", "report", "cli", "pipeline", "store", "results", "executors",
    ),
    "environments": (
        "systems", "metrics", "asr", "speakers", "report", "cli", "pipeline", "store", "isolation",
    ),
    "codecs": ("systems", "metrics", "asr", "speakers", "report", "cli", "pipeline", "isolation"),
    "contamination": (
        "systems", "metrics", "asr", "speakers", "report", "cli", "pipeline", "store", "results",
    ),
    "executors": ("systems", "metrics", "asr", "report", "cli", "store"),
}  # fmt: skip
ALONE = (
    "statistics", "audio.py", "normalize", "errors.py", "models", "distill", "borders.py",
    "offline.py", "redaction.py",
)  # fmt: skip
ALONE_MAY = {
    "normalize": {
        "mamtra_eval.registry", "mamtra_eval.normalize", "mamtra_eval.errors", "mamtra_eval.extras",
    },
    "models": {"mamtra_eval.errors", "mamtra_eval.extras"},
    "borders.py": {"mamtra_eval.errors"},
    "redaction.py": {"mamtra_eval.errors"},
    "distill": {
        "mamtra_eval.models", "mamtra_eval.errors", "mamtra_eval.extras", "mamtra_eval.progress",
        "mamtra_eval.structured",
    },
}  # fmt: skip


def _files(room: str) -> list[Path]:
    path = PACKAGE / room
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _imports(path: Path) -> set[str]:
    """Modules of ours that a file imports at any depth, type-checking imports left out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.startswith("mamtra_eval")}


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_do_not_import_against_the_arrows(room: str) -> None:
    for path in _files(room):
        for name in _imports(path):
            parts = name.split(".")
            assert len(parts) < 2 or parts[1] not in FORBIDDEN[room], f"{path.name} imports {name}"


@pytest.mark.parametrize("room", ALONE)
def test_some_rooms_import_nothing_else_of_ours(room: str) -> None:
    own = f"mamtra_eval.{room.removesuffix('.py')}"
    allowed = ALONE_MAY.get(room, set())
    for path in _files(room):
        strangers = {
            name for name in _imports(path) - {"mamtra_eval", "mamtra_eval.__version__"}
            if not name.startswith(own) and not any(name.startswith(a) for a in allowed)
        }  # fmt: skip
        assert not strangers, f"{path.name} imports {strangers}"


def test_only_the_command_line_prints() -> None:
    for path in PACKAGE.rglob("*.py"):
        if "cli" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            assert not (isinstance(called, ast.Name) and called.id == "print"), path
