"""What a run offers to a listening test: its systems, and sentences that all of them spoke.

A sentence is taken where every system has a clip that can be played at the common loudness, so that
all are judged on the same sentences. What is left out for that is told with its reason: where a
system's clips fail, leaving their sentences out makes that system sound better than it is.
Sentences are drawn by the seed, in turns over the speakers where the run declares them.
"""

from __future__ import annotations

import random
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mamtra_eval import audio
from mamtra_eval.errors import MeasurementError, UserError, unknown_name
from mamtra_eval.listening.building.loudness import Level, at_rate, lufs
from mamtra_eval.rundata import RunData

REFERENCE = "reference"
ANCHOR = "low anchor"
LONGEST_S = 15.0


@dataclass(frozen=True)
class LeftOut:
    """A sentence that is not used, for the sake of which system, and why."""

    utterance: str
    system: str
    why: str


@dataclass(frozen=True)
class Material:
    """Sentences and the audio there is of them.

    Attributes:
        systems: by name, ``system`` or ``reference``, in the run's order.
        sources: by (system, utterance) the file.
        prompts: by utterance the recording whose voice is to be cloned, where there is one.
        items: sentences to be rated.
        reserve: further ones, for practice and checks.
        speakers: of each utterance, where the run declares them.
        left_out: sentences that came up and could not be taken.
    """

    systems: dict[str, str]
    sources: dict[tuple[str, str], Path]
    prompts: dict[str, Path]
    items: tuple[str, ...]
    reserve: tuple[str, ...]
    speakers: dict[str, str]
    left_out: tuple[LeftOut, ...]


def systems_of(data: RunData, wanted: Sequence[str] | None, reference: bool) -> dict[str, str]:
    """What is to be rated: the run's systems or those named, and the recordings.

    Args:
        data: of the run.
        wanted: names; ``None`` for all.
        reference: whether the test set's recordings take part, hidden among the others.
    """
    known = [row.name for row in data.systems]
    for name in wanted or ():
        if name not in known:
            raise unknown_name("system of this run", name, known)
    found = {
        name: "reference" if name == data.floor else "system"
        for name in known
        if wanted is None or name in wanted
    }
    if not reference:
        found = {name: role for name, role in found.items() if role == "system"}
    elif "reference" not in found.values():
        if data.floor is not None:
            found[data.floor] = "reference"
        elif all(item.ground_truth for item in data.utterances):
            found[free_name(REFERENCE, {row.name for row in data.systems})] = "reference"
    return found


def gather(
    data: RunData,
    systems: dict[str, str],
    *,
    items: int,
    reserve: int,
    level: Level,
    seed: str,
    prompts: bool = False,
) -> Material:
    """Draw sentences; UserError where the run has too few that every system spoke.

    Args:
        data: of the run.
        systems: of ``systems_of``.
        items: sentences to be rated.
        reserve: further ones.
        level: what their loudness is measured at.
        seed: of the draw.
        prompts: whether a sentence needs the recording of the voice that it is spoken in.
    """
    sources = _sources(data, systems)
    taken: list[str] = []
    left_out: list[LeftOut] = []
    for utterance in _drawn(data, seed):
        if len(taken) == items + reserve:
            break
        faults = list(_faults(utterance, systems, sources, data, level))
        if prompts and not faults:
            faults = list(_prompt_faults(utterance, data))
        left_out += faults
        if not faults:
            taken.append(utterance)
    if len(taken) < items + reserve:
        raise UserError(
            f"the run has {len(taken)} sentences that all {len(systems)} systems spoke, "
            f"{items} and {reserve} more for practice and checks are asked for"
            + (f"; {left_out[0].utterance}: {left_out[0].why}" if left_out else ""),
            where=str(data.folder),
            fix=f"Take --items {len(taken) - reserve}, or fewer systems (--systems)."
            if len(taken) > reserve
            else "Finish the run, or give another one or fewer systems (--systems).",
        )
    return Material(
        systems,
        sources,
        {item.id: item.prompt_audio for item in data.utterances if item.prompt_audio},
        tuple(taken[:items]),
        tuple(taken[items:]),
        data.speakers,
        tuple(left_out),
    )


def free_name(name: str, taken: Container[str]) -> str:
    """The name, or one like it that is not taken."""
    while name in taken:
        name += "'"
    return name


def _sources(data: RunData, systems: dict[str, str]) -> dict[tuple[str, str], Path]:
    found = {
        (clip.key.system, clip.key.utterance): data.folder / clip.path
        for clip in data.clips
        if clip.status == "done" and clip.path and clip.key.repeat == 0
    }
    for name, role in systems.items():
        if role == "reference" and name not in {row.name for row in data.systems}:
            found |= {(name, item.id): item.ground_truth for item in data.utterances
                      if item.ground_truth}  # fmt: skip
    return found


def _drawn(data: RunData, seed: str) -> Iterator[str]:
    """Every utterance in the order of the draw, speakers by turns."""
    rng = random.Random(f"{seed}|sentences")  # noqa: S311 -- an order, no secret
    groups: dict[str, list[str]] = {}
    for item in sorted(data.utterances, key=lambda one: one.id):
        groups.setdefault(data.speakers.get(item.id, ""), []).append(item.id)
    for group in groups.values():
        rng.shuffle(group)
    names = sorted(groups)
    rng.shuffle(names)
    for place in range(max(map(len, groups.values()), default=0)):
        yield from (groups[name][place] for name in names if place < len(groups[name]))


def _prompt_faults(utterance: str, data: RunData) -> Iterator[LeftOut]:
    path = next((one.prompt_audio for one in data.utterances if one.id == utterance), None)
    if path is None or not path.is_file():
        what = "no prompt in the list" if path is None else f"its prompt is gone ({path})"
        yield LeftOut(utterance, "the prompt", what)


def _faults(
    utterance: str,
    systems: dict[str, str],
    sources: dict[tuple[str, str], Path],
    data: RunData,
    level: Level,
) -> Iterator[LeftOut]:
    clips = {
        clip.key.system: clip
        for clip in data.clips
        if clip.key.utterance == utterance and clip.key.repeat == 0
    }
    for system in systems:
        source, row = sources.get((system, utterance)), clips.get(system)
        if source is None:
            yield LeftOut(utterance, system, (row and row.error) or "no clip was made")
            continue
        if row and source.is_file() and audio.sha256(source) != row.sha256:
            yield LeftOut(utterance, system, "the file was changed after it was made")
            continue
        try:
            samples = at_rate(audio.read(source, source.name), level)
            lufs(samples, level.sample_rate_hz)
        except (audio.AudioError, MeasurementError) as error:
            yield LeftOut(utterance, system, str(error))
            continue
        if len(samples) > LONGEST_S * level.sample_rate_hz:
            yield LeftOut(utterance, system, f"longer than {LONGEST_S:g} s")
