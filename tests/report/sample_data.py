"""Plausible report data for tests: N systems times M utterances, from a seeded generator.

Systems further down the list make more word errors; a few clips fail, a few measures fail, a few
clips are flagged. `write_audio` puts a small file where every clip and prompt is said to be.
"""

from __future__ import annotations

import random
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

TEXT = (
    "the quick river carried a letter past every quiet harbour while seven old sailors argued "
    "about weather and nobody heard the bell from that green hill where morning light falls on "
    "stone walls under heavy clouds she said it was never far to walk before winter"
)
WORDS = TEXT.split()
LEVELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
NAMES = ("recordings", "mamba-16", "mamba-8", "mamba-8-int8", "transformer-s", "espeak")
RATES = (0.035, 0.045, 0.05, 0.07, 0.16, 0.12)  # word errors of each system
DROPS = (0.05, 0.005, 0.055, 0.06, 0.09, 0.22)  # how far each lies below the best voice
HEADLINE = ("wer", "wer_pooled", "similarity", "dnsmos", "health")
ASR = "asr:pocketsphinx-5.0.4:en-us|norm:seed_tts-1|edit:jiwer-4.0.0"
FIGURES = (  # name, metric, title, unit, higher is better, headline, signature
    ("wer", "wer", "WER, mean of utterances", "fraction", False, True, ASR),
    ("wer_pooled", "wer", "WER, pooled", "fraction", False, True, ASR),
    ("wer_deletions", "wer", "Deletions, pooled", "fraction", False, False, ASR),
    ("similarity", "similarity", "Speaker similarity", "cosine", True, True, "spk:ge2e|vad:webrtc"),
    ("dnsmos", "dnsmos", "DNSMOS overall", "mos", True, True, "metric:dnsmos|window:9.01"),
    ("health", "health", "Clips with a health flag", "fraction", False, True, "metric:health"),
)


def build(systems: int = 3, utterances: int = 24, seed: int = 7) -> dict[str, Any]:
    """Return report data of `systems` times `utterances` clips."""
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(5, 14))) for _ in range(utterances)]
    names = [*NAMES, *(f"system-{i}" for i in range(len(NAMES), systems))][:systems]
    clips = [
        _clip(rng, name, index, number, text)
        for index, name in enumerate(names)
        for number, text in enumerate(texts)
    ]
    testset = {"name": "mini-en", "language": "en", "n": utterances, "sha256": "ab12" * 16}
    return {
        "title": "quickstart",
        "created": "2026-11-23T10:00:00Z",
        "audio": "linked files",
        "verdicts": "Verdicts read the 90 % interval against margins declared before the numbers.",
        "version": "0.1.0",
        "run": "reports/quickstart",
        "testset": testset,
        "costs": {"titles": ["Real-time factor"], "note": "As the workers saw it."},
        "figures": [_figure(*figure) for figure in FIGURES],
        "systems": _systems(names, clips),
        "clips": clips,
        "published": None,
        "tradeoff": None,
        "notes": ["Intervals are bootstrap intervals over utterances, 2000 resamples, seed 0."],
    }


def _figure(
    name: str, metric: str, title: str, unit: str, higher: bool, headline: bool, signature: str
) -> dict[str, Any]:
    return {
        "name": name,
        "title": title,
        "unit": unit,
        "higher_is_better": higher,
        "headline": headline,
        "metric": metric,
        "signature": signature,
        "note": f"{title}: over all clips that could be measured.",
    }


