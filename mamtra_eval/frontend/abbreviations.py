"""Abbreviations, initialisms and symbols, in words; the steps are called by ``spoken``."""

from __future__ import annotations

import re
from types import MappingProxyType

from mamtra_eval.frontend import lexicon

LETTER_A = "\x01"
"""The letter, until the end of the work; ``a`` is the article."""

TITLES = MappingProxyType(
    {
        "Mr": "mister", "Mrs": "missus", "Ms": "ms", "Prof": "professor", "Jr": "junior",
        "Sr": "senior", "Gen": "general", "Sgt": "sergeant", "Capt": "captain", "Lt": "lieutenant",
        "Col": "colonel", "Gov": "governor", "Sen": "senator", "Rev": "reverend", "Mt": "mount",
        "Ave": "avenue", "Rd": "road", "Blvd": "boulevard", "Inc": "incorporated",
        "Ltd": "limited", "Corp": "corporation", "Tues": "tuesday", "Thurs": "thursday",
        "Jan": "January", "Feb": "February", "Aug": "August", "Sept": "September",
        "Oct": "October", "Nov": "November", "Dec": "December",
    }
)  # fmt: skip
"""Said in full when a full stop follows."""

PHRASES = MappingProxyType(
    {
        "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "vs.": "versus",
        "a.k.a.": "also known as", "approx.": "approximately", "dept.": "department",
        "est.": "established", "et al.": "et al", "Ph.D.": "P H D", "w/o": "without",
        "w/": "with", "Mr ": "mister ", "Mrs ": "missus ", "Ms ": "ms ", "Dr ": "doctor ",
        "'n'": "and", "vs ": "versus ", "etc ": "et cetera ",
    }
)  # fmt: skip

NUMBERED = MappingProxyType(
    {"no": "number", "nos": "numbers", "fig": "figure", "vol": "volume", "p": "page", "pp": "pages",
     "ch": "chapter", "sec": "section", "ext": "extension"}
)  # fmt: skip
"""Said in full when a full stop and a number follow."""

_CAPITALS = (
    "ok am an as at be by do go he hi if in is it me my no of oh on or so to up we "
    "the and you not all yes now new one two for but can are was has had his her him she our out "
    "off any see get got let say how why who may day man men way too own old big bad top end "
    "real stop free hot red run war law god its did use set put ask buy pay win sea sun air"
)
SHORT_CAPITALS = frozenset(_CAPITALS.split())
"""Words of two or three letters that capitals emphasize; others so written are initialisms."""

ROMAN = MappingProxyType(
    {"II": 2, "III": 3, "IV": 4, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "XI": 11, "XII": 12,
     "XIII": 13, "XIV": 14, "XV": 15, "XVI": 16}
)  # fmt: skip

_RULERS = (
    "Henry Louis Elizabeth Charles George Edward James Richard William Philip Catherine Peter "
    "Alexander Napoleon Frederick Francis John Paul Benedict Gregory Pius Leo Clement"
)
RULERS = frozenset(_RULERS.split())
"""Their numerals are ordinals."""

SYMBOLS = MappingProxyType(
    {"&": " and ", "%": " percent ", "+": " plus ", "=": " equals ", "@": " at ", "$": " dollar ",
     "£": " pound ", "€": " euro ", "¥": " yen ", "°": " degrees ", "×": " times ",
     "÷": " divided by ", "\\": " backslash ", "_": " ", "*": " ", "/": " ", "<": " ", ">": " "}
)  # fmt: skip
"""What is left of them after ``numerals``."""

SPELT = frozenset(("ieee", "naacp", "usda"))
"""Initialisms that the lexicon has as words."""

LONGEST_INITIALISM = 5

_PRONOUNCEABLE = re.compile("[^aeiou]?([aeiou][^aeiou])+[aeiou]?")


