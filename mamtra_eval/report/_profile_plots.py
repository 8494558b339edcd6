"""Plots of a profile: memory by part, cache and time per token over the context.

A session's first streams are shown, on a light and a dark page. Colours stand for parts in the
first plot and for systems in the others; names stand beside the lines as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mamtra_eval.profiles import REPLAY, Session
from mamtra_eval.report._canvas import THEMES, Theme, canvas, encode, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
        figure.set_size_inches(10.5, 4.2)
        _stacks(axes[0], session, contexts, tuple(SHOWN), colours)
        axes[0].set_title("All of it, MB", loc="left", fontsize=11, color=colours.ink)
        small = tuple(part for part in SHOWN if part not in LARGE)
        _stacks(axes[1], session, contexts, small, colours)
        axes[1].set_title(
            "Without weights and process, MB", loc="left", fontsize=11, color=colours.ink
        )
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9,
            labelcolor=colours.ink,
        )  # fmt: skip
        return encode(figure, form)


def cache(session: Session, theme: str, form: str) -> bytes:
    """Cache by context: lines by closed form, dots as walked from the objects."""
    colours = THEMES[theme]
    contexts = session.contexts("memory.kv")
    with style(colours):
        figure, [axis] = canvas(1)
        for place, system in enumerate(session.systems):
            footprint = session.footprint(system)
            if footprint is None:
                continue
            colour = colours.several[place % len(colours.several)]
            x = [0, contexts[-1]]
            y = [footprint.cache_bytes(context) / MB for context in x]
            axis.plot(x, y, color=colour, linewidth=1.4)
            walked = {
                c: size for c in contexts if (size := _cached(session, system, c)) is not None
            }
            axis.plot([*walked], [*walked.values()], "o", color=colour)
            _name(axis, system, x[1], y[1], colour, colours)
        _labelled(axis, "MB", "Cache of one sequence", colours)
        return encode(figure, form)


def steps(session: Session, theme: str, form: str) -> bytes:
    """Time per token by context, with quartiles."""
    colours = THEMES[theme]
    contexts = session.contexts("time.step")
    with style(colours):
        figure, [axis] = canvas(1)
        for place, system in enumerate(session.systems):
            rows = [session.get(system, "time.step", c, workload=REPLAY) for c in contexts]
            there = [row for row in rows if row is not None and row.value is not None]
            if not there:
                continue
            colour = colours.several[place % len(colours.several)]
            x = [row.key.context for row in there]
            y = [1e3 * (row.value or 0.0) for row in there]
            below = [1e3 * ((row.value or 0.0) - (row.low or 0.0)) for row in there]
            above = [1e3 * ((row.high or 0.0) - (row.value or 0.0)) for row in there]
            axis.errorbar(
                x, y, yerr=[below, above], color=colour, marker="o", linewidth=1.4, capsize=2
            )
            _name(axis, system, x[-1], y[-1], colour, colours)
        axis.set_ylim(bottom=0)
        _labelled(axis, "ms", "Time per token, one stream", colours)
        return encode(figure, form)


def _stacks(
    axis: Axes,
    session: Session,
    contexts: Sequence[int],
    parts: Sequence[str],
    colours: Theme,
) -> None:
    systems = [name for name in session.systems if name in session.configs]
    shades = dict(zip(SHOWN, _shades(colours), strict=True))
    names, ticks = [], []
    for group, context in enumerate(contexts):
        phase = session.phase_at(context) or ""
        for place, system in enumerate(systems):
            x = group * (len(systems) + 1) + place
            ticks.append(x)
            names.append(system)
            foot = 0.0
            for part in parts:
                size = session.value(system, f"memory.{part}", context, phase=phase)
                height = max(0.0, (size or 0.0) / MB)
                label = SHOWN[part] if not (group or place) and size is not None else None
                axis.bar(x, height, bottom=foot, color=shades[part], width=0.86, label=label)
                foot += height
        middle = group * (len(systems) + 1) + (len(systems) - 1) / 2
        axis.annotate(
            f"{context:,} tokens", (middle, 1.0), xycoords=("data", "axes fraction"),
            ha="center", va="bottom", fontsize=8.5, color=colours.muted,
        )  # fmt: skip
    axis.set_xticks(ticks, names, rotation=90, fontsize=8)
    axis.grid(visible=False, axis="x")
    axis.title.set_position((0, 1.1))
    axis.set_title(axis.get_title("left"), loc="left", pad=20)


def _shades(colours: Theme) -> list[str]:
    blue, green, orange, pink, grey = colours.several
    return [colours.line, grey, blue, green, orange, pink, colours.muted, colours.muted]


def _cached(session: Session, system: str, context: int) -> float | None:
    kv = session.value(system, "memory.kv", context, phase="decode")
    state = session.value(system, "memory.state", context, phase="decode")
    return None if kv is None or state is None else (kv + state) / MB


def _labelled(axis: Axes, unit: str, title: str, colours: Theme) -> None:
    axis.set_title(f"{title}, {unit}", loc="left", fontsize=11, color=colours.ink)
    axis.set_xlabel("tokens of context")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axis.margins(x=0.02)
    axis.set_xlim(right=axis.get_xlim()[1] * 1.12)  # room for names at the lines' ends


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
