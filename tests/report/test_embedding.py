"""Audio inside of the file: every file once, its size said and bounded beforehand."""

from __future__ import annotations

import base64
import re

import pytest

from mamtra_eval import config as configuration
from mamtra_eval import pipeline
from mamtra_eval.errors import UserError
from mamtra_eval.report import _embedding as embedding
from mamtra_eval.report import html as report


@pytest.fixture
def data(sample, tmp_path):
    data = sample.build(3, 6)
    sample.write_audio(tmp_path, data, seconds=0.2)
    return data


def _media(text: str) -> list[str]:
    return re.findall(r'<script type="text/plain" id="medium-\d+">(.*?)</script>', text)


def test_every_file_is_embedded_once_and_as_it_is(data, tmp_path):
    plan = embedding.plan(data, tmp_path)
    made = [clip for clip in data["clips"] if clip["audio"]]
    assert plan.clips == len(made)
    assert len(plan.files) == len(made) + 3 + 6  # prompts, and recordings of the utterances
    media = _media(report.render(plan.data, plan.texts()))
    assert sum(map(len, media)) == plan.size
    head, _, body = media[plan.data["clips"][0]["audio"]].partition(",")
    assert head == "data:audio/flac;base64"
    assert base64.b64decode(body) == (tmp_path / data["clips"][0]["audio"]).read_bytes()


def test_without_embedding_no_file_is_in_it(data):
    assert _media(report.render(data)) == []


def test_only_the_worst_utterances(data, tmp_path):
    for clip in data["clips"]:
        clip["values"]["wer"] = 0.1
    worst = data["clips"][10]
    worst["values"]["wer"] = 0.9
    plan = embedding.plan(data, tmp_path, utterances=1)
    embedded = {clip["utterance"] for clip in plan.data["clips"] if isinstance(clip["audio"], int)}
    assert embedded == {worst["utterance"]}
    assert "1 utterances" in plan.data["audio"]
    assert all(isinstance(clip["audio"], str | int | None) for clip in plan.data["clips"])


def test_files_that_are_not_there_stay_links(sample, tmp_path):
    plan = embedding.plan(sample.build(2, 3), tmp_path)
    assert (plan.clips, plan.files, plan.size) == (0, (), 0)
    assert plan.data["clips"][0]["audio"].endswith(".flac")


def test_too_much_is_refused_with_the_size_and_a_way_out(data, tmp_path):
    plan = embedding.plan(data, tmp_path)
    plan.check(plan.size / 1e6)
    with pytest.raises(UserError) as caught:
        plan.check(plan.size / 1e6 - 0.001)
    assert re.search(r"takes [\d.]+ MB, more than .*--embed-limit-mb \d+", str(caught.value))
    assert str(tmp_path) in str(caught.value)


def test_the_command_says_the_size_and_refuses_before_it_writes(make_list, tmp_path, cli):
    config = configuration.build(
        {"testset": str(make_list(n=3)), "systems": {"r": "recorded"}, "metrics": ["health"]}
    )
    run = pipeline.evaluate(config, tmp_path / "run")
    refused = cli("report", run, "--embed", "--embed-limit-mb", "0.1")
    assert refused.returncode == 2
    assert "Embedding 3 clips, 4 files, 0.2 MB as text." in refused.stderr
    assert "--embed-limit-mb" in refused.stderr.split("more than the limit")[1]
    assert not (run / "report.html").exists()
    assert cli("report", run, "--embed").returncode == 0
    assert len(_media((run / "report.html").read_text(encoding="utf-8"))) == 4
    assert cli("report", run).returncode == 0
    assert _media((run / "report.html").read_text(encoding="utf-8")) == []
    assert cli("report", run, "--embed-utterances", "2").returncode == 2
