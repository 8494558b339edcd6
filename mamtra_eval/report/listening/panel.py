"""Sections on who and what was asked: flow of sessions, raters, items, places in a session."""

from __future__ import annotations

from mamtra_eval.listening.analysis.analysing import Analysis
from mamtra_eval.listening.analysis.raters import RaterFigures
from mamtra_eval.report.listening import charts, words
from mamtra_eval.report.listening.markup import Child, Markup, tag
from mamtra_eval.report.listening.parts import (
    Column,
    bullets,
    card,
    note,
    pill,
    reasons,
    section,
    table,
)

SHADES_OF_HEAT = 8
MOST_ROWS = 14
"""Rows from which on a table scrolls inside its frame."""
_SHORT = 14
"""Characters of a rater's hash that are shown."""


def flow(analysis: Analysis) -> Markup:
    """What was received, fell away, and stayed."""
    found = analysis.flow
    dropped = sum(found.dropped.values())
    steps: list[Child] = [
        _step("Received", words.many(found.sessions_received, "session"),
              f"{words.many(found.raters_received, 'rater')}, "
              f"{words.many(found.votes_received, 'vote')}"),
        _step("Dropped by the rules", words.many(dropped, "session"),
              bullets([f"{rule}: {count}" for rule, count in found.dropped.items()])
              if dropped else "none", "aside"),
        _step("Kept", words.many(found.sessions_kept, "session"),
              f"{words.many(found.raters_kept, 'rater')}; {found.flagged} flagged"),
        _step("Single votes dropped", words.many(found.votes_dropped_singly, "vote"),
              f"{words.many(found.votes_dropped_with_sessions, 'vote')} went with sessions",
              "aside"),
        _step("Analysed", words.many(found.votes_kept, "vote"),
              f"of {words.many(analysis.power.items, 'item')}"),
    ]  # fmt: skip
    refused = sum(found.refused.values())
    return section(
        "flow",
        "From sessions to votes",
        tag("ol", steps, class_="flow"),
        note(
            f"{words.many(found.incomplete, 'session')} not brought to the end. Sessions are "
            "counted under their first reason. By source: "
            + (", ".join(f"{name} {count}" for name, count in found.sources.items()) or "none")
            + "."
        ),
        card(f"{words.many(refused, 'row')} of files refused",
             bullets([f"{why}: {count}" for why, count in found.refused.items()], "reasons"))
        if refused else None,
        caption=_rules_caption(analysis),
    )  # fmt: skip


def raters(analysis: Analysis) -> Markup:
    """One row a rater."""
    columns = [
        Column("Rater", number=False), Column("Counts", number=False), Column("Votes"),
        Column("Mean"), Column("SD"), Column("r", hint="with the others"), Column("Gold"),
        Column("Traps"), Column("Repeats", hint="steps apart"), Column("Seconds", hint="median"),
        Column("Remarks", number=False),
    ]  # fmt: skip
    rows: list[tuple[Child, list[Child]]] = [
        (tag("code", one.rater[:_SHORT]), _rater(analysis, one)) for one in analysis.raters
    ]
    return section(
        "raters",
        "Raters",
        table("Every rater", columns, rows, high=len(rows) > MOST_ROWS)
        if rows else tag("p", "No sessions.", class_="notice"),
        note(
            "Means and spreads of all sessions of a rater, as given. r: of the rater's first "
            "session that counts (or the first, where none does), with the other raters who "
            "count, as screening has it. A low r is looked at, never a reason to drop: a panel "
            "chosen by agreement agrees by construction."
        ),
        caption="Names are salted hashes",
    )  # fmt: skip


