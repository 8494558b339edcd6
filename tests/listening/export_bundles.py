"""The made bundle with the words of a site, as the exports need it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mamtra_eval.listening.bundle import Bundle, open_bundle
from tests.listening import made_bundles
from tests.listening.made_bundles import token

LISTS = ("l00", "l01", "l02")
PRACTICE = token("practice")


def write(folder: Path, kind: str = "mos", **words: Any) -> Bundle:
    """The made bundle with ``site/bundle.js``; ``words`` take the place of its own.

    Of mushra the rated trials alone: its checks show one clip several times.
    """
    made_bundles.write(folder, kind)
    if kind == "mushra":
        lists = json.loads((folder / "design/lists.json").read_text())
        rated = {name: trials[:4] for name, trials in lists.items()}
        (folder / "design/lists.json").write_text(json.dumps(rated))
    text = json.dumps({**site_words(kind), **words}, ensure_ascii=False)
    (folder / "site/bundle.js").write_text(f"window.BUNDLE = {text};\n", encoding="utf-8")
    return open_bundle(folder)


def site_words(kind: str) -> dict[str, Any]:
    """Words with characters that formats like to break."""
    shown = [PRACTICE, token("gold")] if kind in ("cmos", "ab") else [PRACTICE]
    if kind == "mushra":
        shown = [token(system, "utt-1") for system in ("teacher", "recordings")]
    reference = token("reference", "utt-9") if kind in ("smos", "mushra") else None
    return {
        "title": "Voices: a test — Hörtest #1",
        "question": 'How "natural" does this sound, 1 & up?',
        "instructions": ["Use headphones: it's <b>better</b>.", "C:\\temp\n- [random, {no}] 1e5"],
        "consent": {"title": "Consent", "paragraphs": ["I'm 18 or older."], "sha256": "1" * 64,
                    "agree": "I agree."},
        "volume": token("gold"),
        "practice": [{"id": "practice_1", "tokens": shown, "reference": reference}],
        "break_every": 4,
        "minutes": 2.4,
        "completion": {"code": "C0DE", "redirect": "https://app.example/complete?a=1&cc=C0DE"},
    }  # fmt: skip


def shown(bundle: Bundle, list_id: str) -> list[tuple[str, tuple[str, ...]]]:
    """Trial and tokens of a list, in order."""
    return [(trial.id, trial.tokens) for trial in bundle.lists[list_id]]
