"""What a bundle says in words: consent, instructions, and how to run it.

Consent, data protection and pay are the study's own words: ``consent.txt`` beside this file is a
template to be filled in. Without one a bundle is a rehearsal and says so on its first page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mamtra_eval.errors import UserError
from mamtra_eval.listening.building.design import Checks
from mamtra_eval.listening.kinds import Kind

TEMPLATE = Path(__file__).with_name("consent.txt")
_BLANK = re.compile(r"\[[A-Z][A-Z ,/-]+\]|\bTODO\b|\bTBD\b|<your [a-z ]+>|lorem ipsum", re.I)
REHEARSAL = (
    "This is a rehearsal. It was made without the words of a study, so nobody but its makers "
    "should take part in it.",
    "You will hear short clips of speech and judge them. What you answer is stored under a "
    "random number.",
)


def consent(path: Path | None) -> tuple[list[str], bool]:
    """Paragraphs of the first page, and whether they are only a rehearsal's.

    Raises:
        UserError: for a file that can't be read, or has blanks of the template left.
    """
    if path is None:
        return list(REHEARSAL), True
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"the consent text can't be read ({error})",
            where=str(path),
            fix="Give a text file in UTF-8, paragraphs apart by an empty line.",
        ) from error
    if blank := _BLANK.search(text):
        raise UserError(
            f"the consent text still has a blank: {blank[0]}",
            where=str(path),
            fix="Fill in every blank of the template before people are asked.",
        )
    found = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]
    if not found:
        raise UserError(
            "the consent text is empty",
            where=str(path),
            fix="Start from the template: mamtra-eval listen consent > consent.txt",
        )
    return found, False


def instructions(kind: Kind, checks: Checks) -> list[str]:
    """What raters are told before the first trial."""
    hear = {
        "mos": "You will hear one clip at a time.",
        "smos": "You will hear a reference voice and a clip.",
        "cmos": "You will hear two clips of the same sentence.",
        "ab": "You will hear two clips of the same sentence.",
        "mushra": "You will hear a reference and several clips of the same sentence.",
    }[kind.name]
    parts = [
        f"{hear} Listen to the end, then answer: {kind.question}",
        "Use the whole scale. There is no right answer: your own impression counts.",
        "Wear headphones, stay in a quiet place, and leave the volume as it is once it is set.",
    ]
    if checks.traps:
        parts.append(
            "Some clips ask you, in words, to choose a certain answer. Please do what they say."
        )
    if kind.name == "mushra":
        parts.append(
            "One of the clips is the reference itself. You may find it; rate it the highest."
        )
    if checks.repeats:
        parts.append("A few clips come again. Judge them as if they were new.")
    return parts


def readme(manifest: Mapping[str, Any], parts: Sequence[str]) -> str:
    """``README.md`` of the bundle, for who runs the study; ``parts`` are the folders it has."""
    rehearsal = (
        "\n**This bundle is a rehearsal: its first page has no consent of a study.** Export it "
        "again with `--consent FILE` before anybody else takes part.\n"
        if manifest["consent"]["template"]
        else ""
    )
    offline = exports = ""
    if "offline" in parts:
        offline = (
            "| `offline/test.html` | the same in one file, for a computer without a network |\n"
        )
    if "exports" in parts:
        exports = "| `exports/` | the same test for other programs |\n"
    return f"""# {manifest["title"]}

A listening test ({manifest["kind"]["name"]}), {manifest["n"]["lists"]} lists of \
{manifest["n"]["trials"]} trials.
{rehearsal}
| Here | What it is |
| --- | --- |
| `site/` | what raters see: the only folder to put on a web server |
{offline}{exports}| `design/` | who hears what, and whether it is balanced |
| `key/` | **private**: which clip is which system's. Never under a web server, never to raters |
| `ratings/` | what has been ingested |
| `PREREG.md` | design, screening and analysis, settled now. Register it before the first rating |
| `bundle.json`, `SHA256SUMS` | everything a report must say; hashes of all files |

1. Try it: open `site/index.html`, or `mamtra-eval listen serve` this folder and go through it.
2. Rehearse the analysis: `mamtra-eval listen simulate` a copy of this folder, then `analyse` it.
3. Collect, in one of three ways:
   - `mamtra-eval listen serve` behind a web server that does TLS: it hands out the least-filled
     list and stores every answer at once;
   - put `site/` on any static host: a rater's list follows from their number, and they download a
     file at the end and send it to you;
   - hand out a single file (`listen export --format static,offline`).
   A recruiting service sends people to the page's address with
   `?PROLIFIC_PID=…&STUDY_ID=…&SESSION_ID=…`.
4. `mamtra-eval listen ingest` this folder and the files you got (none are needed after `serve`).
5. `mamtra-eval listen analyse` this folder; `--into RUN` brings the score to the leaderboard.

Checks (traps, gold clips) say which data are used. They are no ground to refuse pay.
"""
