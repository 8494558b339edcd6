"""The report of a listening test in a browser: silent, without a request, readable by everyone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mamtra_eval.listening.analysis.analysing import analyse
from mamtra_eval.listening.screening.applying import Rules
from mamtra_eval.listening.trials import Refusal
from mamtra_eval.report.listening import page as listening
from tests.listening import larger_bundles

pytestmark = pytest.mark.browser

LONG = "a-system-with-a-name-that-is-longer-than-any-telephone-is-wide-0123456789"
KINDS = ("mos", "cmos", "ab", "mushra")
CONTRAST = Path(__file__).with_name("contrast.js")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Addresses of reports, one a kind; of mos the ratings are simulated."""
    found = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        systems = {"teacher": "system", LONG: "system", "recordings": "reference"}
        bundle = larger_bundles.write(folder, kind, systems, items=18)
        sessions = [
            replace(one, simulated=kind == "mos")
            for one in larger_bundles.sessions(bundle, 20, cheats={"fast": 2, "straight": 1})
        ]
        refusals = [Refusal("x.csv", "line 3", "unknown token")]
        analysis = analyse(bundle, sessions, refusals, Rules.of(bundle))
        found[kind] = listening.write(analysis, bundle.manifest, folder)[0].as_uri()
    return found


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., tuple[Any, list[str], list[str]]]]:
    """Open an address; returns the page, its requests, and what it complained about."""
    contexts = []

    def open_address(address: str, width: int = 1280, scheme: str = "light") -> Any:
        size = {"width": width, "height": 844}
        context = browser.new_context(viewport=size, color_scheme=scheme)
        contexts.append(context)
        page, requests, complaints = context.new_page(), [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        return page, requests, complaints

    yield open_address
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def axe() -> Any:
    module = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    )
    return module.Axe()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_nothing(kind, scheme, pages, visit, axe):
    page, requests, complaints = visit(pages[kind], scheme=scheme)
    page.locator("details > summary").click()
    found = [
        f"{one['impact']} {one['id']}: {node['target']} {node.get('failureSummary', '')}"
        for one in axe.run(page).response["violations"]
        for node in one["nodes"]
    ]
    assert found == []
    poor = page.evaluate(CONTRAST.read_text(encoding="utf-8"))
    assert [one for one in poor if "SVG" not in one] == []  # those on bars: the test below
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [pages[kind]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_on_every_shade_of_the_bars_can_be_read(scheme, pages, visit):
    page, _, _ = visit(pages["mos"], scheme=scheme)
    ratios = page.evaluate("""() => {
      const canvas = document.createElement("canvas").getContext("2d");
      const light = (colour) => {
        canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((x) => x / 255)
          .map((x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
          .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
      };
      const bar = document.querySelector(".bars svg");
      const fill = (name, shade) => {
        const node = document.createElementNS("http://www.w3.org/2000/svg", name);
        node.setAttribute("class", shade); bar.append(node);
        return light(getComputedStyle(node).fill);
      };
      return [...Array(11).keys()].map((k) => {
        const pair = [fill("rect", `shade-${k}`), fill("text", `on-shade-${k}`)];
        return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
      });
    }""")
    assert min(ratios) >= 4.5, ratios


@pytest.mark.parametrize("width", [320, 412, 768])
@pytest.mark.parametrize("kind", KINDS)
def test_the_page_never_scrolls_sideways(kind, width, pages, visit):
    page, _, complaints = visit(pages[kind], width=width)
    page.locator("details > summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []


def test_frames_scroll_by_the_keyboard(pages, visit):
    page, _, _ = visit(pages["mos"], width=320)
    frame = page.get_by_role("region", name="Figures of every system")
    frame.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(400)
    assert frame.evaluate("node => node.scrollLeft") > 0


def test_simulated_ratings_can_t_be_overlooked(pages, visit):
    page, _, _ = visit(pages["mos"])
    banner = page.locator(".banner")
    assert "Simulated ratings" in banner.inner_text() or "SIMULATED" in banner.inner_text()
    box = banner.bounding_box()
    assert box["y"] < 100
    assert box["height"] > 80
    assert box["width"] > 1000
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    assert page.locator(".strip").bounding_box()["y"] >= 0
    people, _, _ = visit(pages["cmos"])
    assert people.locator(".banner, .strip").count() == 0


def test_intervals_of_the_plot_stand_where_their_values_are(pages, visit):
    """The thick line of the first system spans what its words say, on the drawn axis."""
    page, _, _ = visit(pages["mos"])
    drawn = page.evaluate("""() => {
      const row = document.querySelector(".forest-rows > li"), plot = row.querySelector("svg");
      const box = plot.getBoundingClientRect(), at = (x) => (x - box.left) / box.width;
      const line = row.querySelector(".thick");
      const ticks = [...document.querySelectorAll(".forest-plot .axis text")];
      return { low: at(box.left + line.x1.baseVal.value),
               high: at(box.left + line.x2.baseVal.value),
               words: row.querySelector("small").textContent,
               ends: [ticks[0].textContent, ticks.at(-1).textContent].map(Number) };
    }""")
    low, high = (float(one) for one in drawn["words"].strip("[]").split(", "))
    first, last = drawn["ends"]
    assert drawn["low"] == pytest.approx((low - first) / (last - first), abs=0.003)
    assert drawn["high"] == pytest.approx((high - first) / (last - first), abs=0.003)
