r"""report.html: one offline file with plots, players, word diffs, sorting and filters.

    from mamtra_eval.report.html import render

    Path("reports/quickstart/report.html").write_text(render(data), encoding="utf-8")

The file needs no server, no network and no neighbour except the audio files it names. It shows
the headline figures of every system with their intervals, the leaderboard with the differences
to the baseline, and every clip with its values, word alignment, audio and failures.

`data` holds JSON values only (a NaN is refused; an undefined number is None):

    title, created (ISO 8601), version, run, notes: [str]
    testset     name, language, n, sha256
    figures     name, title, unit (fraction, cosine, mos or score), higher_is_better, headline,
                metric, signature, note
    systems     name, kind, target, is_baseline, clips, clips_failed, and `figures`, by name:
                value, low, high, level, n (values that entered), n_failed (that could not),
                difference (None, or value, low, high, n: this system minus the baseline)
    clips       system, utterance, repeat, text, audio, prompt, duration_s, error, flags,
                transcript, alignment ([operation, reference word, heard word]), and by figure
                name `values` (number or None) and `failures` (why there is no value)

`audio` and `prompt` are plain paths relative to the HTML file, not percent-encoded; `data:` and
`file:` addresses are taken as they are. The data travel as JSON in a script element that is not
executed; a text cannot end that element, because `<`, `>` and `&` are written as \uXXXX, and
the page puts texts into the document as text nodes only. The content security policy admits the
page's own style and script by their hash and audio from disk, from beside the page or from
`data:`; nothing else is loaded or run.

Templates: `templates/report.html` with `{{name}}` placeholders, `report.css`, and the scripts of
`_SCRIPTS`, which are joined in that order into one module. A placeholder without a value, or a
value without a placeholder, is an error.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mamtra_eval.report import _html_data
from mamtra_eval.results import Results

_TEMPLATES = Path(__file__).with_name("templates")
_SCRIPTS = ("base.js", "player.js", "overview.js", "detail.js", "explorer.js", "report.js")
_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_UNSAFE = re.compile(r"[<>&\u2028\u2029\ud800-\udfff]")  # the last range: lone surrogates


def write(results: Results) -> Path:
    """Write `report.html` into the run folder; returns its path."""
    path = results.folder / "report.html"
    path.write_text(render(_html_data.build(results)), encoding="utf-8")
    return path


def render(data: dict[str, Any]) -> str:
    """Return the report of `data` as the text of one HTML file.

    Args:
        data: the report's content, as the module's manual describes it.

    Raises:
        ValueError: `data` holds a number that JSON cannot carry.
        TypeError: `data` holds something that is not JSON.
    """
    style = _read("report.css")
    script = "\n".join(_read(name) for name in _SCRIPTS)
    values = {
        "policy": _policy(style, script),
        "title": _text(str(data["title"])),
        "style": style,
        "data": encode(data),
        "script": script,
    }
    return fill(_read("report.html"), values)


def encode(data: Mapping[str, Any]) -> str:
    """Return `data` as JSON that is safe inside a script element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def fill(template: str, values: Mapping[str, str]) -> str:
    """Replace every `{{name}}` of `template`, in one pass: values are never searched.

    Raises:
        ValueError: a placeholder has no value, or a value has no placeholder.
    """
    names = {match[1] for match in _PLACEHOLDER.finditer(template)}
    if names != set(values):
        unknown, unused = sorted(names - set(values)), sorted(set(values) - names)
        raise ValueError(f"report template: unknown placeholders {unknown}, unused {unused}")
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def _policy(style: str, script: str) -> str:
    """Return the content security policy that admits this style and this script."""
    directives = (
        "default-src 'none'",
        f"script-src '{_digest(script)}'",
        f"style-src '{_digest(style)}'",
        "media-src 'self' data: file:",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(directives)


def _digest(source: str) -> str:
    """Return the hash of an inline element's text as a policy writes it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _text(value: str) -> str:
    """Return `value` escaped for HTML text, with lone surrogates replaced."""
    return html.escape(value.encode("utf-8", "replace").decode())


def _read(name: str) -> str:
    """Return the text of one template file."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")
