"""Is a bundle still what was exported? What was settled before the ratings, was so only then.

``SHA256SUMS`` has the hash of every file of the export. Where it is gone, or leaves out one of the
files that say what was settled, nothing shows that they are as they were: that counts as changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mamtra_eval.listening import bundle as bundles
from mamtra_eval.listening.bundle import KEY, LISTS, MANIFEST, SUMS, Bundle

PLAN = "PREREG.md"
SETTLED = (MANIFEST, PLAN, LISTS, KEY)
"""Files that say what was settled, and what the tokens are."""
_DESIGN = "design/"


def changed(bundle: Bundle) -> tuple[str, ...]:
    """Files that are not as exported, or not known to be; ``SHA256SUMS`` itself where it is gone.

    Files that were made later, such as ratings, don't count.
    """
    try:
        listed = _listed(bundle.folder / SUMS)
        found = bundles.changed(bundle.folder)
    except (OSError, ValueError):  # gone, no text, or names that are no paths
        return (SUMS,)
    return tuple(dict.fromkeys([*found, *(name for name in SETTLED if name not in listed)]))


def decisive(names: Iterable[str]) -> tuple[str, ...]:
    """Of changed files those that a score rests on: rules, margin, design, key."""
    return tuple(name for name in names if name in (SUMS, *SETTLED) or name.startswith(_DESIGN))


def _listed(path: Path) -> set[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {line.partition("  ")[2] for line in lines}
