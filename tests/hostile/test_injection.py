"""Texts, transcripts, names and errors stay texts, in Markdown, in HTML and in tables."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from mamtra_eval import config, pipeline, results
from mamtra_eval.reader import RunReader
from mamtra_eval.report import html, jsonl, leaderboard, parquet

HOSTILE = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "[click](javascript:alert(3))", "![x](http://evil.example/x.png)", "`code` **bold** _em_ ~~s~~",
    "a | b | c", "# heading", "> quote", "- item", "1. item", "---", "=HYPERLINK(\"http://evil\")",
    "+1+1", "-1+1", "@SUM(A1)", "$x^2$ $$y$$", "&lt;b&gt; &#60;", "<!-- -->", "http://evil.example",
    "\\", "a\\", "'\"><svg onload=alert(4)>", "{{title}}", "${oc.env:HOME}", "@everyone #1",
)  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> results.Results:
    """A run whose texts, transcripts, names and errors are all of the above."""
    folder = tmp_path_factory.mktemp("hostile")
    texts = [text.replace("|", "¦") for text in HOSTILE]
    (folder / "meta.lst").write_text(
        "".join(f"u{n}|word {text}\n" for n, text in enumerate(texts)), encoding="utf-8"
    )
    systems = {}
    for n, name in enumerate(HOSTILE):
        lines = [json.dumps({"id": f"u{k}", "text": f"word {text}"})
                 for k, text in enumerate(HOSTILE) if k != n]  # fmt: skip
        (folder / f"{n}.jsonl").write_text("\n".join(lines), encoding="utf-8")
        systems[name] = f"transcripts:{folder / str(n)}.jsonl"
    made = config.build({"testset": str(folder / "meta.lst"), "systems": systems,
                         "statistics": {"resamples": 100}, "execution": {"workers": 2},
                         })  # fmt: skip
    with RunReader(pipeline.evaluate(made, folder / "run")) as store:
        return results.collect(store)


def test_markdown_has_no_markup_of_a_text(found: results.Results) -> None:
    text = leaderboard.render(found)
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = [*_flat(parser.parse(text))]
    links = [token.attrs.get("href") or token.attrs.get("src") for token in tokens
             if token.type in ("link_open", "image")]  # fmt: skip
    assert not [link for link in links if "evil" in str(link) or "javascript" in str(link)]
    raw = "".join(token.content for token in tokens if token.type.startswith("html"))
    assert not re.search(r"script|onerror|onload|alert", raw)
    assert not [token for token in tokens if token.type in ("s_open",)]
    names = {token.content for token in tokens if token.type == "text"}
    assert any("<script>alert(1)</script>" in name for name in names)  # as text, whole


def test_tables_keep_their_columns(found: results.Results) -> None:
    parser = MarkdownIt("commonmark").enable("table")
    width, cells = 0, 0
    for token in parser.parse(leaderboard.render(found)):
        if token.type == "tr_open":
            cells = 0
        elif token.type in ("th_open", "td_open"):
            cells += 1
        elif token.type == "thead_close":
            width = cells
        elif token.type == "tr_close" and width:
            assert cells == width
        elif token.type == "table_close":
            width = 0
    systems = [one.row.name for one in found.systems]
    assert len(systems) == len(HOSTILE)


class _Elements(HTMLParser):
    """Elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_has_no_element_of_a_text(found: results.Results) -> None:
    parser = _Elements()
    parser.feed(html.write(found).read_text(encoding="utf-8"))
    assert not [tag for tag, _ in parser.seen if tag in ("img", "iframe", "object", "embed")]
    assert not [name for _, attrs in parser.seen for name in attrs if name.startswith("on")]
    scripts = [attrs for tag, attrs in parser.seen if tag == "script"]
    assert len(scripts) == 2  # the data, and the page's own


def test_rows_hold_the_texts_as_they_are(found: results.Results) -> None:
    rows = [json.loads(line) for line in jsonl.write(found).read_text().splitlines()]
    assert {row["system"] for row in rows} == {*HOSTILE}
    assert parquet.write(found).stat().st_size > 0


def _flat(tokens: list[Token]) -> list[Token]:
    return [inner for token in tokens for inner in [token, *_flat(token.children or [])]]
