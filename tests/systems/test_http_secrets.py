"""Secrets in an address: refused before anything is written, and not shown by the refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mamtra_eval import targets
from mamtra_eval.errors import UserError
from mamtra_eval.systems import http

SECRET = "hunter2"
SECRET_URLS = [
    f"http://user:{SECRET}@h/p",
    f"https://{SECRET}@h:8000/p?model=m",
    f"http://user:{SECRET}@h:99999/p",
    f"http:/user:{SECRET}@h/p",
    f"http://h/p#access_token={SECRET}",
    *(
        f"http://h/p?model=m&{name}={SECRET}"
        for name in (
            "key", "KEY", "api_key", "apiKey", "api-key", "apikey", "x-api-key", "APIKey", "token",
            "access_token", "accessToken", "auth", "signature", "X-Amz-Signature", "sig", "secret",
            "client_secret", "password", "pwd", "jwt", "code", "subscription-key", "%6Bey",
        )
    ),
    f"http://h/p?a=1;token={SECRET}",
    f"http://h/p?api_key_env={SECRET}-live",
    f"http://h/p?extra=%7B%22token%22%3A+%22{SECRET}%22%7D",
]  # fmt: skip


@pytest.mark.parametrize("url", SECRET_URLS)
def test_an_address_with_a_secret_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(UserError) as caught:
        http.create({"url": url})
    assert SECRET not in str(caught.value)
    assert "api_key_env=NAME" in str(caught.value) or "http://HOST:PORT" in str(caught.value)


@pytest.mark.parametrize(
    "extra",
    [
        {"api_key": SECRET}, {"token": SECRET}, {"a": {"b": [{"accessToken": SECRET}]}},
        {"auth": {"value": SECRET}}, {"password": 7}, {"token": [SECRET]},
    ],
)  # fmt: skip
def test_a_secret_in_extra_is_refused_without_showing_it(extra: dict[str, Any]) -> None:
    text = json.dumps(extra)
    twice = text.replace("{", '{"token": "' + SECRET + '", "token": 1, ', 1)
    for each in (text, twice):
        with pytest.raises(UserError, match="looks like a secret") as caught:
            http.create({"url": "http://h/p", "extra": each})
        assert SECRET not in str(caught.value)
        assert "api_key_env=NAME" in str(caught.value)
    for shape in ("openai", "cosyvoice"):
        with pytest.raises(UserError) as caught:  # cut short, it is no JSON
            http.create({"url": "http://h", "shape": shape, "extra": text[:-1]})
        assert SECRET not in str(caught.value)


def test_other_fields_stay_in_extra() -> None:
    extra = {
        "max_tokens": 5, "tokens": ["a"], "max_new_tokens": 9, "min_token_text_ratio": 2.0,
        "stop_token_ids": [1, 2], "eos_token": "</s>", "language_code": "en", "code": "en",
        "auth": None, "use_token": True, "nested": {"author": "x"},
    }  # fmt: skip
    made = http.create({"url": "http://h/p", "extra": json.dumps(extra)})
    assert made.identity([])["extra"] == extra


@pytest.mark.parametrize(
    "query", ["tenant=1", "monkey=1", "max_tokens=5", "language_code=en", "passage=2", "author=x"]
)
def test_other_parameters_stay_in_the_address(query: str) -> None:
    made = http.create({"url": f"http://h/@org/p?{query}"})
    assert query in made.identity([])["url"]


def test_two_targets_of_one_address_are_refused_for_the_secret_first() -> None:
    url = f"http://h/p?key={SECRET}"
    with pytest.raises(UserError, match="api_key_env") as caught:
        targets.name_all([url, url])
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", [f"http://u:{SECRET}@h/p", f"http://h/p?api_key={SECRET}",
    f"http://h/p?api_key_env={SECRET}-live", f'http://h/p?extra={{"api_key":"{SECRET}"}}',
])  # fmt: skip
@pytest.mark.parametrize("name", ["", "mine="])
def test_a_secret_never_reaches_a_run_folder(
    cli: Callable[..., Any], make_list: Callable[..., Path], tmp_path: Path, url: str, name: str
) -> None:
    run, meta = tmp_path / "run", make_list(1)
    done = cli("evaluate", f"{name}{url}", "--testset", meta, "--metrics", "health", "--out", run)
    _refused(done, run)
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"testset": str(meta), "systems": {"a": url}}))
    _refused(cli("run", config, "--out", run), run)


def test_a_run_that_exists_is_left_as_it_is(
    cli: Callable[..., Any], make_list: Callable[..., Path], tmp_path: Path
) -> None:
    run, meta = tmp_path / "run", make_list(1)
    arguments = ("--testset", meta, "--metrics", "health", "--out", run)
    assert cli("evaluate", "recorded", *arguments).returncode == 0
    assert cli("evaluate", f"http://h/p?token={SECRET}", *arguments).returncode == 2
    written = [path for path in run.rglob("*") if path.is_file()]
    assert {"run.sqlite", "run.yaml"} <= {path.name for path in written}
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]


def _refused(done: Any, run: Path) -> None:
    assert done.returncode == 2, done.stderr
    assert "api_key_env=NAME" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert not run.exists()
