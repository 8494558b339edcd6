"""Plots of a profile: memory by part, cache and time per token over the context.

A session's first streams are shown, on a light and a dark page. Colours stand for parts in the
first plot and for systems in the others; names stand beside the lines as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mamtra_eval.profiles import Session
from mamtra_eval.profiling.rows import REPLAY, ProfileRow
from mamtra_eval.report._canvas import THEMES, Theme, canvas, encode, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

Draw = Callable[[str, str], bytes]
"""A plot by theme and form."""

MB = 1e6
SHOWN = {
    "base": "process before it loads",
    "context": "CUDA context",
    "weights": "weights",
    "kv": "keys and values",
    "state": "Mamba-2 states",
    "activations": "activations",
    "fragmentation": "fragmentation",
    "rest": "rest",
}
"""Parts of a bar, from its foot to its top."""

LARGE = ("base", "context", "weights")
"""Parts that are left out where the others are to be seen."""

MAX_CONTEXTS = 4


def memory(session: Session, theme: str, form: str) -> bytes:
    """Stacked memory of every system by context: all of it, and what the context adds."""
    colours = THEMES[theme]
    contexts = _spread(session.contexts("memory.total"), MAX_CONTEXTS)
    with style(colours):
        figure, axes = canvas(2)
        figure.set_size_inches(10.5, 4.4)
        _stacks(axes[0], session, contexts, tuple(SHOWN), colours)
        _titled(axes[0], "All of it, MB", colours)
        small = tuple(part for part in SHOWN if part not in LARGE)
        _stacks(axes[1], session, contexts, small, colours)
        _titled(axes[1], "Without weights and process, MB", colours)
        _legend(figure, axes[0], colours)
        return encode(figure, form)


def cache(session: Session, theme: str, form: str) -> bytes:
    """Cache by context: lines by closed form, dots as walked from the objects."""
    colours = THEMES[theme]
    contexts = session.contexts("memory.kv")
    with style(colours):
        figure, [axis] = canvas(1)
        # Quantised weights have the cache of the plain ones.
        plain = [name for name in session.systems
                 if name in session.configs and not session.bits.get(name)]  # fmt: skip
        for place, system in enumerate(plain):
            footprint = session.footprint(system)
            assert footprint is not None
            colour = colours.several[place % len(colours.several)]
            x = [0, contexts[-1]]
            y = [footprint.cache_bytes(context) / MB for context in x]
            axis.plot(x, y, color=colour, linewidth=1.4)
            walked = [(c, size) for c in contexts if (size := _cached(session, system, c))]
            axis.plot([c for c, _ in walked], [size for _, size in walked], "o", color=colour)
            _name(axis, system, x[1], y[1], colour, colours)
        _titled(axis, "Cache of one sequence, MB", colours)
        _contexts(axis)
        axis.set_xlim(right=axis.get_xlim()[1] * 1.12)  # room for names at the lines' ends
        return encode(figure, form)


def steps(session: Session, theme: str, form: str) -> bytes:
    """Time per token by context, with quartiles, and how far from the baseline's."""
    colours = THEMES[theme]
    compared = session.baseline is not None and len(session.systems) > 1
    with style(colours):
        figure, axes = canvas(2 if compared else 1)
        figure.set_size_inches(10.5 if compared else 5.4, 4.0)
        for place, system in enumerate(session.systems):
            rows = _timed(session, system)
            colour = colours.several[place % len(colours.several)]
            look = {"color": colour, "marker": "osD^v"[place % 5], "linewidth": 1.4, "capsize": 2}
            _line(axes[0], rows, {}, system, look)
            if compared and rows:
                own = _timed(session, str(session.baseline))
                _line(axes[1], rows, {row.key.context: row.value or 0.0 for row in own}, None, look)
        axes[0].set_ylim(bottom=0)
        _titled(axes[0], "Time per token, ms", colours)
        if compared:
            _titled(axes[1], f"Minus that of {session.baseline}, ms", colours)
        for axis in axes:
            _contexts(axis)
        _legend(figure, axes[0], colours)
        return encode(figure, form)


