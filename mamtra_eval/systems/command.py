"""Any program, run once an utterance from a template, without a shell.

Options:

``template``   the command line; required. It is split as a shell would split it, and only then
               filled in, so a text with quotes, ``;`` or ``$(…)`` arrives as one plain argument.
``timeout_s``  longest run of the program in seconds; default 120.

Target: ``command:piper --model en.onnx --text {text} --output {out}``, or with another time limit
``command:timeout_s=600,piper …``. Placeholders:

``{text}``          what to say; without it in the template, the text goes to stdin as UTF-8
``{out}``           where to write audio, a path that ends in ``.wav`` (any format that libsndfile
                    reads will do); without it in the template, audio is read from stdout
``{prompt_audio}``  path of the prompt's recording; an utterance without one fails
``{prompt_text}``   what is said in it
``{language}``, ``{seed}``, ``{utterance}``

Double braces (``{{``, ``}}``) stand for plain ones. For pipes and redirections write a script.
A program that runs too long is killed together with everything it started; what one that ends by
itself leaves in the background is not.

The template is shown in reports and in the list of processes: one that holds a secret
(``--token abc…``, ``Authorization: …``) is refused; let the program read it from the environment,
which it gets as it is. What it says last stands in failure rows, without the values of variables
named like secrets. A text may begin with a dash: where the program takes options, write
``--text={text}`` or ``-- {text}``, or let it go to stdin.
"""

from __future__ import annotations

import errno
import math
import os
import shlex
import shutil
import signal
import string
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mamtra_eval import audio, offline, processes, redaction
from mamtra_eval.errors import SynthesisError, UserError, unknown_name
from mamtra_eval.registry import read_options
from mamtra_eval.systems import Request, System

DEFAULTS = {"template": None, "timeout_s": 120.0}
PLACEHOLDERS = ("text", "out", "prompt_audio", "prompt_text", "language", "seed", "utterance")
BRACES = "Double braces that are meant as such: {{ and }}."
TAIL_LINES, TAIL_CHARACTERS = 5, 500

Argument = list[tuple[str, str | None]]
"""One argument: plain text, each piece followed by a placeholder's name or by nothing."""


