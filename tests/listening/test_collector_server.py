"""The collector as a real process: killed, stopped, flooded, and with 200 raters at once."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import socket
from collections import Counter
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.listening.bundle import COLLECTED, Bundle
from mamtra_eval.listening.collect import serving as collector
from mamtra_eval.listening.collect.reading import read_sessions
from tests.listening.collect_pages import (
    JSON,
    Connection,
    form,
    kept,
    record,
    running,
    secret,
    uuid,
    write_bundle,
)
from tests.listening.test_collector import TRAVERSALS

TRIALS = 50


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path)


def post(connection: HTTPConnection, path: str, value: Any) -> Any:
    connection.request("POST", path, json.dumps(value), JSON)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body
    return json.loads(body)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_quietly_when_it_is_told_to(number: signal.Signals, bundle: Bundle) -> None:
    with running(bundle) as server:
        idle = HTTPConnection("127.0.0.1", server.port)
        post(idle, "/api/sessions", form(bundle, 1))  # its connection stays open
        code, out, errors = server.end(number)
        idle.close()
    assert (code, out, errors) == (0, "stopped\n", "")
    names = {path.name for path in (bundle.folder / "key").iterdir()}
    assert names == {"key.json", "collected.sqlite"}, "the log of the database is put away"


def test_killed_while_writing_it_has_all_that_it_answered_for(bundle: Bundle) -> None:
    answered: dict[int, int] = {}

    def take_part(port: int, number: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            begun = post(connection, "/api/sessions", form(bundle, number))
            lines, done = record(uuid(number), begun["list"], TRIALS), begun["next_seq"]
            while done < len(lines):
                path = f"/api/sessions/{uuid(number)}/events"
                body = {"secret": secret(number), "lines": lines[done : done + 1]}
                done = answered[number] = post(connection, path, body)["next_seq"]
        except (OSError, HTTPException):  # the server is gone
            pass
        finally:
            connection.close()

    rng, cut_short = random.Random(0), 0
    for kill in (True, True, True, False):
        with running(bundle) as server:
            threads = [
                Thread(target=take_part, args=(server.port, number)) for number in range(1, 7)
            ]
            for thread in threads:
                thread.start()
            if kill:
                goal = sum(answered.values()) + rng.randrange(10, 60)
                while sum(list(answered.values())) < goal and any(map(Thread.is_alive, threads)):
                    threads[0].join(0.003)
                server.end(signal.SIGKILL)
            for thread in threads:
                thread.join()
        for one in read_sessions(bundle.folder / COLLECTED):
            number = int(one.session[-12:], 16)
            whole = record(one.session, one.list, TRIALS)
            assert answered.get(number, 0) <= len(one.lines) <= len(whole)
            assert one.lines == tuple(whole[: len(one.lines)])
        cut_short += min(answered.values()) < TRIALS + 2
    assert cut_short > 0
    assert Counter(map(len, kept(bundle).values())) == {TRIALS + 2: 6}


async def _persist(connection: Connection, path: str, value: Any, rng: random.Random) -> Any:
    """Send it until there is an answer, some of which get lost."""
    while True:
        status, headers, answer = await connection.post(path, value)
        if status == 200 and rng.random() < 0.8:
            return answer
        if status != 200:
            assert status in (429, 503), answer
            await asyncio.sleep(float(headers["retry-after"]))


async def _take_part(bundle: Bundle, port: int, number: int, trials: int) -> None:
    rng, connection, second = random.Random(number), Connection(port), Connection(port)
    begun = await _persist(connection, "/api/sessions", form(bundle, number), rng)
    lines, done = record(uuid(number), begun["list"], trials), 0
    path = f"/api/sessions/{uuid(number)}/events"
    while done < len(lines):
        start = max(0, done - rng.randrange(3))  # some of it again
        batch = lines[start : done + rng.randrange(1, 8)]
        body = {"secret": secret(number), "lines": batch}
        ways = [connection, second] if rng.random() < 0.1 else [connection]  # twice at once
        answers = await asyncio.gather(*(_persist(way, path, body, rng) for way in ways))
        done = max(answer["next_seq"] for answer in answers)
    await asyncio.gather(connection.close(), second.close())


def test_200_raters_at_once(bundle: Bundle) -> None:
    raters, trials = 200, 28

    async def all_of_them(port: int) -> None:
        numbers = range(1, raters + 1)
        await asyncio.gather(*(_take_part(bundle, port, number, trials) for number in numbers))

    with running(bundle) as server:
        asyncio.run(all_of_them(server.port))
        server.end(signal.SIGTERM)
    sessions = list(read_sessions(bundle.folder / COLLECTED))
    assert len(sessions) == raters
    for one in sessions:
        assert one.complete
        assert one.lines == tuple(record(one.session, one.list, trials))
    counts = Counter(one.list for one in sessions)
    assert sorted(counts.values()) == [66, 67, 67]


def test_paths_and_bodies_as_they_come_from_the_network(bundle: Bundle) -> None:
    (bundle.folder / "site/link.json").symlink_to(bundle.folder / "key/key.json")
    with running(bundle) as server:
        for path in TRAVERSALS:
            if re.search(r"[^!-~]|^/\?", path) is None:
                connection = HTTPConnection("127.0.0.1", server.port)
                connection.putrequest("GET", path, skip_accept_encoding=True)
                connection.endheaders()
                answer = connection.getresponse()
                assert (answer.status, b"salt" in answer.read()) == (404, False), path
                assert answer.getheader("server") is None
                connection.close()
        assert _flood(server.port, b"content-length: 52428800") < 8_000_000
        assert _flood(server.port, b"transfer-encoding: chunked") < 8_000_000
        assert httpx.get(f"{server.url}api/hello").json()["collecting"]
        head = httpx.head(f"{server.url}api/hello")
        assert (head.status_code, head.content) == (200, b"")


def _flood(port: int, length: bytes) -> int:
    """Send 50 MB to the API; how many bytes went out before the server hung up."""
    head = b"POST /api/sessions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    piece = b"x" * 65536
    if b"chunked" in length:
        piece = b"10000\r\n" + piece + b"\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head + length + b"\r\n\r\n")
        try:
            for _ in range(800):
                connection.sendall(piece)
                sent += len(piece)
        except OSError:
            return sent
    return sent


def test_a_port_that_is_taken(bundle: Bundle) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"{port}/: can't listen there"):
            collector.serve(bundle, port=port)
    with pytest.raises(UserError, match="can't listen"):
        collector.serve(bundle, host="no.such.host.invalid", port=0)
    with pytest.raises(UserError, match="can't listen"):
        collector.serve(bundle, port=70000)


def test_a_bundle_without_a_site_is_not_served(bundle: Bundle) -> None:
    (bundle.folder / "site/index.html").unlink()
    with pytest.raises(UserError, match="no site"):
        collector.serve(bundle, port=0)
