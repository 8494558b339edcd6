"""What a run follows or adds beyond its own keys: a recipe's options, the recogniser's floor."""

from __future__ import annotations

from dataclasses import replace

from mamtra_eval import recipes, targets
from mamtra_eval.config import DEFAULT_METRICS, RunConfig
from mamtra_eval.errors import MissingExtra
from mamtra_eval.recipes import applying
from mamtra_eval.targets import SystemSpec, is_floor
from mamtra_eval.testset import TestSet

FLOOR = "ground-truth"
"""Name of the system that is the test set's own recordings, where ``floor`` adds it."""


def by_recipe(config: RunConfig, testset: TestSet) -> tuple[RunConfig, list[str]]:
    """The configuration with what its recipe prescribes, and notes for the reader."""
    if config.recipe is None:
        return config, []
    recipe = recipes.find(config.recipe)
    asr, speaker = config.asr, config.speaker
    differences: list[str] = []
    wanted = DEFAULT_METRICS if config.metrics is None else config.metrics
    if "wer" in wanted:
        asr, differences = applying.asr(recipe, testset.language, config.asr)
    if "similarity" in wanted and any(item.prompt_audio for item in testset.utterances):
        speaker, more = applying.speaker(recipe, config.speaker)
        differences += more
    notes = applying.notes(recipe, differences)
    return replace(config, asr=asr, speaker=speaker), notes


def with_floor(
    config: RunConfig, specs: dict[str, SystemSpec], testset: TestSet
) -> tuple[dict[str, SystemSpec], list[str]]:
    """The systems with the test set's own recordings among them, if that was asked for."""
    if not config.floor or any(is_floor(spec.kind, spec.target) for spec in specs.values()):
        return specs, []
    if not any(item.ground_truth for item in testset.utterances):
        return specs, ["There is no floor: the test set has no ground-truth recordings."]
    return {**specs, FLOOR: targets.parse(FLOOR, "recorded")}, []


def recipe_lacks(recipe: str, metric: str, error: MissingExtra) -> MissingExtra:
    """The error for an evaluator that a recipe prescribes and this machine lacks."""
    other = {"wer": "--set asr.backend=NAME", "similarity": "--set speaker.encoder=NAME"}
    instead = (
        f" Or measure with another evaluator ({other[metric]}), which the run then says."
        if metric in other
        else ""
    )
    return MissingExtra(
        f"the recipe {recipe} can't be followed here: {error.what}",
        where=error.where,
        fix=f"{error.fix or ''}{instead}",
    )
