"""``doctor``: what of the harness works on this machine, and what to do about the rest."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from mamtra_eval.diagnosis import Check

if TYPE_CHECKING:
    from mamtra_eval.weights import Weights

EXTRAS = {
    "whisper": ("asr", "openai-whisper", "the recogniser of the published protocols"),
    "transformers": ("asr", "transformers", "Seed-TTS-eval's own recogniser"),
    "whisper_normalizer": ("asr", "whisper-normalizer", "the text rule of the Whisper paper"),
    "faster_whisper": ("asr", "faster-whisper", "the recogniser of F5-TTS"),
    "funasr": ("zh", "funasr", "Paraformer, Seed-TTS-eval's recogniser for Chinese"),
    "zhconv": ("zh", "zhconv", "Chinese transcripts in simplified characters"),
    "speechbrain": ("speaker", "speechbrain", "a second speaker encoder"),
    "torchaudio": ("speaker", "torchaudio", "audio for speechbrain"),
    "mamba_ssm": ("mamba", "mamba-ssm", "fused kernels, which need a CUDA device"),
    "causal_conv1d": ("mamba", "causal-conv1d", "fused kernels, which need a CUDA device"),
}
"""Module: its extra, its package, what it is for."""

CORE = (
    "torch",
    "soundfile",
    "soxr",
    "jiwer",
    "omegaconf",
    "pocketsphinx",
    "webrtcvad",
    "espeakng_loader",
    "httpx",
    "num2words",
)


def doctor(
    target: Annotated[
        str | None,
        typer.Argument(metavar="[TARGET]", help="One system, as evaluate takes it: espeak, …"),
    ] = None,
    no_smoke: Annotated[
        bool, typer.Option("--no-smoke", help="Of a TARGET: check, but let it say nothing.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read fetched weights and compare their SHA-256.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Check packages, extras, weights and devices; exit code 1 if the core does not work.

    With a TARGET: what that system needs, and one sentence of it, looked at and listened to; exit
    code 1 if anything it needs is missing or the sentence is not healthy.
    """
    import json

    from mamtra_eval.cli import _doctor_target

    if target is not None:
        _doctor_target.examine(target, speak=not no_smoke, as_json=as_json)
        return
    checks = [_core(name) for name in CORE]
    checks += [_extra(name) for name in EXTRAS]
    checks += [_speaker_weights(), _dnsmos_networks(), _mini_family(), _cuda(), _kernels()]
    checks += [*_fetched_weights(verify), *_environments()]
    if as_json:
        typer.echo(json.dumps([check._asdict() for check in checks], indent=2, ensure_ascii=False))
    else:
        _doctor_target.print_checks(checks)
    if any(check.state == "broken" for check in checks):
        raise typer.Exit(1)


def _core(name: str) -> Check:
    try:
        module = importlib.import_module(name)
    except Exception as error:  # a broken wheel can raise anything (OSError, say)
        return Check(
            name,
            "broken",
            f"{type(error).__name__}: {error}",
            f"Install it again: pip install --force-reinstall {name.replace('_', '-')}",
        )
    return Check(name, "ok", str(getattr(module, "__version__", "installed")))


def _extra(name: str) -> Check:
    from mamtra_eval.errors import MissingExtra
    from mamtra_eval.extras import import_extra

    extra, package, purpose = EXTRAS[name]
    if find_spec(name) is None:
        fix = f"pip install 'mamtra-eval[{extra}]'"
        return Check(name, "absent", f"optional; {package}: {purpose}", fix)
    try:
        module = import_extra(name, f"the extra [{extra}]", package, extra)
    except MissingExtra as error:
        return Check(name, "unusable", f"optional; {error.what}", error.fix or "")
    return Check(name, "ok", str(getattr(module, "__version__", "installed")))


def _speaker_weights() -> Check:
    from mamtra_eval.errors import UserError
    from mamtra_eval.speakers import ge2e

    try:
        path = ge2e.find_weights()
    except UserError as error:
        return Check("GE2E weights", "broken", error.what, error.fix or "")
    return Check("GE2E weights", "ok", path.name)


def _dnsmos_networks() -> Check:
    from mamtra_eval.errors import UserError
    from mamtra_eval.metrics import dnsmos

    try:
        paths = [dnsmos.find_network(name) for name in dnsmos.SHA256]
    except UserError as error:
        return Check("DNSMOS networks", "broken", error.what, error.fix or "")
    return Check("DNSMOS networks", "ok", ", ".join(path.name for path in paths))


def _fetched_weights(verify: bool) -> list[Check]:
    """Weights that users fetch themselves, of every plugin that has some."""
    from mamtra_eval import registry

    found = []
    for kind in ("asr", "speakers", "metrics"):
        for name in registry.plugins(kind):
            listed = getattr(registry.load(kind, name), "weights", list)
            found += [_weights(name, weights, verify) for weights in listed()]
    return found


def _weights(plugin: str, weights: Weights, verify: bool) -> Check:
    name = f"weights of {plugin}"
    known = f"; SHA-256 {weights.sha256}" if weights.sha256 else ""
    path = weights.find()
    if path is None:
        detail = f"optional; {weights.name}, {weights.size}{known}"
        return Check(name, "absent", detail, weights.fetch)
    if verify and (damage := weights.damage()):
        return Check(name, "unusable", f"{path}: {damage}", f"Fetch it again: {weights.fetch}")
    checked = " (checked)" if verify and weights.sha256 and path.is_file() else ""
    return Check(name, "ok", f"{weights.name} at {path}{known}{checked}")


def _environments() -> list[Check]:
    """Those that were made for systems (``env create``)."""
    from mamtra_eval import diagnosis, environments

    found = (diagnosis.environment(env.name) for env in environments.created())
    return [check for check in found if check is not None]


def _mini_family() -> Check:
    """Which members of the embedded family lie in the package."""
    from mamtra_eval.systems import _mini_options

    found = [name for name in _mini_options.FOLDERS if _mini_options.is_there(name)]
    if not found:
        fix = "Install the package again."
        return Check("mini family", "broken", "no checkpoint lies in the package", fix)
    return Check("mini family", "ok", f"mini:RATIO with {', '.join(found)}")


def _cuda() -> Check:
    try:
        import torch
    except Exception:  # reported above as broken
        return Check("CUDA", "absent", "torch does not import")
    if not torch.cuda.is_available():
        return Check("CUDA", "absent", "no device: models run on the CPU")
    return Check("CUDA", "ok", torch.cuda.get_device_name())


def _kernels() -> Check:
    """Which kernels a Mamba-2 layer gets by ``auto``; a choice by name is never overruled."""
    try:
        import torch

        from mamtra_eval.models import kernels
    except Exception:  # reported above as broken
        return Check("Mamba-2 kernels", "absent", "torch does not import")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    chosen = kernels.choose("auto", device)
    fix = ""
    if device == "cuda" and isinstance(chosen, kernels.TorchKernels):
        fix = "The fused ones are much faster: pip install 'mamtra-eval[mamba]'"
    return Check("Mamba-2 kernels", "ok", f"{chosen.description} on {device}", fix)
