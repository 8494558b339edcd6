"""Every screen of a listening test: axe-core finds nothing, and it fits a phone."""

from __future__ import annotations

import pytest

from tests.browser.listening_pages import raters
from tests.listening import made_sites
from tests.listening.made_sites import token

pytestmark = pytest.mark.browser

HEADPHONES = {"tokens": [token("gold")], "choices": 3, "question": "Which sound was the softest?"}
PHONE = {"viewport": {"width": 412, "height": 839}, "device_scale_factor": 2.625,
         "is_mobile": True, "has_touch": True}  # fmt: skip
SMALL = """() => [...document.querySelectorAll('button, summary, .choice, .option, .field input')]
    .filter((one) => !one.matches('[type=radio]'))
    .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44)
    .map((one) => one.outerHTML)"""


def walk(rater, address, look):
    """Go through all screens of a session from disk; `look(name)` is called at each."""
    page = rater.page
    page.goto(address)
    look("consent")
    rater.press("Agree and start")  # without the tick: with its message
    rater.begin()
    rater.at("About you")
    rater.press("Continue")
    look("eligibility")
    page.get_by_label("yes").check()
    rater.press("Continue")
    rater.at("Set the volume")
    look("volume")
    rater.hear()
    rater.press("Continue")
    rater.at("Headphones")
    rater.hear()
    look("headphones")
    rater.answer("1")
    rater.at("How it works")
    look("instructions")
    rater.press("Start the practice")
    rater.at("Practice 1 of 1")
    look("locked")
    rater.answer()
    look("begin")
    rater.press("Start")
    rater.at("Question 1 of 2")
    rater.hear()
    page.locator("input").first.press("ArrowRight")
    page.locator("summary").click()
    look("rating")
    rater.answer()
    rater.at("Time for a break")
    look("break")
    rater.press("Continue")
    rater.until("document.querySelector('.trouble:not([hidden])') !== null")
    rater.press("Try again")
    rater.until("document.querySelector('.skip') !== null")
    look("problem")
    page.locator(".skip").first.click()
    rater.at("A few last questions")
    look("questionnaire")
    page.get_by_label("earphones").check()
    rater.press("Continue")
    rater.saved()
    look("end")
    rater.press("Withdraw")
    look("dialog")
    rater.press("Withdraw and delete")
    look("withdrawn")


def _site(folder, kind):
    site = made_sites.write(
        folder, kind, practice=True, break_every=1, volume=token("practice"),
        headphones=HEADPHONES, eligibility=made_sites.ELIGIBILITY,
        questionnaire=made_sites.QUESTIONNAIRE,
    )  # fmt: skip
    (site / "audio" / f"{made_sites.read(site, 'lists')['l00'][1]['tokens'][0]}.wav").unlink()
    return (site / "index.html").as_uri() + "?list=l00"


@pytest.mark.parametrize("kind", ["mos", "mushra"])
def test_nothing_is_found_in_either_mode(kind, browser, tmp_path):
    module = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    )
    axe = module.Axe()
    found = []
    with raters(browser, reduced_motion="reduce") as opened:
        rater = opened("about:blank")

        def look(name):
            for scheme, options in (("light", None), ("dark", {"runOnly": ["color-contrast"]})):
                rater.page.emulate_media(color_scheme=scheme)
                answer = axe.run(rater.page, options=options).response
                found.extend(
                    f"{name} {scheme} {one['id']}: {node['html']} {node.get('failureSummary')}"
                    for one in answer["violations"]
                    for node in one["nodes"]
                )

        walk(rater, _site(tmp_path, kind), look)
    assert found == []


@pytest.mark.parametrize("kind", ["cmos", "mushra"])
def test_fits_a_phone(kind, browser, tmp_path):
    wide = []
    with raters(browser, **PHONE) as opened:
        rater = opened("about:blank")

        def look(name):
            for width in (320, 412):
                rater.page.set_viewport_size({"width": width, "height": 839})
                if rater.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                    wide.append((name, width))
            wide.extend((name, one) for one in rater.page.evaluate(SMALL))

        walk(rater, _site(tmp_path, kind), look)
    assert wide == []
