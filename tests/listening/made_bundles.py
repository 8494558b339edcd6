"""A small bundle made by hand, without a run: tones for clips, three systems, four sentences.

Every list has the four sentences, one gold trial, one trap and one repeat; ``l00`` to ``l02`` are a
Latin square. It has the form that ``listening.exporting`` writes, for tests that need no run.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mamtra_eval.listening import kinds
from mamtra_eval.listening.bundle import Bundle, open_bundle

SYSTEMS = {"teacher": "system", "hybrid": "system", "recordings": "reference"}
ITEMS = ("utt-1", "utt-2", "utt-3", "utt-4")
SALT = "5a" * 32
RATE_HZ = 16000
CREATED = "2026-11-27T00:00:00Z"


def token(*words: object) -> str:
    """A token of the made bundle."""
    return "s_" + hashlib.sha256("|".join(map(str, words)).encode()).hexdigest()[:32]


def write(folder: Path, kind: str = "mos", duration_s: float = 0.5) -> Bundle:
    """Write one into a folder; the audio is ``duration_s`` of a tone each."""
    tokens: dict[str, dict[str, Any]] = {}
    for system in SYSTEMS:
        for item in ITEMS:
            tokens[token(system, item)] = _token(system, item, "clip")
        for item in ITEMS:
            tokens[token(system, item, "repeat")] = _token(system, item, "repeat")
    for name in ("gold", "trap", "practice"):
        tokens[token(name)] = _token(None, "utt-9", name)
    if kind in ("smos", "mushra"):
        for item in (*ITEMS, "utt-9"):
            tokens[token("reference", item)] = _token(None, item, "reference")
    lists, trials = _lists(kind)
    for name in ("site/audio", "design", "key", "ratings"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    facts = {name: _audio(folder, name, place, duration_s) for place, name in enumerate(tokens)}
    manifest = _manifest(kind, facts, lists)
    _json(folder / "bundle.json", manifest)
    _json(folder / "design/lists.json", lists)
    key = {"schema": 1, "bundle_id": manifest["bundle_id"], "salt": SALT, "systems": SYSTEMS,
           "tokens": tokens, "trials": trials, "headphones": {}}  # fmt: skip
    _json(folder / "key/key.json", key)
    return open_bundle(folder)


def _lists(kind: str) -> tuple[dict[str, list[dict[str, Any]]], dict[str, dict[str, Any]]]:
    names = list(SYSTEMS)
    lists: dict[str, list[dict[str, Any]]] = {}
    trials: dict[str, dict[str, Any]] = {}
    for number in range(len(names)):
        name = f"l{number:02d}"
        asked: list[dict[str, Any]] = []
        for item, role, shown, more in _questions(kind, names, number, name):
            identifier = f"{name}_{len(asked) + 1:02d}"
            reference = token("reference", item) if kind in ("smos", "mushra") else None
            asked.append({"id": identifier, "tokens": shown, "reference": reference})
            trials[identifier] = {"role": role, "tokens": shown, "expected": None,
                                  "tolerance": 0.0, "of": None, **more}  # fmt: skip
        lists[name] = asked
    return lists, trials


def _questions(
    kind: str, names: list[str], number: int, name: str
) -> list[tuple[str, str, list[str], dict[str, Any]]]:
    rated = [_clips(kind, names, place + number, item) for place, item in enumerate(ITEMS)]
    check, low = len(rated[0]), kinds.find(kind).scale.low
    again = [_again(one) for one in rated[0]]
    return [
        *((item, "rated", shown, {}) for item, shown in zip(ITEMS, rated, strict=True)),
        ("utt-9", "gold", [token("gold")] * check, {"expected": low, "tolerance": 1.0}),
        ("utt-9", "trap", [token("trap")] * check, {"expected": low}),
        (ITEMS[0], "repeat", again, {"of": f"{name}_01"}),
    ]


def _clips(kind: str, names: list[str], place: int, item: str) -> list[str]:
    turned = [names[(place + step) % len(names)] for step in range(len(names))]
    return [token(system, item) for system in turned[: kinds.find(kind).clips or len(names)]]


def _again(one: str) -> str:
    return next(
        token(system, item, "repeat") for system in SYSTEMS for item in ITEMS
        if token(system, item) == one
    )  # fmt: skip


def _token(system: str | None, item: str, made: str) -> dict[str, Any]:
    return {"system": system, "utterance": item, "repeat": 0, "made": made}


def _audio(folder: Path, name: str, place: int, duration_s: float) -> dict[str, Any]:
    time_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    path = folder / "site/audio" / f"{name}.wav"
    soundfile.write(path, 0.1 * np.sin(2 * np.pi * (200 + 20 * place) * time_s), RATE_HZ, "PCM_16")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"sha256": digest, "duration_s": duration_s, "lufs_before": -20.0,
            "lufs_after": -23.0, "gain_db": -3.0}  # fmt: skip


def _manifest(kind: str, tokens: dict[str, Any], lists: dict[str, Any]) -> dict[str, Any]:
    found = kinds.find(kind)
    labels = {f"{value:g}": words for value, words in found.scale.labels.items()}
    scale = {"low": found.scale.low, "high": found.scale.high, "step": found.scale.step,
             "labels": labels}  # fmt: skip
    digest = hashlib.sha256(json.dumps([tokens, lists]).encode()).hexdigest()
    return {
        "schema_version": 1, "bundle_id": f"b_{digest[:16]}", "content_sha256": digest,
        "created": CREATED, "tool": {"name": "mamtra-eval", "version": "0.1.0"},
        "title": "Listening test",
        "kind": {"name": kind, "attribute": found.attribute, "question": found.question,
                 "scale": scale},
        "language": "en", "run": {"testset": "made", "sha256": "0" * 64, "n_utterances": 9},
        "n": {"systems": 3, "items": 4, "lists": 3, "trials": 7, "rated": 4},
        "audio": {"sample_rate_hz": RATE_HZ, "format": "wav", "channels": 1,
                  "loudness": {"normalised": True, "asked_lufs": -23.0, "target_lufs": -23.0,
                               "ceiling_dbfs": -1.0, "library": "pyloudnorm 0.2.0"},
                  "silence": {"equalised": True, "threshold_dbfs": -50.0, "lead_s": 0.1,
                              "tail_s": 0.2}},
        "tokens": tokens, "left_out": [],
        "checks": {"gold": 1, "traps": 1, "repeats": 1, "null": 0, "practice": 1,
                   "headphones": 0},
        "screening": {}, "analysis": {"interval": "two-way clustered", "level": 0.95,
                                      "baseline": "teacher", "margin": 0.3, "resamples": 2000,
                                      "seed": 0},
        "consent": {"sha256": "1" * 64, "template": True}, "instructions_sha256": "2" * 64,
        "contact": "", "payment": "", "retention": "",
    }  # fmt: skip


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
