"""Every page that the program writes: a strict policy, and nothing in it that this forbids."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mamtra_eval.listening.analysis.analysing import analyse
from mamtra_eval.listening.screening.applying import Rules
from mamtra_eval.listening.site import PAGE, write_offline
from mamtra_eval.report import html
from mamtra_eval.report.listening import page as listening
from tests.listening import larger_bundles, made_sites

PACKAGE = Path(__file__).parents[2] / "mamtra_eval"
HOSTILE = '</script><script>window.ran = 1</script><img src=x onerror="window.ran=2">'
EXECUTED = ("", "module", "text/javascript")


@dataclass
class Seen(HTMLParser):
    """What a browser would find in a page."""

    policies: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str]] = field(default_factory=list)
    before_policy: list[str] = field(default_factory=list)
    images: int = 0

    def __post_init__(self) -> None:
        super().__init__()
        self._into: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.attributes += given.items()
        self.images += tag == "img"
        if tag == "meta" and given.get("http-equiv", "").lower() == "content-security-policy":
            self.policies.append(given["content"])
        if not self.policies and tag in ("script", "style", "link", "img", "base"):
            self.before_policy.append(tag)
        self.sources += [given[name] for name in ("src", "href") if name in given]
        self._into = None
        if tag == "script" and "src" not in given and given.get("type", "") in EXECUTED:
            self._into = self.scripts
        elif tag == "style":
            self._into = self.styles
        if self._into is not None:
            self._into.append("")

    def handle_data(self, data: str) -> None:
        if self._into is not None:
            self._into[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._into = None


def the_report(folder: Path) -> str:
    path = Path(__file__).parents[1] / "report" / "sample_data.py"
    spec = importlib.util.spec_from_file_location("report_sample_data", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    data = module.build(2, 3)
    data["title"] = data["notes"][0] = data["clips"][0]["text"] = HOSTILE
    return html.render(data)


def the_listening_report(folder: Path) -> str:
    systems = {"teacher": "system", HOSTILE: "system", "recordings": "reference"}
    bundle = larger_bundles.write(folder, "mos", systems, items=6)
    sessions = larger_bundles.sessions(bundle, 8)
    analysis = analyse(bundle, sessions, [], Rules.of(bundle))
    return listening.render(analysis, {**bundle.manifest, "title": HOSTILE})


def the_raters_page(folder: Path) -> str:
    return (PAGE / "index.html").read_text(encoding="utf-8")


def the_single_file(folder: Path) -> str:
    write_offline(made_sites.write(folder, "smos", trials=1), folder / "offline" / "test.html")
    return (folder / "offline" / "test.html").read_text(encoding="utf-8")


PAGES = [the_report, the_listening_report, the_raters_page, the_single_file]


@pytest.mark.parametrize("make", PAGES)
def test_a_page_has_a_strict_policy_and_keeps_to_it(
    make: Callable[[Path], str], tmp_path: Path
) -> None:
    seen = Seen()
    seen.feed(make(tmp_path))
    [policy] = seen.policies
    directives = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert directives["default-src"] == ["'none'"]
    assert directives["base-uri"] == ["'none'"]
    assert directives["form-action"] == ["'none'"]
    assert "unsafe" not in policy
    assert not re.search(r"https?:|\*", policy)
    hosted = {"'self'", "data:", "blob:", "file:"}
    for name, allowed in directives.items():
        hashes = {word for word in allowed if word.startswith("'sha256-")}
        assert set(allowed) - hashes <= hosted | {"'none'"}, name
        if name in ("script-src", "style-src"):
            assert not set(allowed) & {"data:", "blob:", "file:"}
    assert seen.before_policy == []
    for kind, texts in (("script-src", seen.scripts), ("style-src", seen.styles)):
        for text in texts:
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in directives[kind]
    names = {name for name, _ in seen.attributes}
    assert "style" not in names
    assert not [name for name in names if name.startswith("on")]
    assert not [source for source in seen.sources if re.match(r"\s*(javascript|https?|//)", source)]
    assert seen.images == 0


def test_scripts_build_no_markup_and_no_code_from_text() -> None:
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
        r"|setAttribute\(\s*[\"']style|cssText|srcdoc|DOMParser|createContextualFragment"
    )
    scripts = [*PACKAGE.rglob("*.js")]
    assert len(scripts) > 20
    for path in scripts:
        assert not forbidden.search(path.read_text(encoding="utf-8")), path


def test_these_are_all_the_pages_there_are() -> None:
    templates = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.html")}
    assert templates == {
        "listening/page/index.html", "report/templates/listening.html",
        "report/templates/report.html",
    }  # fmt: skip
