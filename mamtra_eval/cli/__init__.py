"""The command line: ``mamtra-eval``. These are the only rooms that print.

Exit codes: 0 done, 1 done with more failed clips than allowed, 2 bad input, 3 a bug, 130
interrupted. Bad
input gets one paragraph on standard error; ``--debug`` anywhere adds the traceback.
"""

from __future__ import annotations

import sqlite3
import sys
import traceback
from typing import Annotated

import typer

from mamtra_eval.cli import (
    advise,
    claims,
    compare,
    contamination,
    convert,
    cost,
    distill,
    doctor,
    env,
    evaluate,
    layouts,
    leaderboard,
    listen,
    listing,
    merge,
    power,
    profile,
    published,
    recipes,
    report,
    rescue,
    testsets,
    tradeoff,
    verify,
)

app = typer.Typer(
    name="mamtra-eval",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Evaluate speech synthesis: speak a test set, score it, say what is real.",
)
app.command()(evaluate.evaluate)
app.command()(evaluate.run)
app.command()(report.report)
app.command()(leaderboard.leaderboard)
app.command()(tradeoff.tradeoff)
app.command()(profile.profile)
app.command()(advise.advise)
app.command()(claims.claims)
app.command()(verify.verify)
app.command()(compare.compare)
app.command()(contamination.contamination)
app.command()(merge.merge)
app.command()(rescue.rescue)
app.command("list")(listing.listing)
app.command()(power.power)
app.command()(published.published)
app.command()(doctor.doctor)
app.command()(distill.distill)
app.command("rank-layers")(distill.rank_layers)
app.command()(layouts.layouts)
app.command()(cost.cost)
app.add_typer(env.app, name="env")
app.add_typer(convert.app, name="convert")
app.add_typer(listen.app, name="listen")
app.add_typer(testsets.app, name="testset")
app.add_typer(recipes.app, name="recipes")


def _version(wanted: bool) -> None:
    if wanted:
        from mamtra_eval import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Tracebacks for errors; works behind any command.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point: run the command line and turn errors into exit codes."""
    from mamtra_eval.cli._streams import tolerant
    from mamtra_eval.errors import UserError

    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    sys.stdout, sys.stderr = tolerant(sys.stdout), tolerant(sys.stderr)
    try:
        app([argument for argument in arguments if argument != "--debug"])
    except (UserError, OSError, sqlite3.Error) as error:
        _complain(error, str(error) if isinstance(error, UserError) else _go_on(error), debug)
        sys.exit(2)
    except Exception as error:  # a bug: neither a failed clip (1) nor bad input (2)
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        advice = "Add --debug to see where, and report it."
        _complain(error, f"internal error ({what}). {advice}", debug)
        sys.exit(3)


def _complain(error: Exception, text: str, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)
    sys.stderr.write(f"mamtra-eval: {text}\n")


def _go_on(error: Exception) -> str:
    return f"{' '.join(str(error).split())}. Mend that; the same command goes on from here."
