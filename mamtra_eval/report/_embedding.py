"""Audio inside of report.html: which files, how large they become, and their text.

    plan = embedding.plan(data, folder, utterances=20)
    plan.check(limit_mb=100)  # UserError above it
    html.write(results, plan)

Every distinct file goes in once, however many clips and sentences name it, and by whatever path (a
recording that a system hands on is the ground truth, too). What is left out, or isn't there, stays
a link. So do clips that a link leads out of the run folder, and prompts and recordings that are no
audio: a run from elsewhere could name any file of whoever writes its report (``borders``).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamtra_eval import audio, borders
from mamtra_eval.errors import UserError

KINDS = ("audio", "prompt", "ground_truth")
TYPES = {
    ".flac": "audio/flac", ".wav": "audio/wav", ".mp3": "audio/mpeg", ".ogg": "audio/ogg",
    ".opus": "audio/ogg", ".m4a": "audio/mp4", ".aiff": "audio/aiff", ".aif": "audio/aiff",
}  # fmt: skip
"""Media types by suffix; browsers look into whatever is called otherwise."""


@dataclass(frozen=True)
class Plan:
    """What is to be embedded.

    Attributes:
        data: the report's data; files that go in are named by their place in ``files``.
        files: in the order in which they are written.
        clips: how many clips can be played without a neighbour.
        size: characters of all files' text.
        note: what the page says about its audio.
        where: the folder of the report.
    """

    data: dict[str, Any]
    files: tuple[Path, ...]
    clips: int
    size: int
    note: str
    where: Path

    def told(self) -> str:
        """What is about to be embedded, in a line."""
        return f"{self.clips:,} clips, {len(self.files):,} files, {_mb(self.size)} as text"

    def check(self, limit_mb: float) -> None:
        """UserError where it is more than the limit."""
        if self.size > limit_mb * 1e6:
            raise UserError(
                f"embedding takes {_mb(self.size)}, more than the limit of {limit_mb:g} MB",
                where=str(self.where),
                fix=f"Raise it with --embed-limit-mb {self.size // 1_000_000 + 1}, embed fewer "
                "utterances with --embed-utterances N, or leave --embed out: the clips stay "
                "linked.",
            )

    def texts(self) -> Iterator[str]:
        """The files as ``data:`` addresses, one at a time."""
        for path in self.files:
            yield f"data:{_type(path)};base64,{base64.b64encode(_bytes(path)).decode('ascii')}"


def plan(data: Mapping[str, Any], folder: Path, utterances: int | None = None) -> Plan:
    """Plan to embed the audio of a report, of all utterances or of the ``utterances`` worst.

    The worst are those with the largest loss to the baseline in the first figure that has one; the
    others follow in the list's order.
    """
    chosen = _worst_first(data)[:utterances]
    files: dict[str, Path] = {}  # by hash
    hashes: dict[Path, str] = {}

    def place(clip: Mapping[str, Any], kind: str) -> str | int | None:
        name: str | None = clip.get(kind)
        path = folder / name if name else None
        if path is None or clip["utterance"] not in wanted or not path.is_file():
            return name
        if not may_go_in(path, kind):
            return name
        if path not in hashes:
            hashes[path] = _hash(path)
            files.setdefault(hashes[path], path)
        return places.setdefault(hashes[path], len(places))

    may: dict[tuple[Path, str], bool] = {}

    def may_go_in(path: Path, kind: str) -> bool:
        if (path, kind) not in may:
            may[path, kind] = (
                borders.lies_in(path, folder) if kind == "audio" else borders.is_audio(path)
            )
        return may[path, kind]

    places: dict[str, int] = {}
    wanted = set(chosen)
    clips = [{**clip, **{kind: place(clip, kind) for kind in KINDS}} for clip in data["clips"]]
    count = sum(isinstance(clip["audio"], int) for clip in clips)
    size = sum(_size(path) for path in files.values())
    of = f" for {len(chosen):,} utterances, else linked" if utterances is not None else ""
    note = f"embedded{of}"
    changed = {**data, "clips": clips, "audio": note}
    return Plan(changed, tuple(files.values()), count, size, note, folder)


def _worst_first(data: Mapping[str, Any]) -> list[str]:
    """Utterances by their largest loss to the baseline's clip."""
    names = list(dict.fromkeys(clip["utterance"] for clip in data["clips"]))
    baseline = next((one["name"] for one in data["systems"] if one["is_baseline"]), None)
    figure = next((one for one in data["figures"] if one["headline"]), None)
    if figure is None:
        return names
    sign = -1 if figure["higher_is_better"] else 1
    values = {
        (clip["system"], clip["utterance"], clip["repeat"]): value
        for clip in data["clips"]
        if (value := clip["values"].get(figure["name"])) is not None
    }
    losses: dict[str, float] = {}
    for (_, utterance, repeat), value in values.items():
        reference = values.get((baseline, utterance, repeat))
        if reference is not None:
            losses[utterance] = max(losses.get(utterance, 0.0), sign * (value - reference))
    return sorted(names, key=lambda name: -losses.get(name, 0.0))


def _type(path: Path) -> str:
    return TYPES.get(path.suffix.lower(), "audio/wav")


def _size(path: Path) -> int:
    """Characters of a file's ``data:`` address."""
    return len(f"data:{_type(path)};base64,") + 4 * ((path.stat().st_size + 2) // 3)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _hash(path: Path) -> str:
    try:
        return audio.sha256(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"can't be read ({error.strerror})",
        where=str(path),
        fix="Make it readable, or leave --embed out.",
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
