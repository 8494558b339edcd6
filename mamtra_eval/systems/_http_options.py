"""Options of ``http``: which values make sense, and what must never be written down.

The address becomes part of run folders and reports. An address with a secret in it is therefore
refused, not repaired: whoever typed it learns of the place that is meant for secrets.
"""

from __future__ import annotations

import json
import math
import os
import re
from typing import Any
from urllib.parse import unquote_plus, urlsplit

import httpx

from mamtra_eval.errors import UserError
from mamtra_eval.redaction import is_secret, is_secret_field
from mamtra_eval.systems import _http_shapes

LEAST = {"timeout_s": 0.001, "total_timeout_s": 0.001, "retries": 0, "concurrency": 1}
EXTRACT = 300

KEY_OPTION = "api_key_env"
"""Named like a secret, it is where to find one."""


def checked(options: dict[str, Any]) -> dict[str, Any]:
    """The options, read, with what their shape decides; UserError for what can't work."""
    if not options["url"]:
        raise UserError("the system http has no url", fix="Give one: url=http://HOST:PORT/PATH")
    _check_url(options["url"])
    options = _http_shapes.resolved(options)
    for name, least in LEAST.items():
        if not least <= options[name] < math.inf:
            raise UserError(f"option {name} of http is {options[name]}", fix=f"At least {least}.")
    return options | {
        "speed": _speed(options["speed"]),
        "extra": _extra(options["extra"], _http_shapes.SHAPES[options["shape"]].form),
        "pcm_rate_hz": _rate(options),
    }


def refuse_secrets(url: str) -> None:
    """UserError for an address with a user, a password or a key; it shows none of them."""
    if "@" in _authority(url):
        raise UserError(
            "the address holds a user or password",
            where=bare(url),
            fix="Name an environment variable with the key instead: api_key_env=NAME.",
        )
    for part in re.split("[?&;#]", url)[1:]:
        name = unquote_plus(part.partition("=")[0])
        if name == KEY_OPTION:
            _check_variable(unquote_plus(part.partition("=")[2]))
        elif is_secret(name):
            raise UserError(
                f"the parameter {one_line(name, 40)!r} of the address looks like a secret, and "
                "addresses are written into run folders and reports",
                where=bare(url),
                fix="Put it into an environment variable and name that instead: api_key_env=NAME "
                "(sent as a bearer token).",
            )
    query = url.partition("#")[0].partition("?")[2]
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name == "extra":
            _read_extra(unquote_plus(value))


def bare(url: str) -> str:
    """The address as it may be shown: without query, fragment, user and password."""
    front = re.split("[?#]", url, maxsplit=1)[0]
    authority = _authority(url)
    return one_line(front.replace(authority, authority.rpartition("@")[2], 1))


def read_key(variable: str | None) -> str | None:
    """The key in an environment variable; UserError if there is none that can be sent."""
    if not variable:
        return None
    _check_variable(variable)
    key = os.environ.get(variable, "").strip()
    # The key itself is never shown, whatever is wrong with it.
    if not key or not key.isascii() or not key.isprintable():
        raise UserError(
            f"the environment variable {variable} holds no API key",
            where="option api_key_env of http",
            fix=f"export {variable}=…",
        )
    return key


def _check_variable(name: str) -> None:
    """UserError for what names no variable, and so may be the key itself: it is not shown."""
    if name and not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
        raise UserError(
            f"{KEY_OPTION} holds no name of an environment variable",
            where="system http",
            fix=f"Put the key into a variable, and give that one's name: {KEY_OPTION}=NAME.",
        )


def one_line(text: str, limit: int = EXTRACT) -> str:
    """Printable text in one line, cut to ``limit`` characters: it goes into errors."""
    line = "".join(char if char.isprintable() else " " for char in text)
    line = " ".join(line.split())
    return line if len(line) <= limit else f"{line[:limit]}…"


def _check_url(url: str) -> None:
    refuse_secrets(url)
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        sound = False
    if not sound:
        raise UserError(
            "no address of an endpoint",
            where=bare(url).rpartition("@")[2],  # so broken that it may be anywhere
            fix="Give http://HOST:PORT/PATH or https://…",
        )


def _authority(url: str) -> str:
    """What stands between ``//`` and the path, of a malformed address too."""
    return re.split(r"[/\\?#]", url.partition("//")[2], maxsplit=1)[0]


def _speed(value: str | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        raise UserError(f"option speed of http is {value!r}", fix="Give a number.") from None


def _rate(options: dict[str, Any]) -> int | None:
    """Of headerless samples; None where there are none, or the answer will tell."""
    given, kind = options["pcm_rate_hz"], options["response_format"]
    if kind == "aac":
        raise UserError("response_format aac can't be read", fix="Take wav or flac.")
    if kind != "pcm":
        if given is not None:
            raise UserError(
                f"pcm_rate_hz is given, but response_format is {kind or '(none)'}, which is read "
                "by its own header",
                fix="Leave it out, or take response_format=pcm.",
            )
        return None
    shape = _http_shapes.SHAPES[options["shape"]]
    if given is None:
        told = shape.tells_rate and options["streaming"] != "none"
        if shape.rate_hz is None and not told:
            raise UserError(
                "response_format pcm can't be read without knowing its sampling rate",
                fix="Give pcm_rate_hz (24000 for OpenAI's own), or take wav or flac.",
            )
        return shape.rate_hz
    if not re.fullmatch("[0-9]{4,6}", given):
        raise UserError(
            f"option pcm_rate_hz of http is {given!r}", fix="Give samples per second: 24000."
        )
    return int(given)


def _extra(value: str | None, form: bool) -> dict[str, Any]:
    extra = _read_extra(value)
    if extra is None:
        raise UserError("option extra of http is no JSON object", fix='Give one: {"a": 1}')
    odd = [name for name, each in extra.items() if not isinstance(each, str | int | float)]
    if form and odd:
        raise UserError(
            f"option extra of http holds what no form can hold: {one_line(', '.join(odd), 80)}",
            fix='Give texts and numbers only: {"a": 1}',
        )
    return extra


def _read_extra(value: str | None) -> dict[str, Any] | None:
    """The object, or None if it is none; UserError for a secret in it, which it doesn't show."""
    try:
        extra = json.loads(value or "{}", object_pairs_hook=_without_secrets)
    except (ValueError, RecursionError):
        return None
    return extra if isinstance(extra, dict) else None


def _without_secrets(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for name, value in pairs:
        if is_secret_field(name, value):
            raise UserError(
                f"the field {one_line(name, 40)!r} of option extra looks like a secret, and "
                "options are written into run folders and reports",
                where="system http",
                fix="Put it into an environment variable and name that instead: api_key_env=NAME "
                "(sent as a bearer token).",
            )
    return dict(pairs)
