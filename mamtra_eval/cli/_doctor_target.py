"""``doctor TARGET``: one system, what it needs, and a sentence of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from mamtra_eval.diagnosis import Check
    from mamtra_eval.smoke import Smoke


def examine(target: str, *, speak: bool, as_json: bool) -> None:
    """Print the checks, the sentence and the verdict; exit code 1 if anything is wrong."""
    from mamtra_eval import diagnosis, smoke, targets

    [(name, bare)] = targets.name_all([target]).items()
    spec = targets.parse(name, bare)
    checks = diagnosis.of_system(spec)
    if not as_json:
        print_checks(checks)
    hopeless = any(
        check.state in ("absent", "broken") or check[:2] == ("environment", "unusable")
        for check in checks
    )
    made: smoke.Smoke | None = None
    if speak and not hopeless:
        if not as_json:
            typer.echo("speaking a sentence …", err=True)
        made = smoke.speak(spec)
    causes = diagnosis.causes(spec, checks, made) if made else []
    wrong = any(check.state != "ok" for check in checks) or (made is not None and not made.healthy)
    if as_json:
        _print_json(target, checks, made, causes, wrong)
    elif made is not None:
        _print_smoke(made, causes)
    elif speak:
        typer.echo("No sentence was tried: something that it needs is not here.")
    if wrong:
        raise typer.Exit(1)


def print_checks(checks: Sequence[Check]) -> None:
    """A line for each, and one for what mends it."""
    for check in checks:
        typer.echo(f"{check.state:<8} {check.name}: {check.detail}")
        if check.fix:
            typer.echo(f"         {check.fix}")


def _print_smoke(made: Smoke, causes: Sequence[str]) -> None:
    typer.echo(f"asked    {made.text}")
    if made.error is not None:
        typer.echo(f"failed   {made.error}")
    if made.heard is not None:
        rate = f" (WER {100 * made.wer:.0f} %)" if made.wer is not None else ""
        typer.echo(f"heard    {made.heard or 'nothing'}{rate}")
    for problem in made.problems:
        typer.echo(f"problem  {problem}")
    for cause in causes:
        typer.echo(f"perhaps  {cause}")
    if made.healthy:
        lasts = f"{made.duration_s:.2f} s, " if made.duration_s is not None else ""
        typer.echo(f"healthy  {lasts}nothing is wrong with the sentence")


def _print_json(
    target: str, checks: Sequence[Check], made: Smoke | None, causes: Sequence[str], wrong: bool
) -> None:
    from dataclasses import asdict

    from mamtra_eval.cli.output import to_json

    smoke = {**asdict(made), "healthy": made.healthy, "causes": list(causes)} if made else None
    document = {
        "target": target, "checks": [check._asdict() for check in checks], "smoke": smoke,
        "ok": not wrong,
    }  # fmt: skip
    typer.echo(to_json(document))
