"""``list``: what there is, without loading any of it."""

from __future__ import annotations

from typing import Annotated

import typer

MORE = ("testsets", "presets")


def listing(
    what: Annotated[
        str, typer.Argument(help="systems, metrics, testsets, presets, asr, speakers, …")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """List plugins, test sets and presets without loading any."""
    import json

    from mamtra_eval import registry
    from mamtra_eval.errors import unknown_name

    known = (*registry.KINDS, *MORE)
    if what and what not in known:
        raise unknown_name("list", what, known)
    found = {kind: _rows(kind) for kind in ([what] if what else known)}
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for kind, rows in found.items():
        typer.echo(f"{kind}:")
        width = max((len(row["name"]) for row in rows), default=0)
        for row in rows:
            missing = f"  (missing: {row['missing']})" if row["missing"] else ""
            typer.echo(f"  {row['name']:<{width}}  {row['summary']}{missing}")


def _rows(kind: str) -> list[dict[str, str]]:
    from mamtra_eval import registry

    if kind == "testsets":
        from mamtra_eval import catalogue

        return [
            {
                "name": name,
                "summary": f"{entry.n or '?'} utterances, {entry.language}",
                "missing": "",
            }
            for name, entry in sorted(catalogue.entries().items())
        ]
    if kind == "presets":
        presets = registry.presets()
        return [
            {"name": name, "summary": _comment(path), "missing": ""}
            for name, path in presets.items()
        ]
    return [
        {"name": name, "summary": plugin.summary, "missing": ", ".join(plugin.missing())}
        for name, plugin in registry.plugins(kind).items()
    ]


def _comment(path: object) -> str:
    from pathlib import Path

    first = Path(str(path)).read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#").strip().rstrip(".")
