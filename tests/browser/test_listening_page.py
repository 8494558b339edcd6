"""The page of a listening test in Chromium: its screens, its keys, what locks and what is kept."""

from __future__ import annotations

import hashlib

import pytest

from tests.browser.listening_pages import raters, sequential
from tests.listening import made_sites
from tests.listening.made_sites import token

pytestmark = pytest.mark.browser

HEADPHONES = {"tokens": [token("gold"), token("trap")], "choices": 3,
              "question": "Which of the three sounds was the softest?"}  # fmt: skip
EVERYTHING = {"eligibility": made_sites.ELIGIBILITY, "questionnaire": made_sites.QUESTIONNAIRE,
              "volume": token("practice"), "headphones": HEADPHONES}  # fmt: skip
ODD = 'A&B + 50% off "é" 漢字 😀 </script> \u2028\x85 \\ \ttail  '


@pytest.fixture
def opened(browser):
    """Tabs of one fresh profile."""
    with raters(browser) as open_address:
        yield open_address


def _types(lines):
    return [line.get("name", line["type"]) for line in lines if line.get("name") != "resume"]


def test_a_whole_session_from_disk(opened, tmp_path):
    site = made_sites.write(tmp_path, trials=3, practice=True, break_every=2, **EVERYTHING)
    rater = opened((site / "index.html").as_uri())
    page = rater.page
    assert page.evaluate("localStorage.length") == 0  # nothing is kept before consent
    rater.press("Agree and start")
    assert "tick the box" in rater.text()
    rater.begin("Zoë 漢")
    rater.at("About you")
    rater.press("Continue")
    assert "Please answer this." in rater.text()
    page.get_by_label("yes").check()
    page.get_by_label("Your age").fill("old")
    rater.press("Continue")
    assert "Please enter a number." in rater.text()
    page.get_by_label("Your age").fill("41")
    rater.press("Continue")
    rater.at("Set the volume")
    assert page.get_by_role("button", name="Continue").is_disabled()
    rater.hear()
    rater.press("Continue")
    for choice in ("3", "1"):
        rater.at("Headphones")
        rater.answer(choice)
    rater.practise()
    rater.answer_all(3)
    rater.at("A few last questions")
    assert page.locator("label, legend").all_inner_texts()[-1].startswith("Anything else?")
    page.get_by_label("Anything else?").fill(ODD)
    page.get_by_label("earphones").check()
    rater.press("Continue")
    rater.at("Save your answers")
    assert "C0DE42" not in rater.text()
    lines = rater.save()
    assert "C0DE42" in rater.text()
    assert _types(lines) == [
        "session", "consent", "eligibility", "volume", "headphones", "instructions", "practice",
        "begin", "rating", "rating", "break", "rating", "questionnaire", "end",
    ]  # fmt: skip
    assert sequential(lines)
    bundle, lists = made_sites.read(site, "bundle"), made_sites.read(site, "lists")
    session = lines[0]
    assert session["list"] == made_sites.list_by_hash("Zoë 漢", list(lists))
    assert (session["participant"], session["simulated"]) == ("Zoë 漢", False)
    assert session["content_sha256"] == bundle["content_sha256"]
    assert lines[1]["sha256"] == bundle["consent"]["sha256"]
    assert lines[2]["answers"] == {"native": "yes", "age": 41}
    assert [one["choice"] for one in lines[4]["answers"]] == [3, 1]
    ratings = [line for line in lines if line["type"] == "rating"]
    asked = lists[session["list"]]
    assert [(line["trial"], line["tokens"]) for line in ratings] == [
        (one["id"], one["tokens"]) for one in asked
    ]
    assert [line["position"] for line in ratings] == [1, 2, 3]
    assert all(line["ratings"] == [2] and line["plays"] == [1] for line in ratings)
    assert all(line["heard"][0] >= 0.95 and line["listened_ms"][0] >= 450 for line in ratings)
    assert all(line["rt_ms"] >= line["listened_ms"][0] for line in ratings)
    assert lines[-2]["answers"] == {"remarks": ODD, "device": "earphones"}
    rater.quiet()


@pytest.mark.parametrize(("kind", "step", "key", "rating"), [
    ("mos", 0.5, "9", [5]), ("smos", None, "1", [1]), ("cmos", None, "1", [-3]),
    ("ab", None, "3", [1]), ("mushra", None, "", [30, 40, 50]),
])  # fmt: skip
def test_every_kind_gives_its_ratings(kind, step, key, rating, opened, tmp_path):
    site = made_sites.write(tmp_path, kind, step, trials=1)
    rater = opened((site / "index.html").as_uri())
    rater.begin()
    rater.start()
    rater.answer(key)
    (line,) = [line for line in rater.save() if line["type"] == "rating"]
    assert line["ratings"] == rating
    assert len(line["heard"]) == len(line["plays"]) == len(line["tokens"])
    rater.quiet()


