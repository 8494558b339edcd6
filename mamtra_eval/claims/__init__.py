"""What was claimed of MamTra's architecture and cost, checked: every verdict is computed.

``claims.yaml`` has the claims of the paper (arXiv 2603.12342: abstract, figures, project page) and
of a popular summary of it, each with its source and the numbers that it claims. Here each is
checked against what this package computes or measures when it is asked, and gets

- ``how`` it was checked (``finding.HOWS``): by closed form (``models.cost``), ``measured here``
  (real caches walked, real modules and operations counted), in a run's profile, from the source's
  own numbers alone, or not at all, which takes weights that were never published;
- our ``figure``, and the claimed numbers beside ours (``comparisons``), each with its tolerance;
- the ``verdict`` (``finding.VERDICTS``), which follows from these comparisons;
- what was ``told`` of it, and the ``setup`` that would give the claimed number.

A new claim is an entry in the file; a new kind of check is a function in ``checks``, registered
under its name. ``not explained by the architecture`` is said where a claimed difference is as
printed, but weights and cache of the two decoders do not account for it.

The decoder is CosyVoice 2's (24 layers of width 896) throughout, unless a run's profile is given.
MB is 1e6 bytes, GB 1e9; a multiplication with its addition is 2 FLOP.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from mamtra_eval.claims.claim import Claim, Source
from mamtra_eval.claims.finding import VERDICTS, Finding
from mamtra_eval.claims.profiles import Profiles

__all__ = ["VERDICTS", "Checked", "Claim", "Finding", "Profiles", "Source", "check_all"]


@dataclass(frozen=True)
class Checked:
    """One claim with what was found of it."""

    claim: Claim
    source: Source
    finding: Finding

    @property
    def verdict(self) -> str:
        """One of ``VERDICTS``."""
        return self.finding.verdict

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "id": self.claim.id,
            "topic": self.claim.topic,
            "claim": self.claim.text,
            "source": asdict(self.source),
            "source_note": self.claim.note,
            "how": self.finding.how,
            "figure": self.finding.figure,
            "verdict": self.verdict,
            "told": self.finding.told,
            "setup": self.finding.setup,
            "settings": dict(self.claim.settings),
            "comparisons": [asdict(comparison) for comparison in self.finding.comparisons],
        }


def check_all(profiles: Profiles | None = None, *, only: str | None = None) -> list[Checked]:
    """Check every claim, in the order of the file.

    Args:
        profiles: of a run, for the claims that take measured times or memory.
        only: check those alone whose id, topic, text or source contains this, in any case.
    """
    from mamtra_eval.claims._reading import read

    book = read()
    word = (only or "").casefold()
    claims = [
        claim
        for claim in book.claims
        if word in " ".join(_searched(claim, book.sources[claim.source])).casefold()
    ]
    return [check(claim, book.sources[claim.source], profiles) for claim in claims]


def check(claim: Claim, source: Source, profiles: Profiles | None = None) -> Checked:
    """Check one claim."""
    from mamtra_eval.claims.checks import CHECKS

    return Checked(claim, source, CHECKS[claim.check](claim, profiles))


def _searched(claim: Claim, source: Source) -> Iterable[str]:
    return claim.id, claim.topic, claim.text, claim.source, source.title
