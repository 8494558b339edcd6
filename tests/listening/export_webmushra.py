"""A copy of webMUSHRA served by PHP, and a rater who clicks through it in Chromium."""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = "MAMTRA_EVAL_WEBMUSHRA"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--autoplay-policy=no-user-gesture-required",
]
RATE = """
const Own = window.AudioContext;
window.AudioContext = class extends Own { constructor() { super({sampleRate: %d}); } };
"""


def missing() -> str | None:
    """What is not at hand for these checks; ``None`` if all is."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return f"{FOLDER} does not name a copy of webMUSHRA"
    if not (Path(folder) / "service/write.php").is_file():
        return f"{FOLDER}={folder} is no copy of webMUSHRA"
    if shutil.which("php") is None:
        return "no php on the path"
    if shutil.which("chromium") is None and shutil.which("google-chrome") is None:
        return "no Chromium on the path"
    return None


@dataclass
class Served:
    """A copy with an export in it, at an address."""

    folder: Path
    address: str

    def take(self, export: Path) -> None:
        """Copy what an export wrote over the program, as its README says."""
        shutil.copytree(export, self.folder, dirs_exist_ok=True)

    def rows(self, test: str, name: str) -> list[dict[str, str]]:
        """A file of results."""
        text = (self.folder / "results" / test / name).read_text(encoding="utf-8")
        return list(csv.DictReader(text.splitlines()))


@contextmanager
def serve(folder: Path) -> Iterator[Served]:
    """Copy the program into ``folder`` and serve it."""
    shutil.copytree(os.environ[FOLDER], folder, ignore=shutil.ignore_patterns(".git", "resources"))
    (folder / "results").mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["php", "-S", f"127.0.0.1:{port}", "-t", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as php:
        address = f"http://127.0.0.1:{port}/"
        try:
            _wait(address)
            yield Served(folder, address)
        finally:
            php.terminate()


def _wait(address: str) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(address + "favicon.ico"):
                return
        except OSError:
            assert time.monotonic() < end, "php does not answer"
            time.sleep(0.05)


@dataclass
class Rater:
    """One who opens a configuration and answers every page.

    Attributes:
        given: trial to rating (mushra: trial to stimulus to rating), as clicked.
        sent: status and body of the answer to what was posted, and what was posted.
    """

    page: Any
    given: dict[str, Any] = field(default_factory=dict)
    sent: list[tuple[int, str, Any]] = field(default_factory=list)

    def open(self, address: str, ready_ms: int = 15_000) -> None:
        """Go there and wait for the first page; a timeout says that it never starts."""
        self.page.on("response", self._response)
        self.page.goto(address)
        started = "window.pageManager && pageManager.pagesIndex >= 0"
        self.page.wait_for_function(started, timeout=ready_ms)

    def ask(self, script: str) -> Any:
        """The value of a script expression."""
        return self.page.evaluate(script)

    def through(self, choose: Any) -> None:
        """Answer all pages; ``choose(trial, stimulus)`` says which button, or how many points."""
        while True:
            kind = self.ask("pageManager.getCurrentPage().constructor.name")
            if kind == "FinishPage":
                return
            place = self.ask("pageManager.pagesIndex")
            getattr(self, f"_{kind}")(choose)
            self.page.click("#__button_next:not([disabled])")
            assert self.ask("pageManager.pagesIndex") == place + 1

    def send(self) -> None:
        """Send the answers, once there is an identifier."""
        self.page.click("#send_results:not([disabled])")
        self.page.wait_for_function("$('#popupDialog').is(':visible')")

    def _GenericPage(self, choose: Any) -> None:  # noqa: N802 -- webMUSHRA's name
        pass

    def _VolumePage(self, choose: Any) -> None:  # noqa: N802
        self.page.click("#playCondition0")

    def _ConsentPage(self, choose: Any) -> None:  # noqa: N802
        assert self.page.is_disabled("#__button_next")
        self.page.click("label[for=radio-choice-accept]")

    def _LikertSingleStimulusPage(self, choose: Any) -> None:  # noqa: N802
        current = "pageManager.getCurrentPage()"
        trial, stimulus = self.ask(f"[{current}.pageConfig.id, {current}.stimulus.id]")
        assert self.page.is_disabled("#__button_next")
        assert self.page.is_disabled('[id="1__response_0"]')
        self.page.click("#playCondition0")
        self.page.wait_for_selector('[id="1__response_0"]:not([disabled])', state="attached")
        assert self.page.is_disabled("#__button_next")
        place = choose(trial, stimulus)
        self.given[trial] = self.ask(f"document.getElementById('1__response_{place}').value")
        self.page.click(f"label[for='1__response_{place}']")

    def _MushraPage(self, choose: Any) -> None:  # noqa: N802
        trial = self.ask("pageManager.getCurrentPage().pageConfig.id")
        names = self.ask("$('.scales').map(function(){return this.name;}).get()")
        self.given[trial] = {name: choose(trial, name) for name in names}
        for place, name in enumerate(names):
            self.page.click(f"#buttonConditions{place}")
            moved = f"$('.scales').eq({place}).val({self.given[trial][name]}).slider('refresh')"
            self.ask(f"void {moved}")

    def _response(self, response: Any) -> None:
        if response.request.method == "POST":
            body = response.request.post_data.removeprefix("sessionJSON=")
            posted = json.loads(urllib.parse.unquote(body))
            self.sent.append((response.status, response.text(), posted))
