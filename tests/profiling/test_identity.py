"""Under what a profile was taken, and whether the device was free."""

from __future__ import annotations

from pathlib import Path

import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.profiling import busy, identity

STAT = "cpu  {user} 0 0 {idle} 0 0 0 0 0 0\n"


def test_the_same_machine_and_settings_are_one_session() -> None:
    one, two = (identity.collect("cpu", "fp32", "fp32", "fp32") for _ in range(2))
    assert identity.session(one) == identity.session(two)
    assert identity.differences(one, two) == []
    assert (one["device_type"], one["weights"]) == ("cpu", "fp32")
    assert one["device"]


def test_another_type_or_environment_is_another_session(monkeypatch: pytest.MonkeyPatch) -> None:
    one = identity.collect("cpu", "fp32", "fp32", "fp32")
    other = identity.collect("cpu", "bf16", "fp32", "fp32")
    assert identity.session(one) != identity.session(other)
    assert identity.differences(one, other) == ["weights: fp32 / bf16"]
    monkeypatch.setenv("OMP_NUM_THREADS", "97")
    assert identity.session(identity.collect("cpu", "fp32", "fp32", "fp32")) != identity.session(
        one
    )


def test_differences_name_what_one_has_and_the_other_lacks() -> None:
    assert identity.differences({"a": 1}, {"b": 2}) == ["a: 1 / none", "b: none / 2"]


def fake_smi(folder: Path, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver's program that tells this."""
    program = folder / identity.SMI
    program.write_text(f"#!/bin/sh\necho '{told}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_what_the_driver_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_smi(tmp_path, "570.1, Disabled", monkeypatch)
    found = identity.smi("cuda:0", ("driver_version", "mig.mode.current"))
    assert found == {"driver_version": "570.1", "mig.mode.current": "Disabled"}


def test_without_the_drivers_program_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert identity.smi("cuda", ("memory.used",)) == {}
    assert busy.used_mib("cuda") is None
    assert busy.look("cuda").startswith("unknown")
    busy.refuse(busy.look("cuda"), "cuda")


def test_a_field_that_a_driver_does_not_know_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / identity.SMI
    program.write_text("#!/bin/sh\ncase $1 in *new*) exit 2;; *) echo 41;; esac\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert identity.smi("cuda", ("temperature.gpu", "new.field")) == {"temperature.gpu": "41"}


@pytest.mark.parametrize(("held", "word"), [("12", "free"), ("601", "busy"), ("20480", "busy")])
def test_a_device_that_others_use_is_busy(
    held: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_smi(tmp_path, held, monkeypatch)
    looked = busy.look("cuda:0")
    assert looked.startswith(word)
    assert f"{int(held):,} MiB" in looked
    if word == "busy":
        with pytest.raises(UserError, match="others hold"):
            busy.refuse(looked, "cuda:0")
    else:
        busy.refuse(looked, "cuda:0")


@pytest.mark.parametrize(("user", "idle", "share"), [(50, 150, 0.25), (0, 200, 0.0), (200, 0, 1.0)])
def test_the_share_of_the_processor_that_is_taken(
    user: int, idle: int, share: float, tmp_path: Path
) -> None:
    stat = tmp_path / "stat"
    stat.write_text(STAT.format(user=1000, idle=5000))

    def sleep(_: float) -> None:
        stat.write_text(STAT.format(user=1000 + user, idle=5000 + idle))

    assert busy.taken(stat, sleep) == pytest.approx(share)


def test_a_processor_that_tells_nothing_is_taken_for_free(tmp_path: Path) -> None:
    assert busy.taken(tmp_path / "none", lambda _: None) == 0.0
    (tmp_path / "odd").write_text("not a table")
    assert busy.taken(tmp_path / "odd", lambda _: None) == 0.0
