"""Run folders from elsewhere: rows that name files of whoever writes the report, and worse."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from mamtra_eval import borders, pipeline, results, rundata
from mamtra_eval import config as configuration
from mamtra_eval.errors import UserError
from mamtra_eval.reader import RunReader
from mamtra_eval.report import html

PRIVATE = "a private file of the reader's"
Cli = Callable[..., object]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run in ``run`` and its test set beside it."""
    import numpy as np
    import soundfile

    root = tmp_path_factory.mktemp("made")
    (root / "set" / "wavs").mkdir(parents=True)
    for seed, name in enumerate(("wavs/u0.wav", "wavs/u1.wav", "prompt.wav")):
        noise = 0.1 * np.random.default_rng(seed).standard_normal(16000)
        soundfile.write(root / "set" / name, noise, 16000)
    meta = root / "set" / "meta.lst"
    meta.write_text("u0|a prompt|prompt.wav|one two\nu1|a prompt|prompt.wav|one two\n")
    config = configuration.build(
        {"testset": str(meta), "systems": {"a": "recorded"}, "metrics": ["health"]}
    )
    pipeline.evaluate(config, root / "run")
    return root


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of it, and a private file beside."""
    shutil.copytree(made, tmp_path / "theirs")
    (tmp_path / "private.txt").write_text(PRIVATE)
    return tmp_path / "theirs" / "run"


def change(run: Path, *statements: str, values: tuple[object, ...] = ()) -> None:
    with closing(sqlite3.connect(run / "run.sqlite", isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement, values)


def page_of(run: Path) -> str:
    with RunReader(run) as store:
        found = results.collect(store)
    return html.write(found, html.plan(found)).read_text(encoding="utf-8")


PATHS = [
    "../../private.txt", "clips/../../../private.txt", "/etc/passwd", "file:///etc/passwd",
    "http://example.org/x.wav", "//example.org/share/x.wav", "\\\\example.org\\share\\x.wav",
    "C:\\x.wav", "clips\\..\\..\\x", "data:audio/wav;base64,AAAA", "javascript:alert(1)", "a\0b",
    "run.sqlite", "run.yaml", ".lock", "clips/a/../../../x", "clips/../x", "clips/a\\..\\..\\x",
    "clips/a/..", "clips//../../x",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_a_clip_lies_in_its_run_folder(run: Path, path: str) -> None:
    change(run, "UPDATE clips SET path = ? WHERE utterance = 'u0'", values=(path,))
    with RunReader(run) as store:
        with pytest.raises(UserError, match="leads out of the run folder"):
            results.collect(store)
        with pytest.raises(UserError, match="leads out of the run folder"):
            list(store.rows("clips"))


def test_every_command_that_reads_a_run_refuses_such_a_row(run: Path, cli: Cli) -> None:
    change(run, "UPDATE clips SET path = '../../private.txt' WHERE utterance = 'u0'")
    export = ("listen", "export", run, run.parent / "bundle", "--kind", "mos")
    for command in (
        ("report", run), ("report", run, "--embed"), ("leaderboard", run), ("verify", run), export,
    ):  # fmt: skip
        done = cli(*command)
        assert done.returncode == 2, done.stderr  # type: ignore[attr-defined]
        assert "leads out of the run folder" in done.stderr  # type: ignore[attr-defined]
    assert not [
        path for path in run.parent.rglob("*")
        if path.is_file() and PRIVATE.encode() in path.read_bytes()
    ]  # fmt: skip


@pytest.mark.parametrize("folder", ["../../x", "/tmp/x", "a/b", "a\\b", "..", ""])
def test_a_systems_folder_is_one_name(run: Path, folder: str) -> None:
    change(run, "UPDATE systems SET folder = ?", values=(folder,))
    with RunReader(run) as store, pytest.raises(UserError, match="folder"):
        store.systems()


def test_a_link_out_of_the_folder_is_not_embedded(run: Path) -> None:
    with RunReader(run) as store:
        clip = next(clip for clip in store.clips() if clip.key.utterance == "u0")
    secret = run.parent.parent / "private.wav"
    shutil.copy(run / str(clip.path), secret)
    secret.write_bytes(secret.read_bytes() + b"private")  # which players pass over
    (run / str(clip.path)).unlink()
    (run / str(clip.path)).symlink_to(secret)
    assert not borders.lies_in(run / str(clip.path), run)
    page = page_of(run)
    assert base64.b64encode(secret.read_bytes()).decode() not in page
    assert page.count("data:audio/") == 3  # the other clip, the recording, the prompt


@pytest.mark.parametrize("column", ["prompt_audio", "ground_truth"])
@pytest.mark.parametrize(
    "name", ["private.txt", "private.wav", "private.mp3", "private.raw", "fifo"]
)
def test_what_is_no_audio_is_not_embedded(run: Path, column: str, name: str) -> None:
    there = run.parent.parent / name
    os.mkfifo(there) if name == "fifo" else there.write_text(PRIVATE * 200)
    change(run, f"UPDATE utterances SET {column} = ?", values=(f"../../{name}",))
    page = page_of(run)
    assert base64.b64encode(PRIVATE.encode())[:24].decode() not in page
    assert name in page  # as a link


def test_prompts_that_are_audio_may_lie_elsewhere(run: Path) -> None:
    prompt = run.parent / "set" / "prompt.wav"
    assert base64.b64encode(prompt.read_bytes()).decode() in page_of(run)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW more AS SELECT 1",
        "CREATE TRIGGER t AFTER INSERT ON meta BEGIN DELETE FROM clips; END",
        "CREATE VIRTUAL TABLE v USING fts5(x)",
    ],
)
def test_a_database_brings_no_code(run: Path, statement: str) -> None:
    try:
        change(run, statement)
    except sqlite3.OperationalError as error:
        pytest.skip(f"this SQLite can't make one ({error})")
    with pytest.raises(UserError, match="as no run does"), RunReader(run):
        pass


def test_a_view_in_the_place_of_a_table(run: Path) -> None:
    change(
        run, "DROP TABLE clips",
        "CREATE VIEW clips AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
        "SELECT * FROM c",
    )  # fmt: skip
    with pytest.raises(UserError, match="a 'view' named 'clips'"), RunReader(run):
        pass


def read_or_told(run: Path) -> None:
    """Fail for any other error than one that tells the user where it stands."""
    with suppress(UserError), RunReader(run) as store:
        rundata.read(store)


STRANGE = ["not json", "[" * 100_000, "[]", "{}", "7", "null", '"x"', '{"sha256": [1]}', "NaN"]


@pytest.mark.parametrize("value", STRANGE, ids=lambda value: value[:10])
@pytest.mark.parametrize(
    "key", ["testset", "statistics", "margins", "notes", "starts", "agreement"]
)
def test_strange_meta_is_a_users_error_or_harmless(run: Path, key: str, value: str) -> None:
    change(run, "UPDATE meta SET value = ? WHERE key = ?", values=(value, key))
    read_or_told(run)


@pytest.mark.parametrize(
    ("table", "column"), [("metrics", "figures"), ("readings", "counts"), ("systems", "identity")]
)
@pytest.mark.parametrize("value", STRANGE[:3], ids=lambda value: value[:10])
def test_strange_rows_are_a_users_error_or_harmless(
    run: Path, table: str, column: str, value: str
) -> None:
    change(run, f"UPDATE {table} SET {column} = ?", values=(value,))
    read_or_told(run)


def test_verifying_starts_no_program_of_the_run(run: Path, cli: Cli) -> None:
    owned = run.parent / "OWNED"
    text = (run / "run.yaml").read_text().replace("a: recorded", f"a: 'command:touch {owned}'")
    assert "command:touch" in text
    (run / "run.yaml").write_text(text)
    done = cli("verify", run)
    assert done.returncode == 1, done.stderr  # type: ignore[attr-defined]
    assert "was changed after the run" in done.stdout  # type: ignore[attr-defined]
    assert not owned.exists()


def test_the_command_tells_it_as_bad_input(run: Path, cli: Cli) -> None:
    change(run, "UPDATE meta SET value = ? WHERE key = 'testset'", values=(json.dumps([1]),))
    for command in (("report", run), ("leaderboard", run), ("verify", run)):
        done = cli(*command)
        assert done.returncode == 2, done.stderr  # type: ignore[attr-defined]
        assert "internal error" not in done.stderr  # type: ignore[attr-defined]
