"""Numbers from elsewhere and plots of the trade-off, in Chromium."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><title>{}é</title></svg>'
PUBLISHED = {
    "note": "From papers; other recognisers and voices.",
    "rows": [{
        "system": "Model X", "source": "https://example.org/x", "date": "2026-01",
        "values": {"wer": {"value": 0.021, "unit": "fraction", "text": "2.1 %"}},
        "against": [{"system": "mamba-16", "figure": "wer", "verdict": "undecided"}],
    }],
    "reasons": ["Model Y names no normaliser."],
}  # fmt: skip


def test_published_numbers_stand_apart_and_closed(sample, show):
    opened = show({**sample.build(2, 4), "published": PUBLISHED})
    page = opened.page
    section = page.locator("details.published")
    assert section.get_attribute("open") is None
    assert page.get_by_text("Model X").is_hidden()
    section.locator("summary").click()
    assert section.locator("summary").inner_text() == "Published numbers (not measured here)"
    text = section.inner_text()
    for part in ("2.1 %", "2026-01", "https://example.org/x", "mamba-16, WER", "undecided",
                 "Model Y names no normaliser.", "other recognisers"):  # fmt: skip
        assert part in text
    assert page.locator("#leaderboard > .scroll").first.get_by_text("Model X").count() == 0
    assert section.evaluate("(node) => getComputedStyle(node).borderStyle") == "dashed"
    opened.quiet()


def test_plots_of_the_trade_off_follow_the_theme(sample, show):
    plot = {
        "title": "Cache and WER",
        "svg_light": SVG.format("light"),
        "svg_dark": SVG.format("dark"),
    }
    data = {**sample.build(2, 4), "tradeoff": {"note": "Closed form.", "plots": [plot]}}
    opened = show(data, scheme="dark")
    page = opened.page
    image = page.get_by_role("img", name="Cache and WER")
    decoded = """(image) => new TextDecoder().decode(
      Uint8Array.from(atob(image.src.split(",")[1]), (c) => c.charCodeAt(0)))"""
    assert image.evaluate(decoded) == plot["svg_dark"]
    page.locator("#theme").click()
    assert page.locator("#theme").inner_text() == "Theme: light"
    assert image.evaluate(decoded) == plot["svg_light"]
    page.locator("#theme").click()
    page.locator("#theme").click()
    assert image.evaluate(decoded) == plot["svg_dark"]
    page.emulate_media(color_scheme="light")
    assert image.evaluate(decoded) == plot["svg_light"]
    assert image.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 40
    opened.quiet()


def test_without_them_nothing_is_there(sample, show):
    opened = show(sample.build(2, 4))
    assert opened.page.locator("#tradeoff").is_hidden()
    assert opened.page.locator(".published").count() == 0
    opened.quiet()
