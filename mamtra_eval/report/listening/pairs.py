"""Sections on pairs of systems: comparisons side by side, matrix of differences, every test."""

from __future__ import annotations

from mamtra_eval.listening.analysis.analysing import Analysis
from mamtra_eval.listening.analysis.comparing import Comparison, Comparisons
from mamtra_eval.listening.analysis.systems import Difference
from mamtra_eval.report.listening import words
from mamtra_eval.report.listening.charts import Row, forest
from mamtra_eval.report.listening.markup import Child, Markup, join, tag
from mamtra_eval.report.listening.parts import (
    Column,
    note,
    nothing,
    pill,
    reasons,
    section,
    table,
    two_lines,
)

MOST_PAIRS = 40
"""From which on the table of pairs is a frame of its own height."""


def comparisons(analysis: Analysis) -> Markup | None:
    """Forest plot and table of pairs, order effect, strengths."""
    found = analysis.comparisons
    if found is None:
        return None
    scale = analysis.kind.scale
    unit = "net preference, −1 to 1" if analysis.kind.name == "ab" else "points, −3 to 3"
    rows = [
        Row(f"{one.system} − {one.other}", one.estimate, one.naive,
            words.number(analysis, one.estimate.value if one.estimate else None, signed=True),
            words.interval(analysis, one.estimate, signed=True))
        for one in found.pairs
    ]  # fmt: skip
    return section(
        "comparisons",
        "Comparisons",
        forest(rows, 0.0, (scale.low, scale.high)),
        _pair_table(analysis, found),
        note(
            "Corrected for order: the advantage with both its intervals (half the difference "
            "between the means of the two orders), the win rate (mean of the two orders) and "
            "every p. Not corrected: wins, ties and losses, and the distribution below, which are "
            "counted as given. Where one order alone was shown nothing is corrected. The "
            "randomisation flips the signs of what raters, and items, add to the advantage; the "
            "larger p is given. Wilcoxon: signed ranks of what items add. " + _margin(analysis)
        ),
        _order(analysis, found),
        _strengths(analysis, found),
        reasons([f"{one.system} − {one.other}: {why}" for one in found.pairs
                 for why in one.reasons]),
        caption=f"Advantage of the first system over the second ({unit}); positive: the first is "
        "better",
    )  # fmt: skip


def pairs(analysis: Analysis) -> Markup:
    """Every pair of systems: matrix, and a table with all tests."""
    found = words.every_pair(analysis)
    if not found:
        return section("pairs", "Pairs of systems", nothing())
    known: dict[tuple[str, str], tuple[Difference | Comparison, int]] = {}
    for one in found:
        known[one.system, one.other], known[one.other, one.system] = (one, 1), (one, -1)
    names = [one.name for one in analysis.ranking] or [
        name for name in analysis.names if any(name in pair for pair in known)
    ]
    rows: list[tuple[Child, list[Child]]] = [
        (row, [_matrix_cell(analysis, known.get((row, column))) for column in names])
        for row in names
    ]
    matrix = table(
        "Differences of every pair",
        [Column("Row minus column", number=False), *(Column(name) for name in names)],
        rows, class_="figures matrix",
    )  # fmt: skip
    return section(
        "pairs",
        "Pairs of systems",
        matrix,
        note(
            "▲ higher and ▼ lower than the column's system, p corrected by Holm's method over "
            f"{words.tested(analysis)} below {1 - analysis.settings.level:.2g}; "
            "○ not told apart, which is not the same as equal."
        ),
        _tests(analysis) if analysis.comparisons is None else None,
        caption="Row minus column, with the corrected p-value",
    )


def verdict(analysis: Analysis, one: Difference | Comparison) -> Markup:
    """Better, worse or not told apart among all pairs; below it what the pair says by itself."""
    if one.told_apart and one.estimate is not None:
        better = one.estimate.value > 0
        told = pill("▲ better" if better else "▼ worse", "better" if better else "worse")
    else:
        told = pill("○ not told apart", "undecided")
    more = words.remarks(analysis, one)
    if not more:
        return told
    lines = (tag("span", line, class_="small line") for line in more)
    return tag("td", tag("div", told, lines, class_="verdict"))


def _pair_table(analysis: Analysis, found: Comparisons) -> Markup:
    columns = [
        Column("Pair", number=False), Column("Advantage", hint="order corrected"),
        Column("Verdict", number=False), Column("Wins", hint="ties, losses; as given"),
        Column("Win rate", hint="of both orders"), Column("Order bias", hint="to the second"),
        Column("p", hint="Holm"), Column("p", hint="randomised"),
        Column("p", hint="Wilcoxon"), Column("Votes", hint="raters, items"),
    ]  # fmt: skip
    rows: list[tuple[Child, list[Child]]] = [
        (
            f"{one.system} − {one.other}",
            [
                _advantage(analysis, one),
                verdict(analysis, one),
                f"{one.wins} / {one.ties} / {one.losses}",
                words.percent(one.win_rate),
                words.number(analysis, one.order.value if one.order else None, signed=True),
                words.probability(one.p_holm),
                words.probability(one.p_swap),
                words.probability(one.p_wilcoxon),
                two_lines(str(one.votes), f"{one.raters}, {one.items}"),
            ],
        )
        for one in found.pairs
    ]
    return table("Every pair", columns, rows, high=len(rows) > MOST_PAIRS)


