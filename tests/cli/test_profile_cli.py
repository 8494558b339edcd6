"""``profile`` as a user types it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]

QUICK = ("--contexts", "16", "--runs", "1", "--seconds", "0", "--limit-s", "0.1", "--allow-busy")


def test_a_profile_and_its_report(cli: Cli, tmp_path: Path) -> None:
    made = cli("profile", "t=shape:mini", "h=shape:mini:1:1", "--parts", "flops,time",
               "--out", "run", *QUICK)  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-1] == "run/profile.md"
    assert "h takes less than t from so many tokens on: cache 40, with weights 181" in made.stdout
    text = (tmp_path / "run" / "profile.md").read_text()
    assert "### Time per token" in text
    (tmp_path / "run" / "profile.md").unlink()
    again = cli("report", "run")
    assert again.stdout.strip() == "run/profile.md"
    assert (tmp_path / "run" / "profile.md").read_text() == text


def test_one_document(cli: Cli) -> None:
    made = cli("profile", "t=shape:mini", "h=shape:mini:1:1", "--parts", "flops,time", "--json",
               "--contexts", "16,32", *QUICK[2:])  # fmt: skip
    [session] = json.loads(made.stdout)["sessions"]
    assert session["baseline"] == "t"
    assert {row["quantity"] for row in session["rows"]} >= {"time.step", "flops.counted"}
    assert session["break_even"]["time.step"][0]["system"] == "h"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Missing argument"),
        (("nonsense",), "no system named 'nonsense'"),
        (("shape:mini", "--contexts", "a"), "--contexts must be whole numbers"),
        (("shape:mini", "--contexts", "0"), "contexts must be numbers from 2"),
        (("shape:mini", "--streams", ""), "streams must be numbers"),
        (("shape:mini", "--dtype", "fp8"), "no element type 'fp8'"),
        (("shape:mini", "--parts", "tim"), "'tim' is no part"),
        (("shape:mini", "--workloads", "x"), "no workload named 'x'"),
        (("shape:mini", "--workloads", "natural"), "Natural lengths are the part speech"),
        (("shape:mini", "--device", "cuda:7"), "no device 'cuda:7'"),
        (("shape:mini", "--rates", "0"), "--rates must be"),
        (("shape:mini", "--slo-ms", "-1"), "service level must be above 0"),
        (("shape:mini", "--runs", "0"), "runs must be at least 1"),
        (("a=shape:mini", "a=shape:mini:1:1"), "two systems are named"),
        (("shape:mini", "--baseline", "x", "--parts", "flops"), "none of the profiled"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_a_paragraph(
    cli: Cli, arguments: tuple[str, ...], says: str
) -> None:
    done = cli("profile", *arguments, *(() if "--contexts" in arguments else QUICK[:2]),
               "--allow-busy")  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert says in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_a_folder_without_anything_is_told(cli: Cli, tmp_path: Path) -> None:
    from mamtra_eval.store import Store

    with Store(tmp_path / "run"):
        pass
    done = cli("report", "run")
    assert done.returncode == 2
    assert "neither an evaluation nor a profile" in done.stderr
