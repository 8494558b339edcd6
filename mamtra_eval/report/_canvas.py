"""What plots are drawn on: colours of a light and a dark page, a canvas, and its bytes.

matplotlib without a display, on a transparent ground. The same data give the same bytes.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas


@dataclass(frozen=True)
class Theme:
    """Colours of a page; the same roles as in report.css."""

    ground: str
    ink: str
    muted: str
    line: str
    accent: str
    several: tuple[str, ...]
    """To tell variants apart; their names stand beside them as well."""


THEMES = {
    "light": Theme(
        "#ffffff",
        "#1a1d21",
        "#5a616b",
        "#d9dad6",
        "#2450b8",
        ("#2450b8", "#0b6650", "#a8641a", "#8a2b6b", "#4a5568"),
    ),
    "dark": Theme(
        "#0d1117",
        "#e8eaed",
        "#9aa3ae",
        "#30363d",
        "#93b2ff",
        ("#93b2ff", "#6fd3b0", "#f0b060", "#e59ad0", "#b8c0cc"),
    ),
}


def style(colours: Theme) -> AbstractContextManager[None]:
    """Everything inside is drawn in the theme's colours."""
    import matplotlib as mpl

    mpl.use("agg")
    return mpl.rc_context(
        {
            "font.size": 9.5,
            "text.color": colours.ink,
            "axes.edgecolor": colours.line,
            "axes.labelcolor": colours.muted,
            "xtick.color": colours.muted,
            "ytick.color": colours.muted,
            "axes.grid": True,
            "grid.color": colours.line,
            "grid.linewidth": 0.6,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "axes.unicode_minus": True,
            "svg.hashsalt": "mamtra-eval",
            "savefig.transparent": True,
        }
    )


def canvas(panels: int) -> tuple[Canvas, list[Axes]]:
    """A figure with panels side by side."""
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(max(5.2, 3.9 * panels), 3.4 if panels > 1 else 3.9))
    figure.set_layout_engine("constrained")
    return figure, [figure.add_subplot(1, panels, place + 1) for place in range(panels)]


def encode(figure: Canvas, form: str) -> bytes:
    """The figure as ``svg`` or ``png``."""
    file = io.BytesIO()
    metadata = {"Date": None} if form == "svg" else {"Software": None}
    with warnings.catch_warnings():  # a name in a script that the font lacks: boxes, no noise
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(file, format=form, dpi=160, metadata=metadata)
    return file.getvalue()
