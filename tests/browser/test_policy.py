"""The pages' policy in a browser: no page breaks its own, and what it forbids does not run."""

from __future__ import annotations

import json

import pytest

from mamtra_eval.listening.site import write_offline
from mamtra_eval.report.html import render
from tests.browser.listening_pages import Rater
from tests.listening import made_sites

pytestmark = pytest.mark.browser

HOSTILE = (
    "</script><script>window.ran = 1</script><img src=x onerror=\"window.ran=2\">"
    "<svg onload=\"window.ran=3\"> <a href=\"javascript:window.ran=4\">x</a>"
)  # fmt: skip
LISTEN = """window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(
  `${event.effectiveDirective} ${event.blockedURI}`));"""
TRY = """async () => {
  const script = document.createElement("script");
  script.textContent = "window.ran = 5";
  document.body.append(script);
  const styled = document.createElement("p");
  styled.setAttribute("style", "position: fixed");
  document.body.append(styled);
  document.body.insertAdjacentHTML("beforeend", "<p onclick='window.ran = 6' id='injected'>x</p>");
  document.getElementById("injected").click();
  const sent = await fetch("https://example.invalid/x").then(() => "sent", () => "refused");
  const image = new Image();
  image.src = "https://example.invalid/x.png";
  setTimeout("window.ran = 7", 0);  // not eval: the browser lets that of a debugger through
  await new Promise((done) => setTimeout(done, 200));
  return sent;
}"""


@pytest.fixture
def watched(browser):
    """Open an address in a page that keeps what its policy has stopped."""
    contexts = []

    def open_address(address, scheme="light"):
        context = browser.new_context(
            viewport={"width": 1100, "height": 844}, color_scheme=scheme, accept_downloads=True
        )
        contexts.append(context)
        context.add_init_script(LISTEN)
        rater = Rater(context.new_page())
        rater.page.goto(address)
        return rater

    yield open_address
    for context in contexts:
        context.close()


def clean(opened, origin="file:"):
    assert opened.page.evaluate("window.violations") == []
    assert opened.page.evaluate("window.ran") is None
    opened.quiet(origin)


def bites(opened):
    """Whoever got markup into the page all the same could run and send nothing."""
    before = len(opened.requests)
    assert opened.page.evaluate(TRY) == "refused"
    assert opened.page.evaluate("window.ran") is None
    found = " ".join(opened.page.evaluate("window.violations"))
    for directive in ("script-src", "style-src-attr", "connect-src", "img-src"):
        assert directive in found
    sent = [url for url in opened.requests[before:] if url.startswith("https://example.invalid")]
    assert all("example.invalid" in url for url in sent)  # asked for, never let out
    assert [one for one in opened.page.context.pages if one.url.startswith("https:")] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_is_used_without_a_violation(scheme, sample, watched, tmp_path):
    data = sample.build(2, 6)
    sample.write_audio(tmp_path, data, seconds=0.2)
    data["title"] = data["notes"][0] = data["figures"][0]["note"] = HOSTILE
    for clip in data["clips"]:
        clip["text"] = clip["transcript"] = HOSTILE
    data["clips"][1]["alignment"] = [["substitute", HOSTILE, HOSTILE]]
    path = tmp_path / "report.html"
    path.write_text(render(data), encoding="utf-8")
    opened = watched(path.as_uri(), scheme)
    page = opened.page
    page.wait_for_selector("tr.clip")
    for heading in page.locator("#clips th button").all():
        if heading.is_visible():
            heading.click()
    for fold in page.locator("tr.clip .fold").all()[:4]:
        fold.click()
    page.locator("tr.clip .play").first.click()
    page.get_by_label("Failures only").check()
    page.get_by_label("All", exact=True).check()
    page.locator("#query").fill("script")
    page.locator("#query").fill("")
    for choice in page.locator("header button").all():
        if choice.is_visible():
            choice.click()
    page.wait_for_timeout(300)
    clean(opened)
    bites(opened)


def test_the_raters_page_is_used_without_a_violation(watched, tmp_path):
    server = made_sites.Collector(made_sites.write(tmp_path, "mos"))
    try:
        rater = watched(f"{server.address}/?participant=p")
        rater.begin()
        rater.start()
        rater.answer_all(2)
        rater.at("Thank you")
        clean(rater, server.address)
        bites(rater)
    finally:
        server.close()


def test_the_single_file_is_used_without_a_violation(watched, tmp_path):
    site = made_sites.write(tmp_path, "smos", trials=1)
    write_offline(site, tmp_path / "elsewhere" / "test.html")
    rater = watched((tmp_path / "elsewhere" / "test.html").as_uri())
    rater.begin()
    rater.start()
    rater.answer("4")
    assert json.loads(rater.saved().splitlines()[0])
    clean(rater)
    bites(rater)
