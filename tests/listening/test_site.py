"""The site's files: the same bytes each time, texts that can't end a script, one file for all."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.listening import site as sites
from tests.listening import made_sites


def test_every_file_of_the_page_is_there_and_loaded(tmp_path):
    site = made_sites.write(tmp_path)
    page = (site / "index.html").read_text(encoding="utf-8")
    named = re.findall(r'(?:src|href)="([\w.]+)"', page)
    there = {path.name for path in site.iterdir() if path.is_file()}
    assert set(named) | {"index.html"} == there
    assert len(named) == len(set(named))


def test_the_same_bytes_each_time(tmp_path):
    first, second = made_sites.write(tmp_path / "a"), made_sites.write(tmp_path / "b")
    for path in first.glob("*.*"):
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_texts_cannot_end_a_script(tmp_path):
    odd = "</script><script>alert(1)</script> <!-- & \u2028 \u2029 \ud83d é 漢"
    sites.write_site(tmp_path, {"b": odd, "a": 1}, {"l00": []})
    text = (tmp_path / "bundle.js").read_text(encoding="utf-8")
    assert not re.search("[<>&\u2028\u2029\ud83d]", text)
    assert "é 漢" in text
    assert list(made_sites.read(tmp_path, "bundle").items()) == [("b", odd), ("a", 1)]


def test_refuses_what_is_not_json(tmp_path):
    with pytest.raises(ValueError):
        sites.write_site(tmp_path, {"minutes": float("nan")}, {})
    with pytest.raises(TypeError):
        sites.write_site(tmp_path, {"minutes": {1}}, {})
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_the_site_tells_what_a_clip_is(tmp_path):
    site = made_sites.write(tmp_path)
    told = b"".join(path.read_bytes() for path in sorted(site.rglob("*")) if path.is_file())
    for secret in (b"teacher", b"hybrid", b"recordings", b"utt-"):
        assert secret not in told


def test_one_file_holds_all_and_admits_its_own_scripts_alone(tmp_path):
    site = made_sites.write(tmp_path, trials=1)
    target = tmp_path / "offline" / "test.html"
    sites.write_offline(site, target)
    text = target.read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    policy = re.search(r'Policy" content="([^"]*)"', text)[1].replace("&#x27;", "'")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digests = [
        "'sha256-" + base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() + "'"
        for one in scripts
    ]
    assert f"script-src {' '.join(digests)};" in policy
    assert "unsafe" not in policy
    found = dict(re.findall(r'data-token="(\w+)">data:audio/wav;base64,([^<]*)<', text))
    assert set(found) == {path.stem for path in (site / "audio").iterdir()}
    for name, data in found.items():
        assert base64.b64decode(data) == (site / "audio" / f"{name}.wav").read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["test.html"]


def test_refuses_too_much_audio_for_one_file(tmp_path, monkeypatch):
    site = made_sites.write(tmp_path)
    size = sum(path.stat().st_size for path in (site / "audio").iterdir())
    monkeypatch.setattr(sites, "OFFLINE_LIMIT_BYTES", size - 1)
    with pytest.raises(UserError, match="a single file takes"):
        sites.write_offline(site, tmp_path / "test.html")
    assert not (tmp_path / "test.html").exists()
    monkeypatch.setattr(sites, "OFFLINE_LIMIT_BYTES", size)
    sites.write_offline(site, tmp_path / "test.html")


def test_refuses_a_folder_that_is_no_site(tmp_path):
    with pytest.raises(UserError, match="no site with audio"):
        sites.write_offline(tmp_path, tmp_path / "test.html")
