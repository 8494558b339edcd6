"""Make ``mamtra_eval/golden.json`` of a run that measured the golden clips.

Usage::

    mamtra-eval evaluate r=recorded --testset mini-en --limit 1 --out RUN
    python benchmarks/golden_reference.py RUN
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mamtra_eval import drift, golden
from mamtra_eval.reader import RunReader


def main(run: Path) -> None:
    """Write the readings of the run's last check; what failed is left out."""
    with RunReader(run) as store:
        record = store.meta(drift.META)["checks"][-1]
    found = {
        signature: {"clips": clips, "at": record["at"], "where": record["where"]}
        for signature, clips in sorted(record["readings"].items())
        if not any("error" in one for one in clips.values())
    }
    golden.SHIPPED.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
