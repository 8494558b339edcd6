"""The codec around CosyVoice 2's language model, on a clone that computes next to nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval import audio
from mamtra_eval.audio import Clip
from mamtra_eval.codecs import _cosyvoice_source as sources
from mamtra_eval.codecs import cosyvoice2
from mamtra_eval.codecs.cosyvoice2 import CosyVoice2Codec, Prompt
from mamtra_eval.errors import SynthesisError, UserError
from tests.systems import fake_cosyvoice as fake

PER_TOKEN = 960
"""Samples: 24,000 a second, 25 tokens a second."""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, sources.Source]]:
    root = tmp_path_factory.mktemp("cosyvoice")
    clone = fake.write_source(root / "clone")
    with fake.forgotten():
        yield fake.write_model(root / "model"), sources.find(str(clone), any_revision=True)


@pytest.fixture(scope="module")
def codec(places: tuple[Path, sources.Source]) -> CosyVoice2Codec:
    return cosyvoice2.load(*places)


def prompt_of(n: int) -> Prompt:
    """A prompt of n tokens."""
    row = torch.zeros(1, n, dtype=torch.int32)
    inputs = {"flow_prompt_speech_token": row, "prompt_speech_feat": torch.zeros(1, 2 * n, 80),
              "flow_embedding": torch.ones(1, 192)}  # fmt: skip
    return Prompt([], [], inputs)


def recording(folder: Path, seconds: float = 1.0, rate: int = 16_000) -> Path:
    silence = np.zeros(int(seconds * rate), np.float32)
    return audio.write(Clip(silence, rate), folder / f"prompt-{seconds}-{rate}")


def test_samples_are_tokens_and_the_seed_alone(codec: CosyVoice2Codec) -> None:
    one, again, other = (codec.decode([5, 7], prompt_of(3), seed) for seed in (1, 1, 2))
    assert one.sample_rate_hz == 24_000
    assert len(one.samples) == 2 * PER_TOKEN
    np.testing.assert_array_equal(one.samples, again.samples)
    assert not np.array_equal(one.samples, other.samples)


@given(st.integers(0, 80), st.integers(1, 400))
def test_a_stream_has_the_packages_chunks(
    codec: CosyVoice2Codec, n_prompt: int, n_tokens: int
) -> None:
    """Sizes by the rule written down again: first to a multiple of 25 with the prompt, then 50,
    then 100, each with three more tokens at hand; the rest at the end."""
    found = [len(clip.samples) // PER_TOKEN
             for clip in codec.stream(iter(range(n_tokens)), prompt_of(n_prompt), 0)]  # fmt: skip
    expected, left, sizes = [], n_tokens, [25 + -n_prompt % 25, 50, *[100] * 10]
    for size in sizes:
        if left >= size + 3:
            expected.append(size)
            left -= size
        else:
            break
    assert found == [*expected, left]


def test_a_stream_says_the_same_tokens_in_order(codec: CosyVoice2Codec) -> None:
    tokens = list(range(200))
    whole = np.concatenate([c.samples for c in codec.stream(iter(tokens), prompt_of(7), 3)])
    assert np.round(whole[::PER_TOKEN] * 100 - 0.05).astype(int).tolist() == tokens


def test_a_stream_of_nothing_has_no_piece(codec: CosyVoice2Codec) -> None:
    assert list(codec.stream(iter([]), prompt_of(7), 3)) == []


def test_features_of_a_prompt_are_computed_once(codec: CosyVoice2Codec, tmp_path: Path) -> None:
    loaded = sys.modules["cosyvoice.cli.frontend"].LOADED
    path = recording(tmp_path)
    before = len(loaded)
    first = codec.prompt(path, "What it SAYS.")
    copied = path.with_name("copy.flac")
    copied.write_bytes(path.read_bytes())
    assert codec.prompt(copied, "What it SAYS.") is first  # known by what it is, not by its name
    assert len(loaded) == before + 1
    assert first.text == [ord(letter) % 50 for letter in "what it says."]
    assert first.speech == [1, 2, 3, 4, 5, 6, 7]
    assert codec.prompt(path, "Something else.") is not first


def test_without_a_transcript_the_language_model_sees_no_prompt(
    codec: CosyVoice2Codec, tmp_path: Path
) -> None:
    prompt = codec.prompt(recording(tmp_path), None)
    assert (prompt.text, prompt.speech) == ([], [])
    assert prompt.inputs["flow_prompt_speech_token"].shape == (1, 7)


@pytest.mark.parametrize(
    ("seconds", "rate", "told"),
    [(31.0, 16_000, "31 s"), (1.0, 8_000, "8000 Hz"), (0.025, 16_000, "0.025 s")],
)
def test_a_prompt_that_the_package_asserts_against_is_told(
    codec: CosyVoice2Codec, tmp_path: Path, seconds: float, rate: int, told: str
) -> None:
    with pytest.raises(SynthesisError, match=told):
        codec.prompt(recording(tmp_path, seconds, rate), "x")


def test_texts_come_in_pieces_and_empty_ones_are_told(codec: CosyVoice2Codec) -> None:
    assert [len(piece) for piece in codec.pieces("One.|Three.")] == [4, 6]
    with pytest.raises(SynthesisError, match="nothing to say"):
        codec.pieces("...")


def test_a_text_normaliser_that_is_not_there_is_refused(
    places: tuple[Path, sources.Source],
) -> None:
    with pytest.raises(UserError, match=r"front end is wetext, not ttsfrd.*text_frontend=wetext"):
        cosyvoice2.load(*places, text_front_end="ttsfrd")
    raw = cosyvoice2.load(*places, text_front_end="none")
    assert raw.pieces("ONE.") == [[ord(letter) % 50 for letter in "ONE."]]


def test_missing_files_and_strange_weights_are_named(
    places: tuple[Path, sources.Source], tmp_path: Path
) -> None:
    folder = fake.write_model(tmp_path / "model")
    torch.save(torch.nn.Linear(3, 3).state_dict(), folder / "flow.pt")
    with pytest.raises(UserError, match=r"flow\.pt.*not the weights"):
        cosyvoice2.load(folder, places[1])
    (folder / "campplus.onnx").unlink()
    with pytest.raises(UserError, match=r"campplus\.onnx not there.*download FunAudioLLM"):
        cosyvoice2.load(folder, places[1])
