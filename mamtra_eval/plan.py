"""The plan of a run: what is to be made and measured.

Making the plan touches no model: test set, systems' identities, metrics' signatures.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from mamtra_eval import catalogue, evaluators, family, protocol, rates, registry, targets
from mamtra_eval.config import RunConfig, to_dict
from mamtra_eval.errors import UserError
from mamtra_eval.footprint import Footprint
from mamtra_eval.metrics import Metric
from mamtra_eval.parts import Part
from mamtra_eval.protocol import TRANSCRIPTS
from mamtra_eval.recipes.applying import SUPPLIED
from mamtra_eval.systems import Request, System, clip_stem
from mamtra_eval.targets import SystemSpec
from mamtra_eval.testset import TestSet, combine

T = TypeVar("T")
U = TypeVar("U")
_IN_IDENTITY = (*evaluators.SECTIONS, "options", "recipe", "limit", "repeats", "seed")
"""Keys of the configuration that tell one run from another, besides what is hashed itself."""


@dataclass(frozen=True)
class Plan:
    """Everything that a run will do."""

    config: RunConfig
    testset: TestSet
    fingerprints: dict[str, str]
    systems: dict[str, SystemSpec]
    identities: dict[str, dict[str, Any]]
    footprints: dict[str, Footprint]
    """Of the systems that know theirs."""
    metrics: dict[str, Metric]
    metric_options: dict[str, dict[str, Any]]
    notes: tuple[tuple[str, str], ...]
    """What a reader must know, each with the metric that it is about (empty for the whole run)."""
    part: Part | None = None
    """The share of the clips that this run makes; all of them without one."""

    def requests(self, system: str) -> list[Request]:
        """The clips of one system, with the seed of each."""
        return requests(self.testset, system, self.config)

    def own_requests(self, system: str) -> list[Request]:
        """Those of them that this run makes."""
        asked = self.requests(system)
        return self.part.of(asked, system) if self.part else asked

    def signature(self, metric: str) -> str:
        """A metric's signature with that of the audio it is handed."""
        own = self.metrics[metric].signature()
        if sources := self.metrics[metric].sources:  # which hears nothing, and depends on all that
            signed = "".join(self.signature(source) for source in sources)
            return f"{own}|sources:{hashlib.sha256(signed.encode()).hexdigest()[:8]}"
        if self.metric_options[metric].get("backend") == SUPPLIED:  # which is handed no audio
            return own
        return f"{own}|resample:{rates.signature(self.metrics[metric].resampler)}"

    def default_folder(self) -> Path:
        """A folder that the same measurement finds again, and another does not.

        Hashed is what is measured (texts and audio of the test set, systems by name, kind and
        identity, evaluators' options), not where it lies or how it is called on the way.
        """
        configured = to_dict(self.config)
        content = {
            "configuration": {key: configured[key] for key in _IN_IDENTITY},
            "mode": self.config.mode or "strict",
            "testset": combine(self.fingerprints),
            "options": self.testset.options,
            "systems": [
                [name, spec.kind, self.identities[name]]
                for name, spec in sorted(self.systems.items())
            ],
        }
        text = json.dumps(content, sort_keys=True, default=str)
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.testset.name).strip("-.") or "run"
        return Path("reports") / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def make(config: RunConfig, unknown: dict[str, UserError] | None = None) -> Plan:
    """Resolve and check a configuration; UserError for whatever could not work.

    Args:
        config: of the run.
        unknown: gets the systems that can't say who they are, which the plan then lacks; by
            default the first of them raises.
    """
    specs = _each(config.systems, targets.parse, unknown)
    config = _without_audio(config, specs)
    heard = config.asr.get("backend") != SUPPLIED
    testset = catalogue.load(config.testset, audio=heard).first(config.limit)
    _check_file_names(testset, config.repeats)
    if not testset.speakers() and config.statistics.unit == "speaker":
        raise UserError(
            "statistics.unit=speaker, and the test set declares no speakers",
            where=str(testset.path),
            fix="Leave it out, or add a speaker to the set's testset.yaml.",
        )
    config = protocol.by_recipe(config, testset, evaluators.names(config))
    specs, floor_notes = protocol.with_floor(config, specs, testset)
    config = replace(config, systems={name: spec.target for name, spec in specs.items()})
    identities = _each(
        specs, lambda name, spec: identify(spec, requests(testset, name, config)), unknown
    )
    specs = {name: spec for name, spec in specs.items() if name in identities}
    footprints = {name: _footprint(spec) for name, spec in specs.items()}
    metrics, options, notes = evaluators.choose(config, testset)
    return Plan(
        config,
        testset,
        testset.fingerprints(),
        specs,
        identities,
        {name: found for name, found in footprints.items() if found is not None},
        metrics,
        options,
        (
            *(("", note) for note in family.notes(config.family, config.rivals)),
            *protocol.recipe_notes(config, testset, options),
            *floor_notes,
            *_mode_notes(config, metrics),
            *notes,
        ),
    )


