import json
import os
import shlex
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.systems import Request, command

# Writes a clip of 10 ms a byte of the text, so that a duration tells whether the text arrived.
SPEAK = """
import io, sys, wave
def tone(target, text):
    with wave.open(target, "wb") as file:
        file.setnchannels(1); file.setsampwidth(2); file.setframerate(8000)
        file.writeframes(b"\\x00\\x10" * 80 * len(text))
"""
TRICKY = [
    'it\'s "quoted"',
    "; rm -rf ~ && echo $(id) `id` | cat > x",
    "$HOME ${HOME} %s {text} {out} {{}}",
    "two\nlines\r\n\ttab",
    "你好, wörld 🙂",
    "-n --help",
    " ",
    "*",
]


@pytest.fixture
def script(tmp_path):
    """Makes a template's beginning that runs some Python."""

    def make(code: str) -> str:
        path = tmp_path / "a program.py"
        path.write_text(SPEAK + code, encoding="utf-8")
        return shlex.join([sys.executable, "-S", str(path)])

    return make


@pytest.fixture(scope="module")
def recorder(tmp_path_factory):
    """The beginning of a template whose program stores its arguments and stdin."""
    folder = tmp_path_factory.mktemp("recorder")
    code = (
        SPEAK + "import json\n"
        "said = sys.stdin.buffer.read()\n"
        f"json.dump([sys.argv[2:], list(said)], open({str(folder / 'seen')!r}, 'w'))\n"
        "tone(sys.argv[1], 'ten bytes.')\n"
    )
    (folder / "record.py").write_text(code, encoding="utf-8")
    return shlex.join([sys.executable, "-S", str(folder / "record.py")]), folder / "seen"


def speak(template, text="Hello", timeout_s=20.0, **more):
    system = command.create({"template": template, "timeout_s": timeout_s})
    return system.speak(Request("u1", text, **more))


def failure(template, text="Hello", **more) -> str:
    with pytest.raises(SynthesisError) as caught:
        speak(template, text, **more)
    assert len(str(caught.value)) < 900
    return str(caught.value)


def arrived(recorder, rest, text, **more):
    beginning, seen = recorder
    assert speak(f"{beginning} {rest}", text, **more).duration_s == pytest.approx(0.1)
    arguments, stdin = json.loads(seen.read_text())
    return arguments, bytes(stdin).decode()


@pytest.mark.parametrize("text", TRICKY)
def test_a_text_arrives_as_one_argument(recorder, text):
    assert arrived(recorder, "{out} {text} --x={text}", text) == ([text, f"--x={text}"], "")


@pytest.mark.parametrize("text", [*TRICKY, "", "zero \0 byte"])
def test_without_the_placeholder_a_text_goes_to_stdin(recorder, text):
    assert arrived(recorder, "{out}", text) == ([], text)


