"""What a run follows or adds beyond its own keys: a recipe's options, the recogniser's floor."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from mamtra_eval import recipes, registry, targets
from mamtra_eval.config import RunConfig
from mamtra_eval.errors import MissingExtra, UserError
from mamtra_eval.recipes import applying
from mamtra_eval.targets import SystemSpec, is_floor
from mamtra_eval.testset import TestSet

TRANSCRIPTS = "transcripts"
"""The system that is texts, and not speech."""
STRICT = {"precision": "fp32", "batch_size": 1, "compute_type": "float32"}
"""Options of evaluators that take every clip alone and in single precision."""
FLOOR = "ground-truth"
"""Name of the system that is the test set's own recordings, where ``floor`` adds it."""


def by_recipe(config: RunConfig, testset: TestSet, metrics: Collection[str]) -> RunConfig:
    """The configuration with what its recipe prescribes for the metrics of the run."""
    if config.recipe is None:
        return config
    recipe = recipes.find(config.recipe)
    changed: dict[str, Any] = {}
    for section in sections(testset, metrics):
        own = getattr(config, section)
        wanted = applying.prescribed(recipe, section, testset.language, own)
        if config.mode == "fast":  # asked for: what makes it strict gives way
            wanted = {key: value for key, value in wanted.items() if STRICT.get(key) != value}
        changed[section] = applying.under(section, wanted, own)
    return replace(config, **changed)


def sections(testset: TestSet, metrics: Collection[str]) -> dict[str, str]:
    """Sections of the configuration that recipes speak of, with their metrics, if measured."""
    found = {"asr": "wer"} if "wer" in metrics else {}
    if "similarity" in metrics and any(item.prompt_audio for item in testset.utterances):
        found["speaker"] = "similarity"
    return found


def recipe_notes(
    config: RunConfig, testset: TestSet, options: Mapping[str, Mapping[str, Any]]
) -> list[tuple[str, str]]:
    """What a reader must know of a recipe, with the metric that it concerns.

    Args:
        config: that names the recipe.
        testset: of the run.
        options: by metric, those that are measured with.
    """
    if config.recipe is None:
        return []
    recipe = recipes.find(config.recipe)
    found = [("wer", applying.figure_note(recipe))] if "wer" in options else []
    for section, metric in sections(testset, options).items():
        defaults = registry.load("metrics", metric).defaults(options[metric])
        differing = applying.differences(
            recipe, section, testset.language, options[metric], defaults
        )
        if differing:
            found.append((metric, applying.differences_note(recipe, differing)))
    return found


def with_floor(
    config: RunConfig, specs: dict[str, SystemSpec], testset: TestSet
) -> tuple[dict[str, SystemSpec], list[tuple[str, str]]]:
    """The systems with the test set's own recordings among them, if that was asked for."""
    if not config.floor or any(is_floor(spec.kind, spec.target) for spec in specs.values()):
        return specs, []
    if FLOOR in specs:
        raise UserError(
            f"{FLOOR} is the name of the floor, and here of {specs[FLOOR].target}",
            fix="Give that system another name, or leave --floor out.",
        )
    if any(spec.kind == TRANSCRIPTS for spec in specs.values()):
        return specs, [("", "There is no floor: transcripts are compared, and nothing is heard.")]
    if not any(item.ground_truth for item in testset.utterances):
        note = "There is no floor: the test set has no ground-truth recordings."
        return specs, [("", note)]
    return {**specs, FLOOR: targets.parse(FLOOR, "recorded")}, []


def recipe_lacks(recipe: str, metric: str, error: UserError) -> MissingExtra:
    """The error for an evaluator that a recipe prescribes and this machine lacks."""
    fix = [f"{error.fix.rstrip('.')}."] if error.fix else []
    other = {"wer": "--set asr.backend=NAME", "similarity": "--set speaker.encoder=NAME"}
    if metric in other:
        fix.append(f"Or measure with another ({other[metric]}), which the run then says.")
    return MissingExtra(
        f"the recipe {recipe} can't be followed here: {error.what}",
        where=error.where,
        fix=" ".join(fix),
    )
