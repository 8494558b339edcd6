"""Sections on what was measured: the answer in words, systems, distributions, sensitivity."""

from __future__ import annotations

from collections.abc import Mapping

from mamtra_eval.listening.analysis.analysing import Analysis
from mamtra_eval.listening.analysis.systems import APART, SystemFigures
from mamtra_eval.report.listening import charts, words
from mamtra_eval.report.listening.charts import Row
from mamtra_eval.report.listening.markup import Child, Markup, join, tag
from mamtra_eval.report.listening.parts import (
    Column,
    bullets,
    note,
    nothing,
    pill,
    reasons,
    section,
    table,
    two_lines,
)
from mamtra_eval.statistics.bootstrap import Estimate


def answer(analysis: Analysis) -> Markup:
    """The headline in words: what can and what can't be said."""
    said, unsaid = words.said(analysis), words.open_questions(analysis)
    return section(
        "answer",
        "What the votes say",
        tag("p", words.headline(analysis), class_="lead", dir="auto"),
        tag(
            "div",
            tag("div", tag("h3", "Can be said"),
                bullets(said) if said else tag("p", "Nothing about differences.", class_="muted"),
                class_="box"),
            tag("div", tag("h3", "Stays open"),
                bullets(unsaid) if unsaid else tag("p", "See the limits below.", class_="muted"),
                class_="box"),
            class_="columns",
        ),
    )  # fmt: skip


def systems(analysis: Analysis) -> Markup | None:
    """Table and forest plot of the systems' means."""
    if analysis.comparisons is not None:
        return None
    order = [*analysis.ranking, *(one for one in analysis.systems if one.mean is None)]
    good = any(one.good is not None for one in order)
    columns = [
        Column("System", number=False),
        Column("Mean", hint=f"two-way {words.level(analysis)}"),
        Column("As if independent", hint="naive; too narrow"),
        Column("Raters drawn", hint="one-way"),
        Column("Check", hint="pigeonhole"),
        Column("Median"),
        *([Column("4 or more")] if good else []),
        Column("SD"),
        Column("Votes"),
        Column("Raters"),
        Column("Items"),
    ]
    rows: list[tuple[Child, list[Child]]] = [
        (_name(analysis, one), _cells(analysis, one, good)) for one in order
    ]
    return section(
        "systems",
        "Systems",
        _forest(analysis, order),
        table("Figures of every system", columns, rows),
        note(_interval_note(analysis)),
        reasons({one.name: "; ".join(one.reasons) for one in order if one.reasons}),
        caption=f"Mean {analysis.kind.attribute}, {analysis.kind.scale.low:g} to "
        f"{analysis.kind.scale.high:g}; systems that share a letter are not told apart; of "
        "those that share none, Pairs of systems says it",
    )


def distribution(analysis: Analysis) -> Markup:
    """Stacked bars of ratings."""
    names = {f"{value:g}": f"{value:g} {label}"
             for value, label in analysis.kind.scale.labels.items()}  # fmt: skip
    rows: list[tuple[str, Mapping[str, int]]]
    if analysis.comparisons is not None:
        rows = [(f"{one.system} − {one.other}", one.distribution)
                for one in analysis.comparisons.pairs]  # fmt: skip
        names = {rating: rating.replace("-", "−") for rating in rows[0][1]} if rows else {}
        caption = (
            "Per cent of votes by advantage of the first system, from − to +; as given, not "
            "corrected for order"
        )
    else:
        rows = [(one.name, one.distribution) for one in analysis.ranking]
        caption = "Per cent of votes, from the lowest rating to the highest"
    keys = list(rows[0][1]) if rows else []
    legend = tag(
        "p",
        (tag("span", tag("svg", tag("rect", width="14", height="14", class_=shade), width="14",
                         height="14", aria_hidden="true"), names.get(key, key))
         for key, shade in zip(keys, charts.shades(keys), strict=True)),
        class_="legend",
    )  # fmt: skip
    body = tag("div", legend, charts.stacked(rows, names), class_="plot") if rows else None
    return section("distribution", "Distribution of ratings", body or nothing(),
                   caption=caption)  # fmt: skip


def sensitivity(analysis: Analysis) -> Markup:
    """The same means, the sessions treated otherwise."""
    variants = analysis.sensitivity
    names = [one.name for one in analysis.ranking] or list(variants[0].values)
    signed = analysis.comparisons is not None
    columns = [Column("Pair" if signed else "System", number=False), *(
        Column(one.name, hint=words.many(one.votes, "vote")) for one in variants
    )]  # fmt: skip
    rows: list[tuple[Child, list[Child]]] = []
    for name in names:
        base = variants[0].values[name]
        rows.append(
            (name, [_variant(analysis, one.values.get(name), base, signed) for one in variants])
        )
    return section(
        "sensitivity",
        "Does it depend on the screening?",
        table("Means by treatment of the sessions", columns, rows),
        bullets([f"{one.name}: {one.what}" for one in variants], "reasons"),
        caption="The first column is the result; the others are for comparison",
    )


def _name(analysis: Analysis, one: SystemFigures) -> Markup:
    extra = [one.what] if one.what != "system" else []
    if one.name == analysis.settings.baseline:
        extra.append("baseline")
    return tag("span", tag("b", one.name),
               tag("sup", one.letters, class_="letters") if one.letters else None,
               (pill(word, "") for word in extra), class_="system-name")  # fmt: skip


def _cells(analysis: Analysis, one: SystemFigures, good: bool) -> list[Child]:
    mean: Child = words.DASH
    if one.mean is not None:
        mean = two_lines(words.plus_minus(analysis, one.mean), words.interval(analysis, one.mean))
        if one.item_mean is not None and abs(one.item_mean - one.mean.value) > APART:
            told = f"mean of item means {words.number(analysis, one.item_mean)}"
            mean = join(mean, tag("span", told, class_="small line"))
    return [
        mean,
        _reach(analysis, one.naive),
        _reach(analysis, one.rater_clustered),
        words.interval(analysis, one.pigeonhole),
        words.number(analysis, one.median),
        *([words.percent(one.good)] if good else []),
        words.number(analysis, one.sd),
        str(one.votes),
        str(one.raters),
        str(one.items),
    ]


def _reach(analysis: Analysis, estimate: Estimate | None) -> str:
    half = words.reach(estimate)
    return words.DASH if half is None else f"± {words.number(analysis, half)}"


def _forest(analysis: Analysis, order: list[SystemFigures]) -> Markup | None:
    rows = [
        Row(one.name, one.mean, one.naive,
            words.number(analysis, one.mean.value), words.interval(analysis, one.mean))
        for one in order if one.mean is not None
    ]  # fmt: skip
    scale = analysis.kind.scale
    return charts.forest(rows, None, (scale.low, scale.high)) if rows else None


def _interval_note(analysis: Analysis) -> str:
    return (
        f"± is half the {words.level(analysis)} interval. Headline: raters and items are both "
        "drawn (two-way clustered variance, Student's t with the smaller number less one). As if "
        "independent: z · sd/√n, z = 1.96 at 95 %, what most papers print. Check: percentile "
        "bootstrap over raters and items, which errs to wide intervals."
    )


def _variant(
    analysis: Analysis, value: Estimate | None, base: Estimate | None, signed: bool
) -> Child:
    if value is None:
        return words.DASH
    moved = ""
    if base is not None and abs(value.value - base.value) > 0.005:
        moved = f" ({words.number(analysis, value.value - base.value, signed=True)})"
    return two_lines(
        words.number(analysis, value.value, signed=signed) + moved,
        words.interval(analysis, value, signed=signed),
    )
