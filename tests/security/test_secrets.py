"""A distinctive key, used against a server that quotes it everywhere: found nowhere."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from plain_servers import Told, speech, told

from mamtra_eval import config as configuration
from mamtra_eval import redaction
from mamtra_eval.errors import UserError

KEY = "sk-Distinctive-0815-zz"
FORMS = [KEY, base64.b64encode(KEY.encode()).decode(),
         base64.b64encode(f"Bearer {KEY}".encode()).decode()]  # fmt: skip
REPOSITORY = Path(__file__).parents[2]
ECHOES = {
    "error": (401, {"Content-Type": "text/plain"}, b"bad key {key}"),
    "json": (400, {"Content-Type": "application/json"}, b'{"error": {"message": "no {key}"}}'),
    "headers": (418, {"Content-Type": "text/{key}", "X-Key": "{key}"}, b""),
    "location": (307, {"Location": "http://elsewhere.invalid/?key={key}"}, b""),
    "no-audio": (200, {"Content-Type": "audio/wav"}, b"RIFF{key}"),
    "audio": (200, {"Content-Type": "audio/wav", "X-Key": "{key}"}, speech()),
}  # fmt: skip


class Watcher(threading.Thread):
    """Looks at the command lines of all processes while it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:
                    continue
            time.sleep(0.02)


def start(run: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "SPEECH_KEY": KEY}
    return subprocess.run(
        [sys.executable, "-m", "mamtra_eval", *map(str, arguments)], cwd=run.parent,
        env=environment, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


def found(folder: Path) -> list[str]:
    return [
        f"{path}: {form}" for path in folder.rglob("*") if path.is_file()
        for form in FORMS if form.encode() in path.read_bytes()
    ]  # fmt: skip


@pytest.fixture
def make_meta(make_list: Callable[..., Path]) -> Path:
    return make_list(2)


@pytest.mark.parametrize("way", ECHOES)
def test_a_key_that_a_server_quotes_is_nowhere(way: str, make_meta: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    watcher = Watcher()
    watcher.start()
    with told() as server:
        server.answer = ECHOES[way]
        target = f"a={server.address}?api_key_env=SPEECH_KEY&retries=0"
        arguments = ("--testset", make_meta, "--metrics", "health", "--out", run)
        done = start(run, "evaluate", target, *arguments)
        _asked(server)
    assert done.returncode in (0, 1), done.stderr
    again = start(run, "report", run, "--embed")
    board = start(run, "leaderboard", run)
    watcher.ended.set()
    watcher.join()
    assert {"run.sqlite", "run.yaml", "report.html"} <= {path.name for path in run.iterdir()}
    assert found(run) == []
    said = "".join(one.stdout + one.stderr for one in (done, again, board))
    assert not [form for form in FORMS if form in said]
    assert not [line for line in watcher.seen if KEY.encode() in line]
    assert any(b"api_key_env=SPEECH_KEY" in line for line in watcher.seen)  # it did watch


def _asked(server: Told) -> None:
    assert server.asked
    assert all(one["authorization"] == f"Bearer {KEY}" for one in server.asked)


@pytest.mark.parametrize(
    "values",
    [{"asr": {"api_key": KEY}}, {"options": {"wer": {"x": {"access_token": KEY}}}},
     {"utmos": {"address": f"https://me:{KEY}@h/x"}},
     {"utmos": {"address": f"https://h/x?token={KEY}"}},
     {"systems": {"a": f"espeak:password={KEY}"}}],
)  # fmt: skip
def test_a_configuration_with_a_secret_is_refused_without_showing_it(
    values: dict[str, object], make_meta: Path, tmp_path: Path
) -> None:
    import yaml

    path = tmp_path / "config.yaml"
    path.write_text(
        yaml.safe_dump({"testset": str(make_meta), "systems": {"a": "recorded"}} | values)
    )
    done = start(tmp_path / "run", "run", path, "--out", tmp_path / "run")
    assert done.returncode == 2, done.stderr
    assert "looks like a secret" in done.stderr
    assert KEY not in done.stdout + done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "value", ["${oc.env:SPEECH_KEY}", "x${oc.env:SPEECH_KEY,none}", "${oc.decode:${oc.env:A}}",
              "${${name}:SPEECH_KEY}", "${ oc.env : A }"],
)  # fmt: skip
def test_no_variable_is_written_out_of_a_configuration(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEECH_KEY", KEY)
    base = {"testset": "t", "systems": {"a": "recorded"}}
    with pytest.raises(UserError, match="calls a function"):
        configuration.build({**base, "baseline": value})
    with pytest.raises(UserError) as caught:
        configuration.build(base, [f"baseline={value}"])
    assert KEY not in str(caught.value)


def test_references_and_escapes_stay() -> None:
    built = configuration.build(
        {"testset": "t", "systems": {"a": "command:true \\${x:y} {text}"}, "baseline": "${testset}"}
    )
    assert built.systems["a"] == "command:true ${x:y} {text}"
    assert built.baseline == "t"


def test_hidden_takes_longest_values_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST_TOKEN", "abcdefgh")
    monkeypatch.setenv("SECOND_TOKEN", "abcdefgh-ijkl")
    monkeypatch.setenv("SHORT_KEY", "abc")
    monkeypatch.setenv("NOT_ONE", "visible-value")
    assert (
        redaction.hidden("abc abcdefgh-ijkl abcdefgh visible-value") == "abc *** *** visible-value"
    )


@pytest.mark.parametrize("name", ["eos_token", "max_tokens", "keyboard", "author", "passage"])
def test_names_that_are_no_secrets(name: str) -> None:
    redaction.refuse_fields({name: "abcdefghij"}, "here")


@pytest.mark.parametrize(
    "name", ["api_key", "accessToken", "X-Amz-Signature", "pwd", "client_secret"]
)
def test_names_that_are(name: str) -> None:
    with pytest.raises(UserError) as caught:
        redaction.refuse_fields({"deep": {name: "abcdefghij"}}, "here")
    assert "abcdefghij" not in str(caught.value)
    redaction.refuse_fields({f"{name}_env": "NAME"}, "here")