def test_half_steps_are_all_there(opened, tmp_path):
    rater = opened((made_sites.write(tmp_path, "mos", 0.5) / "index.html").as_uri())
    rater.begin()
    rater.start()
    boxes = rater.page.locator("input[type=radio]")
    values = boxes.evaluate_all("(all) => all.map((one) => Number(one.value))")
    assert values == [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]
    assert rater.page.get_by_role("radio", name="3.5, between Fair and Good").count() == 1


def test_the_keyboard_is_enough(opened, tmp_path):
    site = made_sites.write(tmp_path, "cmos", trials=1)
    rater = opened((site / "index.html").as_uri())
    keys = rater.page.keyboard
    keys.press("Tab")
    keys.type("kay")
    keys.press("Tab")
    keys.press("Space")
    keys.press("Tab")
    keys.press("Enter")
    rater.at("How it works")
    keys.press("Tab")
    keys.press("Enter")
    rater.at("Question 1 of 1")
    for place, key in enumerate(("a", "B")):
        rater.until(f"!document.querySelectorAll('.play')[{place}].disabled")
        keys.press(key)
        rater.until(f"document.querySelectorAll('.clip')[{place}].matches('.is-heard')")
    keys.press("5")
    keys.press("Space")  # again the clip that was heard last
    rater.until("document.querySelectorAll('.clip')[1].matches('.is-playing')")
    keys.press("Enter")
    rater.at("Save your answers")
    (line,) = [line for line in rater.stored() if line["type"] == "rating"]
    assert (line["ratings"], line["plays"]) == ([1], [1, 2])
    rater.quiet()


def test_the_scale_is_locked_until_all_was_heard(opened, tmp_path):
    site = made_sites.write(tmp_path, "smos", trials=1)
    rater = opened((site / "index.html").as_uri())
    rater.begin()
    rater.start()
    page = rater.page
    locked = "document.querySelector('fieldset.scale').disabled"
    rater.until("[...document.querySelectorAll('.play')].every((one) => !one.disabled)")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    assert page.evaluate(locked)
    assert "Still to hear: Reference, Clip." in rater.text()
    page.evaluate("""() => { for (const one of document.querySelectorAll('audio')) {
        one.currentTime = one.duration - 0.02; one.play(); } }""")
    rater.until("[...document.querySelectorAll('audio')].every((one) => one.ended)")
    assert page.evaluate(locked)  # seeking to the end is not hearing
    assert page.locator("#next").is_disabled()
    page.locator(".play").last.click()
    rater.until("document.querySelectorAll('.clip')[1].matches('.is-heard')")
    assert page.evaluate(locked)
    assert "Still to hear: Reference." in rater.text()
    page.locator(".play").first.click()
    rater.until(f"!{locked}")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    (line,) = [line for line in rater.stored() if line["type"] == "rating"]
    assert line["seeks"] == 1


def test_untouched_sliders_are_not_rated(opened, tmp_path):
    site = made_sites.write(tmp_path, "mushra", trials=1)
    rater = opened((site / "index.html").as_uri())
    rater.begin()
    rater.start()
    sliders = rater.page.locator("input[type=range]")
    assert sliders.first.is_disabled()
    rater.hear()
    assert "Not rated yet: Clip A, Clip B, Clip C." in rater.text()
    for place in (0, 2):
        sliders.nth(place).press("ArrowLeft")
    assert rater.page.locator("output").all_inner_texts() == ["49 Fair", "\u2013", "49 Fair"]
    assert rater.page.locator("#next").is_disabled()
    assert sliders.nth(1).get_attribute("aria-valuetext") == "not rated yet"
    sliders.nth(1).click()  # on the middle: no change, but an answer
    rater.press("Next")
    (line,) = [line for line in rater.stored() if line["type"] == "rating"]
    assert line["ratings"] == [49, 50, 49]


def test_a_reload_goes_on_where_it_was(opened, tmp_path):
    site = made_sites.write(tmp_path, trials=3)
    rater = opened((site / "index.html").as_uri())
    rater.begin("Kim")
    rater.start()
    rater.answer()
    rater.at("Question 2 of 3")
    rater.page.reload()
    rater.at("Question 2 of 3")
    rater.answer("5")
    rater.at("Question 3 of 3")
    later = opened((site / "index.html").as_uri())  # another tab, while the first one is open
    rater.page.close()
    later.at("Welcome back")
    assert "Kim" in later.text()
    later.press("Continue it")
    later.at("Question 3 of 3")
    later.answer("1")
    lines = later.save()
    assert sequential(lines)
    assert [line["ratings"] for line in lines if line["type"] == "rating"] == [[2], [5], [1]]
    assert sum(line["type"] == "session" for line in lines) == 1


