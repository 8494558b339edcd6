"""The draft of a study on Prolific, for raters of the bundle's own site.

``study.json`` is the body of a request that makes a draft of a study (Prolific's API, the study
object); nothing is sent. ``url.txt`` is the address alone, for those who make the study by hand.
Submissions are left to a person's review: checks of attention say which data count, they are no
ground for refusing payment.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.exports import shared

KINDS = ("mos", "smos", "cmos", "ab", "mushra")
PARAMETERS = ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
NO_CODE = "SET-A-COMPLETION-CODE"


def write(bundle: Bundle, folder: Path, url: str) -> None:
    """Write ``study.json``, ``url.txt`` and ``README.md``.

    Args:
        bundle: of any kind.
        folder: to write to.
        url: of the site's folder.
    """
    words = shared.words(bundle)
    address = study_address(url)
    study = _study(bundle, words, address)
    text = json.dumps(study, ensure_ascii=False, indent=2)
    shared.text_file(folder / "study.json", text + "\n")
    shared.text_file(folder / "url.txt", address + "\n")
    shared.text_file(folder / "README.md", README)


def study_address(url: str) -> str:
    """The address with the three parameters that Prolific fills in."""
    asked = "&".join(f"{name}={{{{%{name}%}}}}" for name in PARAMETERS)
    return f"{url}{'&' if '?' in url else '?'}{asked}"


def _study(bundle: Bundle, words: dict[str, Any], address: str) -> dict[str, Any]:
    completion = words.get("completion") or {}
    code = {
        "code": completion.get("code") or NO_CODE,
        "code_type": "COMPLETED",
        "actions": [{"action": "MANUALLY_REVIEW"}],
    }
    return {
        "name": words["title"],
        "internal_name": bundle.id,
        "description": " ".join(words["instructions"]),
        "external_study_url": address,
        "prolific_id_option": "url_parameters",
        "completion_codes": [code],
        "estimated_completion_time": max(1, math.ceil(words["minutes"])),
        "reward": 0,
        "total_available_places": len(bundle.lists),
        "device_compatibility": ["desktop", "mobile", "tablet"],
        "peripheral_requirements": ["audio"],
    }


README = """# This test on Prolific

1. Put the bundle's `site/` (nothing else) where raters reach it by https, or run its collector
   there. If that is not the address in `url.txt`, export again with it.
2. Make a draft from `study.json` (`POST /api/v1/studies/`, with your own token), or copy its
   fields into the form. Set `reward`, which is in pence or cents, and `total_available_places`: it
   is the number of lists, one rater each; a multiple of it keeps the design balanced.
3. Choose who may take part (first language, hearing), then publish.

## What to know

- The completion code must be the one of the bundle. It stands in the site's files, where anyone
  can read it: take those as done whose session has arrived, not those who gave the code. Some come
  back without a code although they finished.
- Traps and gold trials decide whether answers are used. They are no ground for refusing payment:
  Prolific asks for at least two failed checks with explicit instructions in a study of five minutes
  or more, and those who do not consent or are not eligible return the study.
- A participant who comes back makes a second session; `listen ingest` says so.
"""
