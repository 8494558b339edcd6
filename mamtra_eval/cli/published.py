"""``published``: what others printed of known systems and test sets, with sources."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mamtra_eval.published import Published

NOTE = (
    "None of it was measured here; each number is of its source's own protocol, and what is not on "
    "record of that is unknown. Where sources disagree, all stand."
)


def published(
    testset: Annotated[
        str | None, typer.Option("--set", help="Of one test set: seed-tts-en.")
    ] = None,
    system: Annotated[str | None, typer.Option(help="Of one system: cosyvoice2.")] = None,
    metric: Annotated[str | None, typer.Option(help="Of one figure: wer.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Show published numbers with their sources: context, not measurements."""
    from dataclasses import asdict

    from mamtra_eval.cli.output import to_json
    from mamtra_eval.published import find_set, registry

    known = registry()
    named = find_set(testset) if testset else None
    _refuse_unknown("test set", named.name if named else testset, known.testsets)
    _refuse_unknown("system", system, known.systems)
    _refuse_unknown("published figure", metric, {number.metric for number in known.numbers})
    found = [
        number
        for number in known.numbers
        if (named is None or number.testset == named.name)
        and system in (None, number.system)
        and metric in (None, number.metric)
    ]
    if as_json:
        typer.echo(to_json([asdict(number) for number in found]))
    elif not found:
        typer.echo("No such number is in the registry: none could be read at its source.")
    else:
        _print(found)


def _refuse_unknown(kind: str, name: str | None, known: Collection[str]) -> None:
    from mamtra_eval.errors import unknown_name

    if name is not None and name not in known:
        raise unknown_name(kind, name, known)


def _print(numbers: list[Published]) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Under the same test set, system and figure, the numbers of all sources.
    order = {key: place for place, key in enumerate(dict.fromkeys(map(_place, numbers)))}
    table = Table(box=None, header_style="bold")
    for title in ("set", "system", "figure"):
        table.add_column(title, no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    for title in ("date", "protocol", "source"):
        table.add_column(title, overflow="fold")
    for number in sorted(numbers, key=lambda number: order[_place(number)]):
        cells = (*_place(number), number.text, number.date or "unknown", _protocol(number))
        table.add_row(*map(Text, cells), Text(number.source))
    # A pipe has no width: nothing is folded there.
    Console(width=None if sys.stdout.isatty() else 250, highlight=False).print(table)
    for note, systems in _notes(numbers).items():
        typer.echo(f"{', '.join(systems)}: {note}")
    typer.echo(NOTE)


def _place(number: Published) -> tuple[str, str, str]:
    return number.testset, number.name, number.metric


def _notes(numbers: list[Published]) -> dict[str, list[str]]:
    """Notes of sources, once each, with the values that they are about."""
    notes: dict[str, list[str]] = {}
    for number in numbers:
        if number.note:
            notes.setdefault(number.note, []).append(f"{number.name} {number.text}")
    return notes


def _protocol(number: Published) -> str:
    """What is on record of how the figure was made."""
    told = number.protocol
    parts = (
        [told.encoder] if number.metric == "similarity"
        else [told.asr, told.normalizer, told.aggregate]
    )  # fmt: skip
    known = [part for part in (told.recipe, *parts) if part]
    return ", ".join(known) or "unknown"