def test_one_session_is_written_by_one_tab(opened, tmp_path):
    address = (made_sites.write(tmp_path) / "index.html").as_uri() + "?PROLIFIC_PID=pid1"
    first = opened(address)
    first.begin()
    first.start()
    second = opened(address)
    second.at("This test is open in another tab")
    before = second.stored()
    first.page.bring_to_front()
    first.hear()
    second.press("Continue here")
    second.at("Question 1 of 2")
    first.at("This test is open in another tab")
    second.page.bring_to_front()
    second.answer_all(2)
    lines = second.save()
    assert sequential(lines)
    assert lines[: len(before)] == before
    assert [line["position"] for line in lines if line["type"] == "rating"] == [1, 2]
    assert first.complaints == second.complaints == []


def test_withdrawing_deletes_what_is_here(opened, tmp_path):
    rater = opened((made_sites.write(tmp_path) / "index.html").as_uri())
    rater.begin()
    rater.start()
    rater.press("Withdraw")
    rater.press("Go on with the test")
    assert len(rater.stored()) > 2
    rater.press("Withdraw")
    rater.press("Withdraw and delete")
    rater.at("You have withdrawn")
    assert rater.page.evaluate("localStorage.length") == 0
    rater.page.reload()
    rater.at("Information and consent")


@pytest.mark.parametrize("left", [None, b"no audio at all"])
def test_a_clip_that_fails_is_told_and_can_be_skipped(left, opened, tmp_path):
    site = made_sites.write(tmp_path, trials=2)
    rater = opened((site / "index.html").as_uri() + "?list=l00")
    first = site / "audio" / f"{made_sites.read(site, 'lists')['l00'][0]['tokens'][0]}.wav"
    first.unlink()
    if left is not None:
        first.write_bytes(left)
    rater.begin()
    rater.start()
    rater.until("document.querySelector('.trouble:not([hidden])') !== null")
    assert "Code: missing" in rater.text()
    assert rater.page.locator(".skip").count() == 0
    rater.press("Try again")
    rater.press("Skip this clip")
    rater.at("Question 2 of 2")
    rater.answer()
    lines = rater.save()
    problems = [line for line in lines if line["type"] == "problem"]
    assert {(line["code"], line["token"], line["trial"]) for line in problems} == {
        ("missing", first.stem, "l00_01")
    }
    ratings = [line for line in lines if line["type"] == "rating"]
    assert (ratings[0]["ratings"], ratings[0]["problem"]) == (None, "missing")
    assert ratings[1]["ratings"] == [2]
    forced = next(line for line in lines if line.get("name") == "list_forced")
    assert forced["detail"]["list"] == "l00"


@pytest.mark.parametrize("how", ["refused", "full"])
def test_goes_on_without_storage(how, browser, tmp_path):
    site = made_sites.write(tmp_path, trials=1)
    with raters(browser) as opened:
        rater = opened("about:blank")
        after = 0 if how == "refused" else 5
        rater.page.add_init_script(f"""let left = {after}; const set = Storage.prototype.setItem;
            Storage.prototype.setItem = function (...all) {{
              if (this === sessionStorage || left > 0) {{ left -= 1; return set.apply(this, all); }}
              throw new DOMException('full', 'QuotaExceededError'); }};""")
        rater.page.goto((site / "index.html").as_uri())
        rater.begin()
        rater.start()
        rater.answer()
        assert "doesn't keep data" in rater.text()
        lines = rater.save()
        assert sequential(lines)
        assert [line["code"] for line in lines if line["type"] == "problem"] == ["storage"]
        assert lines[-1]["type"] == "end"


def test_a_missing_file_is_told(opened, tmp_path):
    site = made_sites.write(tmp_path)
    (site / "lists.js").unlink()
    rater = opened((site / "index.html").as_uri())
    rater.at("The test can't start here")
    assert "lists.js" in rater.text()


def test_hashes_are_those_of_sha256(opened, tmp_path):
    rater = opened((made_sites.write(tmp_path) / "index.html").as_uri())
    sizes = [*range(130), 4095, 100_003]
    script = "(n) => Listening.sha256(Uint8Array.from({ length: n }, (_, i) => i * i))"
    data = bytes(i * i % 256 for i in range(max(sizes)))
    for size in sizes:
        assert rater.page.evaluate(script, size) == hashlib.sha256(data[:size]).hexdigest()


def test_the_words_of_the_page_can_be_replaced(opened, tmp_path):
    site = made_sites.write(tmp_path, words={"start": "同意"}, language="zh")
    rater = opened((site / "index.html").as_uri())
    assert rater.page.get_by_role("button", name="同意").is_visible()
    assert rater.page.locator("html").get_attribute("lang") == "zh"


def test_an_unknown_list_is_refused(opened, tmp_path):
    rater = opened((made_sites.write(tmp_path) / "index.html").as_uri() + "?list=l77")
    rater.at("The test can't start here")
    assert "l77" in rater.text()
    assert "l00, l01, l02" in rater.text()
