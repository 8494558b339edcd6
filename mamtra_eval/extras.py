"""Packages that only some installations have, and an explanation where one is absent or broken.

A wheel can be broken in more ways than ``ImportError``: torchaudio raises ``OSError`` beside a
torch without CUDA, others ``AttributeError`` beside a newer neighbour. All become ``MissingExtra``,
with the cause at the root of the chain, the package in which it arose, and what mends it.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import NamedTuple

from mamtra_eval.errors import MissingExtra

CUDA_WORDS = ("cuda", "cudnn", "cublas", "cufft", "nvrtc", "nccl", "libnv")
CARRIERS = ("importlib", "ctypes", "torch", "mamtra_eval")
"""Packages that load others: an error in them is told of the one that called them."""


class _Failure(NamedTuple):
    """What an import failed of: the root of the chain, and the package where it arose."""

    cause: BaseException
    culprit: str
    message: str


def import_extra(module: str, feature: str, package: str, extra: str) -> ModuleType:
    """Import a module of an optional package; MissingExtra if that does not work.

    Args:
        module: to import, ``speechbrain.inference.speaker``.
        feature: what needs it, for the error: ``the speaker encoder speechbrain``.
        package: as it is called when installed, ``openai-whisper``.
        extra: of this distribution, which brings it.
    """
    try:
        return import_module(module)
    except Exception as error:  # a broken wheel raises anything
        raise _missing(error, module, feature, package, extra) from error


def extra_version(feature: str, package: str, extra: str) -> str:
    """The installed version, without importing anything; MissingExtra if there is none."""
    try:
        return version(package)
    except PackageNotFoundError as error:
        raise _missing(error, package, feature, package, extra) from error


def _missing(
    error: BaseException, module: str, feature: str, package: str, extra: str
) -> MissingExtra:
    failure = _trace(error)
    install = f"pip install 'mamtra-eval[{extra}]'"
    if getattr(failure.cause, "name", None) == module.partition(".")[0]:
        what = f"{feature} needs the package {package}, which is not installed"
        return MissingExtra(what, fix=f"Install it with: {install}")
    where = f"{failure.culprit}: " if failure.culprit else ""
    return MissingExtra(
        f"{feature} needs the package {package}, which is installed but does not import "
        f"({where}{type(failure.cause).__name__}: {failure.message})",
        fix=_fix(failure, package, install),
    )


def _fix(failure: _Failure, package: str, install: str) -> str:
    culprit = failure.culprit or package
    message = failure.message.lower()
    if isinstance(failure.cause, ModuleNotFoundError):
        return f"Install what is missing with: {install.replace('install', 'install --upgrade', 1)}"
    if isinstance(failure.cause, OSError) and any(word in message for word in CUDA_WORDS):
        return (
            f"The wheel of {culprit} is built for CUDA: install the CUDA build of torch, or the "
            f"build of {culprit} that belongs to the torch that is here."
        )
    if "undefined symbol" in message:
        return f"Install the release of {culprit} that belongs to the torch that is here."
    if "cannot open shared object file" in message:
        return f"Install the system library that {culprit} looks for."
    return f"Install it again: {install.replace('install', 'install --force-reinstall', 1)}"


def _trace(error: BaseException) -> _Failure:
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    culprit, trace = "", error.__traceback__
    while trace is not None:
        package = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if package and package not in CARRIERS:
            culprit = package
        trace = trace.tb_next
    message = str(cause).strip().partition("\n")[0]
    return _Failure(cause, culprit, message)
