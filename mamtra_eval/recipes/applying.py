"""A recipe as settings of a run, and where the run differs from it after all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mamtra_eval.recipes import Recipe

Options = dict[str, Any]
SUPPLIED = "supplied"
"""The recogniser of runs of transcripts."""


def asr(recipe: Recipe, language: str, own: Options) -> tuple[Options, list[str]]:
    """Options of the section ``asr``: the recipe's under the user's; and the differences."""
    prescribed = {**recipe.ears(language).options, "normalizer": recipe.rule(language)}
    if own.get("backend") == SUPPLIED:
        prescribed = {"normalizer": prescribed["normalizer"]}
    return _under("asr", "backend", prescribed, own, shared=("normalizer", "resample"))


def speaker(recipe: Recipe, own: Options) -> tuple[Options, list[str]]:
    """Options of the section ``speaker``, likewise."""
    if recipe.speaker is None:
        return own, [f"the speaker encoder is not its own ({recipe.similarity})"]
    return _under("speaker", "encoder", recipe.speaker, own, shared=("resample",))


def _under(
    section: str, plugin: str, prescribed: Mapping[str, Any], own: Options, shared: tuple[str, ...]
) -> tuple[Options, list[str]]:
    """Prescribed options under the user's; of another plugin than the prescribed the shared ones.

    Args:
        section: where they stand in a configuration.
        plugin: the option that names the plugin.
        prescribed: by the recipe.
        own: of the user.
        shared: options that every plugin of the section has.
    """
    kept = dict(prescribed)
    if own.get(plugin, prescribed.get(plugin)) != prescribed.get(plugin):
        kept = {key: value for key, value in prescribed.items() if key in shared}
    merged = {**kept, **own}
    differing = [
        f"{section}.{key} is {merged.get(key, 'its default')}, not {value}"
        for key, value in prescribed.items()
        if (key in merged or key == plugin) and str(merged.get(key)) != str(value)
    ]
    return merged, differing


def notes(recipe: Recipe, differences: list[str]) -> list[str]:
    """What a reader of the run must know: its figure, what it leaves out, where the run differs."""
    missing = {
        "left out": "leave missing clips out without a word",
        "refused": "give no figure where a clip is missing",
    }[recipe.missing]
    found = [
        f"Recipe {recipe.name}: its figure is {recipe.figure}. Its scripts {missing}; here n/N "
        f"says on how many clips a figure rests, and {recipe.figure}_incl_failed counts missing "
        "ones as 100 %."
    ]
    if differences:
        found.append(
            f"Recipe {recipe.name}: {'; '.join(differences)}. These figures are not comparable "
            "with those that others publish of this recipe."
        )
    return found
