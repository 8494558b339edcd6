"""Lists of utterances: encodings, separators, control characters, sizes, paths, duplicates."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from cases import EITHER, READ, Case, holding

LINE = "u1|Hello there.\n"


def cases() -> Iterator[Case]:
    yield from _encodings()
    yield from _texts()
    yield from _columns()
    yield from _ids()
    yield from _sizes()
    yield from _paths()


def _case(name: str, text: str | bytes, expected: str) -> Case:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return Case(name, holding(data, "meta.lst"), expected)


def _encodings() -> Iterator[Case]:
    utf8 = "can't be read as UTF-8"
    yield _case("bom", "\ufeff" + LINE, READ)
    yield _case("crlf", "u1|Hello.\r\nu2|There.\r\n", READ)
    yield _case("cr-alone", "u1|Hello.\ru2|There.", EITHER)
    yield _case("no-last-line-break", "u1|Hello.", READ)
    yield _case("utf-16", LINE.encode("utf-16"), utf8)
    yield _case("utf-16-le", LINE.encode("utf-16-le"), EITHER)
    yield _case("utf-32", LINE.encode("utf-32"), utf8)
    yield _case("latin-1", "u1|café\n".encode("latin-1"), utf8)
    yield _case("gb18030", "u1|你好\n".encode("gb18030"), utf8)
    yield _case("mixed", "u1|café\n".encode() + "u2|café\n".encode("latin-1"), utf8)
    yield _case("half-surrogate", "u1|a\ud800b\n", utf8)
    yield _case("overlong", b"u1|\xc0\xafetc\n", utf8)
    yield _case("two-boms", "\ufeff\ufeff" + LINE, EITHER)
    yield _case("binary", bytes(range(256)) * 20, utf8)
    yield _case("nothing", "", "holds no utterance")
    yield _case("blank-lines", "\n\n  \n\t\n", "holds no utterance")


def _texts() -> Iterator[Case]:
    odd = {
        "right-to-left": "\u202eolleH\u202c", "bidi-isolates": "\u2066a\u2069", "zero-width": "a\u200bb",
        "line-separator": "a\u2028b\u2029c", "next-line": "a\x85b", "form-feed": "a\x0cb",
        "nul": "a\0b", "escape": "\x1b[2J\x1b[31mred", "bell": "\x07", "combining": "e" + "\u0301" * 500,
        "emoji": "👩‍👩‍👧‍👦 🇩🇪", "private-use": "\ue000", "tags": "\U000e0041",
        "noncharacter": "\uffff", "hangul": "한국어", "mixed-digits": "١٢٣ 123 一二三",
        "html": "<script>alert(1)</script>", "markdown": "[x](javascript:alert(1)) `|` **b**",
        "formula": "=HYPERLINK(\"http://x\")", "shell": "$(id); `id` | id", "template": "{out} ${oc.env:HOME}",
        "percent": "%s %d %(x)s {} {0}", "quotes": "\"'`´“”", "backslashes": "\\n\\x00\\",
    }  # fmt: skip
    for name, text in odd.items():
        bars = "|" in text
        yield _case(f"text-{name}", f"u1|{text}\n", "columns|is missing" if bars else READ)


def _columns() -> Iterator[Case]:
    yield _case("one-column", "just words\n", "1 columns")
    yield _case("six-columns", "a|b|c|d|e|f\n", "6 columns")
    yield _case("bar-in-text", "u1|a\nu2|a|b\n", "columns where the lines before have 2")
    yield _case("thousand-bars", "|" * 1000 + "\n", "1001 columns")
    yield _case("empty-text", "u1|\n", "the text is empty")
    yield _case("text-of-spaces", "u1|   \n", "the text is empty")
    yield _case("comma-separated", "u1,Hello\n", "1 columns")
    yield _case("tab-separated", "u1\tHello\n", "1 columns")
    yield _case("json", '{"id": "u1"}\n', "1 columns")
    yield _case("many-problems", "x\n" * 5000, r"and 4995 more")


def _ids() -> Iterator[Case]:
    wrong = {
        "empty": "", "dot": ".", "dots": "..", "slash": "a/b", "backslash": "a\\b", "up": "../../etc/x",
        "absolute": "/etc/passwd", "control": "a\x01b", "long": "x" * 300, "escape": "\x1b[31m",
        "right-to-left": "a\u202eb", "nul": "a\0b", "drive": "C:\\x",
    }  # fmt: skip
    for name, utt in wrong.items():
        yield _case(f"id-{name}", f"{utt}|Hello.\n", "can't be a file name")
    right = {"spaces": "a b", "unicode": "übung-名", "dash": "--help", "inner-dots": "a.b.c", "hash": "#1",
             "tilde": "~root", "star": "*", "percent": "%2e%2e", "con": "CON"}  # fmt: skip
    for name, utt in right.items():
        yield _case(f"id-{name}", f"{utt}|Hello.\n", READ)
    yield _case("id-twice", "u1|a\nu1|b\n", "stands in line 1 already")
    yield _case("id-twice-with-suffix", "u1|a\nu1.wav|b\n", "stands in line 1 already")
    yield _case("id-case", "u1|a\nU1|b\n", EITHER)
    yield _case("id-normal-forms", "\u00e9|a\ne\u0301|b\n", EITHER)


def _sizes() -> Iterator[Case]:
    yield _case("line-of-1-MB", "u1|" + "word " * 200_000 + "\n", READ)
    yield _case("word-of-1-MB", "u1|" + "x" * 1_000_000 + "\n", READ)
    yield _case("100000-lines", "".join(f"u{n}|Hello {n}.\n" for n in range(100_000)), READ)
    yield _case("100000-problems", "".join(f"u1|Hello {n}.\n" for n in range(100_000)), "more")
    yield _case("1000000-empty-lines", "\n" * 1_000_000 + LINE, READ)


def _paths() -> Iterator[Case]:
    absent = "is missing"
    for name, path in {"absent": "no.wav", "up": "../../../../no.wav", "absolute": "/no/such.wav",
                       "nul": "a\0b", "long": "x" * 5000, "network": "//host/share.wav",
                       "address": "http://host/x.wav", "home": "~/x.wav", "folder": ".",
                       "proc": "/proc/self/mem"}.items():  # fmt: skip
        expected = EITHER if name == "proc" else absent
        yield _case(f"prompt-{name}", f"u1|Hello.|{path}\n", expected)
    yield Case("list-is-a-folder", _as(Path.mkdir), "no regular file")
    yield Case("list-is-a-pipe", _as(os.mkfifo), "no regular file")
    yield Case("list-is-endless", _as(lambda path: path.symlink_to("/dev/zero")), "no regular file")
    yield Case("list-is-missing", lambda folder: folder / "meta.lst", "no such list")
    yield Case(
        "list-is-a-loop", _as(lambda path: path.symlink_to(path.name)), "can't be read|no such"
    )
    yield Case(
        "list-is-a-device",
        _as(lambda path: path.symlink_to("/dev/null")),
        "no utterance|no regular|can't be read",
    )


def _as(make: Callable[[Path], object]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        make(folder / "meta.lst")
        return folder / "meta.lst"

    return write
