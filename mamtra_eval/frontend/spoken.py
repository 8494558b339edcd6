"""A text as it is read aloud: phrases of lower-case words, without digits, symbols or capitals.

``spoken(text)`` makes plain ASCII of the text (``fold``), writes out abbreviations
(``abbreviations``), numbers (``readings``) and symbols, and parts it at punctuation. Hyphens and
slashes part words, apostrophes stay in them. An initialism becomes its letters; the letter A is
``a.``, as in the CMU's dictionary. What isn't of the Latin alphabet is passed over.
"""

from __future__ import annotations

import re
import unicodedata

from mamtra_eval.errors import UserError
from mamtra_eval.frontend import abbreviations, readings
from mamtra_eval.frontend.abbreviations import LETTER_A

KEPT = "£€¥°×÷"
"""Beyond ASCII: symbols that have a name."""

_REPLACED = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛ʼʹ`´′", "'"), **dict.fromkeys("“”„‟«»″", '"'),
        **dict.fromkeys("—―", " -- "), **dict.fromkeys("–‒‐‑−", "-"),
        **dict.fromkeys("™®©", ""), "²": " squared ", "³": " cubed ", "…": ". ", "⁄": "/",
        "ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "đ": "d",
        "Đ": "D", "ł": "l", "Ł": "L", "ı": "i", "þ": "th", "Þ": "Th", "ð": "d", "Ð": "D",
    }
)  # fmt: skip

_WORD = re.compile(rf"(?:[a-z]+|{LETTER_A})(?:'[a-z]+)*")
_BREAK = re.compile(r"[.,;:!?()\[\]{}]+|--+|\s-\s")


def spoken(text: str) -> list[list[str]]:
    """The phrases of a text, as words; UserError if it has nothing to say."""
    plain = readings.expand(abbreviations.expand(fold(text)))
    plain = abbreviations.lower(abbreviations.symbols(plain))
    phrases = [
        [word.replace(LETTER_A, "a.") for word in _WORD.findall(phrase)]
        for phrase in _BREAK.split(plain)
    ]
    if not (phrases := [phrase for phrase in phrases if phrase]):
        raise UserError(
            f"the text has nothing to speak: {text[:60]!r}",
            fix="Give it words in Latin letters, or numbers.",
        )
    return phrases


def fold(text: str) -> str:
    """The text in ASCII and ``KEPT``: accents dropped, quotes and dashes plain, others a space."""
    # Fractions decompose to digits and a slash, which may not touch the number before.
    text = re.sub(r"([¼-¾⅐-⅞])", r" \1", text).translate(_REPLACED)
    folded = unicodedata.normalize("NFKD", text).translate(_REPLACED)
    marks = (char for char in folded if unicodedata.category(char) not in ("Mn", "Cf"))
    plain = (char if char in KEPT or " " <= char <= "~" else " " for char in marks)
    return re.sub(r"\s+", " ", "".join(plain)).strip()
