"""A recipe as settings of a run, and where the run differs from it after all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mamtra_eval import devices
from mamtra_eval.recipes import Recipe

Options = dict[str, Any]
SUPPLIED = "supplied"
"""The recogniser of runs of transcripts."""
NEUTRAL = {"device", "weights", "cache", "savedir"}
"""Options that say where something lies or runs, and not what is measured."""
SHARED = {"asr": ("normalizer", "resample"), "speaker": ("resample",)}
"""Options that every plugin of a section has."""
PLUGIN = {"asr": "backend", "speaker": "encoder"}
"""The option that names a section's plugin."""


def prescribed(recipe: Recipe, section: str, language: str, own: Mapping[str, Any]) -> Options:
    """What a recipe has for a section; of a run of transcripts the text rule alone."""
    if section == "speaker":
        return dict(recipe.speaker)
    rule = {"normalizer": recipe.rule(language)}
    return rule if own.get("backend") == SUPPLIED else {**recipe.ears(language).options, **rule}


def under(section: str, wanted: Mapping[str, Any], own: Mapping[str, Any]) -> Options:
    """Prescribed options under the user's; under another plugin's, those that all have."""
    plugin = PLUGIN[section]
    kept = dict(wanted)
    if own.get(plugin, wanted.get(plugin)) != wanted.get(plugin):
        kept = {key: value for key, value in wanted.items() if key in SHARED[section]}
    return {**kept, **own}


def differences(
    recipe: Recipe,
    section: str,
    language: str,
    measured: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> list[str]:
    """Where what is measured is not what the recipe has.

    Args:
        recipe: that is followed.
        section: ``asr`` or ``speaker``.
        language: of the test set.
        measured: the metric's own options.
        defaults: of the plugin that is measured with.
    """
    wanted, plugin = prescribed(recipe, section, language, measured), PLUGIN[section]
    if measured.get(plugin) != wanted.get(plugin):
        wanted = {key: wanted[key] for key in (plugin, *SHARED[section]) if key in wanted}
        others: list[str] = []
    else:
        others = [
            key
            for key, value in measured.items()
            if key not in {*wanted, *NEUTRAL} and str(value) != str(defaults.get(key))
        ]
        if measured.get("method") == "transcribe":  # which takes no batches
            others = [key for key in others if key != "batch_size"]
    found = [
        f"{section}.{key} is {measured.get(key, 'its default')}, not {value}"
        for key, value in wanted.items()
        if _resolved(key, measured.get(key), measured) != _resolved(key, value, measured)
    ]
    found += [f"{section}.{key} is {measured[key]}" for key in others]
    remark = recipe.ears(language).remark
    if section == "asr" and remark and measured.get(plugin) == wanted.get(plugin):
        found.append(remark)
    return found


def _resolved(key: str, value: object, measured: Mapping[str, Any]) -> str:
    """An option's value as text; ``auto`` as what it is on this machine."""
    if key == "precision" and value is not None:
        return devices.resolve_precision(str(value), measured.get("device"))
    return str(value)


def figure_note(recipe: Recipe) -> str:
    """Which figure is the recipe's, and what it leaves out."""
    missing = {
        "left out": "leave missing clips out without a word",
        "refused": "give no figure where a clip is missing",
    }[recipe.missing]
    return (
        f"Recipe {recipe.name}: its figure is {recipe.figure}. Its scripts {missing}; here n/N "
        f"says on how many clips a figure rests, and {recipe.figure}_incl_failed counts missing "
        "ones as 100 %."
    )


def differences_note(recipe: Recipe, found: list[str]) -> str:
    """Where the run differs."""
    return (
        f"Recipe {recipe.name}: {'; '.join(found)}. These figures are not comparable with those "
        "that others publish of this recipe."
    )
