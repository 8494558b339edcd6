"""Secrets: the one rule, and what keeps to it.

A secret comes from the environment and from nowhere else: an option names the variable
(``api_key_env=NAME``), a program run by ``command:`` reads it itself. Targets, options and
configurations are written into run folders, reports and JSON, and stand in the list of processes;
one that carries a secret is therefore refused before anything is written, not repaired: whoever
typed it learns of the place that is meant for secrets. The refusal does not show it.

    redaction.refuse_fields({"api_key": "x"}, "system mine")  # UserError
    redaction.refuse_words(["--token", "abcdef"], "command")  # UserError
    redaction.hidden("curl: bad key sk-123…")                 # without values of the environment

What a secret is, is told by its name: ``api_key``, ``X-Amz-Signature``, ``password``. One that goes
by another name, or by none (``-u me:word``), is not found. What other programs have written passes
``hidden`` on its way into rows: values of variables that are named like secrets become ``***``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from mamtra_eval.errors import UserError

HIDDEN = "***"
SHORTEST = 6
"""Characters below which a value is no secret that anything could be done about."""

SECRET_WORDS = {"key", "pass", "passwd", "pwd", "auth", "authorization", "bearer", "jwt", "sig"}
SECRET_ENDINGS = (
    "apikey", "accesskey", "secretkey", "subscriptionkey", "token", "secret", "password",
    "passphrase", "signature", "credential", "credentials",
)  # fmt: skip
MODELS_TOKEN = re.compile("(bos|eos|pad|unk|mask|sep|cls|stop|start|end)_?token", re.IGNORECASE)
VARIABLE_ENDINGS = ("_env", "-env")
"""Named like a secret, such an option is where to find one."""

_FIX = "Put it into an environment variable; systems and programs read it from there (http: " \
    "api_key_env=NAME)."  # fmt: skip
_NAMED = re.compile(r"-{0,2}(?P<name>[A-Za-z][\w.-]*)\s*(?P<mark>[=:])\s*(?P<value>.*)", re.DOTALL)
_BEARER = re.compile(r"\b(bearer|basic)\s+[\w+/=.~-]{6,}", re.IGNORECASE)
_USER = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#]*@", re.IGNORECASE)
_PARAMETER = re.compile(r"[?&;]([^=&;\s]+)=([^&;\s]+)")


def is_secret(name: str) -> bool:
    """Whether a parameter's name is one that secrets go by: ``api_key``, ``X-Amz-Signature``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    words = re.findall("[a-z0-9]+", spaced.lower())
    # Azure's functions take their key as code=, a name too common to be refused within another.
    return words == ["code"] or any(
        word in SECRET_WORDS or word.endswith(SECRET_ENDINGS) for word in words
    )


def is_secret_field(name: str, value: object) -> bool:
    """Whether a field is a secret; a model's tokens (``eos_token``) and their numbers are none."""
    if value is None or isinstance(value, bool) or name.lower() == "code":
        return False
    if "token" in name.lower() and (MODELS_TOKEN.fullmatch(name) or not _holds_text(value)):
        return False
    return is_secret(name)


def refuse_fields(fields: Mapping[str, object], where: str) -> None:
    """UserError for options, at any depth, that are named like a secret or hold an address's."""
    for name, value in fields.items():
        text = isinstance(value, str)
        named = text and is_secret_field(str(name), value) and not _is_placeholder(str(value))
        if named and not str(name).lower().endswith(VARIABLE_ENDINGS):
            raise _refusal(f"the option {str(name)[:40]!r}", where)
        if isinstance(value, Mapping):
            refuse_fields(value, where)
        elif text and "://" in str(value):
            refuse_address(str(value), where)


def refuse_words(words: Iterable[str], where: str) -> None:
    """UserError for a command line that holds a secret: ``--token X``, ``KEY=X``, ``Bearer X``."""
    option = ""
    for word in words:
        named = _NAMED.fullmatch(word)
        if named and is_secret(named["name"]) and _is_value(named["value"]):
            raise _refusal(f"what stands behind {named['name'][:40]!r}", where)
        if option and is_secret(option) and _is_value(word) and not word.startswith("-"):
            raise _refusal(f"what stands behind {option[:40]!r}", where)
        if _BEARER.search(word) and not _is_placeholder(word.split()[-1]):
            raise _refusal("a header with a key", where)
        refuse_address(word, where)
        option = word if word.startswith("-") and not named else ""


def refuse_address(text: str, where: str) -> None:
    """UserError for text with an address in it that holds a user, a password or a key."""
    if _USER.search(text):
        raise _refusal("an address with a user or password", where)
    if "://" in text:
        for name, value in _PARAMETER.findall(text):
            known = name.lower().endswith(VARIABLE_ENDINGS) or _is_placeholder(value)
            if is_secret(name) and not known:
                raise _refusal(f"the parameter {name[:40]!r} of an address", where)


def hidden(text: str) -> str:
    """Text without the values of environment variables that are named like secrets."""
    values = [
        value.strip()
        for name, value in os.environ.items()
        if is_secret(name) and len(value.strip()) > SHORTEST and not Path(value).is_absolute()
    ]
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return text


def _refusal(what: str, where: str) -> UserError:
    return UserError(
        f"{what} looks like a secret, and targets and options are written into run folders and "
        "reports",
        where=where,
        fix=_FIX,
    )


def _is_value(text: str) -> bool:
    """Whether text may be a secret: neither a placeholder, nor a number, nor a file."""
    if len(text) < SHORTEST or _is_placeholder(text) or text.replace(".", "").isdigit():
        return False
    try:
        return not Path(text).exists()
    except (OSError, ValueError):
        return True


def _is_placeholder(text: str) -> bool:
    return bool(re.fullmatch(r"\{\w+\}|\$\w+|\$\{\w+\}", text))


def _holds_text(value: object) -> bool:
    """Whether there is any text in a value of JSON: numbers (``min_token_ratio``) are no secret."""
    if isinstance(value, dict):
        return any(map(_holds_text, value.values()))
    return any(map(_holds_text, value)) if isinstance(value, list) else isinstance(value, str)
