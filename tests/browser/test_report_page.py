"""The report in Chromium, opened from disk."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

HOSTILE = "</script><img src=x onerror=\"document.title='run'\"> {{title}} مرحبا 😀 <b>&amp;"
WIDTH = "document.documentElement.scrollWidth - innerWidth"

CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")


def rows(page):
    return page.locator("tr.clip")


def column(page, title):
    return page.locator(f'tr.clip td[data-title="{title}"]').all_inner_texts()


def test_opens_from_disk(sample, show):
    opened = show(sample.build(3, 40))
    assert rows(opened.page).count() == 50
    assert opened.page.locator("#count").inner_text() == "120 clips"
    assert opened.page.locator("article.plot").count() == 5
    assert opened.page.locator("#leaderboard > .scroll").first.locator("tbody tr").count() == 3
    opened.quiet()
    assert opened.requests == [opened.address]


def test_figures_are_written_as_people_read_them(sample, show):
    data = sample.build(2, 6)
    data["systems"][1]["clips"] = 60
    gap = {"value": 0.021, "low": 0.01, "high": 0.032, "n": 57}
    data["systems"][1]["figures"]["wer"] = {
        "value": 0.0612,
        "low": 0.04,
        "high": 0.08,
        "level": 0.95,
        "n": 57,
        "n_failed": 3,
        "difference": gap,
    }
    undefined = {"value": None, "low": None, "high": None, "n": 0, "n_failed": 6}
    data["systems"][1]["figures"]["dnsmos"] = {**undefined, "level": 0.95, "difference": None}
    opened = show(data)
    cells = opened.page.locator("#leaderboard > .scroll tbody tr", has_text="mamba-16").locator(
        "td"
    )
    wer = cells.nth(0).inner_text()
    for part in ("6.1\u00a0%", "[4.0, 8.0]", "57/60", "+2.1\u00a0pt", "[+1.0, +3.2]", "worse"):
        assert part in wer
    assert "—" in cells.nth(3).inner_text()
    opened.quiet()


def test_sorts_by_click_and_by_key(sample, show):
    opened = show(sample.build(3, 16))
    page = opened.page
    button = page.locator("table.clips").get_by_role("button", name="WER", exact=True)
    header = page.locator('table.clips th[data-key="value:wer"]')
    button.click()
    assert header.get_attribute("aria-sort") == "ascending"
    shown = [float(x.removesuffix("\u00a0%")) for x in column(page, "WER") if x != "—"]
    assert shown == sorted(shown)
    button.press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    shown = column(page, "WER")
    values = [float(x.removesuffix("\u00a0%")) for x in shown if x != "—"]
    assert values == sorted(values, reverse=True)
    assert shown[: len(values)] == [x for x in shown if x != "—"]
    opened.quiet()


def test_filters(sample, show):
    data = sample.build(3, 60)
    data["clips"][70]["transcript"] = "one Straße only"
    data["clips"][71]["failures"] = {"similarity": "no voiced frame"}
    opened = show(data)
    page = opened.page
    page.get_by_role("button", name="mamba-16", exact=True).click()
    assert set(column(page, "System")) == {"mamba-16"}
    page.get_by_label("Errors only").check()
    errors = [x for x in data["clips"] if x["error"] and x["system"] == "mamba-16"]
    assert rows(page).count() == len(errors) > 0
    assert rows(page).first.locator(".message").inner_text() == errors[0]["error"]
    page.get_by_label("Failures only").check()
    assert rows(page).count() > len(errors)
    page.get_by_label("All", exact=True).check()
    page.keyboard.press("/")
    page.keyboard.type("STRASSE")
    assert page.locator("#empty").is_visible()
    page.locator("#query").fill("straße")
    assert rows(page).count() == 1
    page.locator("#query").fill("no such text")
    page.get_by_role("button", name="Clear the filters").click()
    assert page.locator("#count").inner_text() == "180 clips"
    opened.quiet()


def test_unfolds_with_word_diff_and_the_other_systems(sample, show):
    data = sample.build(3, 4)
    clip = data["clips"][5]
    clip["alignment"] = [
        ["equal", "the", "the"],
        ["substitute", "quick", "great"],
        ["delete", "old", ""],
        ["insert", "", "a"],
    ]
    clip["failures"] = {"similarity": "no voiced frame"}
    opened = show(data)
    row = rows(opened.page).filter(has_text=clip["utterance"]).filter(has_text=clip["system"])
    row.get_by_role("button", name="Details").click()
    detail = opened.page.locator(".detail")
    diff = detail.locator(".diff").first
    assert diff.locator(".substitute").text_content() == "substituted quick by ›great"
    assert diff.locator(".delete").text_content() == "deleted −old"
    assert diff.locator(".insert").text_content() == "inserted +a"
    style = "(node) => getComputedStyle(node).textDecorationLine"
    assert diff.locator(".delete del").evaluate(style) == "line-through"
    assert diff.locator(".insert ins").evaluate(style) == "underline"
    assert "no voiced frame" in detail.inner_text()
    assert detail.locator(".card").count() == 3
    opened.until(f"location.hash.startsWith('#utt={clip['utterance']}&sys={clip['system']}')")
    opened.quiet()


def test_columns_are_what_one_clip_can_have(sample, show):
    data = sample.build(2, 4)
    data["clips"][0]["values"]["dnsmos"] = None
    data["clips"][0]["failures"] = {"dnsmos": "too short", "health": "broken"}
    opened = show(data)
    heads = opened.page.locator("table.clips .sort").all_inner_texts()
    values = ["WER", "Speaker similarity", "DNSMOS overall"]  # "WER, pooled" is the same here
    assert heads == ["Utterance", "System", *values, "Δ WER vs recordings", "Flags", "Duration"]
    cell = rows(opened.page).first.locator('[data-title="DNSMOS overall"] abbr')
    assert (cell.inner_text(), cell.get_attribute("title")) == ("no value", "too short")
    rows(opened.page).first.locator(".fold").click()
    assert "broken" in opened.page.locator(".measures").inner_text()
    opened.quiet()


def test_word_diff_follows_the_direction_of_its_words(sample, show):
    data = sample.build(1, 1)
    data["clips"][0]["alignment"] = [["delete", "نص", ""], ["equal", "هذا", "هذا"]]
    opened = show(data)
    opened.page.locator(".fold").click()
    direction = "(node) => getComputedStyle(node).direction"
    assert opened.page.locator(".diff").first.evaluate(direction) == "rtl"
    opened.quiet()


@pytest.mark.parametrize("part", ["text", "transcript", "utterance", "error", "word", "system"])
def test_hostile_text_is_text(part, sample, show):
    data = sample.build(2, 3)
    clip = data["clips"][0]
    data["title"] = data["run"] = data["notes"][0] = data["figures"][0]["note"] = HOSTILE
    if part == "word":
        clip["alignment"] = [["substitute", HOSTILE, HOSTILE], ["insert", "", HOSTILE]]
    elif part == "system":
        data["systems"][0]["name"] = HOSTILE
        for own in data["clips"][:3]:
            own["system"] = HOSTILE
    else:
        clip[part] = HOSTILE
    opened = show(data)
    page = opened.page
    for fold in page.locator("tr.clip .fold").all():
        fold.click()
    assert HOSTILE in page.locator("#clips").inner_text()
    assert page.locator("h1").inner_text() == HOSTILE
    assert page.locator("img").count() == 0
    assert page.title().startswith("</script>")
    opened.quiet()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_fits_and_can_be_read(width, scheme, sample, show, tmp_path):
    data = sample.build(6, 20)
    data["clips"][0]["text"] = data["clips"][0]["utterance"] = "long" * 60
    data["clips"][0]["flags"] = ["silent", "clipped", "long pause", "truncated"]
    opened = show(data, width=width, scheme=scheme)
    page = opened.page
    for details in page.locator("details > summary").all():
        details.click()
    for place in (0, 1, 2):
        page.locator("tr.clip .fold").nth(place).click()
    assert page.evaluate(WIDTH) <= 0
    assert page.evaluate(CONTRAST) == []
    page.screenshot(path=tmp_path / f"{scheme}-{width}.png", full_page=True)
    opened.quiet()


def test_kinds_of_failure_and_a_second_opinion_are_shown(sample, show):
    data = sample.build(2, 20)
    for clip in data["clips"]:
        clip["second"], clip["agree"] = clip["transcript"], True
    odd = next(clip for clip in data["clips"] if clip["transcript"])
    odd |= {"flags": ["repetition"], "reasons": {"repetition": "'la' 9 times"},
            "second": "la la", "agree": False}  # fmt: skip
    opened = show(data, link=f"#utt={odd['utterance']}&sys={odd['system']}")
    detail = opened.page.locator(".detail").first
    assert "repetition: 'la' 9 times" in detail.inner_text()
    assert "la la" in detail.inner_text()
    assert "the same words" not in detail.inner_text()
    assert opened.page.locator("span.flag").first.get_attribute("title") == "'la' 9 times"
    opened.page.get_by_label("Recognisers disagree").check()
    assert rows(opened.page).count() == 1
    opened.quiet()


def test_the_papers_table_has_its_notes_below(sample, show):
    data = sample.build(2, 4)
    names = [system["name"] for system in data["systems"]]
    data["paper"] = {
        "titles": ["RTF", "GFLOP a token"],
        "rows": [[name, "0.13", "0.02"] for name in names],
        "notes": ["RTF: a note.", "Not in this run: NMOS."],
    }
    opened = show(data)
    told = opened.page.locator("#leaderboard").inner_text()
    assert told.index("The paper's table") < told.index("RTF: a note.") < told.index("Not in this")
    assert "[object" not in opened.page.locator("body").inner_text()
    opened.quiet()


def test_theme_can_be_chosen(sample, show):
    opened = show(sample.build(2, 3), scheme="light")
    page, colour = opened.page, "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.locator("#theme").click()
    page.locator("#theme").click()
    assert page.locator("#theme").inner_text() == "Theme: dark"
    assert page.evaluate(colour) != light
    opened.quiet()


def test_permalink_opens_its_row(sample, show):
    data = sample.build(3, 60)
    clip = data["clips"][-1]
    opened = show(data, link=f"#utt={clip['utterance']}&sys={clip['system']}")
    row = opened.page.locator("tr.clip.is-selected")
    assert clip["utterance"] in row.inner_text()
    assert clip["system"] in row.inner_text()
    assert row.locator(".fold").get_attribute("aria-expanded") == "true"
    box = row.bounding_box()
    assert 0 <= box["y"] < 844
    opened.quiet()


def test_empty_run_still_opens(sample, show):
    data = sample.build(1, 0)
    opened = show(data)
    assert opened.page.locator("#count").inner_text() == "0 clips"
    opened.quiet()


@pytest.mark.slow
def test_twenty_thousand_clips_stay_usable(sample, show):
    opened = show(sample.build(6, 3508))
    took = """() => [...document.querySelectorAll("table.clips .sort")].map((button) => {
      const start = performance.now();
      button.click();
      document.body.getBoundingClientRect();
      return performance.now() - start;
    })"""
    assert max(opened.page.evaluate(took)) < 1000  # about 50 ms where it was written
    opened.quiet()
