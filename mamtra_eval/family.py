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
filled in. Left out by wish: a member whose checkpoint is ``none`` (a folder of that name is
``./none``), and a rival that is null itself. ``check_folders`` looks at checkpoints, when a run is
started; a configuration is read without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mamtra_eval import checkpoint_folders, registry, targets
from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.models.layout import PUBLISHED_DEPTH, Ratio, n_transformer, ratio_of

TEACHER = "teacher"
CHECKPOINT, RATIO = "checkpoint", "ratio"
"""Options that tell members apart."""
NONE = "none"
"""A member's checkpoint where it is to be left out."""


@dataclass
class FamilyConfig:
    """A system by name, options common to its members, and a checkpoint by ``teacher`` or ratio."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    members: dict[str, str | None] = field(default_factory=dict)


Rivals = Mapping[str, Mapping[str, Any] | None]
_FORMS = {
    "family": '{kind: NAME, options: {KEY: VALUE}, members: {teacher: null, "1:1": DIR}}',
    "family.options": "{KEY: VALUE}",
    "family.members": '{teacher: null, "1:1": DIR}',
    "rivals": "{NAME: {KEY: VALUE}}",
}


def check_form(values: Mapping[str, Any], where: str) -> None:
    """UserError for a family or rivals, as a file or overrides have them, of another form.

    That is also a ratio without quotes in YAML, where it is a number in base 60.
    """
    for section, form in _FORMS.items():
        outer, _, inner = section.partition(".")
        found = values.get(outer, {})
        if inner:
            found = found.get(inner, {}) if isinstance(found, Mapping) else {}
        if section == "family" and found is None:
            continue
        if not isinstance(found, Mapping):
            if isinstance(found, str) and "${" in found:  # what it refers to is checked later
                continue
            kind = found if section == "family" and isinstance(found, str) and found else None
            raise UserError(
                f"{section} must be {form}",
                where=where,
                fix=f"Write family.kind={kind}, and its members." if kind else None,
            )
        for key in found:
            _check_key(key, f"{where}: {section}")
    for name, options in dict(values.get("rivals", {})).items():
        if options is not None and not isinstance(options, Mapping) and "${" not in str(options):
            raise UserError(
                f"rivals.{name} must be {{KEY: VALUE}}",
                where=where,
                fix=f"Write rivals.{name}.model=DIR, or rivals.{name}=null to leave it out.",
            )


def _check_key(key: object, where: str) -> None:
    if isinstance(key, str):
        return
    if type(key) is int and key >= 60:
        ratio = f"{key // 60}:{key % 60}"
        raise UserError(
            f"the member {key} is no ratio: YAML reads {ratio} as a number in base 60"
            if where.endswith("members")
            else f"{key} is no name: YAML reads {ratio} as a number in base 60",
            where=where,
            fix=f'Put it in quotes: "{ratio}".',
        )
    raise UserError(f"{key!r} is no name", where=where, fix="Put it in quotes.")


def systems(family: FamilyConfig | None, rivals: Rivals, where: str) -> dict[str, str]:
    """Targets by name, the family's first; UserError names what is wrong or to be filled in."""
    found: dict[str, str] = {}
    if family is not None:
        _check_filled(family, rivals, where)
        found = _members(family, where)
    for name, options in rivals.items():
        if name in found:
            raise UserError(f"{name} is a member of the family", where=f"{where}: rivals.{name}")
        if options is not None and not _unset(options):
            kind = str(options.get("kind", name))
            rest = {key: value for key, value in options.items() if key != "kind"}
            found[name] = targets.written(kind, _texts(rest, f"{where}: rivals.{name}"))
    return found


def notes(family: FamilyConfig | None, rivals: Rivals) -> list[str]:
    """Who was declared and is left out, and what would bring them in."""
    found = []
    if family is not None:
        absent = [member for member in family.members if _absent(family, member)]
        unwanted = [member for member in absent if family.members[member] == NONE]
        unnamed = [member for member in absent if member not in unwanted]
        for members, why in ((unnamed, "no checkpoint is named"), (unwanted, "so configured")):
            if members:
                keys = ", ".join(f"family.members.{member}" for member in members)
                told = f"{', '.join(members)} left out: {why} ({keys})."
                found.append(f"Of the family {family.kind}, {told}")
    for name, options in rivals.items():
        if options is None:
            found.append(f"{name} left out: rivals.{name} is null.")
        elif unset := _unset(options):
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
        _check_member(family, member, f"{place}.members")
        if _absent(family, member):
            continue
        own = {RATIO: member} if member != TEACHER else {}
        if checkpoint is not None:
            own = {CHECKPOINT: str(checkpoint_folders.path(checkpoint))}
        found[system_name(member)] = targets.written(family.kind, {**common, **own})
    if not found:
        raise _no_member(family, f"{place}.members")
    return found


def _no_member(family: FamilyConfig, where: str) -> UserError:
    waiting = [member for member, checkpoint in family.members.items() if checkpoint is None]
    if waiting:
        return UserError(
            f"the family has no member: {', '.join(waiting)} of {family.kind} "
            f"{'have' if len(waiting) > 1 else 'has'} no checkpoint",
            where=where,
            fix=f"Give one: family.members.{waiting[0]}=DIR.",
        )
    return UserError(
        "the family has no member" + (": all are left out" if family.members else ""),
        where=where,
        fix='Name some: {teacher: null, "1:1": DIR}, or family.members.1:1=DIR. No family at all '
        "is family=null.",
    )


def no_folder(member: str, where: str) -> UserError:
    """The error for a member whose checkpoint is an empty text."""
    key = f"family.members.{member}"
    return UserError(
        f"the checkpoint of {member} names no folder",
        where=where,
        fix=f"Write {key}=DIR, or {key}={NONE} to leave it out.",
    )


def _check_member(family: FamilyConfig, member: str, where: str) -> None:
    """UserError for what is no member, is one twice, or is of a ratio that nothing has."""
    ratio, checkpoint = _ratio(member, where), family.members[member]
    if checkpoint is not None and not checkpoint.strip():
        raise no_folder(member, where)
    lowest = str(ratio_of(range(ratio.transformer), ratio.transformer + ratio.mamba))
    if member not in (TEACHER, lowest):
        twice = f" {lowest} is there already." if lowest in family.members else ""
        raise UserError(f"{member} is the ratio {lowest}", where=where,
                        fix=f"Write {lowest}.{twice}")  # fmt: skip
    if member == TEACHER or checkpoint is not None:
        return
    if known := _packaged(family.kind):
        if member not in known:
            error = unknown_name(f"ratio of {family.kind}", member, known)
            raise UserError(error.what, where=where, fix=error.fix)
        return
    try:
        n_transformer(ratio, PUBLISHED_DEPTH)
    except UserError as error:
        raise UserError(error.what, where=where, fix=error.fix) from error


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
        return family.members[member] == NONE
    return not _packaged(family.kind)


def _packaged(kind: str) -> tuple[str, ...]:
    """Ratios that a system has without a checkpoint; the plugin's ``RATIOS``."""
    found: tuple[str, ...] = getattr(registry.load("systems", kind), "RATIOS", ())
    return found


def check_folders(family: FamilyConfig | None) -> None:
    """UserError where a member's checkpoint is not there, or is of another ratio."""
    for member, checkpoint in (family.members if family else {}).items():
        if checkpoint not in (None, NONE):
            checkpoint_folders.check(member, _ratio(member, "family.members"), str(checkpoint))


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
    others = [
        f"rivals.{name}.{key}" for name, options in rivals.items() for key in _unset(options or {})
    ]
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
