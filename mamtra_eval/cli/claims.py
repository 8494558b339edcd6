"""``claims``: what was claimed of the architecture and its cost, checked when it is called."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.text import Text

    from mamtra_eval.claims import Checked

WIDTH = 100


def claims(
    run: Annotated[
        Path | None,
        typer.Option(metavar="RUN_DIR", help="A profiled run, for claims of time and memory."),
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="WORD", help="Claims with this word: cache, blog, tflops.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a Markdown table and nothing else.")
    ] = False,
) -> None:
    """Check each claim of the paper and of a popular summary; every verdict is computed."""
    from mamtra_eval.claims import Profiles, check_all
    from mamtra_eval.cli.output import to_json
    from mamtra_eval.errors import UserError

    if as_json and as_markdown:
        raise UserError("--json and --markdown are two forms", fix="Give one of them.")
    profiles = Profiles.of_run(run) if run is not None else None
    found = check_all(profiles, only=only)
    if not found:
        raise UserError(
            f"no claim has {only!r} in its id, topic, words or source",
            fix="Call claims without --only to see them all.",
        )
    if as_json:
        typer.echo(to_json(_document(found)))
    elif as_markdown:
        typer.echo(_markdown(found))
    else:
        _print(found)


def _document(found: list[Checked]) -> dict[str, Any]:
    return {
        "verdicts": dict(_counts(found)),
        "claims": [checked.to_dict() for checked in found],
    }


def _counts(found: list[Checked]) -> list[tuple[str, int]]:
    from mamtra_eval.claims import VERDICTS

    return [(verdict, sum(item.verdict == verdict for item in found)) for verdict in VERDICTS]


def _summary(found: list[Checked]) -> str:
    counted = ", ".join(f"{count} {verdict}" for verdict, count in _counts(found) if count)
    return f"{len(found)} claim{'s' if len(found) > 1 else ''}: {counted}."


def _markdown(found: list[Checked]) -> str:
    lines = [
        "| Claim | Source | How | Our figure | Verdict | What was computed |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for item in found:
        finding, source = item.finding, item.source
        linked = f"[{source.title}]({source.address})" if source.address else source.title
        told = " ".join(filter(None, (finding.told, finding.setup, item.claim.note)))
        cells = (item.claim.text, linked, finding.how, finding.figure, f"**{item.verdict}**", told)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([*lines, "", _summary(found)])


def _print(found: list[Checked]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    topic = ""
    for item in found:
        if item.claim.topic != topic:
            topic = item.claim.topic
            console.print(Text(f"{topic.upper()}\n", style="bold"))
        console.print(_headline(item))
        for line in _wrapped(item.claim.text, width):
            console.print(Text(line, style="italic"))
        for title, text in _parts(item):
            first, *rest = _wrapped(f"{title} {text}", width)
            console.print(Text.assemble((first[: len(title) + 2], "bold"), first[len(title) + 2 :]))
            for line in rest:
                console.print(Text(line))
        console.print()
    for line in _wrapped(_summary(found), width, indent=""):
        console.print(Text(line))


_UNITS = re.compile(r"(?<=\d) (?=(?:%|MB|GB|B|[MGT]FLOP|tokens|h|min|s|ms)\b|%)")


def _wrapped(text: str, width: int, indent: str = "  ") -> list[str]:
    """Lines of a paragraph; no number stands apart from its unit."""
    kept = _UNITS.sub("\N{NO-BREAK SPACE}", text)
    lines = textwrap.wrap(
        kept, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


STYLES = {
    "holds": "green",
    "holds in part": "yellow",
    "does not hold": "red",
    "not explained by the architecture": "red",
    "not checkable here": "dim",
}


def _headline(item: Checked) -> Text:
    from rich.text import Text

    return Text.assemble(
        (item.claim.id, "bold"), ": ", (item.verdict, STYLES[item.verdict]),
        (f"  [{item.finding.how}]", "dim"),
    )  # fmt: skip


def _parts(item: Checked) -> list[tuple[str, str]]:
    """What stands under a claim, each with its title; empty ones are left out."""
    source = " ".join(filter(None, (f"{item.source.title}.", item.source.note, item.claim.note)))
    parts = {
        "Ours:": item.finding.figure if item.finding.figure != "–" else "",
        "Computed:": item.finding.told,
        "What would give it:": item.finding.setup,
        "Source:": source,
    }
    return [(title, text) for title, text in parts.items() if text]
