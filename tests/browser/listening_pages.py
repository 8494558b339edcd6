"""A rater's browser: the listening test's page, driven as a person would."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Rater:
    """One tab, what it asked for and complained about."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def until(self, condition: str) -> None:
        """Wait for a script expression; the page's policy forbids Playwright's own wait."""
        end = time.monotonic() + 15
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, f"still not: {condition}; {self.text()}"
            self.page.wait_for_timeout(20)

    def at(self, title: str) -> None:
        """Wait for a screen of this title."""
        self.until(f"document.querySelector('h1').textContent === {json.dumps(title)}")

    def text(self) -> str:
        """What the page says."""
        return str(self.page.locator("body").inner_text())

    def press(self, text: str) -> None:
        """Click the button of this text."""
        self.page.get_by_role("button", name=text, exact=True).click()

    def begin(self, name: str = "") -> None:
        """Agree, up to how it works."""
        if name:
            self.page.get_by_label("Your name or code").fill(name)
        self.page.get_by_label("I have read this").check()
        self.press("Agree and start")

    def start(self) -> None:
        """From how it works to the first question, where there is no practice."""
        self.at("How it works")
        self.press("Start")
        self.until("document.querySelector('h1').textContent.startsWith('Question 1')")

    def practise(self) -> None:
        """From how it works through one practice to the first question."""
        self.at("How it works")
        self.press("Start the practice")
        self.at("Practice 1 of 1")
        self.answer()
        self.at("That was the practice")
        self.press("Start")
        self.until("document.querySelector('h1').textContent.startsWith('Question 1')")

    def hear(self) -> None:
        """Play everything on the screen to its end."""
        for place in range(self.page.locator(".play").count()):
            self.until(f"!document.querySelectorAll('.play')[{place}].disabled")
            self.page.locator(".play").nth(place).click()
            self.until(f"document.querySelectorAll('.clip')[{place}].matches('.is-heard')")

    def answer(self, key: str = "2") -> None:
        """Hear, rate and go on; sliders are put to 30 and more."""
        self.hear()
        for place, slider in enumerate(self.page.locator("input[type=range]").all()):
            slider.fill(str(30 + 10 * place))
        if not self.page.locator("input[type=range]").count():
            self.page.keyboard.press(key)
        self.press("Next")

    def answer_all(self, count: int) -> None:
        """Answer questions 1 to `count`, through breaks."""
        for n in range(1, count + 1):
            self.at(f"Question {n} of {count}")
            self.answer()
            if self.page.locator("h1").inner_text() == "Time for a break":
                self.press("Continue")

    def save(self) -> list[dict[str, Any]]:
        """Save the file; returns its lines."""
        return [json.loads(line) for line in self.saved().splitlines()]

    def saved(self) -> str:
        """Save the file; returns its text."""
        with self.page.expect_download() as download:
            self.press("Save the file")
        return Path(download.value.path()).read_text(encoding="utf-8")

    def stored(self) -> list[dict[str, Any]]:
        """Lines that are on this device, of all sessions."""
        values = self.page.evaluate(
            "Object.entries(localStorage).filter(([key]) => key.includes('/line/'))"
        )
        return sorted((json.loads(text) for _, text in values), key=lambda line: line["seq"])

    def quiet(self, origin: str = "file:") -> None:
        """Fail where the page complained or asked beyond its origin."""
        assert self.complaints == [], self.complaints
        allowed = (origin, "data:", "blob:")
        assert [url for url in self.requests if not url.startswith(allowed)] == []


@contextmanager
def raters(browser: Any, **options: Any) -> Iterator[Callable[[str], Rater]]:
    """Open tabs of one profile: `open(address)`."""
    context = browser.new_context(**{"viewport": {"width": 1100, "height": 844}, **options})

    def open_address(address: str) -> Rater:
        rater = Rater(context.new_page())
        rater.page.goto(address)
        return rater

    try:
        yield open_address
    finally:
        context.close()


def sequential(lines: list[dict[str, Any]]) -> bool:
    """Whether lines are numbered without gaps and in the order of time."""
    times = [line["at"] for line in lines]
    return [line["seq"] for line in lines] == list(range(len(lines))) and times == sorted(times)
