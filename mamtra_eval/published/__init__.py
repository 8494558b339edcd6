"""Published numbers: what others printed of systems on known test sets, with source and protocol.

They are context and no measurement: none of them was made here, and few by one protocol. So each
stands with its source and with what is on record of its recogniser, text rule and speaker encoder;
what is not is ``None``, and is told as unknown. Where sources disagree, all stand.

``context`` gives the numbers that belong beside a run, ``matches`` the published system that a
system of a run is, and ``comparing`` what may be said of the two. The numbers are the YAML files of
this package, read and validated by ``_reading``; a new one is one line there, under its source.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from mamtra_eval.targets import is_floor

HUMAN = "human"
"""Key of recordings of people."""
OWN_KINDS = ("mini", "noise", "resynthesis")
"""Systems that are this package's own, whatever a run calls them: nobody published of them."""
_RATIO = re.compile(r"1[:-](\d+)")

Unit = Literal["fraction", "cosine", "mos"]


@dataclass(frozen=True)
class Protocol:
    """How a number was made, as far as it is on record; ``None`` is unknown.

    Attributes:
        recipe: one of ``recipes``, which then says all the rest.
        asr: the recogniser: ``whisper-large-v3``, ``paraformer-zh``.
        normalizer: the text rule, as ``list normalize`` names it.
        aggregate: ``mean`` of the utterances' rates, or ``pooled``.
        encoder: the speaker encoder, as ``list speakers`` names it.
    """

    recipe: str | None = None
    asr: str | None = None
    normalizer: str | None = None
    aggregate: str | None = None
    encoder: str | None = None


@dataclass(frozen=True)
class KnownSet:
    """A test set that numbers were published of.

    Attributes:
        language: of its texts.
        n: its utterances, where known.
        aliases: names by which runs call it, or tails of its path.
        folders: names that any list could have, which count only with ``n`` utterances.
    """

    name: str
    language: str
    n: int | None = None
    aliases: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    def is_called(self, name: str, language: str | None, n: int | None) -> bool:
        """Whether a list of that name is this set; what is ``None`` is not looked at."""
        if language not in (None, self.language):
            return False
        called = name.casefold().replace("\\", "/").rstrip("/")
        if n is not None and n == self.n and called in self.folders:
            return True
        return any(
            called == alias or called.endswith(f"/{alias}") for alias in (self.name, *self.aliases)
        )


@dataclass(frozen=True)
class Published:
    """One number.

    Attributes:
        system, name: its key, and its name for people.
        testset: name of the test set.
        metric: the figure of ours that it is.
        value: in that figure's unit: rates as fractions.
        unit: that unit.
        text: the value with as many digits as were printed.
        source: where it is printed.
        date: of that, ``YYYY-MM-DD`` or ``YYYY-MM``.
        note: what else a reader must know.
    """

    system: str
    name: str
    testset: str
    metric: str
    value: float
    unit: Unit
    text: str
    source: str
    date: str | None
    protocol: Protocol
    note: str


@dataclass(frozen=True)
class Registry:
    """All numbers in the order of their files; names of systems by key; test sets by name."""

    systems: dict[str, str]
    testsets: dict[str, KnownSet]
    numbers: tuple[Published, ...]


def registry() -> Registry:
    """The numbers of this package, read once."""
    from mamtra_eval.published import _reading

    return _reading.read()


def find_set(name: str, *, language: str | None = None, n: int | None = None) -> KnownSet | None:
    """The known test set that a list is, by its name.

    Args:
        name: as runs have it, ``seed-tts-eval/en``, or the path of a folder.
        language: of the list, where known; it tells the lists of one set apart.
        n: its utterances, where known; without it, bare names such as ``en`` say nothing.
    """
    found = registry().testsets.values()
    return next((known for known in found if known.is_called(name, language, n)), None)


def context(
    testset: str,
    figures: Collection[str],
    *,
    language: str | None = None,
    n: int | None = None,
) -> list[Published]:
    """The numbers that belong beside figures of a test set; the arguments are ``find_set``'s."""
    known = find_set(testset, language=language, n=n)
    if known is None:
        return []
    return [
        number
        for number in registry().numbers
        if number.testset == known.name and number.metric in figures
    ]


def matches(name: str, kind: str, target: str) -> str | None:
    """The key of the published system that a system of a run is, or ``None``.

    A test set's own recordings are ``human``. All others go by their exact name: a published key,
    or its name for people. A bare ratio, ``1:3`` or ``1-3``, is MamTra's where the system speaks
    with CosyVoice 2: the small family of this package has the same ratios and is no MamTra.
    """
    if is_floor(kind, target):
        return HUMAN
    if kind in OWN_KINDS:
        return None
    systems = registry().systems
    ratio = _RATIO.fullmatch(name)
    if ratio and kind == "cosyvoice2":
        name = f"mamtra-1-{ratio[1]}"
    called = name.casefold()
    return next((key for key, shown in systems.items() if called in (key, shown.casefold())), None)
