"""Plugins of other distributions, as they lie in a folder of ``sys.path``."""

from __future__ import annotations

from pathlib import Path


def write_plugin(folder: Path, name: str, source: str, kind: str = "systems") -> None:
    """A distribution with one plugin, the module ``NAME_plugin``."""
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[mamtra_eval.{kind}]\n{name} = {name}_plugin\n")
    (folder / f"{name}_plugin.py").write_text(source)
