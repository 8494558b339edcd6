"""``listen`` as a user types it: from a run to the leaderboard, and what is said of mistakes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "reports" / "example"
EXPORT = ("--systems", "recordings,teacher,1-1", "--items", "8", "--replicates", "1",
          "--sample-rate", "8000", "--headphones", "0", "--seed", "0")  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle made once; tests take copies."""
    from typer.testing import CliRunner

    from mamtra_eval.cli import app

    out = tmp_path_factory.mktemp("listen") / "bundle"
    done = CliRunner().invoke(app, ["listen", "export", str(RUN), str(out), *EXPORT])
    assert done.exit_code == 0, done.output
    assert "mos, 4 systems, 8 sentences, 4 lists of 14 trials (8 rated)" in done.output
    assert "! A rehearsal: give --consent FILE" in done.output
    return out


@pytest.mark.slow
def test_from_a_run_to_its_leaderboard(cli, bundle: Path, tmp_path: Path):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(RUN / "run.sqlite", run)
    shutil.copytree(bundle, tmp_path / "b")
    done = cli("listen", "simulate", "b", "--raters", 20, "--cheats", "straight=2")
    assert done.returncode == 0, done.stderr
    assert "20 simulated sessions" in done.stdout
    done = cli("listen", "analyse", "b")
    assert done.returncode == 0, done.stderr
    assert "20 sessions, 18 kept" in done.stdout
    assert "SIMULATED: 20 of these sessions" in done.stdout
    assert "imulated" in (tmp_path / "b/listening.html").read_text()
    refused = cli("listen", "analyse", "b", "--into", "run")
    assert refused.returncode == 2
    assert "some of the ratings are simulated" in refused.stderr

    shutil.copytree(bundle, tmp_path / "c")
    text = (tmp_path / "b/ratings/simulated-0.jsonl").read_text()
    people = tmp_path / "people.jsonl"
    people.write_text(text.replace('"simulated":true', '"simulated":false')
                      .replace('"simulated": true', '"simulated": false'))  # fmt: skip
    done = cli("listen", "ingest", "c", "people.jsonl")
    assert done.returncode == 0, done.stdout + done.stderr
    done = cli("listen", "analyse", "c", "--into", "run", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["simulated"] == 0
    assert "NMOS ↑" in (run / "leaderboard.md").read_text()


@pytest.mark.parametrize("edit", ["bundle.json", "PREREG.md", "SHA256SUMS"])
def test_a_bundle_changed_after_its_export_gives_no_score(cli, bundle, tmp_path, edit):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(RUN / "run.sqlite", run)
    shutil.copytree(bundle, tmp_path / "b")
    assert cli("listen", "simulate", "b", "--raters", 8).returncode == 0
    path = tmp_path / "b" / edit
    if edit == "SHA256SUMS":
        path.unlink()
    else:
        path.write_text(path.read_text() + "\n")
    done = cli("listen", "analyse", "b", "--into", "run")
    assert done.returncode == 2
    assert f"changed since the export: {edit}" in done.stderr
    assert "Traceback" not in done.stderr
    page = (tmp_path / "b/listening.html").read_text()
    assert "Bundle changed since its export" in page
    assert "settled before" not in page
    assert not (run / "leaderboard.md").exists()


def test_ingest_says_what_it_refused_and_exits_with_one(cli, bundle: Path, tmp_path: Path):
    shutil.copytree(bundle, tmp_path / "b")
    (tmp_path / "bad.csv").write_text("session,rater,trial,token,rating\ns1,r1,l000_01,s_0,4\n")
    done = cli("listen", "ingest", "b", "bad.csv")
    assert done.returncode == 1
    assert "refused, line 2" in done.stdout
    done = cli("listen", "ingest", "b", "nowhere.csv")
    assert done.returncode == 2
    assert "nowhere.csv" in done.stderr


def test_a_plan_says_what_cannot_be_seen(cli):
    done = cli("listen", "plan", RUN, "--items", 16, "--difference", 0.05, "--pay-per-hour", 12)
    assert done.returncode == 0, done.stderr
    assert "can't be seen with 24 raters and 16 sentences" in done.stdout
    assert "all sessions cost" in done.stdout
    told = json.loads(cli("listen", "plan", RUN, "--kind", "ab", "--json").stdout)
    assert told["votes_needed"]["0.55"] == 783


def test_analysis_without_ratings_says_that_there_are_none(cli, bundle: Path, tmp_path: Path):
    shutil.copytree(bundle, tmp_path / "b")
    done = cli("listen", "analyse", "b")
    assert done.returncode == 2
    assert "no ratings" in done.stderr
    assert "listen ingest" in done.stderr


def test_a_rehearsal_is_not_served_to_others(cli, bundle: Path):
    done = cli("listen", "serve", bundle, "--host", "0.0.0.0", "--port", 0)
    assert done.returncode == 2
    assert "rehearsal" in done.stderr
    assert "listen consent" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("export", RUN, "out", "--kind", "moss"), "no kind of listening test named 'moss'"),
        (("export", RUN, "out", "--loudness", "loud"), "--loudness takes LUFS"),
        (("export", RUN, "out", "--pairs", "some"), "--pairs takes baseline or all"),
        (("export", RUN, "out", "--format", "p808", "--kind", "ab"), "p808"),
        (("export", "nowhere", "out"), "no run here"),
        (("serve", "."), "no bundle here"),
        (("simulate", ".",), "no bundle here"),
    ],
)  # fmt: skip
def test_mistakes_get_one_sentence(cli, tmp_path, arguments, words):
    done = cli("listen", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_consent_template_can_be_filled_in(cli):
    done = cli("listen", "consent")
    assert "[NAME OF THE INSTITUTION]" in done.stdout
