import ctypes
import importlib
import json
from _ctypes import dlclose

import espeakng_loader
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.systems import Request, espeak

TEXT = 'The quick brown fox, it jumped over. "Really?" Yes!'


def speak(text=TEXT, seed=0, **options):
    return espeak.create(options).speak(Request("u", text, seed=seed))


def same(one, other) -> bool:
    return np.array_equal(one.samples, other.samples)


def test_a_sentence_is_speech():
    clip = speak()
    assert clip.sample_rate_hz == 22050
    assert 2 < clip.duration_s < 6
    assert 0.1 < np.abs(clip.samples).max() <= 1


@pytest.mark.parametrize("voice", ["en-us", "en-us+f3", "en-us+whisper", "en-us+klatt4", "cmn"])
def test_output_does_not_depend_on_what_was_spoken_before(voice):
    first = speak(voice=voice)
    for before in ("Hi", "What? No!", "a" * 300):
        speak(before, voice="de+m2", rate=300, pitch=99)
        assert same(speak(voice=voice), first)


def test_two_systems_in_one_process_do_not_mix():
    slow, fast = espeak.create({"rate": 120}), espeak.create({"voice": "en-gb", "rate": "300"})
    request = Request("u", TEXT)
    alone = slow.speak(request), fast.speak(request)
    assert alone[0].duration_s > 2 * alone[1].duration_s
    assert same(slow.speak(request), alone[0])
    assert same(fast.speak(request), alone[1])


def test_a_breathy_variant_follows_the_seed():
    assert same(speak(voice="en-us+f2", seed=1), speak(voice="en-us+f2", seed=1))
    assert not same(speak(voice="en-us+f2", seed=1), speak(voice="en-us+f2", seed=2))
    assert same(speak(seed=1), speak(seed=2**63))  # en-us has no breath


@pytest.mark.parametrize("voice", ["en-gb", "EN-GB", "en-gb+f2", "fr-fr", "en", "gmw/en-US"])
def test_voices_by_language_and_by_file(voice):
    assert speak(voice=voice).duration_s > 2
    assert not same(speak(voice="en-gb+f2"), speak(voice="en-gb"))


def test_every_voice_on_the_list_can_be_made():
    with espeak.loaded_library() as (library, _):
        languages = espeak._languages(library)
    assert len(languages) > 100
    for language in languages:
        espeak.create({"voice": language})


def test_options_are_heard():
    assert speak(rate=120).duration_s > 1.3 * speak().duration_s
    assert not same(speak(pitch=80), speak())
    assert not same(speak(voice="en-gb"), speak())


def test_the_language_of_the_request_may_be_another():
    clip = espeak.create({}).speak(Request("u", "Guten Tag. 你好。", language="de"))
    assert clip.duration_s > 0.5


def test_a_very_long_text_is_spoken_to_its_end():
    clip = speak("one and two and " * 1500 + "zebra", rate=2000)
    assert clip.duration_s > 3 * speak("one and two and " * 400, rate=2000).duration_s


@pytest.mark.parametrize("text", ["", "  \n", "..."])
def test_nothing_to_say(text):
    with pytest.raises(SynthesisError, match="said nothing"):
        speak(text)


def test_control_characters_and_surrogates_neither_cut_nor_command():
    whole = speak("one two three").duration_s
    assert speak("one\0two three").duration_s == pytest.approx(whole, rel=0.1)
    assert speak("one \x01400S two three").duration_s > whole
    assert speak("one two \ud800 three").duration_s > 0.9 * whole


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=40))
def test_any_text_gives_a_clip_or_a_row(text):
    try:
        clip = speak(text)
    except SynthesisError:
        return
    assert np.isfinite(clip.samples).all()
    assert same(clip, speak(text))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"voice": "en-uk"}, "no voice named 'en-uk'.*en-us"),
        ({"voice": ""}, "no voice named ''"),
        ({"voice": "en-us+f33"}, "variant named 'f33'.*f3"),
        ({"voice": "en-us+"}, "variant named ''"),
        ({"voice": "qqqqqqqqqq"}, "There are .* like en-us"),
        ({"rate": 79}, "80 to 2000"),
        ({"rate": "fast"}, "must be int"),
        ({"pitch": 100}, "0 to 99"),
        ({"speed": 1}, "no option of espeak named 'speed'"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(UserError, match=words):
        espeak.create(options)


def test_identity_names_the_options_and_versions():
    identity = espeak.create({"voice": "en-us+f3"}).identity([])
    assert identity["voice"] == "en-us+f3"
    assert identity["espeak-ng"][0].isdigit()
    assert identity["espeakng-loader"] == importlib.metadata.version("espeakng-loader")
    assert json.loads(json.dumps(identity)) == identity


def test_a_library_held_elsewhere_is_refused_rather_than_not_reset():
    system = espeak.create({})
    holder = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        with pytest.raises(UserError, match="process of its own"):
            system.speak(Request("u", TEXT))
    finally:
        dlclose(holder._handle)
    assert system.speak(Request("u", TEXT)).duration_s > 2


def test_the_library_is_released_after_an_error():
    with pytest.raises(UserError):
        espeak.create({"voice": "none such"})
    assert not espeak._is_loaded(espeakng_loader.get_library_path())