def _clip(rng: random.Random, system: str, index: int, number: int, text: str) -> dict[str, Any]:
    utterance = f"{('awb', 'clb', 'slt')[number % 3]}-{number + 1:03d}"
    clip: dict[str, Any] = {
        "system": system,
        "utterance": utterance,
        "repeat": 0,
        "text": text,
        "audio": f"clips/{system}/{utterance}.flac",
        "prompt": f"prompts/{utterance[:3]}.flac",
        "ground_truth": f"truth/{utterance}.flac",
        "duration_s": round(0.31 * len(text.split()) * rng.uniform(0.85, 1.2), 2),
        "error": None,
        "values": dict.fromkeys(HEADLINE),
        "failures": {},
        "transcript": None,
        "alignment": None,
        "flags": [],
        "reasons": {},
        "second": None,
        "agree": None,
        "envelope": "".join(rng.choices(LEVELS, k=100)),
    }
    if index and rng.random() < 0.02:
        clip |= {"error": "could not synthesise: the decoder did not stop in 30 s"}
        clip |= {"audio": None, "duration_s": None, "envelope": None}
        return clip
    clip["alignment"] = alignment = _align(rng, text.split(), RATES[index % 6])
    clip["transcript"] = " ".join(heard for _, _, heard in alignment if heard)
    rate = sum(operation != "equal" for operation, _, _ in alignment) / len(text.split())
    clip["values"] = {
        "wer": rate,
        "wer_pooled": rate,
        "similarity": min(1.0, rng.gauss(0.95 - DROPS[index % 6], 0.03)),
        "dnsmos": rng.gauss(3.2 - 2 * DROPS[(index + 5) % 6], 0.2),
        "health": 0.0,
    }
    if rng.random() < 0.03:
        clip["values"]["similarity"] = None
        clip["failures"] = {"similarity": "no voiced frame"}
    if rng.random() < 0.05:
        clip["flags"] = rng.choice([["nearly_silent"], ["clipped"], ["clipped", "long pause"]])
        clip["values"]["health"] = 1.0
    return clip


def _align(rng: random.Random, words: list[str], rate: float) -> list[list[str]]:
    pairs = []
    for word in words:
        chance = rng.random()
        if chance < rate * 0.5:
            pairs.append(["substitute", word, rng.choice(WORDS)])
        elif chance < rate * 0.8:
            pairs.append(["delete", word, ""])
        else:
            pairs.append(["equal", word, word])
        if rng.random() < rate * 0.2:
            pairs.append(["insert", "", rng.choice(WORDS)])
    return pairs


def _systems(names: list[str], clips: list[dict[str, Any]]) -> list[dict[str, Any]]:
    systems: list[dict[str, Any]] = []
    for index, name in enumerate(names):
        own = [clip for clip in clips if clip["system"] == name]
        base = systems[0]["figures"] if systems else None
        figures = {figure[0]: _estimate(figure[0], own, base) for figure in FIGURES}
        kind, target = ("recorded", "recorded") if index == 0 else ("command", f"bin/{name}")
        failed = sum(clip["error"] is not None for clip in own)
        system = {"name": name, "kind": kind, "target": target, "is_baseline": index == 0}
        system["costs"] = None if index == 0 else [f"{0.1 * index:.3f}"]
        systems.append({**system, "clips": len(own), "clips_failed": failed, "figures": figures})
    return systems


def _value(clip: dict[str, Any], name: str) -> float | None:
    if name == "wer_deletions" and clip["alignment"]:
        operations = [operation for operation, _, _ in clip["alignment"]]
        return operations.count("delete") / len(clip["text"].split())
    value: float | None = clip["values"].get(name)
    return value


def _estimate(name: str, own: list[dict[str, Any]], base: dict[str, Any] | None) -> dict[str, Any]:
    values = [x for clip in own if (x := _value(clip, name)) is not None]
    count = {"level": 0.95, "n": len(values), "n_failed": len(own) - len(values)}
    if len(values) < 2:
        return {"value": None, "low": None, "high": None, "difference": None, **count}
    value = statistics.fmean(values)
    half = 1.96 * statistics.stdev(values) / len(values) ** 0.5
    difference = None
    if base is not None:
        gap = value - base[name]["value"]
        difference = {"value": gap, "low": gap - half, "high": gap + half, "n": len(values)}
        difference |= {"margin": None, "verdict": None}
    return {
        "value": value,
        "low": value - half,
        "high": value + half,
        "difference": difference,
        **count,
    }


def write_audio(folder: Path, data: dict[str, Any], seconds: float = 1.5) -> None:
    """Write a tone for every clip and prompt of `data` under `folder`."""
    time = np.arange(int(16_000 * seconds)) / 16_000
    kinds = ("audio", "prompt", "ground_truth")
    paths = sorted({clip[key] for clip in data["clips"] for key in kinds} - {None})
    for number, name in enumerate(paths):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = 0.05 * np.sin(2 * np.pi * (220 + 5 * (number % 60)) * time)
        sf.write(path, tone.astype("float32"), 16_000)
