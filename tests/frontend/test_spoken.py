"""What a text is read as. The expected words are how a reader of US English says them."""

from __future__ import annotations

import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.frontend.spoken import fold, spoken

NUMBERS = {
    "0": "zero",
    "7": "seven",
    "21": "twenty one",
    "123": "one hundred twenty three",
    "1,234": "one thousand two hundred thirty four",
    "1,999 dogs, -1,999": "one thousand nine hundred ninety nine dogs|"
    "minus one thousand nine hundred ninety nine",
    "1,999 km": "one thousand nine hundred ninety nine kilometers",
    "$1,999": "one thousand nine hundred ninety nine dollars",
    "1,234,567": "one million two hundred thirty four thousand five hundred sixty seven",
    "1999": "nineteen ninety nine",
    "1905": "nineteen oh five",
    "2005": "two thousand five",
    "2021": "twenty twenty one",
    "1000": "one thousand",
    "5000": "five thousand",
    "007": "zero zero seven",
    "12345678901234567890": "one two three four five six seven eight nine zero " * 2,
    "3.14": "three point one four",
    "0.5": "zero point five",
    ".5": "point five",
    "1.2.3": "one point two point three",
    "-5": "minus five",
    "1st": "first",
    "22nd": "twenty second",
    "13th": "thirteenth",
    "1/2": "one half",
    "call 1/2/3": "call one two three",
    "10%-20%": "ten percent to twenty percent",
    "10am-5pm": "ten a. m to five p m",
    "1st-3rd": "first to third",
    "1990s-2000s": "nineteen nineties to two thousands",
    "3e-5": "three e minus five",
    "$-5": "minus five dollars",
    "5 €, 1,200$": "five euros|one thousand two hundred dollars",
    "3/4": "three quarters",
    "2½": "two and a half",
    "24/7": "twenty four seven",
    "the '90s": "the nineties",
    "the 1990s": "the nineteen nineties",
    "the 1920's": "the nineteen twenties",
    "2005's": "two thousand five's",
    "$1": "one dollar",
    "$5.20": "five dollars twenty cents",
    "$0.05": "five cents",
    "$3.00": "three dollars",
    "$3.5 million": "three point five million dollars",
    "$2M": "two million dollars",
    "£1": "one pound",
    "£2.50": "two pounds fifty pence",
    "€20": "twenty euros",
    "¥500": "five hundred yen",
    "-$5": "minus five dollars",
    "20%": "twenty percent",
    "0.5 %": "zero point five percent",
    "25-30%": "twenty five to thirty percent",
    "3:45": "three forty five",
    "9:05": "nine oh five",
    "10:00": "ten o'clock",
    "10:00 a.m.": "ten a. m",
    "5pm": "five p m",
    "7:30 PM": "seven thirty p m",
    "10-20": "ten to twenty",
    "1990–1995": "nineteen ninety to nineteen ninety five",
    "$5-$10": "five dollars to ten dollars",
    "March 3": "march third",
    "March 3, 2021": "march third twenty twenty one",
    "Jan. 5": "january fifth",
    "Dec 31st": "december thirty first",
    "14 February 2020": "the fourteenth of february twenty twenty",
    "2021-03-14": "march fourteenth twenty twenty one",
    "12/25/2020": "december twenty fifth twenty twenty",
    "5 km": "five kilometers",
    "1 km": "one kilometer",
    "60 km/h": "sixty kilometers per hour",
    "20°C": "twenty degrees celsius",
    "6 ft": "six feet",
    "16 GB": "sixteen gigabytes",
    "#1": "number one",
    "a 3-year-old": "a three year old",
}

WORDS = {
    "Dr. Smith": "doctor smith",
    "Mr. and Mrs. Jones": "mister and missus jones",
    "St. Paul": "saint paul",
    "Main St. is": "main street is",
    "Prof. Lee": "professor lee",
    "e.g. this": "for example this",
    "i.e. that": "that is that",
    "cats, dogs, etc.": "cats|dogs|et cetera",
    "us vs. them": "us versus them",
    "No. 5": "number five",
    "I said no. Go": "i said no|go",
    "the BBC": "the b b c",
    "NASA": "nasa",
    "CEOs": "c e o's",
    "the US army": "the u s army",
    "the U.S. army": "the u s army",
    "a Ph.D.": "a p h d",
    "J. K. Rowling": "j k rowling",
    "plan A is": "plan a. is",
    "A: yes. A cat": "a.|yes|a cat",
    "DO NOT go": "do not go",
    "THIS IS A TEST": "this is a test",
    "Henry VIII": "henry the eighth",
    "World War II": "world war two",
    "salt & pepper": "salt and pepper",
    "x = y + 1": "x equals y plus one",
    "me@example.com": "me at example dot com",
    "#fun": "hashtag fun",
    "and/or": "and or",
    "state-of-the-art": "state of the art",
    "COVID-19": "covid nineteen",
    "mp3": "mp three",
    "don’t": "don't",
    "John’s “dog”": "john's dog",
    "'quoted'": "quoted",
    "café naïve": "cafe naive",
    "hello 😀 日本 world": "hello world",
    "ﬁne": "fine",
    "YouTube": "you tube",
    "yes — no": "yes|no",
    "one - two": "one|two",
    "it (really) was; so: what? Well!": "it|really|was|so|what|well",
    "wait... what": "wait|what",
}


@pytest.mark.parametrize(("text", "expected"), [*NUMBERS.items(), *WORDS.items()])
def test_a_text_is_read_as(text: str, expected: str) -> None:
    phrases = [phrase.split() for phrase in expected.split("|")]
    assert spoken(text) == phrases


@pytest.mark.parametrize("text", ["", " \n", "...", "日本", "😀", "'", "\x00\x01", "-", "\ud800"])
def test_nothing_to_say_is_the_callers_error(text: str) -> None:
    with pytest.raises(UserError, match="nothing to speak"):
        spoken(text)


def test_fold_leaves_ascii_and_named_symbols() -> None:
    assert fold("Ærø\u200b  “ﬀ” 5 £ ½\t") == 'Aero "ff" 5 £ 1/2'
