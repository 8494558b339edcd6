"""Charts of a listening test's report as SVG that needs no script and no style attribute.

Horizontal places are percentages, vertical ones pixels, so that a chart takes the width it is given
while its texts and marks keep their size. Every number that a chart shows stands as text beside it
or in a table; the drawing itself is hidden from screen readers, or has a label that says it all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mamtra_eval.report.listening.markup import Markup, join, tag
from mamtra_eval.statistics.bootstrap import Estimate

ROW = 34
"""Height of a row, pixels."""
LEVELS = 10
"""Shades of the palette in listening.css, less one."""
_TEXT_FITS = 9.0
"""Per cent of the width from which a segment holds a text."""


@dataclass(frozen=True)
class Axis:
    """A horizontal axis from ``low`` to ``high`` with marks."""

    low: float
    high: float
    ticks: tuple[float, ...]
    zero: float | None = None

    def place(self, value: float) -> float:
        """Per cent of the width, cut at the ends."""
        share = (value - self.low) / (self.high - self.low)
        return 100 * min(1.0, max(0.0, share))


@dataclass(frozen=True)
class Row:
    """One row of a forest plot: a thick interval, a thin one below it, and words beside."""

    name: str
    thick: Estimate | None
    thin: Estimate | None
    value: str
    note: str


def nice_axis(
    values: Iterable[float],
    zero: float | None = None,
    within: tuple[float, float] = (-math.inf, math.inf),
) -> Axis:
    """An axis that holds the values, with a few round marks, cut at the ends of ``within``."""
    found = [*values, *([] if zero is None else [zero])]
    low, high = min(found, default=0.0), max(found, default=1.0)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / 6
    size = 10.0 ** math.floor(math.log10(rough))
    step = size * next(one for one in (1, 2, 5, 10) if one * size >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    ends = max(first * step, within[0]), min(last * step, within[1])
    marks = (place * step for place in range(first, last + 1))
    return Axis(*ends, tuple(mark for mark in marks if ends[0] <= mark <= ends[1]), zero)


def forest(rows: Sequence[Row], zero: float | None, within: tuple[float, float]) -> Markup:
    """A framed plot of rows, its legend above and the axis below.

    Args:
        rows: name, intervals and words of each.
        zero: where a dotted line stands.
        within: ends of the scale, at which the drawing is cut: intervals of two or three raters
            reach far beyond.
    """
    values = [
        min(max(end, within[0]), within[1])
        for row in rows for one in (row.thick, row.thin) if one for end in one if end is not None
    ]  # fmt: skip
    axis = nice_axis(values, zero, within)
    legend = tag(
        "p",
        tag("span", _mark(_thick), "two-way clustered: raters and items drawn"),
        tag("span", _mark(_thin), "naive: as if votes were independent"),
        class_="legend",
    )
    plot = tag(
        "div",
        tag("ul", (_forest_row(row, axis) for row in rows), class_="forest-rows"),
        _axis_row(axis),
        class_="forest-plot",
    )
    return tag("div", legend, plot, class_="plot")


def stacked(rows: Sequence[tuple[str, Mapping[str, int]]], names: Mapping[str, str]) -> Markup:
    """Shares of every rating, a bar a row; ``names`` says what a rating is called."""
    return tag("ul", (_stacked_row(name, counts, names) for name, counts in rows), class_="bars")


def shades(keys: Sequence[str]) -> list[str]:
    """Classes of the palette, from the palest to the strongest."""
    last = max(1, len(keys) - 1)
    return [f"shade-{round(place * LEVELS / last)}" for place in range(len(keys))]


def curve(points: Sequence[tuple[str, float]], axis: Axis, label: str) -> Markup:
    """Values in their order, joined by lines; ``axis`` is the vertical one."""
    height, top = 180, 10
    last = max(1, len(points) - 1)

    def x(place: int) -> str:
        return f"{6 + 92 * place / last:.2f}%"

    def y(value: float) -> float:
        return top + height * (1 - axis.place(value) / 100)

    grid = [
        join(
            tag("line", x1="6%", x2="98%", y1=y(tick), y2=y(tick),
                class_="zero" if tick == axis.zero else "grid"),
            tag("text", _tick(tick), x="5%", y=y(tick) + 4, text_anchor="end"),
        )
        for tick in axis.ticks
    ]  # fmt: skip
    lines = [
        tag("line", x1=x(place), y1=y(points[place][1]), x2=x(place + 1),
            y2=y(points[place + 1][1]), class_="trace")
        for place in range(len(points) - 1)
    ]  # fmt: skip
    every = max(1, math.ceil(len(points) / 12))
    dots = [
        join(
            tag("circle", cx=x(place), cy=y(value), r=3.5, class_="dot"),
            tag("text", name, x=x(place), y=height + top + 20, text_anchor="middle")
            if place % every == 0 else None,
        )
        for place, (name, value) in enumerate(points)
    ]  # fmt: skip
    return tag("svg", grid, lines, dots, class_="curve", role="img", aria_label=label,
               height=height + top + 28, width="100%")  # fmt: skip


def _mark(draw: Callable[[Estimate, Axis, float], Markup | None]) -> Markup:
    """A sample of an interval for the legend."""
    drawn = draw(Estimate(10.0, 1.0, 19.0), Axis(0, 20, ()), 7)
    return tag("svg", drawn, width="28", height="14", aria_hidden="true", class_="key")


def _forest_row(row: Row, axis: Axis) -> Markup:
    drawn: list[Markup | None] = [
        tag("line", x1=f"{axis.place(tick):.2f}%", x2=f"{axis.place(tick):.2f}%", y1=0, y2=ROW,
            class_="zero" if tick == axis.zero else "grid")
        for tick in axis.ticks
    ]  # fmt: skip
    drawn += [_thin(row.thin, axis, ROW - 9), _thick(row.thick, axis, ROW / 2 - 4)]
    return tag(
        "li",
        tag("span", row.name, class_="name", dir="auto"),
        tag("svg", drawn, width="100%", height=ROW, aria_hidden="true"),
        tag("span", tag("b", row.value), " ", tag("small", row.note), class_="amount"),
    )


def _axis_row(axis: Axis) -> Markup:
    marks = [
        tag("text", _tick(tick), x=f"{axis.place(tick):.2f}%", y=13,
            text_anchor=_anchor(axis.place(tick)))
        for tick in axis.ticks
    ]  # fmt: skip
    return tag("div", tag("svg", marks, width="100%", height=18), class_="axis",
               aria_hidden="true")  # fmt: skip


def _thick(estimate: Estimate | None, axis: Axis, y: float) -> Markup | None:
    if estimate is None:
        return None
    line = None
    if estimate.low is not None and estimate.high is not None:
        line = tag("line", x1=f"{axis.place(estimate.low):.2f}%",
                   x2=f"{axis.place(estimate.high):.2f}%", y1=y, y2=y, class_="thick")  # fmt: skip
    dot = tag("circle", cx=f"{axis.place(estimate.value):.2f}%", cy=y, r=4.5, class_="dot")
    return join(line, dot)


def _thin(estimate: Estimate | None, axis: Axis, y: float) -> Markup | None:
    if estimate is None or estimate.low is None or estimate.high is None:
        return None
    ends = [f"{axis.place(end):.2f}%" for end in (estimate.low, estimate.high)]
    return join(
        tag("line", x1=ends[0], x2=ends[1], y1=y, y2=y, class_="thin"),
        (tag("line", x1=end, x2=end, y1=y - 3, y2=y + 3, class_="thin") for end in ends),
    )


def _stacked_row(name: str, counts: Mapping[str, int], names: Mapping[str, str]) -> Markup:
    total, drawn, start = sum(counts.values()), [], 0.0
    for (rating, count), shade in zip(counts.items(), shades(list(counts)), strict=True):
        width = 100 * count / total if total else 0.0
        if count:
            title = f"{names.get(rating, rating)}: {count} of {total}"
            drawn.append(tag("rect", x=f"{start:.3f}%", y=0, width=f"{width:.3f}%", height=26,
                             class_=shade))  # fmt: skip
            if width >= _TEXT_FITS:
                drawn.append(
                    tag("text", tag("title", title), f"{width:.0f}", class_=f"on-{shade}",
                        x=f"{start + width / 2:.3f}%", y=17.5, text_anchor="middle")
                )  # fmt: skip
        start += width
    told = ", ".join(f"{names.get(rating, rating)} {count}" for rating, count in counts.items())
    return tag(
        "li",
        tag("span", name, class_="name", dir="auto"),
        tag("svg", drawn, width="100%", height=26, role="img", aria_label=f"{name}: {told}"),
        tag("span", f"n = {total}", class_="amount"),
    )


def _anchor(place: float) -> str:
    return "start" if place < 1 else "end" if place > 99 else "middle"


def _tick(value: float) -> str:
    return f"{round(value, 9) + 0.0:g}".replace("-", "−")
