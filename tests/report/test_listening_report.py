"""The report of a listening test: what it says, what it never runs, the same bytes each time."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.listening.analysis.analysing import analyse
from mamtra_eval.listening.analysis.margins import Against
from mamtra_eval.listening.screening.applying import Rules
from mamtra_eval.listening.trials import Refusal
from mamtra_eval.report.listening import page as listening
from mamtra_eval.report.listening import words
from mamtra_eval.report.listening.charts import nice_axis
from mamtra_eval.report.listening.markup import escape, tag
from mamtra_eval.report.listening.rows import tex
from mamtra_eval.statistics.bootstrap import Estimate
from tests.listening import larger_bundles

NASTY = '<img src=x onerror="alert(1)">'
FORMULA = '=HYPERLINK("http://x")'
KINDS = ("mos", "smos", "cmos", "ab", "mushra")


def _made(folder, kind="mos", *, simulated=True, raters=12, systems=None, cheats=None, **options):
    systems = systems or {"teacher": "system", "hybrid": "system", "recordings": "reference"}
    bundle = larger_bundles.write(folder, kind, systems, items=12, **options)
    sessions = [replace(one, simulated=simulated)
                for one in larger_bundles.sessions(bundle, raters, cheats=cheats)]  # fmt: skip
    refusals = [Refusal("x.csv", "line 3", "unknown token")]
    return bundle, analyse(bundle, sessions, refusals, Rules.of(bundle))


@pytest.fixture(scope="module")
def mos(tmp_path_factory):
    return _made(tmp_path_factory.mktemp("mos"), cheats={"fast": 1, "straight": 1})


class _Page(HTMLParser):
    """Elements, attributes and texts of a page; fails on what is not closed."""

    void = ("meta", "link", "br", "line", "rect", "circle")

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in self.void:
            self._open.append(name)

    def handle_startendtag(self, name, attributes):
        self.elements.append((name, dict(attributes)))

    def handle_endtag(self, name):
        assert self._open.pop() == name

    def handle_data(self, data):
        if "style" not in self._open:
            self.texts.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.texts).split())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_a_page_with_its_sections_and_rows(kind, tmp_path):
    bundle, analysis = _made(tmp_path / "bundle", kind)
    paths = listening.write(analysis, bundle.manifest, tmp_path / "out")
    name = {"mos": "nmos"}.get(kind, kind)
    assert [path.name for path in paths] == ["listening.html", "listening.json", f"{name}.csv",
                                            f"{name}.tex"]  # fmt: skip
    page = _Page(paths[0].read_text(encoding="utf-8"))
    sections = [found["id"] for tag_, found in page.elements if tag_ == "section"]
    figures = "comparisons" if kind in ("cmos", "ab") else "systems"
    assert sections == ["answer", figures, "distribution", "pairs", "flow", "sensitivity", "power",
                        "reliability", "raters", "items", "places", "details",
                        "provenance"]  # fmt: skip
    assert bundle.manifest["kind"]["question"] in page.words
    assert analysis.content_sha256 in page.words
    assert "Not comparable across tests" in page.words
    assert "not recorded in the bundle" in page.words
    rows = list(csv.DictReader(io.StringIO(paths[2].read_text(encoding="utf-8"))))
    assert {row["interval"] for row in rows} == {"two-way clustered"}
    values = json.loads(paths[1].read_text(encoding="utf-8"))
    assert values["analysis"]["kind"]["name"] == kind
    assert "tokens" not in values["bundle"]


def test_numbers_of_the_page_are_the_analysis(mos):
    bundle, analysis = mos
    said = _Page(listening.render(analysis, bundle.manifest)).words
    for one in analysis.systems:
        half = (one.mean.high - one.mean.low) / 2
        assert f"{one.mean.value:.2f} ± {half:.2f}" in said
        assert f"n = {one.votes}" in said
    assert f"{analysis.flow.sessions_received} sessions" in said
    assert "unknown token: 1" in said
    assert "heard: 1" in said
    tabular = listening.rows.as_tex(analysis)
    assert re.search(r"hybrid.* & \$\d\.\d\d \\pm \d\.\d\d\$ & \$\\pm", tabular)
    assert "two-way clustered" in tabular
    assert "as if votes were independent" in tabular


def test_the_same_analysis_gives_the_same_bytes(mos, tmp_path):
    bundle, analysis = mos
    first = listening.write(analysis, bundle.manifest, tmp_path / "one")
    second = listening.write(analysis, bundle.manifest, tmp_path / "two")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(
        path.name for path in first
    )


def test_simulated_ratings_are_called_so_everywhere(mos, tmp_path):
    bundle, analysis = mos
    html, data, table, tabular = (
        path.read_text(encoding="utf-8")
        for path in listening.write(analysis, bundle.manifest, tmp_path)
    )
    page = _Page(html)
    assert page.words.count("Simulated") >= 3  # title, strip, banner
    assert "12 of 12 sessions were answered by a program" in page.words
    assert html.index('class="banner"') < html.index("<h1")
    assert json.loads(data)["simulated"] is True
    assert {row["simulated"] for row in csv.DictReader(io.StringIO(table))} == {"yes"}
    assert tabular.startswith("% SIMULATED")
    assert tabular.count("[simulated]") == 3


def test_one_simulated_session_is_enough_and_people_have_no_banner(tmp_path):
    bundle, analysis = _made(tmp_path, simulated=False)
    assert 'class="banner"' not in listening.render(analysis, bundle.manifest)
    assert json.loads(listening.data(analysis, bundle.manifest))["simulated"] is False
    mixed = replace(analysis, simulated=1)
    assert "1 of 12 sessions were" in _Page(listening.render(mixed, bundle.manifest)).words


@pytest.mark.parametrize("kind", ["mos", "cmos"])
def test_hostile_names_and_texts_stay_texts(kind, tmp_path):
    bundle, analysis = _made(tmp_path, kind, systems={NASTY: "system", FORMULA: "system"},
                             baseline=NASTY)  # fmt: skip
    facts = {**bundle.manifest, "title": "</title><script>alert(1)</script>", "payment": NASTY,
             "recruitment": "\ud800 & friends", "contact": "a\x00b"}  # fmt: skip
    html, _, table, tabular = (
        path.read_text(encoding="utf-8") for path in listening.write(analysis, facts, tmp_path)
    )
    page = _Page(html)
    names = {name for name, _ in page.elements}
    assert "script" not in names
    assert "img" not in names
    assert not [key for _, found in page.elements for key in found if key.startswith("on")]
    assert NASTY in page.words
    assert "\x00" not in html
    cells = [cell for row in csv.reader(io.StringIO(table)) for cell in row]
    assert "'" + FORMULA in cells
    assert not [cell for cell in cells if cell.startswith(("=", "@"))]
    assert "<img" not in tabular


def test_the_policy_admits_this_style_and_nothing_else(mos):
    bundle, analysis = mos
    html = listening.render(analysis, bundle.manifest)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    page = _Page(html)
    assert not [name for name, found in page.elements if "style" in found or name == "script"]
    assert not [
        found for _, found in page.elements for key in ("src", "href")
        if key in found and not found[key].startswith(("#", "data:"))
    ]  # fmt: skip
    assert "url(" not in style


def test_no_difference_is_ever_called_equal_without_a_margin(tmp_path):
    bundle, analysis = _made(tmp_path, margin=None, raters=6)
    page = _Page(listening.render(analysis, bundle.manifest))
    assert "nothing is called equivalent" in page.words
    assert "equivalent within" not in page.words
    told = [one for one in analysis.differences if one.against_baseline and not one.told_apart]
    assert told, "the sample must have such a pair"
    assert page.words.count("does not make them equal") == len(told)


def test_rules_other_than_those_settled_before_are_said(tmp_path):
    bundle, analysis = _made(tmp_path)
    said = _Page(listening.render(analysis, bundle.manifest)).words
    assert "By the rules that were settled before" in said
    changed = analyse(bundle, larger_bundles.sessions(bundle, 4), [], Rules(traps_min=None))
    said = _Page(listening.render(changed, bundle.manifest)).words
    assert "By other rules than the bundle's" in said
    assert not re.search(r"(settled|declared) before", said)
    assert "traps answered as told, at least: off" in said


@pytest.mark.parametrize("kind", ["mos", "cmos"])
def test_a_changed_bundle_is_called_so_and_nothing_was_settled_before(kind, tmp_path):
    bundle, analysis = _made(tmp_path, kind, simulated=False, margin=0.5)
    sound = _Page(listening.render(analysis, bundle.manifest)).words
    assert "declared before" in sound
    assert "settled before" in sound
    assert "changed" not in sound.lower()
    names = ("bundle.json", "key/<b>.json")
    changed = replace(analysis, as_settled=False, changed=names)
    html, data, table, tabular = (
        path.read_text(encoding="utf-8")
        for path in listening.write(changed, bundle.manifest, tmp_path / "out")
    )
    page = _Page(html)
    assert not re.search(r"(settled|declared) before", page.words)
    assert page.words.lower().count("bundle changed") >= 3  # title, strip, banner
    assert "bundle.json, key/<b>.json" in page.words
    assert html.index('class="banner"') < html.index("<h1")
    assert json.loads(data)["bundle_changed"] == list(names)
    assert json.loads(data)["analysis"]["as_settled"] is False
    assert {row["bundle_changed"] for row in csv.DictReader(io.StringIO(table))} == {"yes"}
    assert tabular.startswith("% BUNDLE CHANGED SINCE ITS EXPORT: bundle.json")
    assert tabular.count("[bundle changed]") == 3


def _with_pair(analysis, place=0, **values):
    """The analysis with one of its differences changed."""
    pairs = list(analysis.differences)
    pairs[place] = replace(pairs[place], **values)
    return replace(analysis, differences=tuple(pairs))


def test_the_headline_goes_by_differences_and_not_by_letters(mos):
    _, analysis = mos
    first, *others = analysis.ranking
    apart = [replace(one, told_apart=True) for one in analysis.differences]
    letters = [replace(one, letters=one.name[0]) for one in analysis.systems]
    found = replace(analysis, differences=tuple(apart), systems=tuple(letters))
    assert "it is told apart from every other system" in words.headline(found)
    mixed = [
        replace(one, told_apart={one.system, one.other} != {first.name, others[-1].name})
        for one in apart
    ]
    said = words.headline(replace(found, differences=tuple(mixed)))
    assert f"{others[-1].name} can't be told apart from it" in said
    assert "every other" not in said


def test_an_interval_without_zero_is_explained_where_it_is_not_told_apart(mos):
    bundle, analysis = mos
    pair = next(place for place, one in enumerate(analysis.differences) if one.against_baseline)
    shown = Estimate(-0.5, -0.9, -0.1)
    found = _with_pair(analysis, pair, estimate=shown, p=0.03, p_holm=0.09, told_apart=False,
                       told_apart_alone=True, equivalent=False,
                       against_margin=Against.BELOW)  # fmt: skip
    page = _Page(listening.render(found, bundle.manifest)).words
    assert page.count("by itself yes, corrected over 3 pairs no") == 2  # the answer, the table
    assert page.count("one-sided and by itself lower by more than the margin") == 2
    values = json.loads(listening.data(found, bundle.manifest))["analysis"]["differences"][pair]
    assert (values["told_apart"], values["told_apart_alone"]) == (False, True)
    assert "verdict" not in values


def test_higher_and_by_less_than_the_margin_are_both_said(mos):
    bundle, analysis = mos
    pair = next(place for place, one in enumerate(analysis.differences) if one.against_baseline)
    found = _with_pair(analysis, pair, estimate=Estimate(0.1, 0.05, 0.15), told_apart=True,
                       told_apart_alone=True, equivalent=True,
                       against_margin=Against.EQUIVALENT)  # fmt: skip
    one = found.differences[pair]
    page = _Page(listening.render(found, bundle.manifest)).words
    assert re.search(rf"{one.system} is rated higher than {one.other}: .*?; by less than the margin"
                     r"\.", page)  # fmt: skip
    assert page.count("by less than the margin") >= 2
    alone = _with_pair(found, pair, told_apart=False)
    (said,) = [text for text in words.said(alone) if one.system in text and one.other in text]
    assert "equivalent within ±" in said
    assert "by itself yes, corrected over 3 pairs no" in said


def test_what_is_not_corrected_for_order_is_said(tmp_path):
    bundle, analysis = _made(tmp_path, "cmos")
    page = _Page(listening.render(analysis, bundle.manifest)).words
    assert "Not corrected: wins, ties and losses" in page
    assert page.count("as given, not corrected for order") == 2  # distribution, items


@pytest.mark.parametrize("kind", KINDS)
def test_an_analysis_of_nothing_is_a_page(kind, tmp_path):
    bundle = larger_bundles.write(tmp_path, kind, {"a": "system", "b": "system"}, items=4)
    analysis = analyse(bundle, [], [], Rules())
    html, data, *_ = listening.write(analysis, {}, tmp_path / "out")
    page = _Page(html.read_text(encoding="utf-8"))
    assert "nothing can be said about any system" in page.words
    assert "not defined: no votes" in page.words
    json.loads(data.read_text(encoding="utf-8"), parse_constant=pytest.fail)


def test_a_folder_that_can_t_be_written_is_a_plain_error(mos, tmp_path):
    bundle, analysis = mos
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't be written"):
        listening.write(analysis, bundle.manifest, tmp_path / "file")


def test_markup_escapes_what_it_is_given():
    assert (
        tag("p", "<b>&", tag("i", "x"), title='"') == '<p title="&quot;">&lt;b&gt;&amp;<i>x</i></p>'
    )
    assert escape("a\x07\ud800") == "a\ufffd?"
    assert tag("line", x1="1%", y1=2.0, hidden=False) == '<line x1="1%" y1="2"/>'


def test_tex_is_neutral():
    assert tex("a_b\n50 % \\x{}") == r"a\_b 50 \% \textbackslash{}x\{\}"


@pytest.mark.parametrize("values", [[], [3.0], [1.2, 4.9], [-0.01, 0.02], [0, 1000]])
def test_axes_hold_their_values_with_few_round_marks(values):
    axis = nice_axis(values)
    assert 2 <= len(axis.ticks) <= 9
    assert all(0 <= axis.place(value) <= 100 for value in values)
    assert all(axis.low <= value <= axis.high for value in values)
