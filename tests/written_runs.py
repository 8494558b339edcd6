"""Runs of transcripts in which it is known what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

from mamtra_eval import config as configuration
from mamtra_eval import pipeline, rundata
from mamtra_eval.reader import RunReader

TEXT = "one two three four five six seven eight nine ten"
N = 30


def run(folder: Path, systems: dict[str, int], **settings: object) -> rundata.RunData:
    """A run of transcripts whose systems drop so many words of ten."""
    folder.mkdir()
    texts = [(f"u{n:02}", TEXT) for n in range(int(settings.pop("n", N)))]  # type: ignore[call-overload]
    (folder / "meta.lst").write_text("".join(f"{u}|{text}\n" for u, text in texts))
    targets = {}
    for name, drop in systems.items():
        rows = [json.dumps({"id": u, "text": " ".join(t.split()[drop + (n % 2) :])})
                for n, (u, t) in enumerate(texts)]  # fmt: skip
        (folder / f"{name}.jsonl").write_text("\n".join(rows))
        targets[name] = f"transcripts:{folder / name}.jsonl"
    config = configuration.build(
        {"testset": str(folder / "meta.lst"), "systems": targets, **settings}
    )
    with RunReader(pipeline.evaluate(config, folder / "out")) as store:
        return rundata.read(store)
