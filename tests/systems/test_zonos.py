import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from mamtra_eval import clones, prompts
from mamtra_eval.errors import MissingExtra, SynthesisError, UserError
from mamtra_eval.systems import Request, _zonos_model, _zonos_options, _zonos_source, zonos
from tests.systems import fake_zonos
from tests.systems.tiny_zonos import CONFIGURATION, HYBRID

OPTIONS = {"env": "none"}


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A fake clone, a module that keeps its calls; its modules are forgotten afterwards."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(_zonos_source, "has_japanese", lambda: True)
    monkeypatch.setattr(_zonos_model, "has_japanese", lambda: False)
    monkeypatch.setattr(_zonos_model, "espeak", lambda: "1.52.0")
    yield fake_zonos.write(tmp_path / "clone")
    for name in [name for name in sys.modules if name.partition(".")[0] == "zonos"]:
        del sys.modules[name]


@pytest.fixture
def folders(tmp_path):
    """Folders of model, codec and speaker network, as the options name them."""
    for name, files in (
        ("model", ("model.safetensors",)), ("dac", ("config.json", "model.safetensors")),
        ("speaker", _zonos_model.SPEAKER.files),
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_bytes(f"{name}/{file}".encode())
    (tmp_path / "model" / "config.json").write_text(json.dumps(CONFIGURATION), "utf-8")
    return {name: str(tmp_path / name) for name in ("model", "dac", "speaker")}


@pytest.fixture
def make(clone, folders):
    """Makes the system on a CPU, with further options."""

    def made(**more):
        options = folders | {"source": str(clone), "any_revision": True, "device": "cpu"} | more
        return zonos.Zonos(_zonos_options.read(options))

    return made


def _calls(kind):
    return [call[1:] for call in sys.modules["zonos.utils"].calls if call[0] == kind]


def test_a_clip(make, prompt, folders):
    system = make(max_new_tokens=50)
    clip = system.speak(Request("u", "Hello there.", prompt_audio=prompt, seed=3))
    assert (clip.sample_rate_hz, len(clip.samples)) == (44100, 12 * 512)
    assert clip.cost == {"tokens": 12.0, "cut": 0.0}
    assert _calls("generate") == [
        (50, 2.0, {"min_p": 0.1, "temperature": 1.0, "repetition_penalty": 3.0,
                   "repetition_penalty_window": 2}, False, True)
    ]  # fmt: skip
    assert _calls("condition") == [("Hello there.", "en-us", 22050.0, 20.0, 15.0, "cpu")]
    assert _calls("dac") == [(folders["dac"],)]
    assert [Path(call[0]).parent for call in _calls("speaker")] == [Path(folders["speaker"])] * 2
    assert _calls("load") == [
        (f"{folders['model']}/config.json", f"{folders['model']}/model.safetensors", "cpu")
    ]


def test_a_clip_depends_on_its_seed_alone(make, prompt):
    system = make()
    one, other = (Request("u", "Hello there.", prompt_audio=prompt, seed=seed) for seed in (1, 2))
    first, second, again = (system.speak(request).samples for request in (one, other, one))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(("most", "cut"), [(11, 1.0), (12, 0.0), (13, 0.0)])
def test_a_clip_that_the_length_ended_is_cut(make, prompt, most, cut):
    clip = make(max_new_tokens=most).speak(Request("u", "Hello there.", prompt_audio=prompt))
    assert clip.cost == {"tokens": float(min(most, 12)), "cut": cut}


def test_a_voice_is_embedded_once_and_forgotten_in_turn(make, prompt, tmp_path, monkeypatch):
    monkeypatch.setattr(prompts, "KEPT", 1)
    system, other = make(), tmp_path / "other.wav"
    soundfile.write(other, np.full(8000, 0.5, np.float32), 22050)
    copy = tmp_path / "copy.wav"
    copy.write_bytes(prompt.read_bytes())
    for path in (prompt, copy, other, prompt):
        system.speak(Request("u", "Hello.", prompt_audio=path))
    assert _calls("voice") == [(16000,), (22050,), (16000,)]


@pytest.mark.parametrize(
    ("request_of", "words"),
    [
        (lambda path: Request("u7", "Hello."), "u7"),
        (lambda path: Request("u", "?!", prompt_audio=path), "nothing to say"),
        (lambda path: Request("u", "Hello.", prompt_audio=path, language="tlh"), "'tlh'"),
        (lambda path: Request("u", "Hello.", prompt_audio=path, language="ja"), "sudachidict_full"),
        (lambda path: Request("u", "Hello.", prompt_audio=path.parent / "no.wav"), "no.wav"),
        (
            lambda path: Request("u", "Hello.", prompt_audio=_short(path)),
            r"takes 0\.1 s at the least",
        ),
    ],
)
def test_what_can_not_be_said(make, prompt, request_of, words):
    with pytest.raises(SynthesisError, match=words):
        make().speak(request_of(prompt))


def _short(path):
    soundfile.write(path.parent / "short.wav", np.zeros(100, np.float32), 16000)
    return path.parent / "short.wav"


@pytest.mark.parametrize(
    ("language", "code"), [("en", "en-us"), ("zh", "cmn"), ("EN", "en-us"), ("de", "de")]
)
def test_languages_of_test_sets(language, code):
    assert _zonos_options.language_code(language) == code


def test_the_language_of_the_options_goes_first(make, prompt):
    make(language="de").speak(Request("u", "Guten Tag.", prompt_audio=prompt, language="en"))
    assert [call[1] for call in _calls("condition")] == ["de"]
    with pytest.raises(UserError, match="Did you mean en-us"):
        make(language="en-uk").prepare()


def test_identity_is_what_decides_the_clips(make, folders):
    one = make().identity([])
    assert json.loads(json.dumps(one)) == one
    assert make(device="cpu").identity([]) == one
    assert one["variant"] == "transformer"
    assert one["source"]["revision"] is None
    for name, value in (
        ("cfg_scale", 3), ("min_p", 0.2), ("seed", None), ("language", "de"), ("compile", "true"),
        ("max_new_tokens", 7), ("speaking_rate", 9), ("repetition_window", 3),
    ):  # fmt: skip
        if value is not None:
            assert make(**{name: value}).identity([]) != one, name
    for name in folders:
        file = next(path for path in Path(folders[name]).iterdir() if path.suffix != ".json")
        before = file.read_bytes()
        file.write_bytes(b"other")
        assert make().identity([]) != one, name
        file.write_bytes(before)
    assert make().identity([]) == one


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cfg_scale": 1}, "without guidance"),
        ({"cfg_scale": -1}, "cfg_scale"),
        ({"min_p": 2}, "min_p"),
        ({"min_p": "nan"}, "min_p"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"precision": "fp16"}, "bf16 alone"),
        ({"compile": "maybe"}, "compile"),
        ({"speakers": "x"}, "Did you mean speaker"),
    ],
)
def test_bad_options(folders, options, words):
    with pytest.raises(UserError, match=words):
        zonos.create(OPTIONS | folders | options)


