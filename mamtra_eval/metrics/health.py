"""Health: faults that a machine can see, such as silence, clipping, NaN or a runaway ending.

No model is involved. A flag is a reason to listen, no verdict; the evidence holds the numbers that
raised it. ``health`` is the share of clips with at least one flag; each flag has a figure too.

silent: the peak or the RMS (about the mean) is below its threshold.
clipped: many samples at full scale, or a long run of samples at the clip's own maximum.
not_finite: NaN or infinite samples; the other checks take them as zero.
too_short: the clip lasts too little, in all or for its text.
speaking_rate: units per second between the first and the last sound are out of range.
runaway: the clip lasts much longer than its text can.
repeated_tail: the end goes round in a loop, three rounds or more, and the text does not.
long_silence: a stretch without sound, at the start, the end or within.

A unit of text is a word (long ones count once per 12 letters begun), a digit, or a character of
Chinese or Japanese. A clip without text is judged by its sound alone.

Options (units in the names; defaults chosen so that none of 128 recordings of four flite voices is
flagged, with room to spare on both sides):
    silent_peak_dbfs: -40. Speech made for listening peaks above -20.
    silent_rms_dbfs: -60. Speech is at -35 to -12; 16-bit noise is at -98.
    clipped_share: 0.001, of the samples. A normalised clip touches full scale a few times.
    clipped_run: 8 samples. The crest of a 50 Hz tone at 48 kHz is 5 samples wide.
    min_duration_s: 0.1. The shortest word takes longer.
    min_s_per_word, min_s_per_character: 0.1, 0.07. Faster is not articulation but omission.
    min_words_per_s, max_words_per_s: 0.7, 7. Reading aloud is at 2 to 3.5, digits at 1.4 to 3.
    min_characters_per_s, max_characters_per_s: 1, 10. Mandarin is read at 3 to 6. Used for zh.
    rate_from_units: 3. In shorter texts one long word or one pause decides the rate.
    runaway_base_s: 3, allowed for any text (pauses, breath).
    runaway_s_per_word, runaway_s_per_character: 1.2, 0.7, allowed on top for each unit.
    tail_similarity: 0.8, correlation. Natural endings reach 0.68, loops mostly 0.93 to 1.
    tail_min_period_s, tail_max_period_s: 0.2, 2. Shorter loops are tones, longer ones are rare.
    max_silence_s: 2. A full stop takes 0.5 to 1.
    silence_range_db: 40, below the loudest 10 ms: what is under it counts as no sound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mamtra_eval import audio
from mamtra_eval.audio import Clip, Samples
from mamtra_eval.metrics import Figure, Item, Metric, Reading
from mamtra_eval.metrics import _health_checks as checks
from mamtra_eval.registry import read_options

VERSION = 1  # of the checks themselves; raise it when a default or a method changes

DEFAULTS: dict[str, float | int] = {
    "silent_peak_dbfs": -40.0,
    "silent_rms_dbfs": -60.0,
    "clipped_share": 0.001,
    "clipped_run": 8,
    "min_duration_s": 0.1,
    "min_s_per_word": 0.1,
    "min_s_per_character": 0.07,
    "min_words_per_s": 0.7,
    "max_words_per_s": 7.0,
    "min_characters_per_s": 1.0,
    "max_characters_per_s": 10.0,
    "rate_from_units": 3,
    "runaway_base_s": 3.0,
    "runaway_s_per_word": 1.2,
    "runaway_s_per_character": 0.7,
    "tail_similarity": 0.8,
    "tail_min_period_s": 0.2,
    "tail_max_period_s": 2.0,
    "max_silence_s": 2.0,
    "silence_range_db": 40.0,
}

TITLES = {
    "silent": "Silent clips",
    "clipped": "Clipped clips",
    "not_finite": "Clips with NaN or infinity",
    "too_short": "Clips too short for their text",
    "speaking_rate": "Clips with an odd speaking rate",
    "runaway": "Clips too long for their text",
    "repeated_tail": "Clips that end in a loop",
    "long_silence": "Clips with a long silence",
}

Flags = dict[str, bool]
Evidence = dict[str, Any]


class Health(Metric):
    """All checks on one clip."""

    figures = (
        Figure(
            "health",
            "flagged",
            unit="fraction",
            higher_is_better=False,
            title="Clips with a health flag",
        ),
        *(
            Figure(
                f"health_{flag}",
                flag,
                unit="fraction",
                higher_is_better=False,
                headline=False,
                title=title,
            )
            for flag, title in TITLES.items()
        ),
    )
    note = "A health flag is a reason to listen to a clip, not a verdict on it."

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = dict(options)

    def signature(self) -> str:
        """Version of the checks, and the options that differ from their defaults."""
        changed = (f"{k}:{v}" for k, v in sorted(self._options.items()) if v != DEFAULTS[k])
        return "|".join([f"metric:health|version:{VERSION}", *changed])

    def measure(self, item: Item) -> Reading:
        """Look at one clip; ``samples_16k`` is not used, for it refuses what is to be found."""
        clip = item.clip
        finite = np.isfinite(clip.samples)
        samples = clip.samples if finite.all() else np.where(finite, clip.samples, np.float32(0))
        flags: Flags = {"not_finite": not finite.all()}
        evidence: Evidence = {"duration_s": round(clip.duration_s, 3)}
        if flags["not_finite"]:
            evidence["not_finite_samples"] = int(np.sum(~finite))
        # A stray sample of 1e30 would overflow; nothing above 100 times full scale is a level.
        samples = np.clip(samples, -100.0, 100.0)
        self._check_level(samples, flags, evidence)
        active = checks.active_frames(
            samples,
            clip.sample_rate_hz,
            self._options["silent_rms_dbfs"],
            self._options["silence_range_db"],
        )
        silences = checks.silences(active)
        evidence["head_silence_s"] = round(silences.head_s, 2)
        evidence["tail_silence_s"] = round(silences.tail_s, 2)
        evidence["longest_silence_s"] = round(silences.longest_s, 2)
        flags["long_silence"] = silences.longest_s >= self._options["max_silence_s"]
        sounding_s = max(0.0, clip.duration_s - silences.head_s - silences.tail_s)
        self._check_text(item, clip.duration_s, sounding_s, flags, evidence)
        sound = Clip(samples[: _end_of_sound(active, clip)], clip.sample_rate_hz)
        self._check_tail(item, sound, flags, evidence)
        raised = [flag for flag in TITLES if flags[flag]]
        counts = {"flagged": float(bool(raised)), **{flag: float(flags[flag]) for flag in TITLES}}
        return Reading(counts, {"flags": raised, **evidence})

    def _check_level(self, samples: Samples, flags: Flags, evidence: Evidence) -> None:
        options = self._options
        peak = checks.dbfs(float(np.abs(samples).max()))
        level = checks.dbfs(checks.rms(samples))
        share, run = checks.clipping(samples)
        flags["silent"] = peak < options["silent_peak_dbfs"] or level < options["silent_rms_dbfs"]
        flags["clipped"] = share > options["clipped_share"] or run >= options["clipped_run"]
        evidence |= {"peak_dbfs": round(peak, 2), "rms_dbfs": round(level, 2)}
        evidence |= {"clipped_share": round(share, 6), "clipped_run": run}

    def _check_text(
        self, item: Item, duration_s: float, sounding_s: float, flags: Flags, evidence: Evidence
    ) -> None:
        options = self._options
        unit = "character" if item.language.startswith("zh") else "word"
        n = checks.count_units(item.text)
        least_s = max(options["min_duration_s"], n * options[f"min_s_per_{unit}"])
        most_s = options["runaway_base_s"] + n * options[f"runaway_s_per_{unit}"]
        flags["too_short"] = duration_s < least_s
        flags["runaway"] = n > 0 and duration_s > most_s
        flags["speaking_rate"] = False
        evidence[f"{unit}s"] = n
        if n == 0 or sounding_s == 0:
            return
        rate = n / sounding_s
        evidence[f"{unit}s_per_s"] = round(rate, 2)
        if n >= options["rate_from_units"]:
            low, high = options[f"min_{unit}s_per_s"], options[f"max_{unit}s_per_s"]
            flags["speaking_rate"] = not low <= rate <= high

    def _check_tail(self, item: Item, sound: Clip, flags: Flags, evidence: Evidence) -> None:
        options = self._options
        samples = audio.resample(sound.samples, sound.sample_rate_hz, checks.RATE_HZ)
        similarity, period_s = 0.0, 0.0
        if len(samples) and not flags["silent"]:
            similarity, period_s = checks.tail_repetition(
                samples, options["tail_min_period_s"], options["tail_max_period_s"]
            )
        loop = similarity >= options["tail_similarity"]
        flags["repeated_tail"] = loop and not checks.text_repeats_at_end(item.text)
        evidence["tail_similarity"] = round(similarity, 3)
        if loop:
            evidence["tail_period_s"] = round(period_s, 2)


def create(options: Mapping[str, Any]) -> Metric:
    """Make the metric."""
    return Health(read_options("metric health", options, DEFAULTS))


def _end_of_sound(active: checks.Mask, clip: Clip) -> int:
    """Sample after the last frame with sound in it."""
    where = np.flatnonzero(active)
    last = int(where[-1]) + 1 if len(where) else 0
    return last * max(1, round(checks.FRAME_S * clip.sample_rate_hz))
