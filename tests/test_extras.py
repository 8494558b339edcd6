"""Optional packages: each way of being absent or broken is told with what mends it."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from mamtra_eval import cli as command_line
from mamtra_eval import extras
from mamtra_eval.cli import doctor
from mamtra_eval.errors import MissingExtra

Fake = Callable[..., None]
OWN = ("a feature", "fake-package", "asr")
NO_CUDA = 'raise OSError("libcudart.so.13: cannot open shared object file: No such file")'


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fake:
    """Put modules with the given source in front of all others, as installed packages."""

    def make(distribution: str = "", **sources: str) -> None:
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source + "\n")
            monkeypatch.delitem(sys.modules, name, raising=False)
        if distribution:
            info = tmp_path / f"{distribution.replace('-', '_')}-7.0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\n"
                                           "Version: 7.0\n")  # fmt: skip
        monkeypatch.syspath_prepend(str(tmp_path))

    return make


@pytest.mark.parametrize(
    ("sources", "cause", "fix"),
    [
        ({"fake_extra": NO_CUDA}, "fake_extra: OSError: libcudart.so.13", "CUDA build of torch"),
        (
            {"fake_extra": "import fake_audio", "fake_audio": NO_CUDA},
            "fake_audio: OSError: libcudart.so.13",
            "The wheel of fake_audio is built for CUDA",
        ),
        (
            {"fake_extra": 'raise OSError("libsndfile.so.1: cannot open shared object file")'},
            "OSError: libsndfile.so.1",
            "Install the system library",
        ),
        (
            {"fake_extra": 'raise ImportError("a.so: undefined symbol: _ZN3c10")'},
            "ImportError: a.so: undefined symbol",
            "release of fake_extra that belongs to the torch",
        ),
        (
            {"fake_extra": "import absent_neighbour"},
            "ModuleNotFoundError: No module named 'absent_neighbour'",
            "Install what is missing with: pip install --upgrade 'mamtra-eval[asr]'",
        ),
        (
            {"fake_extra": "import json; json.gone"},
            "AttributeError: module 'json'",
            "pip install --force-reinstall 'mamtra-eval[asr]'",
        ),
        (
            {
                "fake_extra": "try:\n    raise OSError('libnvrtc.so is not here')\n"
                "except OSError as error:\n    raise OSError('can not load\\nit') from error"
            },
            "OSError: libnvrtc.so is not here)",
            "CUDA build",
        ),
    ],
)
def test_what_is_broken_is_told_from_the_root(
    fake: Fake, sources: dict[str, str], cause: str, fix: str
) -> None:
    fake(**sources)
    with pytest.raises(MissingExtra) as caught:
        extras.import_extra("fake_extra", *OWN)
    message = str(caught.value)
    assert message.startswith("a feature needs the package fake-package, which is installed but")
    assert cause in message
    assert fix in message
    assert "\n" not in message
    assert str(pickle.loads(pickle.dumps(caught.value))) == message  # it comes from workers


def test_what_is_absent_is_told_with_its_extra() -> None:
    for attempt in (
        lambda: extras.import_extra("no_such_module_here", *OWN),
        lambda: extras.import_extra("no_such_module_here.part", *OWN),
        lambda: extras.extra_version(*OWN),
    ):
        with pytest.raises(MissingExtra) as caught:
            attempt()
        assert str(caught.value) == (
            "a feature needs the package fake-package, which is not installed. "
            "Install it with: pip install 'mamtra-eval[asr]'."
        )


def test_what_is_there_is_returned(fake: Fake) -> None:
    fake("fake-package", fake_extra="answer = 42")
    assert extras.import_extra("fake_extra", *OWN).answer == 42
    assert extras.extra_version(*OWN) == "7.0"


def test_the_doctor_tells_absent_from_unusable(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(fake_audio=NO_CUDA, fake_good="__version__ = '2'")
    names = ("fake_audio", "fake_good", "fake_absent")
    monkeypatch.setattr(doctor, "EXTRAS", {name: ("speaker", name, "testing") for name in names})
    monkeypatch.setattr(sys, "argv", ["mamtra-eval", "doctor", "--json"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 0
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert [checks[name]["state"] for name in names] == ["unusable", "ok", "absent"]
    assert "OSError: libcudart.so.13" in checks["fake_audio"]["detail"]
    assert "CUDA build of torch" in checks["fake_audio"]["fix"]
    assert checks["fake_absent"]["fix"] == "pip install 'mamtra-eval[speaker]'"


@pytest.mark.parametrize("metrics", [(), ("--metrics", "wer,similarity")])
@pytest.mark.parametrize(
    ("setting", "package"),
    [("asr.backend=whisper", "openai-whisper"), ("speaker.encoder=speechbrain", "speechbrain")],
)
def test_what_was_chosen_and_is_absent_ends_the_command_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mini: Path,
    tmp_path: Path, metrics: tuple[str, ...], setting: str, package: str,
) -> None:  # fmt: skip
    def absent(name: str) -> str:
        if name == package:
            raise PackageNotFoundError(name)
        return real(name)

    real: Any = extras.version
    monkeypatch.setattr(extras, "version", absent)
    arguments = ["evaluate", "recorded", "--testset", str(mini / "meta.lst"), "--limit", "1",
                 "--set", setting, *metrics, "--out", str(tmp_path / "run")]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["mamtra-eval", *arguments])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert f"needs the package {package}, which is not installed" in told.err
    assert "pip install 'mamtra-eval[" in told.err
    assert not (tmp_path / "run").exists()
