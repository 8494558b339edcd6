"""Advice as text and as Markdown, from its document (``advisor.advising.document``)."""

from __future__ import annotations

import textwrap
from typing import Any

from mamtra_eval.advisor import cards
from mamtra_eval.advisor.units import GIB

WIDTH = 96
COLUMNS = ("variant", "verdict", "takes, GiB", "may take", "binds", "streams", "WER")
SHOWN_FLIPS = 3


def text(document: dict[str, Any]) -> str:
    """The advice for a terminal."""
    rows = [COLUMNS, *(_row(variant) for variant in document["variants"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    table = [
        "  ".join(_padded(cell, width, column) for column, (cell, width) in
                  enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]  # fmt: skip
    sections = [
        "\n".join([*_wrapped(_title(document)), "", *table]),
        "\n".join(_wrapped(_recommendation(document))),
        *("\n".join(_wrapped(line, "  ")) for line in _reasons(document)),
        "\n".join(
            line
            for number, decision in enumerate(document["decisions"], 1)
            for line in _wrapped(f"{number}. {decision['question']} {decision['answer']}", "   ")
        ),
        "\n".join(line for note in document["notes"] for line in _wrapped(f"- {note}", "  ")),
    ]
    return "\n\n".join(section for section in sections if section)


def markdown(document: dict[str, Any]) -> str:
    """The advice as a Markdown document."""
    table = [
        "| " + " | ".join(COLUMNS) + " |",
        "|---|---|---:|---:|---|---:|---|",
        *("| " + " | ".join(map(_escaped, _row(v))) + " |" for v in document["variants"]),
    ]
    decisions = [
        f"{number}. **{decision['question']}** {_escaped(decision['answer'])}"
        for number, decision in enumerate(document["decisions"], 1)
    ]
    first = document["variants"][0]
    terms = [
        f"| {_escaped(term['name'])} | {_interval(term['gib'], 3)} | {term['tag']} | "
        f"{_escaped(term['why'])} |"
        for term in first["terms"]
    ]
    lines = [
        f"# {_escaped(_title(document))}", "", *table, "",
        f"**{_escaped(_recommendation(document))}**", "",
        *(f"- {_escaped(line)}" for line in _reasons(document)), "",
        "## Decisions", "", *decisions, "",
        f"## What takes memory: {_escaped(first['name'])}", "",
        "| term | GiB | from | why |", "|---|---:|---|---|", *terms, "",
        "## Notes", "", *(f"- {_escaped(note)}" for note in document["notes"]),
    ]  # fmt: skip
    return "\n".join(lines)


def card_list() -> list[dict[str, Any]]:
    """The card table as a JSON-able document."""
    return [
        {
            "name": card.name,
            "usable_gib": [card.low / GIB, card.high / GIB],
            "bandwidth_gb_s": card.bandwidth / 1e9 if card.bandwidth else None,
            "source": card.source,
            "bandwidth_source": card.bandwidth_source or None,
        }
        for card in cards.table().values()
    ]


def card_table() -> str:
    """The card table for a terminal."""
    rows = [
        (
            card["name"],
            _interval(card["usable_gib"], 2),
            f"{card['bandwidth_gb_s']:,.0f}" if card["bandwidth_gb_s"] else "–",
            card["source"],
        )
        for card in card_list()
    ]
    rows.insert(0, ("card", "usable, GiB", "GB/s", "capacity from"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{name:<{widths[0]}}  {usable:>{widths[1]}}  {speed:>{widths[2]}}  {source}"
        for name, usable, speed, source in rows
    )


def _title(document: dict[str, Any]) -> str:
    gpu, load = document["gpu"], document["load"]
    capacity = f"{_interval(gpu['capacity_gib'], 2)} GiB"
    beside = ", ".join(f"{name} {size:.2f} GiB" for name, size in load["residents"].items())
    beside = f" beside {beside}" if beside else ""
    named = gpu["name"] if gpu["name"].endswith("GiB") else f"{gpu['name']} ({capacity})"
    return (
        f"{named}, of which {gpu['usable_gib']:.2f} GiB may be taken; "
        f"{load['streams']:,} x {load['context']:,} tokens{beside}"
    )


def _recommendation(document: dict[str, Any]) -> str:
    name = document["recommended"]
    return f"{f'Recommended: {name}' if name else 'No recommendation'}: {document['why']}."


def _reasons(document: dict[str, Any]) -> list[str]:
    """One paragraph for variants that agree in what is said of them."""
    said: dict[str, list[str]] = {}
    for variant in document["variants"]:
        said.setdefault(_reason(variant), []).append(variant["name"])
    return [f"{', '.join(names)}: {reason}" for reason, names in said.items()]


def _reason(variant: dict[str, Any]) -> str:
    tags = {term["name"]: term["tag"] for term in variant["terms"]}
    largest = ", ".join(f"{name} ({tags[name]})" for name in variant["largest"])
    parts = [f"largest terms {largest}."]
    if variant["rests_on_defaults"]:
        parts.append(
            f"No verdict: it would rest on defaults ({variant['default_share']:.0%} of the total); "
            "measure with mamtra-eval profile … --device cuda."
        )
    if variant["outside_measured"]:
        parts.append("Outside of what was measured: a bound only, never a fit.")
    if variant["binding"] == "latency":
        parts.append(f"Latency binds: {variant['latency']['why']}.")
    if variant["binding"] == "quality":
        parts.append(f"Quality binds: {variant['quality']['why']}.")
    if variant["flips"]:
        flips = [f"{f['change']} ({f['verdict']})" for f in variant["flips"][:SHOWN_FLIPS]]
        parts.append(f"Smallest changes that help: {'; '.join(flips)}.")
    elif variant["verdict"] != "fits":
        parts.append("No single change here helps.")
    return " ".join(parts)


def _row(variant: dict[str, Any]) -> tuple[str, ...]:
    quality = variant["quality"]
    loss = quality["difference_points"]
    told = f" {loss[1]:+.2f} ({quality['source']})" if loss else ""
    most = variant["max_streams"]
    sign = "≥" if variant["measured_out"] and most == variant["memory_streams"] else "≤"
    return (
        variant["name"],
        variant["verdict"],
        _interval(variant["total_gib"], 2),
        f"{variant['usable_gib']:.2f}",
        variant["binding"],
        "–" if most is None else f"{sign} {most:,}",
        quality["verdict"] + told,
    )


def _padded(cell: str, width: int, column: int) -> str:
    return f"{cell:>{width}}" if column in (2, 3, 5) else f"{cell:<{width}}"


def _interval(ends: list[float], digits: int) -> str:
    low, high = (f"{end:,.{digits}f}" for end in ends)
    return low if low == high else f"{low}–{high}"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("<", "&lt;")


def _wrapped(line: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
