"""A listening test over http: sending, failing to send, and audio that is not what it was."""

from __future__ import annotations

import json

import pytest

from mamtra_eval.listening.site import write_offline, write_site
from tests.browser.listening_pages import raters, sequential
from tests.listening import made_sites

pytestmark = pytest.mark.browser

ODD = 'A&B + 50% off "é" 漢字 😀'


@pytest.fixture
def opened(browser):
    """Tabs of one fresh profile."""
    with raters(browser) as open_address:
        yield open_address


@pytest.fixture
def serve(tmp_path):
    """Write a site and serve it: `serve(kind, **changes)`."""
    servers = []

    def start(*args, **changes):
        servers.append(made_sites.Collector(made_sites.write(tmp_path, *args, **changes)))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_a_whole_session_over_http(opened, serve):
    completion = {"code": "C0DE42", "redirect": "https://example.org/done?cc=C0DE42"}
    asked = made_sites.QUESTIONNAIRE
    server = serve(practice=True, questionnaire=asked, completion=completion)
    rater = opened(f"{server.address}/?PROLIFIC_PID=p%26%C3%A9&STUDY_ID=st&SESSION_ID=sub")
    rater.begin()
    rater.practise()
    assert rater.page.get_by_label("Your name or code").count() == 0
    rater.answer_all(2)
    rater.at("A few last questions")
    rater.page.get_by_label("Anything else?").fill(ODD)
    rater.page.get_by_label("earphones").check()
    rater.press("Continue")
    rater.at("Thank you")
    lines = server.lines()
    assert sequential(lines)
    session = {name: lines[0][name] for name in ("participant", "study", "submission", "list")}
    assert session == {"participant": "p&é", "study": "st", "submission": "sub", "list": "l00"}
    assert lines[-2]["answers"]["remarks"] == ODD
    assert lines[-1]["type"] == "end"
    assert [line["ratings"] for line in lines if line["type"] == "rating"] == [[2], [2]]
    assert "C0DE42" in rater.text()
    link = rater.page.get_by_role("link", name="Confirm that you are done")
    assert link.get_attribute("href") == completion["redirect"]
    rater.quiet(server.address)
    before = len(lines)
    rater.page.reload()
    rater.at("Thank you")
    assert len(server.lines()) == before
    assert rater.stored() == []  # what is stored there needs no copy here


def test_half_a_character_does_no_harm(opened, serve):
    server = serve(trials=1, questionnaire=made_sites.QUESTIONNAIRE)
    rater = opened(server.address)
    rater.begin()
    rater.start()
    rater.answer()
    rater.at("A few last questions")
    rater.page.get_by_label("Anything else?").evaluate("(box) => { box.value = 'x\\ud83d \\0y'; }")
    rater.page.get_by_label("earphones").check()
    rater.press("Continue")
    rater.at("Thank you")
    assert server.lines()[-2]["answers"]["remarks"] == "x\ufffd \ufffdy"


@pytest.mark.parametrize("mode", ["broken", "drop", "refuse"])
def test_a_server_that_fails_at_the_end(mode, opened, serve):
    server = serve(trials=1)
    rater = opened(server.address)
    rater.begin()
    rater.start()
    server.mode = mode
    rater.answer()
    rater.at("Your answers could not be sent")
    assert "C0DE42" not in rater.text()
    lines = rater.save()
    assert sequential(lines)
    assert [line["type"] for line in lines][-2:] == ["rating", "end"]
    assert "C0DE42" in rater.text()
    server.mode = ""
    if mode == "refuse":  # which is not asked again by itself
        rater.press("Try again")
    rater.at("Thank you")
    assert server.lines() == lines


def test_answers_wait_while_the_server_is_away(opened, serve):
    server = serve(trials=2)
    rater = opened(server.address)
    rater.begin()
    rater.start()
    server.mode = "broken"
    rater.answer()
    rater.until("document.getElementById('banner').textContent.includes('kept here')")
    server.mode = ""
    rater.answer()
    rater.at("Thank you")
    rater.until("document.getElementById('banner').textContent === ''")
    assert sequential(server.lines())


def test_the_rest_is_sent_when_the_page_goes(opened, serve):
    server = serve(trials=2)
    rater = opened(server.address)
    rater.begin()
    rater.start()
    server.mode = "broken"
    rater.answer()
    rater.until("document.getElementById('banner').textContent.includes('kept here')")
    server.mode = ""
    rater.page.goto("about:blank")
    rater.page.wait_for_timeout(300)
    assert [line["type"] for line in server.lines()][-1] == "rating"


def test_a_reload_and_two_clicks_store_every_line_once(opened, serve):
    server = serve(trials=2)
    rater = opened(server.address)
    rater.begin("Kim")
    rater.start()
    rater.hear()
    rater.page.keyboard.press("3")
    rater.page.evaluate(
        "() => { const next = document.getElementById('next'); next.click(); next.click(); }"
    )
    rater.at("Question 2 of 2")
    rater.page.reload()
    rater.at("Question 2 of 2")
    rater.answer("1")
    rater.at("Thank you")
    lines = server.lines()
    assert sequential(lines)
    assert [line["ratings"] for line in lines if line["type"] == "rating"] == [[3], [1]]
    assert len(server.sessions) == 1


