"""A ratio family and its rivals, declared in one configuration, as the systems that they become.

::

    family:
      kind: cosyvoice2                        # the system that speaks with the checkpoints
      options: {model: /models/CosyVoice2-0.5B}   # common to all members
      members: {teacher: null, "1:1": /out/1-1, "1:3": null}
    rivals:
      zonos: {model: /models/Zonos-v0.1}      # by name; `kind` where that is another

becomes the systems ``teacher`` (``cosyvoice2:model=…``), ``1-1`` (``…,checkpoint=/out/1-1``) and
``zonos``. A teacher without a checkpoint speaks with the model's own network; a ratio without one
is what the system itself has of that ratio (``mini`` has the published ones) or is left out, which
the run says. So is a rival with an option that is null. A null among the family's options must be
filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mamtra_eval import registry, targets
from mamtra_eval.errors import UserError
from mamtra_eval.models import config as shapes
from mamtra_eval.models.layout import Ratio, ratio_of

TEACHER = "teacher"
CHECKPOINT, RATIO = "checkpoint", "ratio"
"""Options that tell members apart."""
CONFIG = "config.yaml"
"""Of a checkpoint; ``models.checkpoint`` would read it, and loads torch."""


@dataclass
class FamilyConfig:
    """A system by name, options common to its members, and a checkpoint by ``teacher`` or ratio."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    members: dict[str, str | None] = field(default_factory=dict)


Rivals = Mapping[str, Mapping[str, Any]]


def check_keys(values: Mapping[str, Any], where: str) -> None:
    """UserError for a ratio without quotes in YAML, where it is a number in base 60."""
    family = values.get("family")
    members = family.get("members") if isinstance(family, Mapping) else None
    for key in members if isinstance(members, Mapping) else ():
        if type(key) is int and key >= 60:
            ratio = f"{key // 60}:{key % 60}"
            raise UserError(
                f"the member {key} is no ratio: YAML reads {ratio} as a number in base 60",
                where=f"{where}: family.members",
                fix=f'Put it in quotes: "{ratio}".',
            )


def systems(family: FamilyConfig | None, rivals: Rivals, where: str) -> dict[str, str]:
    """Targets by name, the family's first; UserError names what is wrong or to be filled in."""
    found: dict[str, str] = {}
    if family is not None:
        _check_filled(family, rivals, where)
        found = _members(family, where)
    for name, options in rivals.items():
        if name in found:
            raise UserError(f"{name} is a member of the family", where=f"{where}: rivals.{name}")
        if not _unset(options):
            kind = str(options.get("kind", name))
            rest = {key: value for key, value in options.items() if key != "kind"}
            found[name] = targets.written(kind, _texts(rest, f"{where}: rivals.{name}"))
    return found


def notes(family: FamilyConfig | None, rivals: Rivals) -> list[str]:
    """Who was declared and is left out, and what would bring them in."""
    absent = (
        [] if family is None else [member for member in family.members if _absent(family, member)]
    )
    found = []
    if absent and family is not None:
        keys = ", ".join(f"family.members.{member}" for member in absent)
        found.append(
            f"Of the family {family.kind}, {', '.join(absent)} left out: no checkpoint is named "
            f"({keys})."
        )
    for name, options in rivals.items():
        if unset := _unset(options):
            keys = ", ".join(f"rivals.{name}.{key}" for key in unset)
            found.append(f"{name} left out: {keys} not set.")
    return found


def system_name(member: str) -> str:
    """A system's name for a member: ``1-3`` for ``1:3``."""
    return member.replace(":", "-")


def _members(family: FamilyConfig, where: str) -> dict[str, str]:
    place = f"{where}: family"
    if any(key in family.options for key in (CHECKPOINT, RATIO)):
        raise UserError(
            f"{CHECKPOINT} and {RATIO} are each member's own",
            where=f"{place}.options",
            fix="Give them under family.members.",
        )
    common, found = _texts(family.options, f"{place}.options"), {}
    for member, checkpoint in family.members.items():
        ratio = _ratio(member, f"{place}.members")
        if _absent(family, member):
            continue
        own = {RATIO: member} if member != TEACHER else {}
        if checkpoint is not None:
            _check_checkpoint(member, ratio, checkpoint)
            own = {CHECKPOINT: str(_folder(checkpoint))}
        found[system_name(member)] = targets.written(family.kind, {**common, **own})
    if not found:
        raise UserError(
            "the family has no member",
            where=f"{place}.members",
            fix='Name some: {teacher: null, "1:1": DIR}, or family.members.1:1=DIR.',
        )
    return found


