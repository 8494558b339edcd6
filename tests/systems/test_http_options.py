import json
from urllib.parse import parse_qsl, quote_plus, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval.errors import UserError
from mamtra_eval.systems import http


def test_identity_is_what_decides_the_clips():
    one = http.create({"url": "http://h/", "model": "m"}).identity([])
    other = http.create({"url": "http://h/", "model": "m", "concurrency": 9, "retries": 0})
    assert one == other.identity([])
    assert one != http.create({"url": "http://h/", "model": "n"}).identity([])
    assert json.loads(json.dumps(one)) == one


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "no url"),
        ({"url": "ftp://h/"}, "no address"),
        ({"url": "http://"}, "no address"),
        ({"url": "http://h:99999/"}, "no address"),
        ({"url": "http://u:pass@h/"}, "user or password"),
        ({"url": "http://h/", "response_format": "pcm"}, "sampling rate"),
        ({"url": "http://h/", "prompt": "file"}, "prompt"),
        ({"url": "http://h/", "speed": "fast"}, "speed"),
        ({"url": "http://h/", "extra": "[1]"}, "extra"),
        ({"url": "http://h/", "api_key_env": "sk-u:pass"}, "no name of an environment variable"),
        ({"url": "http://h/", "timeout_s": 0}, "timeout_s"),
        ({"url": "http://h/", "timeout_s": "nan"}, "timeout_s"),
        ({"url": "http://h/", "retries": -1}, "retries"),
        ({"url": "http://h/", "concurrency": 0}, "concurrency"),
        ({"url": "http://h/", "retry": 1}, "Did you mean retries"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(UserError, match=words) as caught:
        http.create(options)
    assert "u:pass" not in str(caught.value)


def test_options_leave_the_query():
    options = http.options_from_url("https://h:1/v1/audio/speech?model=a%2Fb&key=1&voice=x+y&url=z")
    assert options == {
        "url": "https://h:1/v1/audio/speech?key=1&url=z",
        "model": "a/b",
        "voice": "x y",
    }
    assert http.options_from_url("http://h/p") == {"url": "http://h/p"}


known = st.dictionaries(
    st.sampled_from([name for name in http.DEFAULTS if name != "url"]), st.text(max_size=8)
)
unknown = st.lists(
    st.tuples(st.sampled_from(["key", "url", "a b", "Model", "é"]), st.text(max_size=8))
)


@given(known, unknown, st.randoms(use_true_random=False))
def test_options_from_url_round_trip(options, others, dice):
    pairs = [*options.items(), *others]
    # Others keep their order among themselves, wherever options stand between them.
    places = sorted(dice.sample(range(len(pairs)), len(others)))
    taken = iter(others)
    mine = iter(options.items())
    mixed = [next(taken) if n in places else next(mine) for n in range(len(pairs))]
    query = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in mixed)
    found = http.options_from_url(f"http://h:1/p?{query}" if query else "http://h:1/p")
    url = urlsplit(found.pop("url"))
    assert found == options
    assert parse_qsl(url.query, keep_blank_values=True) == others
    assert (url.netloc, url.path) == ("h:1", "/p")
