from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval import catalogue
from mamtra_eval.errors import UserError
from mamtra_eval.testset import read_meta


def _list(folder: Path, text: str, *, prompts: bool = True) -> Path:
    path = folder / "meta.lst"
    path.write_bytes(text.encode())
    if prompts:
        (folder / "p.wav").write_bytes(b"x")
    return path


def test_five_four_three_and_two_columns(tmp_path: Path) -> None:
    five = read_meta(_list(tmp_path, "u1|said before|p.wav|to say|g.wav\n")).utterances[0]
    assert (five.id, five.prompt_text, five.text) == ("u1", "said before", "to say")
    assert five.prompt_audio == tmp_path / "p.wav"
    assert five.ground_truth == tmp_path / "g.wav"
    four = read_meta(_list(tmp_path, "u1|said before|p.wav|to say")).utterances[0]
    assert (four.text, four.ground_truth) == ("to say", None)
    three = read_meta(_list(tmp_path, "u1.wav|to say|p.wav")).utterances[0]
    assert (three.id, three.text, three.prompt_text) == ("u1", "to say", None)
    assert three.prompt_audio == tmp_path / "p.wav"
    two = read_meta(_list(tmp_path, "u1|to say")).utterances[0]
    assert (two.text, two.prompt_audio) == ("to say", None)


def test_official_layout_has_its_ground_truth_beside_the_list(tmp_path: Path) -> None:
    (tmp_path / "wavs").mkdir()
    (tmp_path / "wavs" / "u1.wav").write_bytes(b"x")
    found = read_meta(_list(tmp_path, "u1|before|p.wav|text")).utterances[0]
    assert found.ground_truth == tmp_path / "wavs" / "u1.wav"


def test_byte_order_mark_windows_line_ends_and_blank_lines(tmp_path: Path) -> None:
    found = read_meta(_list(tmp_path, "\ufeffu1|one\r\n\r\nu2|two\r\n"))
    assert [(item.id, item.text) for item in found.utterances] == [("u1", "one"), ("u2", "two")]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("u1\n", ["line 1", "1 columns", "utt|"]),
        ("u1|t\nu2|a|b|c|d|e\n", ["line 2", "6 columns"]),
        ("u1|t\nu2|a|b\n", ["line 2", "3 columns where the lines before have 2"]),
        ("u1|t\nu1|t\n", ["line 2", "'u1' stands in line 1"]),
        ("u1|\n", ["line 1", "text is empty"]),
        ("u1|a|missing.wav|text\n", ["line 1", "missing.wav is missing"]),
        ("../u1|t\n", ["line 1", "can't be a file name"]),
        ("..|t\n", ["line 1", "can't be a file name"]),
        ("\n\n", ["holds no utterance"]),
    ],
)
def test_what_is_wrong_is_named_with_file_line_and_remedy(
    tmp_path: Path, text: str, parts: list[str]
) -> None:
    path = _list(tmp_path, text)
    with pytest.raises(UserError) as caught:
        read_meta(path)
    for part in [str(path), *parts]:
        assert part in str(caught.value)
    assert caught.value.fix


def test_many_problems_are_counted_not_all_shown(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="and 95 more"):
        read_meta(_list(tmp_path, "\n".join(f"u{i}|" for i in range(100))))


def test_no_utf8_is_said(tmp_path: Path) -> None:
    path = tmp_path / "meta.lst"
    path.write_bytes(b"u1|caf\xe9\n")
    with pytest.raises(UserError, match="UTF-8"):
        read_meta(path)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_gives_a_set_or_a_user_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("any") / "meta.lst"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        found = read_meta(path)
    except UserError:
        return
    assert all(item.text and item.id for item in found.utterances)


def test_hash_follows_texts_prompts_and_recordings_but_not_the_folder(tmp_path: Path) -> None:
    hashes = []
    for name, text, prompt in (
        ("a", "one", b"x"), ("b", "one", b"x"), ("c", "two", b"x"), ("d", "one", b"y"),
    ):  # fmt: skip
        folder = tmp_path / name
        folder.mkdir()
        path = _list(folder, f"u1|p|p.wav|{text}\n")
        (folder / "p.wav").write_bytes(prompt)
        hashes.append(read_meta(path).sha256())
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_chinese_is_recognised(tmp_path: Path) -> None:
    assert read_meta(_list(tmp_path, "u1|你好世界\n")).language == "zh"


def test_the_committed_set_is_what_it_says(mini: Path) -> None:
    sentences = catalogue.load(str(mini))
    assert sentences.name == "mini-en"
    assert len(sentences.utterances) == 64
    words = [len(item.text.split()) for item in sentences.utterances]
    assert min(words) >= 6
    assert max(words) <= 14
    assert {item.id.split("-")[0] for item in sentences.utterances} == {
        "awb",
        "rms",
        "kal16",
        "slt",
    }
    assert all(item.ground_truth and item.ground_truth.is_file() for item in sentences.utterances)
    digits = catalogue.load(str(mini / "digits.lst"))
    assert digits.options == {"asr": {"grammar": "digits"}}
    assert len(digits.utterances) == 64


def test_names_are_found_and_near_ones_offered(monkeypatch: pytest.MonkeyPatch, mini: Path) -> None:
    monkeypatch.setenv("MAMTRA_EVAL_TESTSETS", str(mini.parent))
    assert catalogue.load("mini-en/digits").name == "mini-en/digits"
    with pytest.raises(UserError, match="Did you mean mini-en"):
        catalogue.load("mini-em")


def test_a_broken_card_is_explained(tmp_path: Path) -> None:
    (tmp_path / "testset.yaml").write_text("name: [", encoding="utf-8")
    with pytest.raises(UserError, match="not a valid test set card"):
        catalogue.load(str(tmp_path))
