"""What Llasa is asked, and what it answers: text, speech tokens, and the chat around both.

The language model is a Llama with further tokens: ``<|s_0|>`` to ``<|s_65535|>`` for the codec's
codes and eight marks. As its model card has it, the user's turn asks for the prompt's transcript
and the text in one; the assistant's turn, which the model goes on with, begins with the prompt's
codes. So the model continues a recording of both texts.

The chat template of its tokenizer, Llama 3.2's, begins with today's date. Then the same seed gives
another clip tomorrow; the date is an option here, by default the one that the template itself has
where it knows none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from mamtra_eval.errors import UserError

CODES = 65_536
DATE = "26 Jul 2024"
ASK = "Convert the text to speech:"
UNDERSTAND = ("<|TEXT_UNDERSTANDING_START|>", "<|TEXT_UNDERSTANDING_END|>")
SPEAK, END = "<|SPEECH_GENERATION_START|>", "<|SPEECH_GENERATION_END|>"
MARKS = (*UNDERSTAND, SPEAK, END)
JOINERS = {"none": "", "space": " "}
"""Between the prompt's transcript and the text: the card puts nothing there."""
_TOKEN = re.compile(r"<\|s_(\d{1,5})\|>")


def speech_token(code: int) -> str:
    """The token of a code of the codec."""
    return f"<|s_{code}|>"


def code_of(token: str) -> int | None:
    """The code that a token stands for; ``None`` for a token that is no speech."""
    found = _TOKEN.fullmatch(token)
    code = int(found[1]) if found else CODES
    return code if code < CODES else None


def codes_of(tokens: Iterable[str]) -> tuple[list[int], int]:
    """Codes of the speech tokens, and how many others were passed over (as the card does)."""
    codes = [code_of(token) for token in tokens]
    kept = [code for code in codes if code is not None]
    return kept, len(codes) - len(kept)


def chat(prompt_text: str, text: str, prompt_codes: Sequence[int], joiner: str) -> Any:  # noqa: ANN401
    """Messages of the chat; the last one is to be gone on with."""
    opened, closed = UNDERSTAND
    asked = f"{ASK}{opened}{prompt_text}{JOINERS[joiner]}{text}{closed}"
    begun = SPEAK + "".join(map(speech_token, prompt_codes))
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": begun}]


def input_ids(tokenizer: Any, messages: Any, date: str) -> list[int]:  # noqa: ANN401
    """Ids of the chat, by the tokenizer's own template."""
    found: list[int] = tokenizer.apply_chat_template(
        messages, tokenize=True, continue_final_message=True, return_dict=False, date_string=date
    )
    return found


def check_vocabulary(tokenizer: Any, folder: str) -> int:  # noqa: ANN401
    """Id of the mark that ends speech; UserError for a tokenizer without Llasa's tokens."""
    known = tokenizer.get_vocab()
    wanted = (*MARKS, speech_token(0), speech_token(CODES - 1))
    absent = [token for token in wanted if token not in known]
    if absent:
        raise UserError(
            f"its tokenizer has no {', '.join(absent)}",
            where=folder,
            fix="Give the folder of Llasa-1B (or 3B, 8B), not of the Llama it was made from.",
        )
    return int(known[END])