class Command(System):
    """Runs the template's program; UserError for a template that can't work."""

    def __init__(self, template: str | None, timeout_s: float) -> None:
        if not 0 < timeout_s < math.inf:
            raise UserError(
                f"option timeout_s of command is {timeout_s}",
                fix="Give a positive number of seconds.",
            )
        self.template, self.timeout_s = template or "", timeout_s
        words = _split(self.template)
        redaction.refuse_words(words, "system command")
        self._program = _find_program(words[0], self.template)
        self._arguments = [_parse(word, self.template) for word in words[1:]]
        self._used = {name for argument in self._arguments for _, name in argument if name}

    def identity(self, requests: Sequence[Request]) -> dict[str, Any]:
        """Template, time-out, SHA-256 of the program and of the files named as its arguments."""
        plain = [
            "".join(text for text, _ in argument)
            for argument in self._arguments
            if not any(name for _, name in argument)
        ]
        return {
            "template": self.template,
            "timeout_s": self.timeout_s,
            "program_sha256": audio.sha256(self._program.resolve()),
            "files_sha256": {word: audio.sha256(Path(word)) for word in plain if _is_file(word)},
        }

    def speak(self, request: Request) -> audio.Clip:
        """What the program wrote; SynthesisError if it fails, takes too long or writes no audio."""
        with TemporaryDirectory(prefix="mamtra-eval-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            out = folder / "clip.wav"
            arguments = self._fill(request, out)
            self._run(arguments, request.text, out, folder)
            if not out.is_file() or out.stat().st_size == 0:
                raise SynthesisError(
                    f"{self._program.name} ended well but wrote no audio to "
                    f"{'{out}' if 'out' in self._used else 'stdout'}"
                    f"{_tail(folder / 'log')}"
                )
            try:
                return audio.read(out)
            except audio.AudioError as error:
                reason = str(error).replace(str(out), "its output")
                raise SynthesisError(f"{self._program.name}: {reason}") from error

    def _fill(self, request: Request, out: Path) -> list[str]:
        prompt_audio = request.prompt_audio and request.prompt_audio.absolute()
        values = {**vars(request), "out": out, "prompt_audio": prompt_audio}
        for name in ("prompt_audio", "prompt_text"):
            if name in self._used and values[name] is None:
                raise SynthesisError(
                    f"the template asks for {{{name}}}, but {request.utterance} "
                    "has none; use a test set with prompts"
                )
        return [
            "".join(text + (str(values[name]) if name else "") for text, name in argument)
            for argument in self._arguments
        ]

    def _run(self, arguments: list[str], text: str, out: Path, folder: Path) -> None:
        # Files instead of pipes: nothing to pump, and no child that keeps a pipe open holds us.
        said = "" if "text" in self._used else text
        (folder / "stdin").write_bytes(said.encode("utf-8", "replace"))
        log = folder / "log"
        to_log = "out" in self._used
        with (
            (folder / "stdin").open("rb") as stdin,
            log.open("ab") as stderr,
            (log if to_log else out).open("ab") as stdout,
        ):
            try:
                process = subprocess.Popen(
                    [str(self._program), *arguments],
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    env=offline.outside(),
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                too_long = isinstance(error, OSError) and error.errno == errno.E2BIG
                hint = "; without {text} in the template it goes to stdin" if too_long else ""
                raise SynthesisError(f"{self._program} did not start: {error}{hint}") from error
            with processes.tracked(process.pid, lambda: shutil.rmtree(folder, ignore_errors=True)):
                in_time = _wait(process, self.timeout_s)
        if not in_time:
            raise SynthesisError(
                f"{self._program.name} was killed after timeout_s={self.timeout_s:g}{_tail(log)}"
            )
        if process.returncode != 0:
            raise SynthesisError(f"{self._program.name} {_ending(process.returncode)}{_tail(log)}")


def create(options: Mapping[str, Any]) -> Command:
    """The system; options ``template`` and ``timeout_s`` (seconds)."""
    return Command(**read_options("command", options, DEFAULTS))


def _split(template: str) -> list[str]:
    try:
        words = shlex.split(template)
    except ValueError as error:
        raise UserError(
            f"the template can't be split into arguments ({error})",
            where=template,
            fix="Close the quotes.",
        ) from error
    if not words:
        raise UserError(
            "the system command has no template",
            fix="Give one: command:PROGRAM --text {text} --output {out}",
        )
    return words


def _find_program(word: str, template: str) -> Path:
    found = shutil.which(word)
    if found is None:
        exists = Path(word).is_file()
        raise UserError(
            f"the program {word} {'is not executable' if exists else 'was not found'}",
            where=template,
            fix=f"Run chmod +x {word}"
            if exists
            else "Install it, put its folder on PATH, or give its path.",
        )
    # Not resolved: a program may look at the name it was called by.
    return Path(found).absolute()


def _parse(word: str, template: str) -> Argument:
    try:
        pieces = list(string.Formatter().parse(word))
    except ValueError as error:
        raise UserError(
            f"unbalanced brace in {word!r} ({error})", where=template, fix=BRACES
        ) from error
    for _, name, spec, conversion in pieces:
        if name is not None and (name not in PLACEHOLDERS or spec or conversion):
            unknown = unknown_name("placeholder", _written(name, spec, conversion), PLACEHOLDERS)
            unknown.where = template
            unknown.fix = f"{unknown.fix} {BRACES}"
            raise unknown
    return [(text, name) for text, name, _, _ in pieces]


def _written(name: str, spec: str | None, conversion: str | None) -> str:
    return name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")


def _is_file(word: str) -> bool:
    with suppress(OSError, ValueError):
        return Path(word).is_file()
    return False


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Whether it ended in time. By a timer, as ``wait(timeout)`` polls and so returns late."""
    late = threading.Event()

    def kill() -> None:
        if process.poll() is None:
            late.set()
            processes.kill_group(process.pid)

    timer = threading.Timer(timeout_s, kill)
    timer.daemon = True
    timer.start()
    try:
        process.wait()
    except BaseException:  # its session is its own: no Ctrl-C reaches it
        processes.kill_group(process.pid)
        process.wait()
        raise
    finally:
        timer.cancel()
    return not late.is_set()


def _ending(code: int) -> str:
    if code > 0:
        return f"failed with exit code {code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


def _tail(log: Path) -> str:
    """The last lines of what the program said, bounded, as the end of a message."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
        lines = redaction.hidden(file.read().decode("utf-8", "replace")).split("\n")
    said = [line.strip() for line in lines if line.strip()][-TAIL_LINES:]
    return f": {' | '.join(said)[-TAIL_CHARACTERS:]}" if said else ""
