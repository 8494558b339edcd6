"""What a run is: one structured configuration, from presets, files and ``key=value`` overrides.

``run.yaml`` in a run folder is this configuration, resolved. Unknown keys and wrong types are
refused. Presets are the YAML files of ``mamtra_eval/presets``; a preset or file may leave out
whatever has a default here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from omegaconf import MISSING

from mamtra_eval import catalogue, family, recipes, redaction, registry, structured
from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.family import FamilyConfig

EXECUTORS = ("local", "ray", "slurm")
MAX_TIMEOUT_S = 7 * 86400.0
MAX_RESAMPLES = 1_000_000
MAX_CONTEXT = 1_000_000_000
MODES = ("strict", "fast")
DEFAULT_MARGINS = {"wer": 0.005, "wer_pooled": 0.005, "similarity": 0.01, "utmos": 0.1}
"""Largest losses that still count as none, by figure and in its unit (rates as fractions)."""
DEFAULT_METRICS = ("wer", "similarity", "dnsmos", "health", "failures")


@dataclass
class StatisticsConfig:
    """Intervals: their level, the number of bootstrap resamples and the seed.

    ``method`` is ``percentile``, ``bca`` for skewed rates of few utterances, or ``closed-form``.
    ``unit`` is what is drawn: ``utterance``, ``speaker``, or ``auto``: speakers where the test set
    declares twenty or more.
    """

    level: float = 0.95
    resamples: int = 10000
    seed: int = 0
    method: str = "percentile"
    unit: str = "auto"


@dataclass
class ExecutionConfig:
    """Where the work runs. None of it changes a row.

    ``executor`` is ``local`` (worker processes on this machine), ``ray`` (actors of a Ray cluster
    that is there) or ``slurm`` (an array of jobs, each a shard). ``address`` is the Ray cluster's;
    ``gpus``, ``cpus`` what one worker takes of it. ``slurm`` holds submitit's parameters.
    """

    workers: int | None = None
    """Worker processes; ``null`` for one a core, at most 16; on a cluster, as many as have room."""
    timeout_s: float = 300.0
    """Longest wait for one clip or one reading before its worker is ended, in seconds."""
    tries: int = 2
    """How often a clip or a reading may take its worker down before it is quarantined."""
    give_up: int = 10
    """Clips in a row that took their workers down, after which the rest of them is not tried."""
    golden: bool = True
    """Whether the packaged golden clips are measured before scoring, to see an evaluator change."""
    executor: str = "local"
    address: str | None = None
    gpus: float | None = None
    """Of one Ray worker; ``null`` for one where an evaluator or a system needs it, else none."""
    cpus: float = 1.0
    shards: int | None = None
    slurm: dict[str, Any] = field(default_factory=dict)


@dataclass
class RunConfig:
    """Everything that decides what a run measures.

    ``systems`` maps names to targets as on the command line; ``family`` and ``rivals`` become such
    systems as well (``mamtra_eval.family``); ``family.members.1:3=none`` and ``rivals.zonos=null``
    leave a member and a rival out. ``metrics`` left out means all of the default ones that the
    test set allows. ``asr``, ``speaker``, ``dnsmos``, ``health``,
    ``utmos`` and ``second`` hold options of the evaluators; ``options`` those of metrics from
    elsewhere, by section. ``recipe`` names a published protocol, whose options stand under these.
    ``mode`` is ``strict`` (every clip alone, in single precision; also if left out) or ``fast`` (in
    batches, on a GPU in half precision where an evaluator has it; a sample is measured both ways).
    ``floor`` adds the test set's own recordings, in which what is heard wrong is the recogniser's
    doing. ``margins`` are the largest losses that count as none, by figure; they are declared with
    the first start of a run, before its numbers, and stay. ``context`` is the number of tokens at
    which trade-offs tell caches and FLOP.
    """

    testset: str = MISSING
    family: FamilyConfig | None = None
    rivals: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    systems: dict[str, str] = field(default_factory=dict)
    metrics: list[str] | None = None
    recipe: str | None = None
    mode: str | None = None
    floor: bool = False
    margins: dict[str, float] | None = None
    context: int = 1024
    baseline: str | None = None
    limit: int | None = None
    repeats: int = 1
    seed: int = 0
    asr: dict[str, Any] = field(default_factory=dict)
    speaker: dict[str, Any] = field(default_factory=dict)
    dnsmos: dict[str, Any] = field(default_factory=dict)
    health: dict[str, Any] = field(default_factory=dict)
    utmos: dict[str, Any] = field(default_factory=dict)
    second: dict[str, Any] = field(default_factory=dict)
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
    return build(structured.read_yaml(path, "testset"), overrides, where=str(path))


def build(
    values: dict[str, Any], overrides: Sequence[str] = (), where: str = "configuration"
) -> RunConfig:
    """A checked configuration from plain values and overrides; UserError names what is wrong."""
    family.check_form(values, where)
    _check_overrides(overrides)
    made = _made_by_family(values, where) if overrides else set()
    if made:
        rest = {name: to for name, to in values["systems"].items() if name not in made}
        values = {**values, "systems": rest}
    config = structured.merge(
        RunConfig,
        values,
        [_as_list(override) for override in overrides],
        where,
        {"testset": "Add testset: mini-en.", "family.kind": "Add family.kind=cosyvoice2."},
    )
    config = _with_family(config, where)
    chosen = any(override.startswith("baseline=") for override in overrides)
    if not chosen and config.baseline in made - {*config.systems}:
        config = replace(config, baseline=None)
    _check(config, where)
    return config


def _check_overrides(overrides: Sequence[str]) -> None:
    """UserError for a family or rivals of another form on the command line."""
    for override in overrides:
        if empty := re.fullmatch(r"family\.members\.([^=]+)=\s*", override):
            raise family.no_folder(empty[1], "command line")
    family.check_form(structured.read_overrides(overrides, "command line"), "command line")


def _made_by_family(values: dict[str, Any], where: str) -> set[str]:
    """Names under ``systems`` that are there because of the family and the rivals beside them.

    A run's own ``run.yaml`` has them: where a family is overridden, they follow it.
    """
    keys = ("family", "rivals", "systems")
    if not values.get("systems"):
        return set()
    declared = {"testset": "", **{key: values[key] for key in keys if key in values}}
    try:
        plain = structured.merge(RunConfig, declared, [], where, {})
        found = family.systems(plain.family, plain.rivals, where)
    except UserError:  # which overrides may mend; if not, it comes again
        return set()
    return {name for name, target in found.items() if plain.systems.get(name) == target}


def _with_family(config: RunConfig, where: str) -> RunConfig:
    """The configuration with the family's members and rivals among its systems."""
    try:
        found = family.systems(config.family, config.rivals, where)
    except UserError as error:  # what else is missing should be known at once
        if how := catalogue.how_to_get(config.testset):
            error.fix = f"{error.fix or ''} The test set {config.testset} is not here. {how}"
        raise
    for name, target in found.items():
        if config.systems.get(name, target) != target:
            raise UserError(
                f"two systems are named {name!r}: {config.systems[name]} under systems, and "
                f"{target} of the family or the rivals",
                where=where,
                fix=f"Take systems.{name} out, or give it another name.",
            )
    teacher = family.TEACHER if config.family and family.TEACHER in found else None
    return replace(config, systems={**found, **config.systems}, baseline=config.baseline or teacher)


