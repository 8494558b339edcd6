"""A browser without a way out, and the report it opens."""

from __future__ import annotations

import importlib.util
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mamtra_eval.report.html import render

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


@dataclass
class Opened:
    """A page with the report, and what it asked for and complained about."""

    page: Any
    address: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def until(self, condition: str) -> None:
        """Wait for a script expression; the page's policy forbids Playwright's own wait."""
        end = time.monotonic() + 10
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, f"still not: {condition}"
            self.page.wait_for_timeout(50)

    def quiet(self) -> None:
        """Fail where the page complained or asked for anything but files."""
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith(("file:", "data:"))] == []


@pytest.fixture(scope="session")
def sample() -> ModuleType:
    """The module that builds plausible report data."""
    path = Path(__file__).parents[1] / "report" / "sample_data.py"
    spec = importlib.util.spec_from_file_location("report_sample_data", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium, or a skip that says what is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    if binary is None:
        pytest.skip("no Chromium on the path")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Open an address: `visit(address, width=1280, scheme="light")`."""
    contexts = []

    def open_address(address: str, width: int = 1280, scheme: str = "light") -> Opened:
        size = {"width": width, "height": 844}
        context = browser.new_context(viewport=size, color_scheme=scheme)
        contexts.append(context)
        opened = Opened(context.new_page(), address)
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.on("console", lambda message: opened.complaints.append(message.text))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.goto(address)
        opened.page.wait_for_selector("#count:not(:empty)")
        return opened

    yield open_address
    for context in contexts:
        context.close()


@pytest.fixture
def show(visit: Callable[..., Opened], tmp_path: Path) -> Callable[..., Opened]:
    """Write the report of some data to disk and open it: `show(data, link="", **options)`."""

    def show_report(data: dict[str, Any], link: str = "", **options: Any) -> Opened:
        path = tmp_path / "report.html"
        path.write_text(render(data), encoding="utf-8")
        return visit(path.as_uri() + link, **options)

    return show_report
