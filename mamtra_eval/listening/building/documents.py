"""What a bundle says in words: consent, instructions, pre-registration, and how to run it.

Consent, data protection and pay are the study's own words: ``consent.txt`` beside this file is a
template to be filled in. Without one a bundle is a rehearsal and says so on its first page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mamtra_eval.errors import UserError
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


def instructions(kind: Kind, repeats: bool) -> list[str]:
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
        "Some clips ask you, in words, to choose a certain answer. Please do what they say.",
        "Wear headphones, stay in a quiet place, and leave the volume as it is once it is set.",
    ]
    if kind.name == "mushra":
        parts[2] = "One of the clips is the reference itself. You may find it; rate it the highest."
    if repeats:
        parts.append("A few clips come again. Judge them as if they were new.")
    return parts


def preregistration(manifest: Mapping[str, Any], systems: Sequence[str]) -> str:
    """``PREREG.md``: design, screening and analysis, before there is a rating."""
    n, analysis, kind = manifest["n"], manifest["analysis"], manifest["kind"]
    margin = analysis["margin"]
    rules = [f"| {name} | {_value(value)} |" for name, value in manifest["screening"].items()]
    equal = (
        f"Two systems are equivalent where the {100 * (2 * analysis['level'] - 1):g} % interval "
        f"of their difference lies within ±{margin:g} (two one-sided tests)."
        if margin
        else "No margin of equivalence is declared: that two systems are equal will not be said."
    )
    return "\n".join([
        f"# {manifest['title']}: settled before the first rating",
        "",
        f"Bundle `{manifest['bundle_id']}`, content `{manifest['content_sha256']}`, exported "
        f"{manifest['created']} by {manifest['tool']['name']} {manifest['tool']['version']}.",
        "",
        "## Design",
        "",
        f"- Kind: {kind['name']}. Question: “{kind['question']}” ({kind['attribute']})",
        f"- Scale: {_scale(kind['scale'])}",
        f"- {n['systems']} systems, reference and anchors among them; {n['items']} sentences; "
        f"{n['lists']} lists of {n['trials']} trials, {n['rated']} of them rated. A cyclic Latin "
        "square: nobody hears a sentence twice but for the repeats.",
        f"- Checks of a list: {_checks(manifest['checks'])}",
        f"- Sentences left out, with the reason: {len(manifest['left_out'])} (bundle.json).",
        "",
        "## Screening",
        "",
        "Applied by session, before anything is unblinded. Results are reported with and without. "
        "Checks decide which data are used, never whether somebody is paid.",
        "",
        "| Rule | Value |",
        "| --- | --- |",
        *rules,
        "",
        "## Analysis",
        "",
        f"- Headline: the mean of all votes of a system with the {analysis['interval']} "
        f"{100 * analysis['level']:g} % interval (raters and sentences). The interval that takes "
        "votes for independent stands beside it, labelled.",
        f"- Pairs of systems: two-way clustered differences; p values with Holm's correction over "
        f"all pairs. Baseline: {analysis['baseline'] or 'none'}.",
        f"- {equal}",
        f"- Check: pigeonhole bootstrap, {analysis['resamples']} resamples, seed "
        f"{analysis['seed']}.",
        f"- Systems in the test: {', '.join(sorted(systems))}.",
        "- Scores are not compared with those of other tests.",
        "",
    ])  # fmt: skip


def readme(manifest: Mapping[str, Any]) -> str:
    """``README.md`` of the bundle, for who runs the study."""
    rehearsal = (
        "\n**This bundle is a rehearsal: its first page has no consent of a study.** Export it "
        "again with `--consent FILE` before anybody else takes part.\n"
        if manifest["consent"]["template"]
        else ""
    )
    return f"""# {manifest["title"]}

A listening test ({manifest["kind"]["name"]}), {manifest["n"]["lists"]} lists of \
{manifest["n"]["trials"]} trials.
{rehearsal}
| Here | What it is |
| --- | --- |
| `site/` | what raters see: the only folder to put on a web server |
| `offline/test.html` | the same in one file, for a computer without a network |
| `exports/` | the same test for other programs, where asked for |
| `design/` | who hears what, and whether it is balanced |
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
   - hand out `offline/test.html`.
   A recruiting service sends people to the page's address with
   `?PROLIFIC_PID=…&STUDY_ID=…&SESSION_ID=…`.
4. `mamtra-eval listen ingest` this folder and the files you got (none are needed after `serve`).
5. `mamtra-eval listen analyse` this folder; `--into RUN` brings the score to the leaderboard.

Checks (traps, gold clips) say which data are used. They are no ground to refuse pay.
"""


def _value(value: float | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "off" if value is None else f"{value:g}"


def _scale(scale: Mapping[str, Any]) -> str:
    labels = ", ".join(f"{value} {words}" for value, words in scale["labels"].items())
    return f"{scale['low']:g} to {scale['high']:g} by {scale['step']:g} ({labels})"


def _checks(checks: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in checks.items()) + "."
