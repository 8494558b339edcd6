"""Words that are said one way as a noun and another as a verb, told apart by the word before."""

from __future__ import annotations

from types import MappingProxyType

_CUES = (
    "to will would can could shall should may might must not don't didn't doesn't won't can't "
    "couldn't shouldn't wouldn't i you we they let's i'll you'll we'll they'll he'll she'll it'll "
    "i'd you'd we'd they'd he'd she'd please never always"
)
BEFORE_VERBS = frozenset(_CUES.split())
"""After these a verb is likely. flite has a tagger for it; this is as far as a list goes."""

VERBS = MappingProxyType(
    {
        "read": "r iy d", "live": "l ih v", "use": "y uw z", "close": "k l ow z", "lead": "l iy d",
        "record": "r ax k ao r d", "present": "p r iy z eh n t", "object": "ax b jh eh k t",
        "estimate": "eh s t ax m ey t", "separate": "s eh p er ey t",
        "excuse": "ih k s k y uw z", "advocate": "ae d v ax k ey t", "tear": "t eh r",
        "graduate": "g r ae jh ax w ey t", "associate": "ax s ow s iy ey t",
        "perfect": "p er f eh k t", "conduct": "k ax n d ah k t", "project": "p r ax jh eh k t",
        "contract": "k ax n t r ae k t", "reject": "r ih jh eh k t", "refuse": "r ax f y uw z",
        "content": "k ax n t eh n t", "moderate": "m aa d er ey t",
    }
)  # fmt: skip
"""As flite says them after *to*."""


def as_verb(word: str, before: str) -> list[str] | None:
    """The phones of a homograph where a verb is likely, else None."""
    return VERBS[word].split() if before in BEFORE_VERBS and word in VERBS else None