def _ratio(member: str, where: str) -> Ratio:
    """The ratio that a member's decoder must have."""
    if member == TEACHER:
        return Ratio(1, 0)
    try:
        ratio = Ratio.parse(member)
    except UserError as error:
        raise UserError(
            f"{member!r} is no member of a family", where=where, fix="Write teacher, or 1:3."
        ) from error
    if str(ratio) != member or not ratio.mamba:
        fix = "Write teacher for a decoder of Transformer layers alone, or a ratio such as 1:3."
        raise UserError(f"{member!r} is no member of a family", where=where, fix=fix)
    return ratio


def _absent(family: FamilyConfig, member: str) -> bool:
    """Whether there is nothing to speak with."""
    if family.members[member] is not None or member == TEACHER:
        return False
    return getattr(registry.load("systems", family.kind), "SHORTHAND", None) != RATIO


def _check_checkpoint(member: str, wanted: Ratio, checkpoint: str) -> None:
    """UserError where no checkpoint lies, or one of another ratio."""
    key, folder = f"family.members.{member}", _folder(checkpoint)
    if not folder.is_dir():
        raise UserError(
            f"there is no checkpoint of {member}: no such folder",
            where=checkpoint,
            fix=f"Mend {key}, or set it to null.",
        )
    shape = _shape(folder, member)
    found = ratio_of(shape.transformer, shape.layers)
    kept = ", ".join(map(str, shape.transformer)) or "none"
    # 2:6 is 1:3: what counts is the share.
    if found.transformer * wanted.mamba != found.mamba * wanted.transformer:
        raise UserError(
            f"it is named as the member {member}, and its decoder is {_told(found)} "
            f"({len(shape.transformer)} of {shape.layers} layers are Transformer layers: {kept})",
            where=checkpoint,
            fix=f"Give {key} a checkpoint of {member}.",
        )


def _folder(checkpoint: str) -> Path:
    try:
        return Path(checkpoint).expanduser()
    except RuntimeError:  # ~somebody who has no home
        return Path(checkpoint)


def _told(ratio: Ratio) -> str:
    return f"a {TEACHER}'s, 1:0" if not ratio.mamba else str(ratio)


def _shape(folder: Path, member: str) -> shapes.DecoderConfig:
    """The decoder's shape, as a checkpoint's configuration has it."""
    import yaml

    path = folder / CONFIG
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))["decoder"]
        return shapes.from_dict(dict(values), where=str(path))
    except (yaml.YAMLError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"no checkpoint of {member} ({type(error).__name__}: {' '.join(str(error).split())})",
            where=str(path),
            fix="A checkpoint is a folder with config.yaml, model.safetensors and card.json.",
        ) from error


def _check_filled(family: FamilyConfig, rivals: Rivals, where: str) -> None:
    """UserError with every key that can be set, where one that must be is not."""
    unset = [f"family.options.{key}" for key in _unset(family.options)]
    if not unset:
        return
    members = [
        f"family.members.{member}"
        for member, checkpoint in family.members.items()
        if checkpoint is None and member != TEACHER
    ]
    others = [f"rivals.{name}.{key}" for name, options in rivals.items() for key in _unset(options)]
    more = [*members, *others]
    optional = f" What stays null of {', '.join(more)} is left out." if more else ""
    example = " ".join(f"{key}=DIR" for key in [*unset, *members[:1]])
    raise UserError(
        f"{' and '.join(unset)} must be set",
        where=where,
        fix=f"{optional} For example: {_command(where)}{example}.".strip(),
    )


def _command(where: str) -> str:
    """What comes before the keys on a command line, if the configuration is a file."""
    named = {str(path): name for name, path in registry.presets().items()}
    configuration = named.get(where, where if Path(where).is_file() else None)
    return f"mamtra-eval run {configuration} " if configuration else ""


def _unset(options: Mapping[str, Any]) -> list[str]:
    return [key for key, value in options.items() if value is None]


def _texts(options: Mapping[str, Any], where: str) -> dict[str, str]:
    """Options as a target has them."""
    found = {}
    for key, value in options.items():
        if not key.isidentifier() or not isinstance(value, str | bool | int | float):
            raise UserError(
                f"{key!r} is no option with a text, a number or true or false", where=where
            )
        found[key] = str(value).lower() if isinstance(value, bool) else str(value)
    return found
