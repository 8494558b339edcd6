"""``command:`` with texts that a shell or an option parser would make something of."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mamtra_eval import targets
from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.systems import Request, command

RECORDER = """
import json, os, sys
import numpy, soundfile
out, *rest = sys.argv[1:]
open(os.environ["SEEN"], "a").write(json.dumps(rest) + "\\n")
soundfile.write(out, 0.1 * numpy.ones(1600), 16000)
"""
HOSTILE = [
    "; touch OWNED", "$(touch OWNED)", "`touch OWNED`", "&& touch OWNED", "| touch OWNED",
    "\n touch OWNED \n", "'; touch OWNED; '", '"; touch OWNED; "', "> OWNED", "$HOME ~ * ? [a]",
    "{out} {prompt_audio} {0} {text.__class__}", "--output=OWNED", "-rf", "%s%n", "\\",
    "é \u202e x",
]  # fmt: skip


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    script = tmp_path / "recorder.py"
    script.write_text(RECORDER)
    return script


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_is_one_argument_and_nothing_else(recorder: Path, text: str) -> None:
    system = command.create(
        {"template": f"{sys.executable} {recorder} {{out}} a{{text}}z {{text}}"}
    )
    system.speak(Request("u1", text))
    [seen] = (recorder.parent / "seen").read_text().splitlines()
    assert json.loads(seen) == [f"a{text}z", text]
    assert not (recorder.parent / "OWNED").exists()


def test_the_template_itself_goes_through_no_shell(recorder: Path) -> None:
    template = f"{sys.executable} {recorder} {{out}} {{text}} ; touch OWNED $(touch OWNED) > OWNED"
    command.create({"template": template}).speak(Request("u1", "hi"))
    assert not (recorder.parent / "OWNED").exists()
    assert "$(touch" in (recorder.parent / "seen").read_text()


@pytest.mark.parametrize(
    "template",
    [
        "echo --api-key sk-abcdef123456 {text}", "echo --token=abcdef123456 {text}",
        "env API_KEY=abcdef123456 echo {text}", "echo -H 'Authorization: Bearer abcdef123456'",
        "echo -H 'X-Api-Key: abcdef123456'", "echo https://me:abcdef123456@h/x",
        "echo 'https://h/x?key=abcdef123456'", "echo -H 'Authorization: Basic abcdef123456=='",
    ],
)  # fmt: skip
def test_a_template_with_a_secret_is_refused_and_not_shown(template: str) -> None:
    with pytest.raises(UserError, match="looks like a secret") as caught:
        command.create({"template": template})
    assert "abcdef123456" not in str(caught.value)
    assert "environment variable" in str(caught.value)


@pytest.mark.parametrize(
    "template",
    ["echo --max-tokens 500000000", "echo --token {utterance}", "echo --pass 2 {text}",
     "echo --api-key-env NAME {text}", "echo http://h/x?model=abcdefgh", "echo --key $VARIABLE"],
)  # fmt: skip
def test_other_templates_are_taken(template: str) -> None:
    command.create({"template": template})


def test_options_named_like_secrets_are_refused_for_every_system() -> None:
    with pytest.raises(UserError, match="looks like a secret") as caught:
        targets.parse("a", "espeak:api_key=abcdef123456")
    assert "abcdef123456" not in str(caught.value)
    with pytest.raises(UserError) as caught:
        targets.parse("a", "ftp://me:abcdef123456@h/x")
    assert "abcdef123456" not in str(caught.value)


def test_what_a_program_says_is_without_the_environments_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-distinctive-0123")
    script = tmp_path / "says.py"
    script.write_text("import os, sys; sys.exit('refused: ' + os.environ['SOME_API_KEY'])")
    system = command.create({"template": f"{sys.executable} {script} {{text}} {{out}}"})
    with pytest.raises(SynthesisError) as caught:
        system.speak(Request("u1", "hi"))
    assert "refused: ***" in str(caught.value)
