"""One clip has a bound of time, whatever its attempts and pauses come to."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest

from mamtra_eval.config import ExecutionConfig
from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.systems import _http_client, http


def test_a_clip_is_given_up_when_another_attempt_would_come_too_late() -> None:
    client = _failing("HTTP 503: busy", wait_s=60.0, total_timeout_s=30.0)
    start = time.monotonic()
    with pytest.raises(SynthesisError, match=r"busy .attempt 1; another would not fit into total"):
        asyncio.run(client.fetch({}, random.Random(0)))
    assert time.monotonic() - start < 1


def test_attempts_and_pauses_stay_within_the_total() -> None:
    client = _failing("HTTP 500: broken", wait_s=0.05, total_timeout_s=0.3, retries=1000)
    start = time.monotonic()
    with pytest.raises(SynthesisError, match=r"another would not fit into total_timeout_s=0.3"):
        asyncio.run(client.fetch({}, random.Random(0)))
    assert time.monotonic() - start < 1


def test_an_attempt_ends_with_the_total(monkeypatch: pytest.MonkeyPatch) -> None:
    client = _client(timeout_s=60.0, total_timeout_s=0.2)
    monkeypatch.setattr(client, "_post", lambda body: asyncio.sleep(30))
    start = time.monotonic()
    with pytest.raises(SynthesisError, match=r"within the 0.2 s left of total_timeout_s"):
        asyncio.run(client.fetch({}, random.Random(0)))
    assert time.monotonic() - start < 1


def test_the_total_is_below_the_limit_of_a_run_and_no_part_of_the_identity() -> None:
    assert http.DEFAULTS["total_timeout_s"] < ExecutionConfig().timeout_s
    assert "total_timeout_s" not in http.create({"url": "http://h/"}).identity([])
    with pytest.raises(UserError, match="total_timeout_s"):
        http.create({"url": "http://h/", "total_timeout_s": 0})


def _client(**options: Any) -> _http_client.Client:
    return _http_client.Client({**http.DEFAULTS, "url": "http://h/p", **options}, None)


def _failing(reason: str, wait_s: float, **options: Any) -> _http_client.Client:
    client = _client(**options)

    async def attempt(body: object, left_s: float) -> _http_client.Answer:
        raise _http_client._Again(reason, wait_s)

    client._attempt = attempt
    return client