def test_withdrawing_tells_the_server(opened, serve):
    server = serve()
    rater = opened(server.address)
    rater.begin()
    rater.start()
    rater.press("Withdraw")
    rater.press("Withdraw and delete")
    rater.until("document.body.textContent.includes('The server has been told.')")
    assert server.lines()[-1]["type"] == "withdraw"
    assert sequential(server.lines())
    assert rater.page.evaluate("localStorage.length") == 0


def test_withdrawing_after_the_end_names_who_to_write_to(opened, serve):
    server = serve(trials=1)
    rater = opened(server.address)
    rater.begin()
    rater.start()
    rater.answer()
    rater.at("Thank you")
    (session,) = server.sessions
    rater.press("Withdraw")
    rater.press("Withdraw and delete")
    rater.until(f"document.body.textContent.includes('name the session {session}')")
    assert "study@example.org" in rater.text()
    assert rater.page.evaluate("localStorage.length") == 0


def test_a_forced_list_is_not_sent(opened, serve):
    server = serve(trials=1)
    rater = opened(f"{server.address}/?list=l02&simulated=1")
    rater.begin()
    rater.start()
    rater.answer()
    rater.at("Save your answers")
    lines = rater.save()
    assert (lines[0]["list"], lines[0]["simulated"]) == ("l02", True)
    assert server.sessions == {}
    rater.quiet(server.address)


@pytest.mark.parametrize("code", ["tampered", "missing", "decode"])
def test_audio_that_is_not_what_it_was(code, opened, serve):
    server = serve("ab", trials=2)
    site = server.site
    name = made_sites.read(site, "lists")["l00"][0]["tokens"][1]
    path = site / "audio" / f"{name}.wav"
    if code == "missing":
        server.missing.add(f"/audio/{name}.wav")
    else:
        sound = path.read_bytes()
        path.write_bytes(sound[:-2] + b"ab" if code == "tampered" else b"no audio at all")
    if code == "decode":
        bundle = made_sites.read(site, "bundle")
        bundle["audio"]["sha256"][name] = made_sites.digest(path)
        write_site(site, bundle, made_sites.read(site, "lists"))
    rater = opened(server.address)
    rater.begin()
    rater.start()
    rater.until("document.querySelector('.trouble:not([hidden])') !== null")
    assert f"Code: {code}" in rater.text()
    rater.press("Try again")
    rater.press("Skip this question")
    rater.answer()
    rater.at("Thank you")
    lines = server.lines()
    problems = {(line["code"], line["token"]) for line in lines if line["type"] == "problem"}
    assert problems == {(code, name)}
    ratings = [line for line in lines if line["type"] == "rating"]
    assert [line["ratings"] for line in ratings] == [None, [0]]
    assert ratings[0]["problem"] == code


def test_audio_that_does_not_come_is_told_in_time(opened, serve):
    server = serve(trials=1)
    name = made_sites.read(server.site, "lists")["l00"][0]["tokens"][0]
    rater = opened(server.address)
    held = []
    rater.page.route(f"**/{name}.wav", lambda route: held.append(route))
    rater.begin()
    rater.start()
    begun = rater.page.evaluate("performance.now()")
    rater.until("document.body.textContent.includes('Code: stalled')")
    assert rater.page.evaluate("performance.now()") - begun < 5000
    held[0].continue_()
    rater.answer()  # it came after all
    rater.at("Thank you")


def test_only_the_next_clips_are_loaded_ahead(opened, serve):
    server = serve(trials=5, break_every=0)
    rater = opened(server.address)
    rater.begin()
    rater.start()
    rater.hear()
    trials = made_sites.read(server.site, "lists")["l00"]
    loaded = [url.rpartition("/")[2] for url in rater.requests if "/audio/" in url]
    assert loaded == [f"{trial['tokens'][0]}.wav" for trial in trials[:3]]


@pytest.mark.parametrize("name", ["Zoë 漢", "pid-5", ""])
def test_without_a_collector_the_list_follows_from_the_name(name, opened, serve):
    server = serve(trials=1, endpoint=None)
    rater = opened(server.address)
    rater.begin(name)
    rater.start()
    rater.answer()
    rater.at("Save your answers")
    session = rater.save()[0]
    lists = list(made_sites.read(server.site, "lists"))
    assert session["list"] == made_sites.list_by_hash(name or session["session"], lists)
    rater.quiet(server.address)


def test_a_host_without_a_collector_is_found_out(opened, serve):
    server = serve(trials=1)
    server.collecting = False
    rater = opened(server.address)
    rater.begin()
    rater.start()
    rater.answer()
    rater.at("Save your answers")
    assert not any("sessions" in url for url in rater.requests)


def test_a_server_of_another_test_is_refused(opened, serve):
    server = serve()
    server.bundle["content_sha256"] = "0" * 64
    rater = opened(server.address)
    rater.begin()
    rater.until("document.body.textContent.includes('belong to different tests')")
    assert rater.page.evaluate("localStorage.length") == 0


def test_the_single_file_needs_no_neighbour(opened, tmp_path):
    site = made_sites.write(tmp_path, "smos", trials=1)
    target = tmp_path / "elsewhere" / "test.html"
    write_offline(site, target)
    rater = opened(target.as_uri())
    rater.begin()
    rater.start()
    rater.answer("4")
    lines = [json.loads(line) for line in rater.saved().splitlines()]
    assert [line["ratings"] for line in lines if line["type"] == "rating"] == [[4]]
    rater.quiet()
    assert [url for url in rater.requests if not url.startswith(("data:", "blob:"))] == [
        target.as_uri()
    ]
