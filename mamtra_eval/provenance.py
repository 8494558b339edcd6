"""What a run was made with: versions, machine, configuration. Facts, collected once a start."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import mamtra_eval

PACKAGES = (
    "torch",
    "numpy",
    "soundfile",
    "soxr",
    "jiwer",
    "pocketsphinx",
    "speechmos",
    "espeakng-loader",
    "httpx",
    "webrtcvad-wheels",
    "openai-whisper",
    "speechbrain",
    "torchaudio",
    "mamba-ssm",
    "causal-conv1d",
)


def collect() -> dict[str, Any]:
    """Versions and machine as plain values; nothing that identifies the user."""
    return {
        "mamtra_eval": mamtra_eval.__version__,
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "device": _device(),
    }


@cache
def code() -> str:
    """Hash of this package's source files, by which two machines tell that they have the same."""
    digest = hashlib.sha256()
    root = Path(mamtra_eval.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or "unknown"


def _device() -> str:
    """The GPUs by name, or ``cpu``. torch is not imported for this: it would take a second."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "cpu"
    command = [program, "--query-gpu=name", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return "cpu"
    return ", ".join(found.stdout.split("\n")).strip(", ") or "cpu"
