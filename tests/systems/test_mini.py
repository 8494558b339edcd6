"""The embedded family: it speaks, in the voice asked for, and repeats itself."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from mamtra_eval import audio, registry, targets
from mamtra_eval.errors import MissingExtra, SynthesisError, UserError
from mamtra_eval.metrics import Item
from mamtra_eval.models import checkpoint, config
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.systems import Request, System, _mini_options, _mini_voices
from mamtra_eval.systems import mini as family

RATIOS = list(_mini_options.FOLDERS)
VOICES = ("awb", "rms", "kal16", "slt")


@pytest.fixture
def digits(mini: Path) -> list[Request]:
    rows = [line.split("|") for line in (mini / "digits.lst").read_text().splitlines()[:8]]
    return [Request(row[0], row[3], row[1], mini / row[2], seed=n) for n, row in enumerate(rows)]


def _speak(system: System, requests: list[Request]) -> list[audio.Clip]:
    made = dict(system.speak_many(requests))
    clips = [made[index] for index in range(len(requests))]
    assert all(isinstance(clip, audio.Clip) for clip in clips), clips
    return clips  # type: ignore[return-value]


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_recogniser_understands_its_digits(
    ratio: str, digits: list[Request], tmp_path: Path
) -> None:
    wer = registry.create("metrics", "wer", {"grammar": "digits"})
    errors = words = 0.0
    for request, clip in zip(digits, _speak(_system(ratio), digits), strict=True):
        path = audio.write(clip, tmp_path / request.utterance)
        counts = wer.measure(Item(request.utterance, request.text, path)).counts
        errors, words = errors + counts["errors"], words + counts["words"]
    assert errors / words < 0.25  # measured over 200 strings: see reports/mini-training


def _system(ratio: str) -> System:
    return registry.create("systems", "mini", {"ratio": ratio})


def test_a_seed_gives_the_same_samples_in_any_company(digits: list[Request]) -> None:
    system = _system("1:0")
    whole = _speak(system, digits[:3])
    [alone] = _speak(system, digits[1:2])
    assert np.array_equal(whole[1].samples, alone.samples)
    other = Request(**{**vars(digits[1]), "seed": 77})
    assert not np.array_equal(_speak(system, [other])[0].samples, alone.samples)


def test_the_prompt_chooses_the_voice(mini: Path) -> None:
    system = _system("1:0")
    text = "The little house by the river has a red door."
    requests = [
        Request(voice, text, prompt_audio=mini / "prompts" / f"{voice}-1.flac") for voice in VOICES
    ]
    encoder = registry.create("speakers", "ge2e", {})
    spoken = [encoder.embed(clip.samples) for clip in _speak(system, requests)]
    prompts = [
        encoder.embed(audio.resample(clip.samples, clip.sample_rate_hz, 16000))
        for clip in (audio.read(mini / "prompts" / f"{voice}-2.flac") for voice in VOICES)
    ]
    likeness = np.array([[a @ b for b in prompts] for a in spoken])
    assert likeness.argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_a_clip_tells_what_it_cost(digits: list[Request]) -> None:
    [clip] = _speak(_system("1:0"), digits[:1])
    assert clip.cost["tokens"] == pytest.approx(clip.duration_s * 25, abs=1)
    assert clip.cost["cache_bytes"] > 24 * 2 * 64 * 4 * clip.cost["tokens"]
    assert clip.cost["cut"] in (0, 1)


def test_a_text_without_words_is_that_clips_failure_alone(digits: list[Request]) -> None:
    silent = Request("silent", "?!")
    made = dict(_system("1:0").speak_many([digits[0], silent]))
    assert isinstance(made[0], audio.Clip)
    assert isinstance(made[1], SynthesisError)
    with pytest.raises(SynthesisError):
        _system("1:0").speak(silent)


def test_what_one_request_does_wrong_is_that_clips_failure_alone(
    digits: list[Request], tmp_path: Path
) -> None:
    silent = audio.Clip(np.zeros(16000, np.float32), 16000)
    wrong = {
        "the prompt silent": {"prompt_audio": audio.write(silent, tmp_path / "silent")},
        "absent.wav: no such": {"prompt_audio": tmp_path / "absent.wav"},
        "not 'zh'": {"language": "zh"},
        "phones; mini says": {"text": "An endless story. " * 200},
    }
    requests = [digits[0]]
    requests += [Request(**{**vars(digits[1]), **change}) for change in wrong.values()]
    made = dict(_system("1:3").speak_many(requests))
    assert isinstance(made[0], audio.Clip)
    for index in range(1, len(requests)):
        assert isinstance(made[index], SynthesisError), (index, made[index])
        assert [*wrong][index - 1] in str(made[index])


@pytest.mark.slow
def test_texts_of_any_length_share_a_batch_as_far_as_memory_goes(
    digits: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    system = _system("1:3")
    together = _speak(system, digits[:4])
    monkeypatch.setattr("mamtra_eval.systems._mini_batches.SLOTS", 1)
    for one, other in zip(together, _speak(system, digits[:4]), strict=True):
        assert np.array_equal(one.samples, other.samples)


def test_a_prompt_needs_the_speaker_encoder(
    digits: list[Request], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mamtra_eval.speakers.ge2e.BUNDLED_WEIGHTS", tmp_path / "absent")
    monkeypatch.setattr("mamtra_eval.speakers.ge2e.find_spec", lambda name: None)
    system = _system("1:0")
    with pytest.raises(MissingExtra):
        system.identity(digits)
    with pytest.raises(MissingExtra):
        [*system.speak_many(digits[:1])]
    system.identity([Request("a", "Good morning.")])
    assert system.speak(Request("a", "Good morning.")).samples.size


def test_identity_knows_shape_and_front_end(tmp_path: Path) -> None:
    shutil.copytree(_mini_voices.BUNDLE / "1-1", tmp_path / "own")
    config_file = tmp_path / "own" / "config.yaml"
    before = family.create({"checkpoint": str(tmp_path / "own")}).identity([])
    config_file.write_text(config_file.read_text().replace("1000000.0", "10.0"))
    after = family.create({"checkpoint": str(tmp_path / "own")}).identity([])
    assert {key for key in before if before[key] != after[key]} == {"shape"}
    assert {"frontend", "lexicon", "num2words", "espeak-ng"} <= set(before)


def test_ratios_are_short_to_write() -> None:
    assert targets.parse("a", "mini:1:3").options == {"ratio": "1:3"}
    spec = targets.parse("a", "mini:1:11,temperature=0")
    assert spec.options == {"ratio": "1:11", "temperature": "0"}
    with pytest.raises(UserError, match=r"named '1:2'"):
        registry.create("systems", "mini", {"ratio": "1:2"})
    for options in (
        {"temperature": "9"},
        {"temperature": "1e-4"},
        {"top_p": "0"},
        {"top_p": "nan"},
    ):
        with pytest.raises(UserError, match=r"temperature of 0 or from 0\.01 to 5"):
            registry.create("systems", "mini", options)
    with pytest.raises(UserError, match="a ratio and a checkpoint"):
        registry.create(
            "systems", "mini", {"ratio": "1:1", "checkpoint": str(_mini_voices.BUNDLE / "1-3")}
        )


def test_a_checkpoint_of_ones_own_is_a_target(tmp_path: Path) -> None:
    fitting = config.from_dict(
        {**config.preset("mini").to_dict(), "layers": 2, "transformer": [0]}, where="test"
    )
    checkpoint.save(tmp_path / "own", Decoder(fitting), {})
    spec = targets.parse("own", str(tmp_path / "own"))
    system = registry.create("systems", spec.kind, spec.options)
    made = system.speak(Request("a", "Good morning."))
    assert made.cost["tokens"] <= family.TOKENS_A_PHONE * len("Good morning.")
    assert system.identity([])["decoder"] == checkpoint.weights_hash(tmp_path / "own")

    strange = config.from_dict({**fitting.to_dict(), "speech_codes": 100}, where="test")
    checkpoint.save(tmp_path / "strange", Decoder(strange), {})
    system = registry.create("systems", "mini", {"checkpoint": str(tmp_path / "strange")})
    with pytest.raises(UserError, match="4096 speech codes"):
        system.speak(Request("a", "Good morning."))
    with pytest.raises(UserError, match="4096 speech codes"):
        system.identity([])
    with pytest.raises(UserError, match="no checkpoint there"):
        registry.create("systems", "mini", {"checkpoint": str(tmp_path)})


def test_no_two_ratios_share_weights() -> None:
    hashes = {
        ratio: audio.sha256(
            _mini_voices.BUNDLE / _mini_options.FOLDERS[ratio] / "model.safetensors"
        )
        for ratio in RATIOS
    }
    for a, b in itertools.combinations(hashes, 2):
        assert hashes[a] != hashes[b]
