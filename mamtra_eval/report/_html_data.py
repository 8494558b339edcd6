"""The data of report.html: a run as plain JSON values, with paths relative to the run folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mamtra_eval.figures import Value
from mamtra_eval.metrics import Reading, failures
from mamtra_eval.report import _paper, _published, _sampling, tradeoff
from mamtra_eval.report._format import COST_NOTE, costs, verdict_note
from mamtra_eval.results import Results, SystemResult
from mamtra_eval.rows import ClipRow
from mamtra_eval.statistics.bootstrap import Estimate

SHOWN = {
    "wer": ("transcript", "alignment"),
    "health": ("flags",),
    "failures": ("kinds", *failures.TITLES),
    "opinion": ("agree", "second_transcript"),
}
"""Evidence that the page shows, by metric."""


def build(results: Results) -> dict[str, Any]:
    """Everything that the page shows."""
    sample = _sampling.choose(results)
    clips = [clip for clip in results.clips
             if sample is None or clip.key.utterance in sample.utterances]  # fmt: skip
    return {
        "title": results.folder.absolute().name,
        "created": results.created,
        "version": results.version,
        "run": results.folder.absolute().name,
        "audio": "linked files" if any(clip.duration_s for clip in results.clips) else "none",
        "verdicts": verdict_note(results),
        "testset": {key: results.testset[key] for key in ("name", "language", "n", "sha256")},
        "figures": [
            {
                "name": figure.name,
                "title": figure.title or figure.name,
                "unit": figure.unit,
                "higher_is_better": figure.higher_is_better,
                "headline": figure.headline,
                "metric": metric.name,
                "signature": metric.signature,
                "note": metric.note,
            }
            for metric, figure in results.figures
        ],
        "costs": {"titles": [title for title, _ in costs(results)], "note": COST_NOTE},
        "paper": _paper.data(results),
        "systems": [_system(system, results) for system in results.systems],
        "clips": [_clip(clip, results) for clip in clips],
        "sample": None if sample is None else {"note": sample.note, "of": len(results.clips)},
        "notes": [f"Intervals: {results.interval}.", *results.notes],
        "published": _published.data(results),
        "tradeoff": tradeoff.data(results),
    }


def _system(system: SystemResult, results: Results) -> dict[str, Any]:
    return {
        "name": system.row.name,
        "kind": system.row.kind,
        "target": system.row.target,
        "is_baseline": system.is_baseline,
        "clips": results.planned,
        "clips_failed": system.n_failed,
        "costs": [show(system.cost) for _, show in costs(results)] if system.cost.known else None,
        "figures": {name: _value(value, results.level) for name, value in system.values.items()},
    }


def _value(value: Value, level: float) -> dict[str, Any]:
    difference = None
    if value.difference:
        difference = {
            **_estimate(value.difference),
            "n": value.n_paired,
            "margin": value.margin,
            "verdict": value.verdict,
        }
    return {
        **_estimate(value.estimate),
        "level": level,
        "n": value.n,
        "n_failed": value.n_failed,
        "difference": difference,
        "foreign": value.foreign,
    }


def _estimate(estimate: Estimate | None) -> dict[str, float | None]:
    return estimate._asdict() if estimate else {"value": None, "low": None, "high": None}


def _clip(clip: ClipRow, results: Results) -> dict[str, Any]:
    utterance = results.utterances[clip.key.utterance]
    values: dict[str, float | None] = {}
    failures: dict[str, str] = {}
    evidence: dict[str, Any] = {}
    for metric in results.metrics:
        reading = results.readings.get((clip.key, metric.name))
        if isinstance(reading, str):
            failures[metric.name] = reading
        for figure in metric.figures:
            if figure.headline:
                values[figure.name] = (
                    figure.ratio(reading) if isinstance(reading, Reading) else None
                )
        if isinstance(reading, Reading):
            told = dict(reading.evidence.items())
            evidence |= {key: told.get(key) for key in SHOWN.get(metric.name, ())}
    return {
        "system": clip.key.system,
        "utterance": clip.key.utterance,
        "repeat": clip.key.repeat,
        "text": utterance.text,
        "audio": None if clip.duration_s is None else clip.path,  # a transcript can't be played
        "prompt": _relative(utterance.prompt_audio, results.folder),
        "ground_truth": _relative(utterance.ground_truth, results.folder),
        "duration_s": clip.duration_s,
        "error": clip.error,
        "values": values,
        "failures": failures,
        "transcript": evidence.get("transcript"),
        "alignment": evidence.get("alignment"),
        "flags": [*dict.fromkeys([*(evidence.get("flags") or []), *(evidence.get("kinds") or [])])],
        "reasons": {kind: str(evidence[kind]) for kind in evidence.get("kinds") or []},
        "second": evidence.get("second_transcript"),
        "agree": evidence.get("agree"),
        "envelope": clip.envelope,
    }


def _relative(path: Path | None, folder: Path) -> str | None:
    return Path(os.path.relpath(path, folder)).as_posix() if path else None
