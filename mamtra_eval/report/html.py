r"""report.html: one offline file with plots, players, word diffs, sorting and filters.

    from mamtra_eval.report.html import render

    Path("reports/quickstart/report.html").write_text(render(data), encoding="utf-8")

The file needs no server, no network and no neighbour except the audio files it names; with the
audio embedded (``_embedding``), not even those. It shows the headline figures of every system with
their intervals, the leaderboard with the differences to the baseline and their verdicts, and every
clip with its values, its difference to the baseline's clip, word alignment, waveform, audio and
failures. What is shown (filter, order, search) stands in the address, so that it can be passed on.

`data` holds JSON values only (a NaN is refused; an undefined number is None):

    title, created (ISO 8601), version, run, notes: [str]
    audio       where the audio is, in words
    verdicts    what the verdicts say, in words; None where no margin was declared
    testset     name, language, n, sha256
    figures     name, title, unit (fraction, cosine, mos or score), higher_is_better, headline,
                metric, signature, note
    systems     name, kind, target, is_baseline, clips, clips_failed, and `figures`, by name:
                value, low, high, level, n (values that entered), n_failed (that could not),
                difference (None, or value, low, high, n: this system minus the baseline, margin,
                verdict: a word of `statistics.equivalence`, or None to go by zero), foreign (None,
                or the signature of a value that can't be compared)
    clips       system, utterance, repeat, text, audio, prompt, ground_truth, duration_s, error,
                flags, reasons (by flag), transcript, alignment ([operation, reference word, heard
                word]), second (the second recogniser's words), agree (whether it heard the same),
                envelope (`mamtra_eval.envelope`), and by figure name `values` (number or None) and
                `failures` (why there is no value)
    sample      None, or, where `clips` are some of them: note (how they were chosen), of (how many)
    paper       None, or the quantities of the MamTra paper's table: titles, rows (a system's name
                and a cell a title), notes: [str]
    published   None, or numbers that were not measured here: note, reasons: [str], and rows:
                system, values (by figure: value, unit, text), source, date, against ([system,
                figure, verdict])
    tradeoff    None, or note and plots: title, svg_light, svg_dark; alt and panels, the number
                side by side, are optional

Of a clip, everything after `repeat` may be left out. `audio`, `prompt` and `ground_truth` are plain
paths relative to the HTML file, not percent-encoded; `data:` and `file:` addresses are taken as
they are, and a number is the place of an embedded file. The data travel as JSON, packed
(``_packing``), in a script element that is not executed; a text cannot end that element, because
`<`, `>` and `&` are written as \uXXXX, and the page puts texts into the document as text nodes
only. Embedded files follow in elements of their own, which nothing reads before they are played.
The content security policy admits the page's own style and script by their hash, audio from disk,
from beside the page or from `data:`, and pictures from `data:`; nothing else is loaded or run.

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
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mamtra_eval.errors import UserError
from mamtra_eval.report import _embedding, _html_data
from mamtra_eval.report._embedding import Plan
from mamtra_eval.report._packing import pack
from mamtra_eval.results import Results

_TEMPLATES = Path(__file__).with_name("templates")
_SCRIPTS = (
    "base.js", "clips.js", "player.js", "wave.js", "overview.js", "board.js", "context.js",
    "detail.js", "regress.js", "explorer.js", "rows.js", "link.js", "report.js",
)  # fmt: skip
_MEDIA = "<!-- embedded files -->"
_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_UNSAFE = re.compile(r"[<>&\u2028\u2029\ud800-\udfff]")  # the last range: lone surrogates


def write(results: Results, embedded: Plan | None = None) -> Path:
    """Write `report.html` into the run folder; returns its path.

    With a plan, its files go in, one at a time: memory holds one of them.
    """
    path = results.folder / "report.html"
    data = embedded.data if embedded else _html_data.build(results)
    try:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(pieces(data, embedded.texts() if embedded else ()))
    except OSError as error:
        raise UserError(
            f"can't be written ({error.strerror})",
            where=str(path),
            fix="Make room and the folder writable, or write the report of a copy of the run.",
        ) from error
    return path


def plan(results: Results, utterances: int | None = None) -> Plan:
    """Plan to embed the audio of all utterances, or of the ``utterances`` worst."""
    return _embedding.plan(_html_data.build(results), results.folder, utterances)


def render(data: Mapping[str, Any], media: Iterable[str] = ()) -> str:
    """Return the report of `data` as the text of one HTML file; the arguments are `pieces`'."""
    return "".join(pieces(data, media))


def pieces(data: Mapping[str, Any], media: Iterable[str] = ()) -> Iterator[str]:
    """Yield the report in pieces, a medium each in between.

    Args:
        data: the report's content, as the module's manual describes it.
        media: embedded files as `data:` addresses, in the order of their places.

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
        "data": encode(pack(data)),
        "script": script,
        "media": _MEDIA,
    }
    # No text of the data can be taken for the mark: their `<` are escaped.
    before, _, after = fill(_read("report.html"), values).rpartition(_MEDIA)
    yield before
    for place, address in enumerate(media):
        yield f'<script type="text/plain" id="medium-{place}">{_text(address)}</script>\n'
    yield after


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
