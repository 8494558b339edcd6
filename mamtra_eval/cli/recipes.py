"""``recipes``: named evaluation protocols, and what each makes of the same transcripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mamtra_eval.recipes.comparison import Comparison, Outcome

app = typer.Typer(no_args_is_help=True, help="Evaluation protocols of other laboratories.")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
NOTE = (
    "The words were heard by {asr}. Where a recipe prescribes another recogniser (recipes list), "
    "its figure is what its rules make of these transcripts, not that laboratory's number."
)


@app.command("list")
def listing(as_json: AsJson = False) -> None:
    """Show the recipes with what they prescribe."""
    import json
    from dataclasses import asdict

    from mamtra_eval.recipes import RECIPES

    if as_json:
        typer.echo(json.dumps([asdict(recipe) for recipe in RECIPES.values()], indent=2))
        return
    for recipe in RECIPES.values():
        typer.echo(f"{recipe.name}: {recipe.title}")
        typer.echo(
            f"  text rule {recipe.normalizer}, {recipe.aggregate}, missing clips {recipe.missing}\n"
            f"  English: {recipe.english.title}\n  Chinese: {recipe.chinese.title}\n"
            f"  similarity: {recipe.similarity}\n  {recipe.source}"
        )


@app.command("compare")
def compare(
    run: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A folder that evaluate wrote.")],
    most: Annotated[int, typer.Option("--words", min=0, help="Most words shown a recipe.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show the same clips under every recipe, and which words made the difference."""
    from mamtra_eval import results
    from mamtra_eval.cli.output import to_json
    from mamtra_eval.reader import RunReader
    from mamtra_eval.recipes import comparison

    with RunReader(run) as store:
        found = comparison.compare(results.collect(store))
    if as_json:
        typer.echo(to_json(_document(found)))
        return
    _print_rates(found)
    for name, reason in found.unusable.items():
        typer.echo(f"{name} was left out: {reason}", err=True)
    _print_words(found, most)
    typer.echo(NOTE.format(asr=found.asr.partition("|norm:")[0]))


def _print_rates(found: Comparison) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    by_recipe: dict[str, dict[str, str]] = {}
    for outcome in found.outcomes:
        by_recipe.setdefault(outcome.recipe, {})[outcome.system] = _cell(outcome)
    alike: dict[tuple[str, ...], list[str]] = {}  # recipes with the same figures share a column
    for name, cells in by_recipe.items():
        alike.setdefault(tuple(cells.values()), []).append(name)
    table = Table(box=None, header_style="bold")
    table.add_column("system", overflow="fold")
    for names in alike.values():
        table.add_column("\n".join(names), justify="right", overflow="fold")
    for number, system in enumerate(next(iter(by_recipe.values()), {})):
        table.add_row(Text(system), *(column[number] for column in alike))
    Console(highlight=False).print(table)


def _cell(outcome: Outcome) -> str:
    if outcome.estimate is None:
        lines = ["–"]
    else:
        value, low, high = outcome.estimate
        lines = [f"{100 * value:.1f} %"]
        if low is not None and high is not None:
            lines.append(f"{100 * low:.1f}–{100 * high:.1f}")
    return "\n".join([*lines, *(f"{n} {why}" for why, n in outcome.left_out.items())])


def _plain(word: str) -> str:
    """A word as a terminal may show it: what was heard elsewhere can hold anything."""
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in word)
    return shown or "(nothing)"


def _print_words(found: Comparison, most: int) -> None:
    from mamtra_eval.recipes import OFFICIAL
    from mamtra_eval.recipes.comparison import words

    for name in dict.fromkeys(difference.recipe for difference in found.differences):
        own = [difference for difference in found.differences if difference.recipe == name]
        typer.echo(
            f"{name}: {len(own)} clips differ from {OFFICIAL}. Errors more (+) or fewer (-):"
        )
        rows = words(own)
        for word, heard, n in rows[:most]:
            typer.echo(f"  {n:+d}  {_plain(word)} heard as {_plain(heard)}")
        if len(rows) > most:
            typer.echo(f"  … and {len(rows) - most} more (--words N, or --json)")


def _document(found: Comparison) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "asr": found.asr,
        "unusable": found.unusable,
        "outcomes": [
            {**asdict(outcome), "estimate": outcome.estimate and outcome.estimate._asdict()}
            for outcome in found.outcomes
        ],
        "differences": [asdict(difference) for difference in found.differences],
    }
