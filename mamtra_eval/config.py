"""What a run is: one structured configuration, from presets, files and ``key=value`` overrides.

``run.yaml`` in a run folder is this configuration, resolved. Unknown keys and wrong types are
refused. Presets are the YAML files of ``mamtra_eval/presets``; a preset or file may leave out
whatever has a default here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mamtra_eval import registry
from mamtra_eval.errors import UserError, unknown_name

DEFAULT_METRICS = ("wer", "similarity", "dnsmos", "health")


@dataclass
class StatisticsConfig:
    """Intervals: their level, the number of bootstrap resamples and the seed."""

    level: float = 0.95
    resamples: int = 10000
    seed: int = 0


@dataclass
class ExecutionConfig:
    """Where the work runs. None of it changes a row."""

    workers: int | None = None
    """Worker processes; ``null`` for one a core, at most 16."""
    timeout_s: float = 300.0
    """Longest wait for one clip or one reading before its worker is ended, in seconds."""


@dataclass
class RunConfig:
    """Everything that decides what a run measures.

    ``systems`` maps names to targets as on the command line; ``metrics`` left out means all of
    the default ones that the test set allows. ``asr``, ``speaker``, ``dnsmos`` and ``health``
    hold options of the evaluators; ``options`` those of metrics from elsewhere, by metric.
    """

    testset: str = MISSING
    systems: dict[str, str] = field(default_factory=dict)
    metrics: list[str] | None = None
    baseline: str | None = None
    limit: int | None = None
    repeats: int = 1
    seed: int = 0
    asr: dict[str, Any] = field(default_factory=dict)
    speaker: dict[str, Any] = field(default_factory=dict)
    dnsmos: dict[str, Any] = field(default_factory=dict)
    health: dict[str, Any] = field(default_factory=dict)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    statistics: StatisticsConfig = field(default_factory=StatisticsConfig)
    execution: ExecutionConfig = field(default_factory=ExecutionConfig)
    max_failures: int = 0


def load(name_or_path: str, overrides: Sequence[str] = ()) -> RunConfig:
    """A configuration from a preset's name or a YAML file, with overrides ``key=value``."""
    path = Path(name_or_path)
    if not path.is_file():
        known = registry.presets()
        if name_or_path not in known:
            error = unknown_name("preset", name_or_path, known)
            error.fix = f"{error.fix} Or give the path of a YAML file."
            raise error
        path = known[name_or_path]
    try:
        base = OmegaConf.load(path)
    except Exception as error:
        raise UserError(f"not valid YAML ({error})", where=str(path)) from error
    return build(OmegaConf.to_container(base), overrides, where=str(path))


def build(values: Any, overrides: Sequence[str] = (), where: str = "configuration") -> RunConfig:  # noqa: ANN401
    """A checked configuration from plain values and overrides; UserError names what is wrong."""
    for override in overrides:
        if "=" not in override:
            raise UserError(f"{override!r} is no key=value", fix="Write --set asr.grammar=digits.")
    try:
        merged = OmegaConf.merge(
            OmegaConf.structured(RunConfig), values, OmegaConf.from_dotlist(list(overrides))
        )
        config = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise _explain(error, where) from error
    if not isinstance(config, RunConfig):
        raise UserError("the configuration is no mapping of keys to values", where=where)
    _check(config, where)
    return config


def to_yaml(config: RunConfig) -> str:
    """The configuration as it is kept in ``run.yaml``."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def to_dict(config: RunConfig) -> dict[str, Any]:
    """The configuration as plain values."""
    plain = OmegaConf.to_container(OmegaConf.structured(config))
    return {str(key): value for key, value in plain.items()} if isinstance(plain, dict) else {}


def _explain(error: OmegaConfBaseException, where: str) -> UserError:
    key = str(error.full_key or "")
    if "not in" in str(error) and key:
        unknown = unknown_name("key", key, OmegaConf.structured(RunConfig).keys())
        return UserError(unknown.what, where=where, fix=unknown.fix)
    first = str(error).partition("\n")[0]
    return UserError(first, where=f"{where}, key {key}" if key else where)


def _check(config: RunConfig, where: str) -> None:
    if OmegaConf.is_missing(OmegaConf.structured(config), "testset"):
        raise UserError("no test set is named", where=where, fix="Add testset: mini-en.")
    if not config.systems:
        raise UserError("no system is named", where=where, fix="Add systems: {name: target}.")
    bounds: list[tuple[str, float | None, float]] = [
        ("limit", config.limit, 1),
        ("repeats", config.repeats, 1),
        ("max_failures", config.max_failures, 0),
        ("execution.workers", config.execution.workers, 1),
        ("statistics.resamples", config.statistics.resamples, 100),
    ]
    for key, value, least in bounds:
        if value is not None and value < least:
            raise UserError(f"{key} must be at least {least:g}, not {value:g}", where=where)
    if not 0 < config.statistics.level < 1:
        raise UserError("statistics.level must lie between 0 and 1, e.g. 0.95", where=where)
    if config.execution.timeout_s <= 0:
        raise UserError("execution.timeout_s must be positive", where=where)
