"""Make a folder of recordings with three deliberate faults: corrupt, missing, silent.

    python testsets/mini-en/faulty.py FOLDER

The folder gets a wav per sentence of ``meta.lst``, as a synthesizer would leave it, but the first
file is cut off in its header, the second is missing, and the third is digital silence. It shows
what a report makes of a system that fails on some clips.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import soundfile

HERE = Path(__file__).parent


def make(folder: Path) -> None:
    """Write the folder anew."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [line.split("|") for line in (HERE / "meta.lst").read_text("utf-8").splitlines()]
    for index, (utt, *_, recording) in enumerate(rows):
        path = folder / f"{utt}.wav"
        samples, rate = soundfile.read(HERE / recording, dtype="int16")
        if index == 1:
            path.unlink(missing_ok=True)
            continue
        soundfile.write(path, samples * 0 if index == 2 else samples, rate)
        if index == 0:
            path.write_bytes(path.read_bytes()[:20])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where to put the wavs")
    make(parser.parse_args().folder)


if __name__ == "__main__":
    main()
