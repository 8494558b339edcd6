"""profile.md: what each variant costs to run, with plots, from the rows of a profile.

A section a machine (session). Nothing is written for a run without a profile. ``of_folder`` does it
for a folder that holds a profile and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mamtra_eval.profiles import Session
from mamtra_eval.profiling.rows import REPLAY
from mamtra_eval.report import _profile_plots as plots
from mamtra_eval.report import _profile_tables as tables
from mamtra_eval.report import _profile_text as text
from mamtra_eval.report._canvas import THEMES
from mamtra_eval.report._markdown import escape, picture
from mamtra_eval.results import Results

FILE = "profile.md"
FOLDER = "plots"


def write(results: Results) -> Path | None:
    """Write ``profile.md`` and its plots into the run folder; ``None`` without a profile."""
    return of_folder(results.folder, results.profiles)


def of_folder(folder: Path, sessions: tuple[Session, ...]) -> Path | None:
    """The same for sessions; an earlier report goes where there are none."""
    path = folder / FILE
    if not sessions:
        path.unlink(missing_ok=True)
        return None
    (folder / FOLDER).mkdir(exist_ok=True)
    for session in sessions:
        for theme in THEMES:
            for name, draw in _drawn(session).items():
                for form in ("svg", "png"):
                    file = folder / FOLDER / f"{_file(session, name)}-{theme}.{form}"
                    file.write_bytes(draw(theme, form))
    path.write_text(render(sessions), encoding="utf-8")
    return path


def render(sessions: tuple[Session, ...]) -> str:
    """The profile as Markdown."""
    lines = ["# What it costs to run", ""]
    if len(sessions) > 1:
        lines += [
            f"{len(sessions)} sessions, each on a machine or with settings of its own: figures of "
            "different sections are not compared.",
            "",
        ]
    for session in sessions:
        lines += _section(session)
    return "\n".join(lines).rstrip() + "\n"


def _section(session: Session) -> Iterator[str]:
    yield from (f"## {text.title(session)}", "", text.told(session), "")
    yield from text.busy(session)
    parts = (
        ("Memory", tables.memory(session), "memory", MEMORY),
        ("Cache", tables.cache(session), "cache", CACHE),
        ("Time per token", tables.steps(session), "steps", STEPS),
        ("A pass over the context", tables.prefill(session), None, PREFILL),
        ("Streams", tables.streams(session), None, STREAMS),
        ("Where ratios begin to pay", tables.crossings(session), None, CROSSINGS),
        ("Arithmetic", tables.flops(session), None, FLOPS),
        ("End to end", text.speech(session), None, SPEECH),
        ("Under load", text.load(session), None, LOAD),
    )
    drawn = _drawn(session)
    for title, rows, plot, how in parts:
        if not rows:
            continue
        yield from (f"### {title}", "", how, "")
        if plot in drawn:
            path = f"{FOLDER}/{_file(session, plot)}"
            yield from (*picture(path, f"{title} of every system by context"), "")
        yield from (*rows, "")
    yield from text.remarks(session)


def _drawn(session: Session) -> dict[str, plots.Draw]:
    """The plots that a session's rows give."""
    found: dict[str, plots.Draw] = {}
    if session.contexts("memory.total"):
        found["memory"] = lambda theme, form: plots.memory(session, theme, form)
        found["cache"] = lambda theme, form: plots.cache(session, theme, form)
    if any(session.slope(name, "time.step", workload=REPLAY) for name in session.systems):
        found["steps"] = lambda theme, form: plots.steps(session, theme, form)
    return found


def _file(session: Session, name: str) -> str:
    return f"profile-{escape(session.key)}-{name}"


MEMORY = (
    "Peaks of a fresh process that loads one decoder and reads the context in one pass (decode: "
    "where that was not run, steps at the end of it; speaking: a whole system with a sentence). "
    "Weights and caches are bytes of tensors; activations what torch gave out beyond them; the "
    "rest what no part explains (on a CPU mostly buffers of the matrix library). Parts add up to "
    "the total. In MB, 1e6 bytes."
)
CACHE = (
    "Bytes of one sequence's cache, walked from the objects (dots) and by closed form (lines); "
    "more than 1 % between them would have ended the profile."
)
STEPS = (
    "Forced tokens, the same for every variant, one stream; medians of interleaved visits with "
    "their quartiles, milliseconds. The slope is what each token of context adds."
)
PREFILL = "Seconds of one pass over the whole context, one stream; medians with quartiles."
STREAMS = (
    "Steps of several sequences together: tokens a second of all of them, and milliseconds a step."
)
CROSSINGS = (
    "From how many tokens of context on a variant takes less than the baseline. Measured ones are "
    "crossings of straight lines through all contexts, with 95 % intervals from resampled visits; "
    "those beyond the measured contexts are extrapolated, and say so."
)
FLOPS = (
    "By closed form, two operations a multiplication with its addition. torch's counter was run on "
    "the same code where it can see it: it sees matrix products and convolutions, never half of a "
    "causal matrix, nothing of fused attention on a CPU and nothing of fused scans."
)
SPEECH = (
    "Whole requests in turn, each as long as the system wants. First audio: from the request to "
    "the first samples; real-time factor: time by audio, the median of requests and that of all "
    "together; underrun: how long a listener would have waited in gaps."
)
LOAD = (
    "Closed: so many clients, each asking again when it has its answer. Open: requests that come "
    "at random times whether or not earlier ones are answered, timed from when they were due."
)