def _each(
    systems: Mapping[str, T], work: Callable[[str, T], U], unknown: dict[str, UserError] | None
) -> dict[str, U]:
    """What ``work`` gives for each system but for those that fail, if ``unknown`` takes these."""
    found = {}
    for name, value in systems.items():
        try:
            found[name] = work(name, value)
        except UserError as error:
            if unknown is None:
                raise
            unknown[name] = error
    return found


def _mode_notes(config: RunConfig, metrics: Mapping[str, Metric]) -> list[tuple[str, str]]:
    """A word where the fast mode is none."""
    if config.mode != "fast" or any(metric.batch_size > 1 for metric in metrics.values()):
        return []
    return [("", "Fast mode changes nothing here: none of these evaluators takes clips together.")]


def mixed(where: str) -> UserError:
    """The error for transcripts and systems that speak in one run."""
    return UserError(
        "transcripts and systems that speak in one run",
        where=where,
        fix="What was transcribed elsewhere is not comparable: give each a run and an --out of its "
        "own.",
    )


def _without_audio(config: RunConfig, specs: Mapping[str, SystemSpec]) -> RunConfig:
    """The configuration of a run of transcripts: words are compared, nothing is listened to."""
    silent = [name for name, spec in specs.items() if spec.kind == TRANSCRIPTS]
    if not silent and config.asr.get("backend") == SUPPLIED:
        raise UserError(
            f"the recogniser {SUPPLIED} reads transcripts and can't hear audio",
            fix="Name another with --set asr.backend=NAME (mamtra-eval list asr).",
        )
    if not silent:
        return config
    if others := [name for name in specs if name not in silent]:
        raise mixed(f"{silent[0]} and {others[0]}")
    if config.metrics not in (None, ["wer"]):
        raise UserError(
            f"transcripts allow the metric wer alone, not {', '.join(config.metrics or ['none'])}",
            fix="Leave --metrics out, or say --metrics wer.",
        )
    rest = {key: value for key, value in config.asr.items() if key != "normalizer"}
    if rest not in ({}, {"backend": SUPPLIED}):
        raise UserError(
            f"a run of transcripts recognises nothing: {', '.join(f'asr.{key}' for key in rest)} "
            "would change nothing",
            fix="Leave it out; asr.normalizer is what can be chosen.",
        )
    return replace(config, metrics=["wer"], asr={**config.asr, "backend": SUPPLIED})


def _check_file_names(testset: TestSet, repeats: int) -> None:
    """UserError if a repeat of one utterance would be called like another utterance."""
    ids = {item.id for item in testset.utterances}
    for item in testset.utterances:
        for repeat in range(1, repeats):
            if clip_stem(item.id, repeat) in ids:
                raise UserError(
                    f"repeat {repeat} of {item.id} and the utterance {clip_stem(item.id, repeat)} "
                    "would have the same file name",
                    where=str(testset.path),
                    fix="Give one of the utterances another id.",
                )


def requests(testset: TestSet, system: str, config: RunConfig) -> list[Request]:
    """One request per utterance and repeat, in list order."""
    return [
        Request(
            utterance=item.id,
            text=item.text,
            prompt_text=item.prompt_text,
            prompt_audio=item.prompt_audio,
            ground_truth=item.ground_truth,
            language=testset.language,
            repeat=repeat,
            seed=item_seed(config.seed, system, item.id, repeat),
        )
        for item in testset.utterances
        for repeat in range(config.repeats)
    ]


def item_seed(seed: int, system: str, utterance: str, repeat: int) -> int:
    """A seed of 31 bits that belongs to the item, wherever and in whatever order it is made."""
    text = f"{seed}\x1f{system}\x1f{utterance}\x1f{repeat}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & 0x7FFFFFFF


def identify(spec: SystemSpec, asked: Sequence[Request]) -> dict[str, Any]:
    """What a system says it is, asked for these clips."""
    system: System = registry.create("systems", spec.kind, spec.options)
    try:
        return system.identity(asked)
    finally:
        system.close()


def _footprint(spec: SystemSpec) -> Footprint | None:
    system: System = registry.create("systems", spec.kind, spec.options)
    try:
        return system.footprint()
    finally:
        system.close()


def batches(items: Sequence[T], size: int) -> list[list[T]]:
    """Items in lists of at most ``size``."""
    return [list(items[start : start + size]) for start in range(0, len(items), size)]
