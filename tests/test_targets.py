from __future__ import annotations

from pathlib import Path

import pytest

from mamtra_eval import targets
from mamtra_eval.errors import UserError


def test_targets_become_systems(tmp_path: Path) -> None:
    parse = targets.parse
    assert parse("r", "recorded").kind == "recorded"
    assert parse("e", "espeak:voice=en-us+f3,rate=150").options == {
        "voice": "en-us+f3", "rate": "150",
    }  # fmt: skip
    assert parse("m", 'mini:checkpoint="/a, ""b""",top_p=1').options == {
        "checkpoint": '/a, "b"', "top_p": "1",
    }  # fmt: skip
    assert parse("m", 'mini:checkpoint=a"b').options == {"checkpoint": 'a"b'}
    assert parse("c", "command:prog --text={text} -o {out}").options == {
        "template": "prog --text={text} -o {out}"
    }
    assert parse("h", "http://127.0.0.1:1/v1/audio/speech?model=x").kind == "http"
    folder = parse("f", str(tmp_path))
    assert (folder.kind, folder.options) == ("recorded", {"dir": str(tmp_path)})


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wavs").mkdir()
    (tmp_path / "a=b").mkdir()
    assert targets.split_name("good=wavs") == ("good", "wavs")
    assert targets.split_name("./wavs/") == ("wavs", "./wavs/")
    assert targets.split_name("a=b") == ("a=b", "a=b")  # a folder of that name
    assert targets.split_name("espeak:voice=x") == ("espeak:voice=x", "espeak:voice=x")
    assert targets.split_name("x=espeak:voice=y") == ("x", "espeak:voice=y")
    url = "http://host/v1/audio/speech?model=x"
    assert targets.split_name(url) == (url, url)
    assert targets.split_name(f"api={url}") == ("api", url)


def test_two_systems_of_one_name_are_refused() -> None:
    with pytest.raises(UserError, match="Name one of them"):
        targets.name_all(["espeak", "espeak"])


def test_a_missing_folder_is_not_taken_for_a_misspelt_system() -> None:
    with pytest.raises(UserError, match="no such folder"):
        targets.parse("x", "out/wavs")
