"""``compare``: may two runs be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run.")],
    second: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Another.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """List what differs between two runs; exit code 1 if it forbids a comparison."""
    from dataclasses import asdict

    from mamtra_eval import comparable, rundata
    from mamtra_eval.cli.output import to_json
    from mamtra_eval.reader import RunReader

    data = []
    for run in (first, second):
        with RunReader(run) as store:
            data.append(rundata.read(store))
    found = comparable.reasons(*data)
    good = comparable.comparable(found)
    if as_json:
        reasons = [asdict(one) for one in found]
        runs = [str(first), str(second)]
        typer.echo(to_json({"runs": runs, "comparable": good, "reasons": reasons}))
    else:
        for one in found:
            typer.echo(f"{one.severity}: {one}")
        cautions = " with caution" if found else ""
        typer.echo(f"Comparable{cautions}." if good else "Not comparable.")
    if not good:
        raise typer.Exit(1)
