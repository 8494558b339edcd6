"""Coverage-guided fuzzing of one reader, by atheris: inputs that reach new code are kept.

    python tests/fuzz/guided.py READER --seconds 60

It begins with the seeds of ``tests/fuzz/seeds/READER``; what it finds on its way goes to a folder
of its own, which it names. An error that is no word to the user ends it, and its input is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import atheris

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

with atheris.instrument_imports(include=["mamtra_eval"]):
    from readers import READERS, TOLD


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("reader", choices=[*READERS])
    parser.add_argument("--seconds", type=int, default=60)
    asked = parser.parse_args()
    read, scratch = READERS[asked.reader], Path(tempfile.mkdtemp(prefix="fuzz-"))
    corpus = scratch / "corpus"
    shutil.copytree(HERE / "seeds" / asked.reader, corpus)

    def one(data: bytes) -> None:
        folder = scratch / "work"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        with contextlib.suppress(*TOLD):
            read(data, folder)

    print(f"inputs are kept in {corpus}", flush=True)
    atheris.Setup(
        [sys.argv[0], str(corpus), f"-max_total_time={asked.seconds}", "-max_len=4096",
         "-rss_limit_mb=3000", "-timeout=20", "-print_final_stats=1",
         f"-artifact_prefix={scratch}/"],
        one,
    )  # fmt: skip
    os.environ.setdefault("PYTHONHASHSEED", "0")
    atheris.Fuzz()


if __name__ == "__main__":
    main()
