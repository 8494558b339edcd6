"""A wall clock that jumps by hours and years, back and forth, changes no row."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from run_rows import rows

sys.path.insert(0, str(Path(__file__).parent))
from runs import REPOSITORY, command, finish, start

from mamtra_eval.reader import RunReader

JUMPING = '''"""Shifts what a process takes for the time, by another jump at each look."""
import itertools, time
JUMPS = itertools.cycle([0, 7200, -7200, 40 * 365 * 86400, -20 * 365 * 86400])
_time = time.time
time.time = lambda: _time() + next(JUMPS)
'''


def test_jumps_change_times_alone(tmp_path: Path) -> None:
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(JUMPING)
    path = f"{tmp_path / 'clock'}{os.pathsep}{REPOSITORY}"
    finish(start(command(tmp_path / "steady", metrics="health,wer")))
    finish(start(command(tmp_path / "jumping", n=3, metrics="health,wer"), PYTHONPATH=path))
    finish(start(command(tmp_path / "jumping", metrics="health,wer"), PYTHONPATH=path))
    assert rows(tmp_path / "jumping") == rows(tmp_path / "steady")
    with RunReader(tmp_path / "jumping") as store:
        assert len(store.meta("starts")) == 2
        times = {clip[0] for clip in store._db.execute("SELECT finished_at FROM clips")}
        assert len({time[:4] for time in times}) > 1  # the clock did jump
        lasted = [clip.synthesis_s for clip in store.clips()]
        assert all(0 <= seconds < 60 for seconds in lasted if seconds is not None)