def expand(text: str) -> str:
    """Abbreviations written out; before ``numerals``, as some depend on a number beside them."""
    text = re.sub(r"\b(St|Dr)\.", _saint_or_street, text)
    text = _PHRASES.sub(_phrase, text)
    text = re.sub(rf"\b({'|'.join(TITLES)})\.", _title, text)
    text = re.sub(
        rf"(?i)\b({'|'.join(NUMBERED)})\. ?(?=\d)", lambda m: f"{NUMBERED[m[1].lower()]} ", text
    )
    text = re.sub(rf"\b([A-Z][a-z]+) ({'|'.join(ROMAN)})\b", _roman, text)
    text = re.sub(r"(?<=\d) ?([AaPp])\.[Mm]\.", lambda m: f" {m[1]}m{_stop(m)}", text)
    text = re.sub(r"\b(?:[A-Za-z]\.){2,}", lambda m: f"{letters(m[0])} ", text)
    # Initials of a name; "I." ends a sentence.
    return re.sub(r"\b([A-HJ-Z])\.(?= ?[A-Z])", lambda m: f"{letters(m[1])} ", text)


def symbols(text: str) -> str:
    """Symbols by their names; ``#`` is a number's or a hashtag's."""
    text = re.sub(r"#(?=\w)", " hashtag ", text).replace("#", " ")
    # A full stop within a name: example.com
    text = re.sub(r"(?<=[a-z])\.(?=[a-z])", " dot ", text)
    return "".join(SYMBOLS.get(char, char) for char in text)


def lower(text: str) -> str:
    """The text in lower case, initialisms and the letter A apart."""
    tokens = re.findall(r"[A-Za-z']+", text)
    shouted = len(tokens) > 1 and not re.search("[a-z]", text)

    def capitals(match: re.Match[str]) -> str:
        word, ending = match[1], "'s" if match[2] else ""
        return match[0] if _is_word(word, shouted) else f"{letters(word)}{ending}"

    if not shouted:
        text = _THE_LETTER_A.sub(LETTER_A, text)
    # YouTube is said as two words.
    text = re.sub(r"(?<=[a-z]{2})(?=[A-Z][a-z])", " ", text)
    return re.sub(r"\b([A-Z]{2,})('?s)?(?![A-Za-z])", capitals, text).lower()


def letters(word: str) -> str:
    """The letters of a word, in lower case, with spaces between."""
    return " ".join(re.findall("[A-Za-z]", word)).lower().replace("a", LETTER_A)


def _is_word(word: str, shouted: bool) -> bool:
    """Whether capitals are only capitals, and no initialism."""
    small = word.lower()
    if small in SPELT:
        return False
    if shouted or len(word) > LONGEST_INITIALISM:
        return len(word) > LONGEST_INITIALISM or lexicon.pronounce(small) is not None
    if len(word) <= 3:
        return small in SHORT_CAPITALS
    return lexicon.pronounce(small) is not None or _PRONOUNCEABLE.fullmatch(small) is not None


def _saint_or_street(match: re.Match[str]) -> str:
    """Saint Paul, Main Street; Doctor Who, Mulholland Drive."""
    before, after = match.string[: match.start()], match.string[match.end() :]
    names = re.search(r"\b[A-Z][a-z']*\s$|\d(st|nd|rd|th)\s$", before[-24:])
    title = re.match(r"\s*[A-Z]", after)
    if title and not (names and re.match(r"\s+(The|We|It|He|She|They|In|On|A|I)\b", after)):
        return "saint" if match[1] == "St" else "doctor"
    if not names:
        return "saint" if match[1] == "St" else "doctor"
    return ("street" if match[1] == "St" else "drive") + _stop(match)


def _title(match: re.Match[str]) -> str:
    return TITLES[match[1]] + (_stop(match) if match[1] in ("Ave", "Rd", "Blvd", "Inc") else "")


def _phrase(match: re.Match[str]) -> str:
    found = match[0] if match[0] in PHRASES else match[0].lower()
    return PHRASES.get(found, match[0]) + (_stop(match) if found == "etc." else "")


def _stop(match: re.Match[str]) -> str:
    """A full stop if the abbreviation's own one seems to end a sentence."""
    return "." if re.match(r"\s+[A-Z]", match.string[match.end() : match.end() + 9]) else ""


def _roman(match: re.Match[str]) -> str:
    """Henry the eighth, but World War two."""
    name, value = match[1], ROMAN[match[2]]
    return f"{name} the {value}th" if name in RULERS else f"{name} {value}"


_PHRASES = re.compile(
    rf"(?i)(?<![\w.])(?:{'|'.join(re.escape(text) for text in sorted(PHRASES, key=len)[::-1])})"
)

# "A:", and what stands within a phrase: plan A.
_THE_LETTER_A = re.compile(r"\bA(?=[.,:;?!])|(?<=[^,.;:!?()\s] )A(?![\w'])")