def _timed(session: Session, system: str) -> list[ProfileRow]:
    rows = [session.get(system, "time.step", context, workload=REPLAY)
            for context in session.contexts("time.step")]  # fmt: skip
    return [row for row in rows if row is not None and row.value is not None]


def _line(
    axis: Axes,
    rows: Sequence[ProfileRow],
    less: dict[int, float],
    label: str | None,
    look: dict[str, Any],
) -> None:
    """Medians with quartiles in ms, less the baseline's where there is one at that context."""
    shown = [row for row in rows if not less or row.key.context in less]
    if not shown:
        return
    y = [1e3 * ((row.value or 0.0) - less.get(row.key.context, 0.0)) for row in shown]
    ends = [[1e3 * _beyond(row.value, row.low) for row in shown],
            [1e3 * _beyond(row.value, row.high) for row in shown]]  # fmt: skip
    axis.errorbar([row.key.context for row in shown], y, yerr=ends, label=label, **look)


def _stacks(
    axis: Axes, session: Session, contexts: Sequence[int], parts: Sequence[str], colours: Theme
) -> None:
    shades = dict(zip(SHOWN, _shades(colours), strict=True))
    names: list[str] = []
    ticks: list[int] = []
    labelled: set[str] = set()
    at = 0
    for context in contexts:
        phase = session.phase_at(context) or ""
        first = at
        for system in session.systems:
            if session.value(system, "memory.total", context, phase=phase) is None:
                continue
            foot = 0.0
            for part in parts:
                size = session.value(system, f"memory.{part}", context, phase=phase)
                if size is None:
                    continue
                height = max(0.0, size / MB)
                label = None if part in labelled else SHOWN[part]
                labelled.add(part)
                axis.bar(at, height, bottom=foot, color=shades[part], width=0.86, label=label)
                foot += height
            names.append(system if len(system) <= 14 else f"{system[:13]}…")
            ticks.append(at)
            at += 1
        axis.annotate(
            f"{context:,} tokens", ((first + at - 1) / 2, 1.0), ha="center", va="bottom",
            xycoords=("data", "axes fraction"), fontsize=8.5, color=colours.muted,
        )  # fmt: skip
        at += 1
    axis.set_xticks(ticks, [name.replace("$", r"\$") for name in names], rotation=90, fontsize=8)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axis.grid(visible=False, axis="x")


def _shades(colours: Theme) -> list[str]:
    blue, green, orange, pink, grey = colours.several
    return [colours.line, grey, blue, green, orange, pink, colours.muted, colours.muted]


def _cached(session: Session, system: str, context: int) -> float | None:
    kv = session.value(system, "memory.kv", context, phase="decode")
    state = session.value(system, "memory.state", context, phase="decode")
    return None if kv is None or state is None else (kv + state) / MB


def _beyond(value: float | None, end: float | None) -> float:
    return abs((value or 0.0) - end) if end is not None else 0.0


def _titled(axis: Axes, title: str, colours: Theme) -> None:
    axis.set_title(title.replace("$", r"\$"), loc="left", fontsize=11, color=colours.ink, pad=18)


def _contexts(axis: Axes) -> None:
    axis.set_xlabel("tokens of context")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _legend(figure: Canvas, axis: Axes, colours: Theme) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(
        handles, [label.replace("$", r"\$") for label in labels], loc="outside lower center",
        ncols=4, frameon=False, fontsize=9, labelcolor=colours.ink,
    )  # fmt: skip


def _name(axis: Axes, name: str, x: float, y: float, colour: str, colours: Theme) -> None:
    from matplotlib.patheffects import withStroke

    axis.annotate(
        (name if len(name) <= 18 else f"{name[:17]}…").replace("$", r"\$"), (x, y),
        xytext=(6, 0), textcoords="offset points", va="center", fontsize=9, color=colour,
        path_effects=[withStroke(linewidth=2.5, foreground=colours.ground)],
    )  # fmt: skip


def _spread(values: Sequence[int], most: int) -> list[int]:
    """At most so many values, evenly, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]
