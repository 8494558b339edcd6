"""The report's text: structure, escaping, policy. No browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mamtra_eval import config as configuration
from mamtra_eval import pipeline, results
from mamtra_eval.reader import RunReader
from mamtra_eval.report import _html_data
from mamtra_eval.report import html as report
from mamtra_eval.report._packing import pack

HOSTILE = "</script><img src=x onerror=alert(1)> {{data}} <!-- & \u2028 \u202e😀"


class Outline(HTMLParser):
    """Elements with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        self.inside = attributes.get("id") or attributes.get("type") or tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        self.texts[self.inside] = self.texts.get(self.inside, "") + data


def _data(text: str) -> dict:
    """What the page is told."""
    return json.loads(Outline(text).texts["data"])


def test_carries_the_data(sample):
    data = sample.build()
    found = _data(report.render(data))
    assert {**found, "clips": None, "texts": None} == {**data, "clips": None, "texts": None}
    assert found["clips"] == pack(data)["clips"]


def test_hostile_texts_add_no_element(sample):
    data = sample.build()
    plain = Outline(report.render(data))
    data["title"] = data["run"] = HOSTILE
    for clip in data["clips"]:
        clip["text"] = clip["transcript"] = clip["utterance"] = HOSTILE
    hostile = Outline(report.render(data))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
    assert json.loads(hostile.texts["data"]) == pack(data)
    assert HOSTILE in hostile.texts["title"]


def test_lone_surrogates_can_be_written(sample):
    data = sample.build()
    data["title"] = data["clips"][0]["text"] = "half \ud83d"
    text = report.render(data).encode("utf-8").decode()
    assert _data(text)["texts"][0]["text"] == "half \ud83d"


def test_escapes_what_could_end_the_element():
    text = report.encode({"a": "<>&\u2028\u2029é"})
    assert text == r'{"a":"\u003c\u003e\u0026\u2028\u2029é"}'


def test_refuses_numbers_that_json_lacks(sample):
    data = sample.build()
    data["clips"][0]["values"]["wer"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        report.render(data)


def test_policy_names_the_style_and_the_script(sample):
    outline = Outline(report.render(sample.build()))
    (policy,) = (a["content"] for _, a in outline.elements if "Content-Security" in str(a))
    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    for directive, key in (("script-src", "module"), ("style-src", "style")):
        digest = hashlib.sha256(outline.texts[key].encode()).digest()
        assert directives[directive] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert directives["default-src"] == "'none'"
    assert "unsafe" not in policy
    assert "http" not in policy


def test_names_nothing_outside(sample):
    outline = Outline(report.render(sample.build()))
    links = [a[key] for _, a in outline.elements for key in ("src", "href") if key in a]
    assert set(links) == {"data:,", "#clips"}
    assert "@import" not in outline.texts["style"]
    assert "url(" not in outline.texts["style"]


def test_scripts_never_parse_markup():
    templates = Path(report.__file__).with_name("templates")
    source = "".join(path.read_text(encoding="utf-8") for path in templates.glob("*.js"))
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|</script|<!--"
    assert re.findall(forbidden, source) == []
    assert {path.name for path in templates.glob("*.js")} == set(report._SCRIPTS)


def test_fill_replaces_in_one_pass():
    assert report.fill("{{a}}-{{b}}-{{a}}", {"a": "{{b}}", "b": "2"}) == "{{b}}-2-{{b}}"


@pytest.mark.parametrize("template", ["{{a}} {{typo}}", "{{a}} {{ B }}", "nothing"])
def test_fill_refuses_unknown_and_unused_placeholders(template):
    with pytest.raises(ValueError, match="placeholders"):
        report.fill(template, {"a": "1"})


def test_sample_is_seeded(sample):
    assert sample.build(2, 5, seed=3) == sample.build(2, 5, seed=3)
    assert sample.build(2, 5, seed=3) != sample.build(2, 5, seed=4)


def test_the_second_recogniser_s_words_are_never_shown_as_the_first_s(make_list, tmp_path):
    config = configuration.build(
        {"testset": str(make_list(n=1)), "systems": {"r": "recorded"},
         "metrics": ["second_wer", "wer", "opinion", "health", "failures"],
         "second": {"backend": "pocketsphinx", "grammar": "digits"}}
    )  # fmt: skip
    with RunReader(pipeline.evaluate(config, tmp_path / "run")) as store:
        found = results.collect(store)
    (clip,) = _html_data.build(found)["clips"]
    readings = {name: reading for (_, name), reading in found.readings.items()}
    assert clip["transcript"] == readings["wer"].evidence["transcript"]
    assert clip["second"] == readings["second_wer"].evidence["transcript"]
    assert clip["alignment"] == readings["wer"].evidence["alignment"]
    assert clip["agree"] == (clip["transcript"] == clip["second"])