def items(analysis: Analysis) -> Markup:
    """Means by item and system, or by item and pair."""
    systems = [one.name for one in analysis.ranking] or list(
        dict.fromkeys(one.system for one in analysis.cells)
    )
    known = {(one.item, one.system): one for one in analysis.cells}
    values = [one.mean for one in analysis.cells]
    low, high = min(values, default=0.0), max(values, default=1.0)
    rows: list[tuple[Child, list[Child]]] = []
    for item in dict.fromkeys(one.item for one in analysis.cells):
        cells: list[Child] = []
        for system in systems:
            cell = known.get((item, system))
            if cell is None:
                cells.append(tag("td", words.DASH, class_="n muted"))
                continue
            share = 0.5 if high == low else (cell.mean - low) / (high - low)
            shade = f"n heat-{round(share * SHADES_OF_HEAT)}"
            cells.append(tag("td", words.number(analysis, cell.mean), class_=shade,
                             title=words.many(cell.votes, "vote")))  # fmt: skip
        rows.append((item, cells))
    columns = [Column("Item", number=False), *(Column(name) for name in systems)]
    return section(
        "items",
        "Items",
        table("Mean of every item", columns, rows, high=len(rows) > MOST_ROWS,
              class_="figures heat")
        if rows else tag("p", "Not defined: no votes.", class_="notice"),
        note("The stronger the shade, the higher the mean. Single cells rest on few votes: read "
             "rows and columns, not cells."
             + (" Of pairs: as given, not corrected for order." if analysis.comparisons else "")),
        caption="Mean by sentence; of pairs the advantage of the first over the second",
    )  # fmt: skip


def places(analysis: Analysis) -> Markup:
    """Residuals by position, and by list."""
    found = analysis.places
    body: list[Child] = []
    if found.positions:
        points = [(one.name, one.residual) for one in found.positions]
        axis = charts.nice_axis([value for _, value in points], 0.0)
        label = "Mean residual by position: " + ", ".join(
            f"{name} {words.number(analysis, value, signed=True)}" for name, value in points
        )
        body.append(tag("div", charts.curve(points, axis, label), class_="plot"))
    body.append(reasons(found.reasons))
    if found.drift is not None and found.drift.low is not None and found.drift.high is not None:
        drifts = not found.drift.low <= 0 <= found.drift.high
        body.append(note(
            "From the first position to the last, along a straight line: "
            f"{words.number(analysis, found.drift.value, signed=True)} "
            f"{words.interval(analysis, found.drift, signed=True)}; "
            + ("ratings drift within a session." if drifts else
               "a drift is not shown, which is not the same as none.")
        ))  # fmt: skip
    if len(found.lists) > 1:
        apart = max(found.lists, key=lambda one: abs(one.residual))
        body.append(note(
            f"Of {len(found.lists)} lists, {apart.name} is furthest from the others: "
            f"{words.number(analysis, apart.residual, signed=True)} over "
            f"{words.many(apart.votes, 'vote')}."
        ))  # fmt: skip
    return section("places", "Along the session", body,
                   caption="Mean residual by position; raters, sentences and systems fitted "
                   "with it")  # fmt: skip


def _rules_caption(analysis: Analysis) -> str:
    if analysis.changed:
        return "By rules of a bundle that was changed since its export"
    if not analysis.as_settled:
        return "By other rules than the bundle's"
    return "By the rules that were settled before the first rating"


def _step(title: str, count: str, more: Child, class_: str = "") -> Markup:
    return tag("li", tag("span", title, class_="small"), tag("b", count),
               tag("div", more, class_="small"), class_=class_ or None)  # fmt: skip


def _rater(analysis: Analysis, one: RaterFigures) -> list[Child]:
    counts = (
        pill("✓ all", "better") if one.kept == one.sessions else
        pill("✕ no", "worse") if one.kept == 0 else pill(f"{one.kept} of {one.sessions}", "")
    )  # fmt: skip
    remarks = [*one.dropped, *(f"flag: {flag}" for flag in one.flags)]
    return [
        counts,
        str(one.votes),
        words.number(analysis, one.mean),
        words.number(analysis, one.sd),
        words.decimals(one.r),
        _passed(one.gold),
        _passed(one.traps),
        words.decimals(one.repeat),
        words.DASH if one.seconds is None else f"{one.seconds:.1f}",
        tag("td", tag("div", "; ".join(remarks), class_="remarks")),
    ]


def _passed(found: tuple[int, int]) -> str:
    return f"{found[0]} of {found[1]}" if found[1] else words.DASH
