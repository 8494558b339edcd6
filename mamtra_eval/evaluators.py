"""The metrics of a run: which, with what options, and whether they can work here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mamtra_eval import protocol, registry
from mamtra_eval.config import DEFAULT_METRICS, RunConfig, to_dict
from mamtra_eval.errors import MissingExtra, UserError
from mamtra_eval.metrics import Metric, wer
from mamtra_eval.testset import TestSet

SECTIONS = ("asr", "speaker", "dnsmos", "health", "utmos", "second")
"""Sections of the configuration that hold options of packaged metrics."""
SECOND_OPINION = ("second_wer", "opinion")
"""Metrics of a run that names a second recogniser."""


def choose(
    config: RunConfig, testset: TestSet
) -> tuple[dict[str, Metric], dict[str, dict[str, Any]], list[tuple[str, str]]]:
    """Metrics by name, their options, and a note for each default one that was left out."""
    metrics: dict[str, Metric] = {}
    options: dict[str, dict[str, Any]] = {}
    notes: list[tuple[str, str]] = []
    for name in names(config):
        found = options_of(name, config, testset)
        metric: Metric = registry.create("metrics", name, found)
        try:
            _check_sources(metric, metrics)
            metric.check(testset)
            metric.signature()  # so that what is not installed shows before anything is made
        except UserError as error:
            if config.recipe and (config.metrics or isinstance(error, MissingExtra)):
                raise protocol.recipe_lacks(config.recipe, name, error) from error
            # A default metric may give way, but not what was chosen for it by name.
            if config.metrics or isinstance(error, MissingExtra):
                raise
            notes.append((name, f"{name} was left out: {error}"))
            continue
        metrics[name], options[name] = metric, found
    _check_options(config, metrics)
    if not metrics:
        raise UserError(
            "no metric is left to take",
            fix=" ".join(note for _, note in notes) or "Name one: --metrics wer.",
        )
    return metrics, options, notes


def names(config: RunConfig) -> list[str]:
    """The metrics asked for, each behind those that it is worked out from."""
    wanted = config.metrics
    if wanted is None:
        wanted = [*DEFAULT_METRICS, *(SECOND_OPINION if config.second else ())]
    found: dict[str, None] = {}
    for name in wanted:
        if config.metrics is not None and name in registry.plugins("metrics"):
            found |= dict.fromkeys(getattr(registry.load("metrics", name), "SOURCES", ()))
        found[name] = None
    return [*found]


def _check_sources(metric: Metric, there: Mapping[str, Metric]) -> None:
    if lacking := [name for name in metric.sources if name not in there]:
        raise UserError(
            f"it is worked out from {' and '.join(metric.sources)}, and {lacking[0]} isn't measured"
        )


def _check_options(config: RunConfig, metrics: dict[str, Metric]) -> None:
    """UserError for options that no metric of the run reads."""
    configured = to_dict(config)
    read = sorted({_section(name) for name in metrics})
    given = [section for section in SECTIONS if configured[section]]
    for section in [*given, *configured["options"]]:
        if section not in read:
            raise UserError(
                f"no metric of this run reads the options under {section!r}",
                fix=f"They would change nothing: leave them out. Read are: {', '.join(read)}.",
            )


def _section(name: str) -> str:
    """Where a metric's options stand in a configuration."""
    return str(getattr(registry.load("metrics", name), "OPTION_SECTION", name))


def options_of(name: str, config: RunConfig, testset: TestSet) -> dict[str, Any]:
    """Options of a metric: the fast mode's, under the test set's, under the configuration's."""
    section = _section(name)
    configured = to_dict(config)
    own = configured[section] if section in SECTIONS else configured["options"].get(section, {})
    given = testset.options.get(section, {})
    meant = given.get("backend", wer.DEFAULT_BACKEND)
    if own.get("backend", meant) != meant:  # a test set's grammar is for one recogniser
        given = {key: value for key, value in given.items() if key == "normalizer"}
    found = {**given, **own}
    if section == "second":  # two opinions of one text: both by one rule
        rule = options_of("wer", config, testset).get("normalizer")
        found = {**({"normalizer": rule} if rule else {}), **found}
    if config.mode == "fast":
        faster = getattr(registry.load("metrics", name), "fast", None)
        found = {**(faster(found) if faster else {}), **found}
    return found


def strict(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A metric's options with every clip alone and in single precision; the same if they are."""
    module = registry.load("metrics", name)
    known = module.defaults(options) if hasattr(module, "defaults") else {}
    changed = {
        key: value
        for key, value in protocol.STRICT.items()
        if key in known and str(options.get(key, known[key])) != str(value)
    }
    found = {**options, **changed}
    if changed and _signature(name, found) == _signature(name, options):
        return dict(options)  # "auto" on a CPU, a batch where none is taken
    return found


def _signature(name: str, options: Mapping[str, Any]) -> str:
    metric: Metric = registry.create("metrics", name, options)
    return metric.signature()
