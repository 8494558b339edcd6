r"""The folder that raters see, and the same as one file.

    from mamtra_eval.listening.site import write_offline, write_site

    write_site(folder / "site", bundle, lists)       # after site/audio/ has been written
    write_offline(folder / "site", folder / "offline/test.html")

``page/`` holds the page as it is, without a build: ``index.html`` loads ``page.css`` and classic
scripts one after the other. Beside them stand ``bundle.js`` (``window.BUNDLE``, what is asked) and
``lists.js`` (``window.LISTS``, the trials of every list); ``<``, ``>``, ``&``, line separators and
lone surrogates are written as ``\uXXXX``, so that no text can end a script. The folder works from
any web server and, except for the check of the audio's hashes, from disk.

The page's address may say who takes part (``PROLIFIC_PID``, ``STUDY_ID``, ``SESSION_ID``, or
``participant``) and, for experimenters, which list is shown (``list=l03``: recorded, and the
results come as a file, since a collector gives lists itself) and that a program answers
(``simulated=1``). ``BUNDLE.words`` may replace words of the page (``words.js``);
``BUNDLE.endpoint`` is ``None`` where there will be no collector, so that none is looked for.

The single file has all of it inline, the audio as base64 ``data:`` addresses in elements that are
not executed, and a content security policy that admits these scripts alone, by their hashes. Its
results come back as a file that raters save.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mamtra_eval.errors import UserError

PAGE = Path(__file__).with_name("page")
OFFLINE_LIMIT_BYTES = 40_000_000
"""Of audio in a single file; browsers take long over more."""

_UNSAFE = re.compile(r"[<>&\u2028\u2029\ud800-\udfff]")
_SCRIPT = re.compile(r'<script src="([\w.-]+)"></script>')
_STYLE = re.compile(r'<link rel="stylesheet" href="([\w.-]+)">')
_POLICY = re.compile(r'(http-equiv="Content-Security-Policy" content=")[^"]*')
_TYPES = {".wav": "audio/wav", ".flac": "audio/flac"}


def write_site(folder: Path, bundle: Mapping[str, Any], lists: Mapping[str, Any]) -> None:
    """Write the page and its data into ``site/``; the audio there is left as it is.

    Args:
        folder: ``site/`` of the bundle; made where it is not there.
        bundle: ``window.BUNDLE``, JSON values only; keys are written in their order.
        lists: ``window.LISTS``, trials by name of the list.

    Raises:
        ValueError: a number that JSON cannot carry.
        TypeError: something that is not JSON.
    """
    scripts = {"bundle.js": _assign("BUNDLE", bundle), "lists.js": _assign("LISTS", lists)}
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(PAGE.iterdir()):
        if path.suffix in (".html", ".css", ".js"):
            shutil.copyfile(path, folder / path.name)
    for name, text in scripts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def write_offline(site: Path, target: Path) -> None:
    """Write a site that ``write_site`` has made, with its audio, as one HTML file.

    Raises:
        UserError: there is no site, or its audio is more than ``OFFLINE_LIMIT_BYTES``.
    """
    audio = sorted(path for path in (site / "audio").glob("*") if path.suffix in _TYPES)
    if not (site / "index.html").is_file() or not audio:
        raise UserError(
            "no site with audio here", where=str(site), fix="Give the site/ of a bundle."
        )
    size = sum(path.stat().st_size for path in audio)
    if size > OFFLINE_LIMIT_BYTES:
        raise UserError(
            f"{size / 1e6:.1f} MB of audio; a single file takes {OFFLINE_LIMIT_BYTES / 1e6:.0f} MB",
            where=str(site),
            fix="Hand out the folder site/ instead, or make a bundle of fewer or shorter clips.",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with part.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(_single(site, audio))
    part.replace(target)


def _assign(name: str, value: Mapping[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    safe = _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return f"window.{name} = {safe};\n"


def _single(site: Path, audio: list[Path]) -> Iterator[str]:
    """Yield the page in pieces, an audio file each in between: memory holds one of them."""
    page = (site / "index.html").read_text(encoding="utf-8")
    scripts = {name: (site / name).read_text(encoding="utf-8") for name in _SCRIPT.findall(page)}
    styles = {name: (site / name).read_text(encoding="utf-8") for name in _STYLE.findall(page)}
    policy = _policy(list(scripts.values()), list(styles.values()))
    page = _POLICY.sub(lambda found: found[1] + html.escape(policy), page)
    page = _STYLE.sub(lambda found: f"<style>{styles[found[1]]}</style>", page)
    before, first, after = page.partition("<script")
    yield before
    for path in audio:
        data = base64.b64encode(path.read_bytes()).decode()
        address = f"data:{_TYPES[path.suffix]};base64,{data}"
        yield f'<script type="text/plain" data-token="{path.stem}">{address}</script>\n'
    yield _SCRIPT.sub(lambda found: f"<script>{scripts[found[1]]}</script>", first + after)


def _policy(scripts: list[str], styles: list[str]) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_digest, scripts))}",
            f"style-src {' '.join(map(_digest, styles))}",
            "media-src data:",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