@settings(max_examples=15, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_any_text_arrives(recorder, text):
    assert arrived(recorder, "{out} a{text}b", text) == ([f"a{text}b"], "")


words = st.text(st.characters(exclude_characters="{}\0", exclude_categories=["Cs"]), max_size=8)


@given(st.lists(st.one_of(words, st.sampled_from(["{text}", "{{text}}", "a{text}-{seed}"]))), words)
def test_the_template_is_split_before_it_is_filled(parts, text):
    system = command.create({"template": shlex.join([sys.executable, *parts])})
    filled = system._fill(Request("u", text, seed=5), Path("o"))
    expected = {"{text}": text, "{{text}}": "{text}", "a{text}-{seed}": f"a{text}-5"}
    assert filled == [expected.get(part, part) for part in parts]


def test_all_placeholders_and_literal_braces(recorder, tmp_path):
    rest = "{out} {language} {seed} {utterance} {prompt_audio} {prompt_text} '{{\"a\": {seed}}}' ''"
    prompt = tmp_path / "my prompt.wav"
    arguments, _ = arrived(
        recorder,
        rest,
        "Hello",
        language="zh",
        seed=7,
        prompt_audio=prompt,
        prompt_text="a 'prompt'",
    )
    assert arguments == ["zh", "7", "u1", str(prompt), "a 'prompt'", '{"a": 7}', ""]


def test_out_ends_in_wav_and_its_folder_goes_away(recorder, tmp_path):
    arguments, _ = arrived(recorder, "{out} {out}", "Hello")
    assert arguments[0].endswith(".wav")
    assert not Path(arguments[0]).parent.exists()


def test_audio_may_come_on_stdout(script):
    code = (
        "sys.stdout.buffer.write((lambda f: (tone(f, sys.argv[1]), f.getvalue())[1])(io.BytesIO()))"
    )
    assert speak(script(code) + " {text}", "x" * 30).duration_s == pytest.approx(0.3)


def test_any_format_will_do(tmp_path):
    recording = tmp_path / "a.flac"
    soundfile.write(recording, np.zeros(800) + 0.1, 8000)
    assert speak(f"cp {recording} {{out}}").duration_s == pytest.approx(0.1)
    assert speak(f"cat {recording}").duration_s == pytest.approx(0.1)


def test_what_it_prints_to_stdout_is_not_taken_for_audio(script):
    code = "print('loading'); tone(sys.argv[1], 'four')"
    assert speak(script(code) + " {out}").duration_s == pytest.approx(0.04)


def test_a_failing_program_is_told_with_its_last_words(script):
    code = "sys.stderr.write('noise\\n' * 100000 + 'no such\\x00 model\\n'); sys.exit(3)"
    message = failure(script(code) + " {out} {text}")
    assert "failed with exit code 3: noise" in message
    assert message.endswith("no such\0 model")
    code = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    assert "was ended by SIGTERM" in failure(script(code) + " {out} {text}")


@pytest.mark.parametrize(
    ("code", "rest", "words"),
    [
        ("print('done')", "{out}", "wrote no audio to {out}: done"),
        ("pass", "{text}", "wrote no audio to stdout"),
        ("open(sys.argv[1], 'w').write('no audio')", "{out}", "its output: not readable as audio"),
        ("print('hello')", "{text}", "its output: not readable as audio"),
        ("import os; os.mkdir(sys.argv[1])", "{out}", "wrote no audio"),
    ],
)
def test_no_audio(script, code, rest, words):
    with pytest.raises(SynthesisError, match=words):
        speak(f"{script(code)} {rest}")


def alive(pid: int) -> bool:
    try:
        # A zombie that nobody has waited for yet is dead, too.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_a_time_out_kills_grandchildren(script, tmp_path):
    code = (
        "import subprocess, time\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "print('thinking', file=sys.stderr, flush=True)\n"
        "time.sleep(60)\n"
    )
    start = time.monotonic()
    message = failure(script(code) + " {out}", timeout_s=1.0)
    assert time.monotonic() - start < 4
    assert "was killed after timeout_s=1: thinking" in message
    child = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 2
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(child)


def test_a_child_left_behind_does_not_hold_the_clip(script):
    code = "import subprocess; subprocess.Popen(['sleep', '3']); tone(sys.argv[1], 'four')"
    start = time.monotonic()
    assert speak(script(code) + " {out}").duration_s == pytest.approx(0.04)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("name", ["prompt_audio", "prompt_text"])
def test_a_prompt_that_the_utterance_has_not(recorder, name):
    assert f"asks for {{{name}}}, but u1 has none" in failure(f"{recorder[0]} {{out}} {{{name}}}")


def test_a_text_too_long_or_with_a_zero_for_an_argument(recorder):
    assert "it goes to stdin" in failure(f"{recorder[0]} {{out}} {{text}}", "x" * 3_000_000)
    assert "null byte" in failure(f"{recorder[0]} {{out}} {{text}}", "a\0b")
    assert arrived(recorder, "{out}", "x" * 300_000)[1] == "x" * 300_000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "no template"),
        ({"template": "   "}, "no template"),
        ({"template": "cat 'x"}, "Close the quotes"),
        ({"template": "no-such-program-here {text}"}, "was not found.*PATH"),
        ({"template": "{text} x"}, "was not found"),
        ({"template": "cat {txt}"}, "placeholder named 'txt'.*Did you mean text"),
        ({"template": "cat {}"}, "placeholder named ''"),
        ({"template": "cat {text!r}"}, "placeholder named 'text!r'"),
        ({"template": "cat {text:>9}"}, "placeholder named 'text:>9'"),
        ({"template": "cat {text.x}"}, "placeholder named 'text.x'"),
        ({"template": "cat {text"}, "unbalanced brace.*Double"),
        ({"template": "cat }"}, "unbalanced brace"),
        ({"template": "cat", "timeout_s": 0}, "timeout_s"),
        ({"template": "cat", "timeout_s": "inf"}, "timeout_s"),
    ],
)
def test_bad_templates(options, words):
    with pytest.raises(UserError, match=words):
        command.create(options)


def test_a_program_that_may_not_be_run(tmp_path):
    (tmp_path / "speak").write_text("#!/bin/sh\n")
    with pytest.raises(UserError, match=r"not executable.*chmod \+x"):
        command.create({"template": str(tmp_path / "speak")})


def test_identity_follows_the_program_and_its_files(tmp_path):
    program, model = tmp_path / "speak", tmp_path / "model"
    link = tmp_path / "link"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    link.symlink_to(program)
    model.write_text("weights")

    def identity():
        return command.create({"template": f"{link} {model} {{text}}"}).identity([])

    first = identity()
    assert first["timeout_s"] == 120
    assert json.loads(json.dumps(first)) == first == identity()
    model.write_text("other weights")
    second = identity()
    assert second != first
    program.write_text("#!/bin/sh\n\n")
    assert identity()["program_sha256"] != second["program_sha256"]


def test_a_relative_program_is_found_from_where_it_was_named(script, tmp_path, monkeypatch):
    program = tmp_path / "speak.py"
    program.write_text(f"#!{sys.executable} -S\n{SPEAK}tone(sys.argv[1], 'four')\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    system = command.create({"template": "./speak.py {out}"})
    with TemporaryDirectory() as elsewhere:
        monkeypatch.chdir(elsewhere)
        assert system.speak(Request("u", "Hello")).duration_s == pytest.approx(0.04)
        os.chdir(tmp_path)
