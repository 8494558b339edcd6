"""The checks, by the name that ``claims.yaml`` calls them.

A check takes a claim and a run's profiles (or ``None``), and computes: it returns figures and
comparisons, never a verdict. Each file is about one thing: ``layout``, ``cache``, ``memory``,
``passes``, ``decoding``, ``profiled`` (needs a run), ``quoted`` (what can't be checked, or only
within itself).
"""

from __future__ import annotations

from mamtra_eval.claims.checks import cache, decoding, layout, memory, passes, profiled, quoted
from mamtra_eval.claims.finding import CHECKS

__all__ = ["CHECKS", "cache", "decoding", "layout", "memory", "passes", "profiled", "quoted"]
