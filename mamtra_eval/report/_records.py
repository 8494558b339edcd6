"""A run as records, a clip each: what results.parquet and results.jsonl hold.

Columns, those of metrics under the metric's name:

=========================  ======================================================================
``system`` … ``repeat``    which clip
``text``, ``speaker``      of the utterance; the speaker where the test set declares one
``status``, ``error``      ``done``, ``failed`` or ``planned``; why it could not be made
``path`` … ``seed``        of the clip: file in the run folder, hash, seconds, sample rate, seed
``cost.<name>``            what its maker counted; ``cost.synthesis_s`` as the worker saw it
``<figure>``               its ratio of this clip: rates as fractions, scores as they are
``<metric>.<count>``       the additive counts that figures are made of
``<metric>.<evidence>``    what a reader needs to believe them: text as it is, the rest as JSON
``<metric>.error``         why there is no reading
=========================  ======================================================================

What a clip lacks is null, never zero.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mamtra_eval.metrics import Reading
from mamtra_eval.results import Results
from mamtra_eval.rows import ClipRow

PLAIN = (str, bool, int, float)
"""What a column holds."""


def records(results: Results) -> Iterator[dict[str, Any]]:
    """One record a clip, in the order of systems, utterances and repeats; all have all keys."""
    keys = [*columns(results)]
    for clip in results.clips:
        record = {key: _plain(value) for key, value in _record(clip, results).items()}
        yield {key: record.get(key) for key in keys}


def columns(results: Results) -> dict[str, set[type]]:
    """The keys of all records, each with the types of its values but for null.

    It is found by looking through all records, none of which is kept.
    """
    found: dict[str, set[type]] = {}
    for clip in results.clips:
        for key, value in _record(clip, results).items():
            kinds = found.setdefault(key, set())
            if value is not None:
                kinds.add(type(value) if isinstance(value, PLAIN) else str)
    return found


def _record(clip: ClipRow, results: Results) -> dict[str, Any]:
    """A clip's values as they are: those that no column holds become text in ``records``."""
    return {**_clip(clip, results), **_readings(clip, results)}


def _clip(clip: ClipRow, results: Results) -> dict[str, Any]:
    return {
        "system": clip.key.system,
        "utterance": clip.key.utterance,
        "repeat": clip.key.repeat,
        "text": results.utterances[clip.key.utterance].text,
        "speaker": results.speakers.get(clip.key.utterance),
        "status": clip.status,
        "error": clip.error,
        "path": clip.path,
        "sha256": clip.sha256,
        "duration_s": clip.duration_s,
        "sample_rate_hz": clip.sample_rate_hz,
        "seed": clip.seed,
        "cost.synthesis_s": clip.synthesis_s,
        **{f"cost.{name}": value for name, value in clip.cost.items()},
    }


def _readings(clip: ClipRow, results: Results) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for metric in results.metrics:
        reading = results.readings.get((clip.key, metric.name))
        if isinstance(reading, str):
            found[f"{metric.name}.error"] = reading
        if not isinstance(reading, Reading):
            continue
        # Figures that put the same counts together in another way are the same of one clip.
        ratios = {(f.numerator, f.denominator): f for f in reversed(metric.figures)}
        found |= {figure.name: figure.ratio(reading) for figure in reversed(ratios.values())}
        found |= {f"{metric.name}.{name}": value for name, value in reading.counts.items()}
        found |= {f"{metric.name}.{name}": value for name, value in reading.evidence.items()}
    return found


def _plain(value: object) -> str | float | None:
    """A value that a column of one type holds."""
    if value is None or isinstance(value, PLAIN):
        return value
    return json.dumps(value, ensure_ascii=False)
