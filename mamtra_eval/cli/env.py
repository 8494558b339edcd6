"""``env``: virtual environments for systems whose packages can't live in this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mamtra_eval.environments import Environment

app = typer.Typer(
    no_args_is_help=True, help="Make, list and remove the environments that systems run in."
)

Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
Name = Annotated[str, typer.Argument(help="As the system: cosyvoice2, zonos, llasa.")]


@app.command()
def create(
    name: Name,
    python: Annotated[
        str | None, typer.Option(help="Python to make it with; it must be the lock's release.")
    ] = None,
    torch: Annotated[
        str | None, typer.Option(help="In place of the lock's torch: torch==2.7.1+cpu, say.")
    ] = None,
    recreate: Annotated[
        bool, typer.Option("--recreate", help="Make it anew, though it is there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make an environment of its lock, with venv and pip; one that is complete is left alone."""
    from mamtra_eval.environments import creating

    found, made = creating.create(
        name, python=python, torch=torch, recreate=recreate, say=lambda line: _tell(name, line)
    )
    if as_json:
        _print_json({**_described(found), "made": made})
        return
    done = "is made" if made else "was there, complete, and is left as it is"
    typer.echo(f"The environment {name} {done}: {found.folder} (Python {found.version}).")


@app.command("list")
def listing(as_json: Json = False) -> None:
    """What environments there are, and what can be made."""
    from mamtra_eval import environments

    names = sorted({*environments.locks(), *(env.name for env in environments.created())})
    rows = [_row(name) for name in names]
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        typer.echo(f"{row['name']:<12} {row['state']:<12} {row['about']}".rstrip())


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """How it stands with one: its lock, its folder, its state."""
    from mamtra_eval import environments

    if environments.find(name) is None:
        environments.lock_of(name)  # which explains an unknown name
    row = _row(name)
    if as_json:
        _print_json(row)
        return
    for key, value in row.items():
        if value is not None:
            typer.echo(f"{key}: {value}")
    if fix := _fix(name, str(row["state"])):
        typer.echo(fix)


@app.command()
def remove(name: Name) -> None:
    """Remove one that was made, or what is left of one that was interrupted."""
    from mamtra_eval import environments
    from mamtra_eval.environments import creating

    if creating.remove(name):
        typer.echo(f"The environment {name} is removed.")
        return
    environments.lock_of(name)
    typer.echo(f"The environment {name} is not there: nothing to remove.")


def state_of(name: str) -> str:
    """``created``, ``outdated`` (its lock is another one now), ``interrupted`` or ``absent``.

    And ``at work`` where a process is making or removing it.
    """
    from mamtra_eval import environments
    from mamtra_eval.environments import creating

    if creating.at_work(name):
        return "at work"
    found = environments.find(name)
    if found is None:
        return "interrupted" if environments.begun(name) else "absent"
    return "outdated" if environments.stale(found) else "created"


def _row(name: str) -> dict[str, Any]:
    from mamtra_eval import environments
    from mamtra_eval.environments import lockfiles

    path, found = environments.locks().get(name), environments.find(name)
    lock = lockfiles.read(path) if path else None
    return {
        "name": name,
        "state": state_of(name),
        "about": lock.about if lock else "of a lock that this version does not have",
        "lock": str(path) if path else None,
        "distributions": len(lock.pins) + len(lock.alone) if lock else None,
        "python": found.version if found else lock and lock.python,
        "torch": found.torch if found else None,
        "folder": str(environments.root() / name),
        "created": found.created if found else None,
    }


def _fix(name: str, state: str) -> str:
    again = " --recreate" if state == "outdated" else ""
    return (
        ""
        if state in ("created", "at work")
        else f"Make it with: mamtra-eval env create {name}{again}"
    )


def _described(env: Environment) -> dict[str, Any]:
    return {
        "name": env.name, "folder": str(env.folder), "python": str(env.python),
        "version": env.version, "lock": env.lock_hash, "torch": env.torch, "created": env.created,
    }  # fmt: skip


def _tell(name: str, line: str) -> None:
    typer.echo(f"{name}: {line}", err=True)


def _print_json(value: Any) -> None:  # noqa: ANN401 -- any JSON value
    from mamtra_eval.cli.output import to_json

    typer.echo(to_json(value))
