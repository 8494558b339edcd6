from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval.errors import UserError
from mamtra_eval.systems import _llasa_prompt as prompt_of


@given(st.integers(0, prompt_of.CODES - 1))
def test_a_code_comes_back_from_its_token(code):
    assert prompt_of.code_of(prompt_of.speech_token(code)) == code


@pytest.mark.parametrize(
    "token", ["<|s_65536|>", "<|s_-1|>", "<|s_|>", "s_1", "<|s_1|> ", "<|s_1a|>", "<|eot_id|>", ""]
)
def test_other_tokens_are_no_codes(token):
    assert prompt_of.code_of(token) is None
    assert prompt_of.codes_of(["<|s_3|>", token, "<|s_03|>"]) == ([3, 3], 1)


def test_what_stands_between_transcript_and_text():
    [asked, _] = prompt_of.chat("One.", "Two.", [], "space")
    assert "START|>One. Two.<|TEXT" in asked["content"]
    [asked, _] = prompt_of.chat("One.", "Two.", [], "none")
    assert "START|>One.Two.<|TEXT" in asked["content"]


def test_a_tokenizer_without_speech_is_refused():
    with pytest.raises(UserError, match=r"no .*<\|s_0\|>.*Llasa-1B"):
        prompt_of.check_vocabulary(SimpleNamespace(get_vocab=lambda: {"a": 0}), "folder")
