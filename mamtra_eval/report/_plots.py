"""Plots of a trade-off, for a light and a dark page, as SVG and PNG.

Drawn by matplotlib without a display, on a transparent ground. The same data give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mamtra_eval.metrics import Figure
from mamtra_eval.report._canvas import THEMES, Theme, canvas, encode, style
from mamtra_eval.report._format import margin
from mamtra_eval.savings import Saving
from mamtra_eval.tradeoff import Panel, Point, Tradeoff

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Affine2D

    from mamtra_eval.statistics.region import Ellipse as Region

MAX_PANELS = 3
"""Figures side by side."""


def savings(tradeoff: Tradeoff, saving: Saving, theme: str, form: str) -> bytes:
    """What is saved against what is lost, a panel a figure, as ``svg`` or ``png``."""
    panels = tradeoff.panels[saving.key][:MAX_PANELS]
    with style(THEMES[theme]):
        figure, axes = canvas(len(panels))
        for place, (axis, panel) in enumerate(zip(axes, panels, strict=True)):
            _panel(axis, tradeoff, saving, panel, THEMES[theme])
            axis.set_xlabel(f"{saving.title}, saved" if place == 0 else "saved")
        return encode(figure, form)


def plane(tradeoff: Tradeoff, margins: dict[str, float], theme: str, form: str) -> bytes:
    """Two losses at once, each variant with its joint region."""
    from matplotlib.patches import Ellipse, Rectangle

    colours = THEMES[theme]
    assert tradeoff.plane is not None
    one, two = tradeoff.plane
    with style(colours):
        figure, [axis] = canvas(1)
        factors = [_factor(each) for each in (one, two)]
        _cross(axis, colours)
        for place, (name, found) in enumerate(tradeoff.together.items()):
            colour = colours.several[place % len(colours.several)]
            # The axes are scaled one by one, so an ellipse is drawn in the data's own units.
            for filled in (True, False):
                patch = Ellipse(
                    (0, 0), 2, 2, fill=filled, color=colour, alpha=0.07 if filled else 1
                )
                patch.set_transform(_placed(found, factors) + axis.transData)
                axis.add_patch(patch)
            axis.plot(found.x * factors[0], found.y * factors[1], "o", color=colour)
            _name(axis, name, found.x * factors[0], found.y * factors[1], colours, colour)
        bounds = [margins.get(each.name) for each in (one, two)]
        if all(bound is not None for bound in bounds):
            width, height = (2 * factor * (bound or 0) for factor, bound
                             in zip(factors, bounds, strict=True))  # fmt: skip
            axis.add_patch(
                Rectangle((-width / 2, -height / 2), width, height, fill=False,
                          edgecolor=colours.muted, linestyle=(0, (4, 3)), linewidth=1)
            )  # fmt: skip
        _show_all(axis, tradeoff, factors)
        axis.plot(0, 0, "s", color=colours.ink, markersize=7)
        _name(axis, tradeoff.baseline, 0, 0, colours, below=True)
        axis.set_xlabel(_axis_title(one, ("left", "right")))
        axis.set_ylabel(_axis_title(two))
        return encode(figure, form)


def _panel(axis: Axes, tradeoff: Tradeoff, saving: Saving, panel: Panel, colours: Theme) -> None:
    factor = _factor(panel.figure)
    _cross(axis, colours)
    values = [variant.values[panel.figure.name] for variant in tradeoff.variants]
    bound = next((value.margin for value in values if value.margin is not None), None)
    if bound is not None:
        axis.axhspan(-factor * bound, factor * bound, color=colours.muted, alpha=0.12, linewidth=0)
    if panel.line:
        x = [100 * place for place, _ in panel.line]
        axis.plot(x, [factor * one.value for _, one in panel.line], color=colours.muted,
                  linewidth=1, linestyle=(0, (5, 3)))  # fmt: skip
    places = {point.system: (point.saved, point.loss.value) for point in panel.points}
    places[tradeoff.baseline] = (0.0, 0.0)
    steps = [places[name] for name in panel.front]
    axis.plot([100 * x for x, _ in steps], [factor * y for _, y in steps], color=colours.accent,
              linewidth=1.4, alpha=0.7)  # fmt: skip
    for point in panel.points:
        _point(axis, point, factor, colours)
    axis.plot(0, 0, "s", color=colours.ink, markersize=7)
    _name(axis, tradeoff.baseline, 0, 0, colours)
    axis.set_title(_axis_title(panel.figure), loc="left", fontsize=11, color=colours.ink)
    axis.xaxis.set_major_formatter(lambda value, _: f"{round(value, 2):g} %".replace("-", "−"))
    axis.margins(x=0.12, y=0.15)


def _point(axis: Axes, point: Point, factor: float, colours: Theme) -> None:
    x, y = 100 * point.saved, factor * point.loss.value
    dominated = point.dominated_by is not None
    colour = colours.muted if dominated else colours.accent
    if point.loss.low is not None and point.loss.high is not None:
        axis.plot([x, x], [factor * point.loss.low, factor * point.loss.high], color=colour,
                  linewidth=2, solid_capstyle="round")  # fmt: skip
    face = colours.ground if dominated else colour
    axis.plot(x, y, "o", markersize=7, markerfacecolor=face, markeredgecolor=colour,
              markeredgewidth=1.6)  # fmt: skip
    _name(axis, point.system, x, y, colours)


def _name(
    axis: Axes, name: str, x: float, y: float, colours: Theme, colour: str | None = None, *,
    below: bool = False,
) -> None:  # fmt: skip
    from matplotlib.patheffects import withStroke

    short = name if len(name) <= 18 else f"{name[:17]}…"
    axis.annotate(
        short.replace("$", r"\$"),
        (x, y),
        xytext=(-7, -8) if below else (7, 5),
        ha="right" if below else "left",
        va="top" if below else "baseline",
        textcoords="offset points",
        fontsize=9,
        color=colour or colours.ink,
        path_effects=[withStroke(linewidth=2.5, foreground=colours.ground)],
        zorder=5,
    )


def _cross(axis: Axes, colours: Theme) -> None:
    axis.axhline(0, color=colours.muted, linewidth=0.8)
    axis.axvline(0, color=colours.muted, linewidth=0.8)


def _factor(figure: Figure) -> float:
    return 100.0 if figure.unit == "fraction" else 1.0


def _axis_title(figure: Figure, ways: tuple[str, str] = ("down", "up")) -> str:
    """Which figure, in which unit, and which way is worse: that of less, or that of more."""
    title = (figure.title or figure.name).split(",")[0]
    unit = ", points" if figure.unit == "fraction" else ""
    return f"Δ {title}{unit} ({ways[not figure.higher_is_better]} is worse)"


def _placed(found: Region, factors: Sequence[float]) -> Affine2D:
    """From the unit circle to the region, in the axes' units."""
    from matplotlib.transforms import Affine2D

    turned = Affine2D().scale(found.major, found.minor).rotate_deg(found.angle)
    return turned.translate(found.x, found.y).scale(*factors)


def _show_all(axis: Axes, tradeoff: Tradeoff, factors: Sequence[float]) -> None:
    """Patches with a transform of their own don't move the limits: points on their edges do."""
    import numpy as np

    turns = np.linspace(0, 2 * np.pi, 40)
    circle = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    for found in tradeoff.together.values():
        edge = _placed(found, factors).transform(circle)
        axis.plot(edge[:, 0], edge[:, 1], alpha=0)
    axis.margins(0.1)


def margin_note(tradeoff: Tradeoff) -> str:
    """Which margins the grey bands show."""
    told = []
    for figure in tradeoff.losses:
        values = [variant.values[figure.name].margin for variant in tradeoff.variants]
        if values and values[0] is not None:
            told.append(f"{figure.title or figure.name} ±{margin(figure, values[0])}")
    return ", ".join(told)
