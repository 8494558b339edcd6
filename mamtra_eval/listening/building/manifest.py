"""What a bundle says of itself, public and private: ``bundle.json``, ``key.json``, assignments."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mamtra_eval import __version__
from mamtra_eval.listening.building import balance
from mamtra_eval.listening.building.loudness import library
from mamtra_eval.listening.building.settling import Options, Settled
from mamtra_eval.listening.screening.applying import Rules
from mamtra_eval.listening.trials import Trial
from mamtra_eval.rundata import RunData


def public(
    data: RunData, settled: Settled, options: Options, target_lufs: float | None
) -> dict[str, Any]:
    """``bundle.json``, but for what depends on the page: its name, hashes and tokens."""
    kind, level = options.kind, options.level
    slots = [len(trials) for trials in settled.lists.values()]
    rated = [len(balance.rated(trials)) for trials in settled.design.lists.values()]
    labels = {f"{value:g}": words for value, words in kind.scale.labels.items()}
    equalised = level.threshold_dbfs is not None
    return {
        "schema_version": 1,
        "created": options.created or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "tool": {"name": "mamtra-eval", "version": __version__},
        "title": options.title,
        "kind": {
            "name": kind.name, "attribute": kind.attribute, "question": kind.question,
            "scale": {"low": kind.scale.low, "high": kind.scale.high, "step": kind.scale.step,
                      "labels": labels},
        },
        "language": options.language,
        "run": {"testset": data.testset["name"], "sha256": data.testset["sha256"],
                "n_utterances": len(data.utterances)},
        "n": {"systems": len(settled.material.systems) + len(settled.anchors),
              "items": len(settled.material.items), "lists": len(slots), "trials": max(slots),
              "rated": max(rated)},
        "audio": {
            "sample_rate_hz": level.sample_rate_hz, "format": options.container, "channels": 1,
            "loudness": {
                "normalised": level.target_lufs is not None, "asked_lufs": level.target_lufs,
                "target_lufs": target_lufs, "ceiling_dbfs": level.ceiling_dbfs,
                "library": library(),
            },
            "silence": {
                "equalised": equalised, "threshold_dbfs": level.threshold_dbfs,
                "lead_s": level.lead_s if equalised else None,
                "tail_s": level.tail_s if equalised else None,
            },
        },
        "left_out": [vars(one) for one in settled.material.left_out],
        "checks": {"gold": settled.checks.gold, "traps": settled.checks.traps,
                   "repeats": settled.checks.repeats, "null": settled.checks.null,
                   "practice": len(settled.questions.practice()),
                   "headphones": options.headphones},
        "screening": Rules().to_manifest(),
        "analysis": {"interval": "two-way clustered", "level": 0.95, "baseline": settled.baseline,
                     "margin": options.margin, "resamples": 2000, "seed": 0},
        "contact": options.contact, "payment": options.payment, "retention": options.retention,
    }  # fmt: skip


def key(settled: Settled, bundle_id: str, answers: Mapping[str, int], seed: int) -> dict[str, Any]:
    """``key.json``: what tokens and trials are, and the ``answers`` of the headphone check."""
    made = settled.questions
    return {
        "schema": 1,
        "bundle_id": bundle_id,
        "seed": seed,
        "salt": made.salt,
        "systems": {**settled.material.systems, **dict.fromkeys(settled.anchors, "anchor")},
        "tokens": {
            **{token: vars(key) for token, key in made.token_keys().items()},
            **{token: {"system": None, "utterance": None, "repeat": 0, "made": "headphones"}
               for token in answers},
        },
        "trials": {trial: {**vars(key), "tokens": list(key.tokens)}
                   for trial, key in sorted(made.keys.items())},
        "headphones": dict(answers),
    }  # fmt: skip


def assignments(lists: Mapping[str, Sequence[Trial]]) -> str:
    """Who hears what, without saying whose it is: list, position, trial, tokens."""
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(("list", "position", "trial", "tokens", "reference"))
    for name, trials in lists.items():
        for place, trial in enumerate(trials, start=1):
            rows.writerow((name, place, trial.id, " ".join(trial.tokens), trial.reference or ""))
    return file.getvalue()