def test_the_model_must_be_there(tmp_path, monkeypatch):
    monkeypatch.delenv(_zonos_options.MODEL_VARIABLE, raising=False)
    with pytest.raises(MissingExtra, match=r"zonos:model=FOLDER"):
        zonos.create(OPTIONS)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(MissingExtra, match=r"model\.safetensors not there"):
        _zonos_options.require_files(
            zonos.create(OPTIONS | {"model": str(tmp_path)}).settings.model
        )
    with pytest.raises(UserError, match="no such folder"):
        zonos.create(OPTIONS | {"model": str(tmp_path / "no")})
    monkeypatch.setenv(_zonos_options.MODEL_VARIABLE, str(tmp_path))
    (tmp_path / "model.safetensors").touch()
    system = zonos.create(OPTIONS)
    with pytest.raises(UserError, match="no configuration of Zonos"):
        _zonos_options.is_hybrid(system.settings.model)


def test_a_hybrid_says_what_it_needs(make, folders, clone, monkeypatch):
    Path(folders["model"], "config.json").write_text(json.dumps(HYBRID), "utf-8")
    with pytest.raises(MissingExtra, match="CUDA device"):
        make().prepare()
    source = _zonos_source.find(str(clone), any_revision=True)
    monkeypatch.setitem(sys.modules, "mamba_ssm", None)  # no such package, whatever is installed
    with pytest.raises(MissingExtra, match=r"mamba-ssm.*--no-build-isolation"):
        _zonos_model.require_hybrid(source, "cuda")
    source.module("zonos.backbone").BACKBONES["mamba_ssm"] = object
    _zonos_model.require_hybrid(source, "cuda:1")


