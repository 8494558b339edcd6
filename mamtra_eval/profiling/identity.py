"""Under what a profile was taken: two that differ in it are not compared.

The identity has what decides memory and time besides the subject: device, drivers, libraries,
which kernels really run, element types, threads. What moves while one measures (clocks, load,
temperature) is a condition: it is kept, and no part of the identity.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mamtra_eval import provenance

PACKAGES = ("torch", "mamba-ssm", "causal-conv1d", "flash-attn", "triton")
VARIABLES = (
    "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "CUDA_MODULE_LOADING", "OMP_NUM_THREADS",
    "MKL_NUM_THREADS", "MALLOC_ARENA_MAX", "LD_PRELOAD",
)  # fmt: skip
SMI = "nvidia-smi"


def collect(device: str, weights: str, kv: str, state: str) -> dict[str, Any]:
    """The identity of profiles on this machine with these element types.

    Keys that others read: ``device_type`` (``cpu``, ``cuda``), ``device`` (its name).
    """
    import torch

    from mamtra_eval import __version__
    from mamtra_eval.models import kernels

    found: dict[str, Any] = {
        "mamtra_eval": __version__,
        "device_type": torch.device(device).type,
        "weights": weights,
        "kv": kv,
        "state": state,
        "kernels": kernels.choose("auto", device).description,
        "packages": {name: there for name in PACKAGES if (there := _version(name))},
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "matmul_precision": torch.get_float32_matmul_precision(),
    }
    own = _cuda(device) if found["device_type"] == "cuda" else _cpu()
    return {**found, **own}


def session(identity: Mapping[str, Any]) -> str:
    """A short hash of an identity: the name of its session."""
    plain = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()[:12]


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Keys in which two identities differ, with both values."""
    keys = sorted({*one, *other})
    return [
        f"{key}: {one.get(key, 'none')} / {other.get(key, 'none')}"
        for key in keys
        if one.get(key) != other.get(key)
    ]


def conditions(device: str) -> dict[str, Any]:
    """What moves: load of the machine, and a CUDA device's clocks, temperature, throttling."""
    found: dict[str, Any] = {"load": round(os.getloadavg()[0], 2)}
    if device.startswith("cuda"):
        fields = ("clocks.sm", "clocks.mem", "temperature.gpu", "power.draw",
                  "clocks_event_reasons.active", "clocks_throttle_reasons.active")  # fmt: skip
        found |= smi(device, fields)
    return found


def smi(device: str, fields: tuple[str, ...]) -> dict[str, str]:
    """What the driver's program tells of a device; empty where it is not there."""
    program = shutil.which(SMI)
    if program is None:
        return {}
    command = [program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits",
               f"--id={index(device)}"]  # fmt: skip
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        if len(fields) == 1:
            return {}
        # Drivers know different fields, and one that is unknown spoils the others.
        return {key: value for field in fields for key, value in smi(device, (field,)).items()}
    values = [value.strip() for value in told.stdout.strip().split(",")]
    return dict(zip(fields, values, strict=False))


def index(device: str) -> str:
    """The driver's number of a device: visible devices may be renamed."""
    import torch

    own = torch.device(device).index or 0
    visible = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part]
    return visible[own] if own < len(visible) else str(own)


def _cpu() -> dict[str, Any]:
    import torch

    return {
        "device": provenance.collect()["processor"],
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "attention": "torch scaled_dot_product_attention, CPU",
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "huge_pages": _huge_pages(),
    }


def _cuda(device: str) -> dict[str, Any]:
    import torch

    properties = torch.cuda.get_device_properties(device)
    backends: Any = torch.backends.cuda  # without annotations of its own
    kinds = {"flash": backends.flash_sdp_enabled, "efficient": backends.mem_efficient_sdp_enabled,
             "cudnn": backends.cudnn_sdp_enabled, "math": backends.math_sdp_enabled}  # fmt: skip
    allowed = ", ".join(name for name, enabled in kinds.items() if enabled())
    told = smi(device, ("driver_version", "mig.mode.current", "power.limit", "compute_mode"))
    return {
        "device": properties.name,
        "memory_bytes": properties.total_memory,
        "capability": f"{properties.major}.{properties.minor}",
        "cuda": torch.version.cuda,
        "attention": f"torch scaled_dot_product_attention ({allowed})",
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        **told,
    }


def _huge_pages() -> str:
    try:
        text = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text("ascii")
    except OSError:
        return "unknown"
    return text.partition("[")[2].partition("]")[0] or "unknown"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