def _advantage(analysis: Analysis, one: Difference | Comparison) -> Markup:
    value = one.estimate.value if one.estimate else None
    return two_lines(
        words.number(analysis, value, signed=True),
        words.interval(analysis, one.estimate, signed=True),
    )


def _order(analysis: Analysis, found: Comparisons) -> Markup | None:
    parts = []
    if found.order is not None:
        parts.append(
            "Order, over all pairs: the second clip is rated "
            f"{words.number(analysis, found.order.value, signed=True)} "
            f"{words.interval(analysis, found.order, signed=True)} points for being second."
        )
    if analysis.reliability.null is not None:
        parts.append(
            "Pairs of two equal clips: mean rating "
            f"{words.number(analysis, analysis.reliability.null, signed=True)} (0 is right)."
        )
    return note(" ".join(parts)) if parts else None


def _strengths(analysis: Analysis, found: Comparisons) -> Markup | None:
    fit = found.preferences
    if fit is None:
        return reasons(found.reasons)
    columns = [Column("System", number=False), Column("Elo"), Column("Interval"),
               Column("Strength", hint="logits")]  # fmt: skip
    rows: list[tuple[Child, list[Child]]] = [
        (
            one.system,
            [
                tag("b", f"{one.elo.value:.0f}"),
                words.DASH if one.elo.low is None or one.elo.high is None
                else f"[{one.elo.low:.0f}, {one.elo.high:.0f}]",
                words.decimals(one.logits.value),
            ],
        )
        for one in fit.strengths
    ]  # fmt: skip
    tie = "nothing was tied" if fit.tie is None else f"ν = {fit.tie:.2f}"
    return join(
        tag("h3", "Strengths of all systems together", class_="apart"),
        table("Strengths", columns, rows),
        note(
            f"Bradley and Terry's model with Davidson's ties ({tie}) and a term for order "
            f"({words.decimals(fit.order.value)} logits for the first place); intervals over "
            "raters drawn. Elo is 1000 + 400/ln 10 · strength, fitted at once, so that the "
            "order of votes does not matter."
        ),
        reasons(found.reasons),
    )


def _matrix_cell(analysis: Analysis, found: tuple[Difference | Comparison, int] | None) -> Markup:
    if found is None:
        return tag("td", words.DASH, class_="n muted")
    one, sign = found
    if one.estimate is None:
        return tag("td", words.DASH, class_="n muted")
    value = sign * one.estimate.value
    symbol = ("▲" if value > 0 else "▼") if one.told_apart else "○"
    tone = ("better" if value > 0 else "worse") if one.told_apart else "undecided"
    return tag(
        "td",
        tag("b", f"{symbol} {words.number(analysis, value, signed=True)}",
            class_=f"sign-{tone}"),
        tag("span", f"p {words.probability(one.p_holm)}", class_="small line"),
        class_="n",
    )  # fmt: skip


def _tests(analysis: Analysis) -> Markup:
    columns = [
        Column("Pair", number=False), Column("Difference", hint="two-way"),
        Column("Verdict", number=False), Column("p"), Column("p", hint="Holm"),
        Column("p", hint="randomised"), Column("p", hint="Wilcoxon"),
        Column("Check", hint="pigeonhole"), Column("Raters", hint="of both"),
        Column("Items", hint="of both"),
    ]  # fmt: skip
    rows: list[tuple[Child, list[Child]]] = [
        (
            f"{one.system} − {one.other}",
            [
                _advantage(analysis, one),
                verdict(analysis, one),
                words.probability(one.p),
                words.probability(one.p_holm),
                words.probability(one.p_swap),
                words.probability(one.p_wilcoxon),
                words.interval(analysis, one.pigeonhole, signed=True),
                str(one.raters),
                str(one.items),
            ],
        )
        for one in analysis.differences
    ]
    return join(
        tag("h3", "Every test", class_="apart"),
        table("Tests of every pair", columns, rows, high=len(rows) > MOST_PAIRS),
        note(_margin(analysis)),
        reasons([f"{one.system} − {one.other}: {why}" for one in analysis.differences
                 for why in one.reasons]),
    )  # fmt: skip


def _margin(analysis: Analysis) -> str:
    margin = analysis.settings.margin
    if margin is None:
        return "No margin was declared, so nothing is called equivalent."
    return (
        f"Within {words.margin(analysis)}: two one-sided tests at "
        f"{1 - analysis.settings.level:.2g}, of each pair by itself. A pair can be told apart, and "
        "by less than the margin."
    )
