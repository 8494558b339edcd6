"""``power``: how many utterances and repeats a difference needs, from a run that is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mamtra_eval.metrics import Figure
    from mamtra_eval.sample_size import Need, Question


def power(
    run: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run with a baseline.")],
    figure: Annotated[str, typer.Option(help="A mean of utterances.")] = "wer",
    difference: Annotated[
        float | None,
        typer.Option(help="True difference to be told from zero: points for rates, else the unit."),
    ] = None,
    margin: Annotated[
        float | None, typer.Option(min=0, help="Largest loss allowed, to be shown not exceeded.")
    ] = None,
    loss: Annotated[float, typer.Option(help="True loss then; below the margin.")] = 0.0,
    repeats: Annotated[
        str | None, typer.Option(help="Clips an utterance to answer for; 1,3 if the run has some.")
    ] = None,
    probability: Annotated[
        float, typer.Option("--power", min=0.5, max=0.999, help="Probability of the answer.")
    ] = 0.9,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Say how large a run must be, from how much systems differ from one utterance to the next."""
    from mamtra_eval import results, sample_size
    from mamtra_eval.cli.output import to_json
    from mamtra_eval.reader import RunReader

    with RunReader(run) as store:
        found = results.collect(store)
    unit = next((one for _, one in found.figures if one.name == figure), None)
    scale = 0.01 if unit is not None and unit.unit == "fraction" else 1.0
    question = sample_size.Question(
        None if difference is None else scale * difference,
        None if margin is None else scale * margin,
        scale * loss,
        _numbers(repeats or ("1,3" if found.testset["repeats"] > 1 else "1")),
        probability,
    )
    _check(question)
    needs = sample_size.needs(found, figure, question)
    if as_json:
        typer.echo(to_json(_document(figure, question, needs)))
    elif unit is not None:
        _print(unit, question, needs, once=found.testset["repeats"] == 1)


def _numbers(text: str) -> tuple[int, ...]:
    from mamtra_eval.errors import UserError

    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise UserError(f"--repeats takes whole numbers from 1 on, not {text!r}", fix="Say 1,3,5.")
    return numbers


def _check(question: Question) -> None:
    from mamtra_eval.errors import UserError

    if question.difference == 0:
        raise UserError("a difference of zero is never seen", fix="Ask with --margin instead.")
    if question.margin is not None and question.loss >= question.margin:
        raise UserError(
            "a true loss at or beyond the margin is never told to be within it",
            fix="Give a --loss below the --margin.",
        )


def _print(figure: Figure, question: Question, needs: list[Need], *, once: bool) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from mamtra_eval.report import _format as form

    points = " pt" if figure.unit == "fraction" else ""

    def shown(value: float) -> str:
        return form.amount(figure, value, signed=True).lstrip("+−") + points

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for title in ("system", "utterances", "SD of one", "they show"):
        table.add_column(title, justify="left" if title == "system" else "right", overflow="fold")
    asked = []
    if question.difference is not None:
        asked.append((f"to see {shown(abs(question.difference))}", "to_see"))
    if question.margin is not None:
        asked.append((f"to exclude {shown(question.margin)}", "to_exclude"))
    for repeats in question.repeats:
        for title, _ in asked:
            table.add_column(title + (f", {repeats} clips each" if repeats > 1 else ""),
                             justify="right", overflow="fold")  # fmt: skip
    for need in needs:
        spread = (need.spread.between + need.spread.within) ** 0.5
        sizes = [f"{getattr(size, key):,}" for size in need.sizes for _, key in asked]
        cells = (f"{need.n}", shown(spread), shown(need.seen_here), *sizes)
        table.add_row(Text(need.system), *cells)
    console = Console(highlight=False)
    console.print(Text(f"{figure.title or figure.name}, difference to the baseline; "
                       f"{100 * question.power:g} % power"))  # fmt: skip
    console.print(table)
    if question.margin is not None:
        typer.echo(f"To exclude a loss of {shown(question.margin)} where it is "
                   f"{shown(question.loss)}.")  # fmt: skip
    if once:
        typer.echo(
            "The run has one clip an utterance: what more of them would save is not known, and "
            "sizes for them are upper bounds."
        )


def _document(figure: str, question: Question, needs: list[Need]) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "figure": figure,
        "question": asdict(question),
        "systems": [{**asdict(need), "spread": need.spread._asdict()} for need in needs],
    }
