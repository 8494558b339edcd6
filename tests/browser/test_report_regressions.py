"""What a clip lost against the baseline's, verdicts, and links to a view, in Chromium."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser


def rows(page):
    return page.locator("tr.clip")


def gaps(page):
    """The column of differences, as numbers."""
    cells = page.locator("tr.clip td.col-gap").all_inner_texts()
    found = [cell.split()[0].removesuffix("\u00a0pt").replace("−", "-") for cell in cells]
    return [float(cell.split("\u00a0")[0]) for cell in found if cell != "—"]


@pytest.fixture
def data(sample):
    """Three systems with known word error rates: the second loses on 1 and 3, the third on 2."""
    data = sample.build(3, 4)
    rates = [[0.0, 0.1, 0.2, None], [0.5, 0.1, 0.3, 0.9], [0.0, 0.35, 0.1, 0.0]]
    for number, clip in enumerate(data["clips"]):
        rate = rates[number // 4][number % 4]
        clip["values"] |= {"wer": rate, "wer_pooled": rate, "similarity": 0.9 - 0.1 * (number % 3)}
        clip["error"], clip["failures"] = None, {}
    return data


def test_largest_regressions_first_at_one_click(data, show):
    opened = show(data)
    page = opened.page
    head = page.locator('th[data-key="gap"]')
    assert head.inner_text() == "Δ WER vs recordings"
    page.get_by_label("Regressions").check()
    assert gaps(page) == [50.0, 25.0, 10.0]
    assert rows(page).locator("td.col-system").all_inner_texts() == [
        "mamba-16",
        "mamba-8",
        "mamba-16",
    ]
    assert head.get_attribute("aria-sort") == "descending"
    assert "worse" in rows(page).first.locator("td.col-gap").text_content()
    assert page.locator("#show small").first.inner_text().strip() == "3"
    opened.quiet()


def test_regressions_where_higher_is_better(data, show):
    opened = show(data)
    page = opened.page
    page.locator("#by").select_option("similarity")
    page.keyboard.press("Escape")
    page.get_by_label("Regressions").check()
    assert page.locator('th[data-key="gap"]').inner_text() == "Δ Speaker similarity vs recordings"
    found = gaps(page)
    assert found == sorted(found)
    assert max(found) < 0
    assert len(found) == int(page.locator("#show small").first.inner_text())
    opened.quiet()


def test_differences_sort_both_ways_with_missing_ones_last(data, show):
    opened = show(data)
    page = opened.page
    button = page.locator('th[data-key="gap"] .sort')
    button.click()
    assert gaps(page) == sorted(gaps(page))
    cells = page.locator("tr.clip td.col-gap").all_inner_texts()
    assert cells[-1] == "—"
    button.press("Enter")
    assert gaps(page) == sorted(gaps(page), reverse=True)
    assert gaps(page)[0] == 50.0
    opened.quiet()


def test_a_run_without_a_rival_has_nothing_to_compare(sample, show):
    opened = show(sample.build(1, 4))
    assert opened.page.locator("#by").is_hidden()
    assert opened.page.locator("#show label").count() == 4
    assert opened.page.locator('th[data-key="gap"]').count() == 0
    opened.quiet()


def test_repeats_are_compared_with_their_own(data, show):
    for number, clip in enumerate(data["clips"]):
        clip["utterance"], clip["repeat"] = ("awb-001", "awb-002")[number % 4 // 2], number % 2
    opened = show(data)
    opened.page.get_by_label("Regressions").check()
    assert gaps(opened.page) == [50.0, 25.0, 10.0]
    opened.quiet()


def test_the_address_tells_what_is_shown_and_shows_it_again(data, show):
    opened = show(data)
    page = opened.page
    page.locator("#by").select_option("similarity")
    page.get_by_label("Regressions").check()
    page.get_by_role("button", name="mamba-8", exact=True).click()
    text = data["clips"][0]["text"].split()[0]
    page.locator("#query").fill(text)
    opened.until("location.hash.includes('q=')")
    shown = page.locator("#rows").inner_text()
    link = page.evaluate("location.hash")
    for part in ("show=regressions", "by=similarity", "sort=gap%20up", "only=mamba-8", f"q={text}"):
        assert part in link
    again = show(data, link=link)
    assert again.page.locator("#rows").inner_text() == shown
    assert again.page.locator("#by").input_value() == "similarity"
    assert again.page.locator("#query").input_value() == text
    assert again.page.locator(".chip[aria-pressed=true]").inner_text().endswith("mamba-8")
    again.quiet()


def test_what_an_address_asks_in_vain_is_passed_over(data, show):
    opened = show(data, link="#show=nothing&by=nothing&sort=nothing%20down&only=nobody&utt=none")
    assert rows(opened.page).count() == 12
    opened.until("location.hash === ''")
    opened.quiet()


def test_a_row_and_a_view_can_share_an_address(data, show):
    opened = show(data, link="#utt=awb-001&sys=mamba-16&show=regressions&sort=gap%20down")
    assert rows(opened.page).count() == 3
    assert opened.page.locator("tr.is-selected td.col-system").inner_text() == "mamba-16"
    assert opened.page.locator(".detail").count() == 1
    opened.quiet()


@pytest.mark.parametrize("word", ["better", "equivalent", "non-inferior", "inferior", "undecided"])
def test_a_verdict_is_shown_by_its_word_and_zero_by_its_sign(word, sample, show):
    data = sample.build(2, 6)
    gap = {"value": 0.003, "low": 0.001, "high": 0.004, "n": 6, "margin": 0.005, "verdict": word}
    data["systems"][1]["figures"]["wer"]["difference"] = gap
    opened = show(data)
    board = opened.page.locator("#leaderboard > .scroll").first
    change = board.locator("tbody tr", has_text="mamba-16").locator(".change").first
    assert change.locator(".pill").inner_text() == word
    assert "▼" in change.inner_text()  # a real loss, whatever the margin says
    assert "against zero worse" in change.text_content()
    assert "margin 0.5\u00a0pt" in change.get_attribute("title")
    assert opened.page.locator(".verdicts").inner_text() == data["verdicts"]
    opened.quiet()


def test_without_a_margin_zero_decides_and_undecided_is_not_equal(sample, show):
    data = sample.build(2, 6)
    gap = {"value": 0.0, "low": -0.01, "high": 0.01, "n": 6, "margin": None, "verdict": None}
    data["systems"][1]["figures"]["wer"]["difference"] = gap
    data["verdicts"] = None
    opened = show(data)
    pill = opened.page.locator("#leaderboard .change .pill").first
    assert pill.inner_text() == "undecided"
    assert "does not mean equal" in pill.get_attribute("title")
    assert "not the same as equal" in opened.page.locator("#leaderboard-caption").inner_text()
    assert opened.page.locator(".verdicts").count() == 0
    opened.quiet()


def test_a_value_measured_otherwise_says_so(sample, show):
    data = sample.build(2, 6)
    data["systems"][1]["figures"]["wer"] |= {"difference": None, "foreign": "asr:another"}
    opened = show(data)
    assert opened.page.get_by_text("≠ measured otherwise").get_attribute("title") == (
        "Measured as asr:another"
    )
    opened.quiet()