def test_another_revision_is_refused(clone, folders):
    options = folders | {"source": str(clone), "device": "cpu"}
    with pytest.raises(UserError, match=r"no revision that was tested.*any_revision=true"):
        zonos.Zonos(_zonos_options.read(options)).identity([])


def test_the_fingerprint_is_of_contents(clone):
    one = _zonos_source.PROJECT.fingerprint(clone)
    path = clone / "zonos" / "utils.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert _zonos_source.PROJECT.fingerprint(clone) == one
    path.write_bytes(b"calls = [0]\n")
    assert _zonos_source.PROJECT.fingerprint(clone) != one


def test_the_source_must_be_there(tmp_path, monkeypatch):
    monkeypatch.delenv(_zonos_source.VARIABLE, raising=False)
    monkeypatch.setattr(clones, "importable", lambda _: None)
    with pytest.raises(MissingExtra, match="git clone"):
        _zonos_source.find(None)
    with pytest.raises(MissingExtra, match="no clone of Zonos"):
        _zonos_source.find(str(tmp_path))


def test_a_package_that_is_absent_is_explained(clone):
    (clone / "zonos" / "utils.py").write_text("import no_such_package_at_all\n")
    with pytest.raises(MissingExtra, match=r"no_such_package_at_all.*env create zonos"):
        _zonos_source.Source(clone, "", None).module("zonos.utils")


def test_japanese_is_left_out_where_its_dictionary_is(clone, monkeypatch):
    sudachi = ModuleType("sudachipy")
    sudachi.Dictionary = original = object()
    monkeypatch.setitem(sys.modules, "sudachipy", sudachi)
    monkeypatch.setattr(_zonos_source, "has_japanese", lambda: False)
    (clone / "zonos" / "utils.py").write_text(
        "from sudachipy import Dictionary\nmade = Dictionary(dict='full').create()\n"
    )
    assert _zonos_source.Source(clone, "", None).module("zonos.utils").made is None
    assert sudachi.Dictionary is original


def test_compiled_as_the_package_does_it(make):
    for device, hybrid, wanted in (
        ("cuda:0", False, True), ("cuda", True, False), ("cpu", False, False),
    ):  # fmt: skip
        assert _zonos_options.compiled(make().settings, device, hybrid) is wanted
    assert _zonos_options.compiled(make(compile="true").settings, "cpu", False)
    assert not _zonos_options.compiled(make(compile="false").settings, "cuda", False)


def test_a_diagnosis(clone, folders):
    options = {"source": str(clone), "any_revision": "true"} | folders
    found = {check.name: check for check in zonos.diagnose(options)}
    assert found["model"].detail.endswith("transformer")
    assert found["source"].state == found["eSpeak NG"].state == "ok"
    found = {check.name: check for check in zonos.diagnose(options | {"any_revision": "no"})}
    assert found["source"].state == "unusable"
    assert "any_revision=true" in found["source"].fix
    found = {check.name: check for check in zonos.diagnose(folders | {"dac": folders["model"]})}
    assert found["the codec DAC 44.1 kHz"].state == "ok"  # a folder with such files
    Path(folders["speaker"], _zonos_model.SPEAKER.files[1]).unlink()
    found = {check.name: check for check in zonos.diagnose(folders)}
    assert found["Zonos's speaker network"].state == "absent"
    assert "hf download Zyphra/Zonos" in found["Zonos's speaker network"].fix
