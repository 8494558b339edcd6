"""The report's audio and keyboard in Chromium: from disk, and from a server."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mamtra_eval.report.html import render

pytestmark = pytest.mark.browser


class Quiet(SimpleHTTPRequestHandler):
    """A file server that does not write to the terminal."""

    def log_message(self, *args):
        pass


@pytest.fixture
def served(tmp_path):
    """The address of a server of the test's folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def rows(page):
    return page.locator("tr.clip")


def test_plays_over_one_element(sample, show, tmp_path):
    data = sample.build(2, 3)
    data["clips"][0]["audio"] = "clips/a b#1%?é.wav"
    sample.write_audio(tmp_path, data)
    opened = show(data)
    page = opened.page
    rows(page).first.locator(".play").click()
    opened.until("document.getElementById('audio').currentTime > 0.2")
    button = rows(page).first.locator(".play")
    assert button.get_attribute("aria-label").startswith("Pause")
    assert float(button.evaluate("(b) => b.style.getPropertyValue('--progress')")) > 0
    button.click()
    assert page.evaluate("document.getElementById('audio').paused")
    page.keyboard.press("2")
    opened.until("document.getElementById('audio').currentTime > 0.1")
    assert "mamba-16" in page.locator("#player-label").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("#player").is_hidden()
    opened.quiet()


def test_says_so_where_audio_is_missing(sample, show):
    opened = show(sample.build(2, 3))
    rows(opened.page).first.locator(".play").click()
    opened.page.get_by_text("cannot be played").wait_for()


def test_plays_over_http(sample, visit, tmp_path, served):
    data = sample.build(2, 3)
    sample.write_audio(tmp_path, data)
    (tmp_path / "report.html").write_text(render(data), encoding="utf-8")
    opened = visit(f"{served}/report.html")
    rows(opened.page).first.locator(".play").click()
    opened.until("document.getElementById('audio').currentTime > 0.1")
    assert opened.complaints == []
    assert all(url.startswith(served) or url == "data:," for url in opened.requests)


def test_keyboard(sample, show, tmp_path):
    data = sample.build(3, 30)
    sample.write_audio(tmp_path, data)
    opened = show(data)
    page = opened.page
    current = "document.querySelector('tr.is-selected').dataset.index"
    page.keyboard.press("j")
    first = page.evaluate(current)
    page.keyboard.press("j")
    assert page.evaluate(current) != first
    page.keyboard.press("ArrowUp")
    assert page.evaluate(current) == first
    page.keyboard.press("Enter")
    assert page.locator(".detail").count() == 1
    page.keyboard.press("Space")
    opened.until("document.getElementById('audio').currentTime > 0")
    page.keyboard.press("Enter")
    assert page.locator(".detail").count() == 0
    for _ in range(50):
        page.keyboard.press("j")
    assert page.locator(".pager span").first.inner_text() == "51–90 of 90"
    opened.quiet()
