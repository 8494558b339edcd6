r"""listening.html: what a listening test says, how sure it is, and how it was made.

    from mamtra_eval.report import listening

    listening.write(analysis, bundle.manifest, folder)

Beside the page stand ``listening.json`` (every figure, strict JSON) and the rows for a paper, as
CSV and TeX, named by the figure (``nmos.csv``, ``nmos.tex``). A mean is never printed without
saying whose interval stands behind it.

The page is one file without a script: its content security policy admits its own style by hash and
nothing else. Every text from outside is escaped (``_listening_markup``). Ratings that a program
made are called so at the top, along the page, in the JSON and in every row; so is a bundle that is
not as it was exported, of which nothing is said to have been settled before the ratings.

Templates: ``listening.html`` of ``templates``; its style is ``report.css`` with ``listening.css``
after it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mamtra_eval import __version__
from mamtra_eval.errors import UserError
from mamtra_eval.listening.analysis.analysing import Analysis
from mamtra_eval.report.html import fill
from mamtra_eval.report.listening import method, pairs, panel, results, rows, words
from mamtra_eval.report.listening.markup import Child, Markup, escape, join, tag
from mamtra_eval.report.listening.parts import facts

_TEMPLATES = Path(__file__).parent.with_name("templates")
FILE = "listening.html"
DATA = "listening.json"
MOST_NAMES = 8
"""Of changed files that are named on the page; the JSON has all."""


def write(analysis: Analysis, bundle_facts: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the report into a folder; returns the paths.

    Args:
        analysis: of the ratings.
        bundle_facts: the manifest (``bundle.json``); ``recruitment``, in words, may be added.
        folder: is made where it is not there.

    Raises:
        UserError: a file can't be written.
    """
    name = analysis.kind.figure or analysis.kind.name
    made = {
        FILE: render(analysis, bundle_facts),
        DATA: data(analysis, bundle_facts),
        f"{name}.csv": rows.as_csv(analysis),
        f"{name}.tex": rows.as_tex(analysis),
    }
    return [_store(folder / file, text) for file, text in made.items()]


def data(analysis: Analysis, bundle_facts: Mapping[str, Any]) -> str:
    """The analysis as JSON, with what the bundle says of itself."""
    values = {
        "simulated": bool(analysis.simulated),
        "bundle_changed": list(analysis.changed),
        "mamtra_eval": __version__,
        "headline": words.headline(analysis),
        "analysis": analysis.to_dict(),
        "bundle": {name: value for name, value in bundle_facts.items() if name != "tokens"},
    }
    return json.dumps(values, allow_nan=False, ensure_ascii=True, indent=1) + "\n"


def render(analysis: Analysis, bundle_facts: Mapping[str, Any]) -> str:
    """The report as the text of one HTML file."""
    style = "\n".join(_read(name) for name in ("report.css", "listening.css"))
    title = str(bundle_facts.get("title") or "Listening test")
    sections = [
        results.answer(analysis),
        results.systems(analysis),
        pairs.comparisons(analysis),
        results.distribution(analysis),
        pairs.pairs(analysis),
        panel.flow(analysis),
        results.sensitivity(analysis),
        method.power(analysis),
        method.reliability(analysis),
        panel.raters(analysis),
        panel.items(analysis),
        panel.places(analysis),
        method.checklist(analysis, bundle_facts),
        method.provenance(analysis, bundle_facts, __version__),
    ]
    return fill(
        _read("listening.html"),
        {
            "policy": policy(style),
            "title": escape(title),
            "mark": ("Simulated · " if analysis.simulated else "")
            + ("Bundle changed · " if analysis.changed else ""),
            "style": style,
            "strip": join(_strip(analysis)),
            "banner": join(_banner(analysis), _changed(analysis)),
            "facts": _facts(analysis, bundle_facts),
            "main": join(sections),
        },
    )


def policy(style: str) -> str:
    """The content security policy that admits this style alone."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _facts(analysis: Analysis, bundle_facts: Mapping[str, Any]) -> Markup:
    flow = analysis.flow
    shown: list[tuple[str, Child]] = [
        ("Asked", str(bundle_facts.get("kind", {}).get("question") or analysis.kind.question)),
        ("Kind", f"{words.figure(analysis)} ({analysis.kind.name})"),
        ("Votes", f"{flow.votes_kept:,}".replace(",", " ")),
        ("Raters", str(flow.raters_kept)),
        ("Items", str(analysis.power.items)),
        ("Systems", str(len(analysis.names))),
        ("Baseline", analysis.settings.baseline or "none"),
        ("Language", str(bundle_facts.get("language", words.DASH))),
    ]
    return facts(shown)


def _banner(analysis: Analysis) -> Markup | None:
    if not analysis.simulated:
        return None
    received = analysis.flow.sessions_received
    return tag(
        "div",
        tag("p", "Simulated ratings", class_="shout"),
        tag(
            "p",
            f"{analysis.simulated} of {words.many(received, 'session')} were answered by a "
            "program, not by people. This is a rehearsal: no figure on this page is evidence about "
            "any system.",
        ),
        class_="banner",
        role="note",
    )


def _changed(analysis: Analysis) -> Markup | None:
    names = analysis.changed
    if not names:
        return None
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return tag(
        "div",
        tag("p", "Bundle changed since its export", class_="shout"),
        tag(
            "p",
            "Not as they were exported, or not known to be: ",
            tag("code", ", ".join(names[:MOST_NAMES])),
            f"{more}. Nothing here shows that rules, margin, design or key are those from before "
            "the ratings.",
        ),
        class_="banner",
        role="note",
    )


def _strip(analysis: Analysis) -> Markup | None:
    told = [
        *(["Simulated ratings: not evidence"] if analysis.simulated else []),
        *(["Bundle changed since its export"] if analysis.changed else []),
    ]
    if not told:
        return None
    return tag("div", " · ".join(told), class_="strip", aria_hidden="true")


def _store(path: Path, text: str) -> Path:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise UserError(
            f"can't be written ({error.strerror})",
            where=str(path),
            fix="Make room and the folder writable, or name another folder.",
        ) from error
    return path


def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")