def _as_list(override: str) -> str:
    """``metrics=wer,health``, as ``--metrics`` takes it, in YAML."""
    key, equals, value = override.partition("=")
    bare = equals and key == "metrics" and not value.startswith(("[", "null"))
    return f"{key}=[{value}]" if bare else override


def literal(text: str) -> str:
    """Text in which ``${…}`` is no interpolation (a command's template, say)."""
    return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + "\\${", text)


def to_yaml(config: RunConfig) -> str:
    """The configuration as it is kept in ``run.yaml``; ``load`` reads it back."""
    plain = to_dict(config)
    for key in ("family", "rivals", "systems"):
        plain[key] = _literal(plain[key])
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def _literal(value: Any) -> Any:  # noqa: ANN401 -- plain values
    if isinstance(value, dict):
        return {key: _literal(inner) for key, inner in value.items()}
    return literal(value) if isinstance(value, str) else value


def to_dict(config: RunConfig) -> dict[str, Any]:
    """The configuration as plain values."""
    return asdict(config)


def _check(config: RunConfig, where: str) -> None:
    if not config.systems:
        raise UserError("no system is named", where=where, fix="Add systems: {name: target}.")
    if not all(isinstance(name, str) for name in config.metrics or []):
        raise UserError("metrics must be a list of names", where=where, fix="Write metrics=[wer].")
    for name in config.systems:
        if not name.strip() or not name.isprintable():
            raise UserError(f"{name!r} is no name for a system", where=where)
    if config.mode is not None and config.mode not in MODES:
        raise UserError(
            f"there is no mode named {config.mode!r}",
            where=where,
            fix=f"Known: {', '.join(MODES)}.",
        )
    for section in ("asr", "speaker", "dnsmos", "health", "utmos", "second", "options"):
        redaction.refuse_fields(getattr(config, section), f"{where}, key {section}")
    if config.recipe is not None:
        recipes.find(config.recipe)
    if config.statistics.resamples > MAX_RESAMPLES:
        raise UserError(f"statistics.resamples must be at most {MAX_RESAMPLES}", where=where)
    if config.context > MAX_CONTEXT:
        raise UserError(f"context must be at most {MAX_CONTEXT:,} tokens", where=where)
    bounds: list[tuple[str, float | None, float]] = [
        ("limit", config.limit, 1),
        ("repeats", config.repeats, 1),
        ("context", config.context, 1),
        ("max_failures", config.max_failures, 0),
        ("execution.workers", config.execution.workers, 1),
        ("execution.tries", config.execution.tries, 1),
        ("execution.give_up", config.execution.give_up, 1),
        ("execution.cpus", config.execution.cpus, 0),
        ("execution.gpus", config.execution.gpus, 0),
        ("execution.shards", config.execution.shards, 1),
        ("statistics.resamples", config.statistics.resamples, 100),
        ("statistics.seed", config.statistics.seed, 0),
    ]
    for key, value, least in bounds:
        if value is not None and value < least:
            raise UserError(f"{key} must be at least {least:g}, not {value:g}", where=where)
    for figure, margin in (config.margins or {}).items():
        if not margin > 0:
            raise UserError(f"margins.{figure} must be above 0, not {margin:g}", where=where)
    if config.execution.executor not in EXECUTORS:
        raise unknown_name("executor", config.execution.executor, EXECUTORS)
    _check_names(config.statistics, where)
    if not 0 < config.statistics.level < 1:
        raise UserError("statistics.level must lie between 0 and 1, e.g. 0.95", where=where)
    if not 0 < config.execution.timeout_s <= MAX_TIMEOUT_S:
        raise UserError(
            f"execution.timeout_s must lie between 0 and {MAX_TIMEOUT_S:g} (seconds)", where=where
        )


def _check_names(statistics: StatisticsConfig, where: str) -> None:
    from mamtra_eval.resampling import METHODS, UNITS  # which loads NumPy

    for key, value, known in (("method", statistics.method, [*METHODS]),
                              ("unit", statistics.unit, [*UNITS])):  # fmt: skip
        if value not in known:
            error = unknown_name(f"{key} of intervals", value, known)
            error.where = f"{where}: statistics.{key}"
            raise error
