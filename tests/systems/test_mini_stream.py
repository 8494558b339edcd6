"""The embedded family, heard while it speaks: the tokens of the whole, a second at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from mamtra_eval import registry
from mamtra_eval.audio import Clip
from mamtra_eval.codecs import mini_mel
from mamtra_eval.codecs.mini import MiniCodec
from mamtra_eval.errors import SynthesisError
from mamtra_eval.systems import Request
from mamtra_eval.systems._mini_stream import CONTEXT, FADE, Joiner
from mamtra_eval.systems._mini_voices import load_codec
from mamtra_eval.systems.mini import Mini
from mamtra_eval.torch_threads import torch_threads

pytestmark = pytest.mark.slow

REQUEST = Request("a", "The little house by the river has a red door.", seed=3)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small wait for each other's threads more than they compute."""
    with torch_threads():
        yield


@pytest.fixture(scope="module")
def system() -> Mini:
    made = registry.create("systems", "mini", {"ratio": "1:3"})
    assert isinstance(made, Mini)
    return made


def joined(pieces: list[Clip]) -> np.ndarray:
    return np.concatenate([piece.samples for piece in pieces])


@pytest.fixture
def tokens_seen(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Tokens of every call of the codec's decoder."""
    seen: list[list[int]] = []
    decode = MiniCodec.decode

    def watched(codec: MiniCodec, codes: list[int], voice: int) -> Clip:
        seen.append(list(codes))
        return decode(codec, codes, voice)

    monkeypatch.setattr(MiniCodec, "decode", watched)
    return seen


def test_the_tokens_are_those_of_speak(system: Mini, tokens_seen: list[list[int]]) -> None:
    whole = system.speak(REQUEST)
    [tokens] = tokens_seen
    tokens_seen.clear()
    pieces = list(system.stream(REQUEST))
    new = [
        tokens_seen[0],
        *(seen[min(CONTEXT, 25 * n) :] for n, seen in enumerate(tokens_seen) if n),
    ]
    assert [token for piece in new for token in piece] == tokens
    assert len(pieces) == len(tokens_seen) == -(-len(tokens) // 25)
    assert abs(len(joined(pieces)) - len(whole.samples)) <= mini_mel.HOP
    assert pieces[-1].cost == whole.cost
    assert not any(piece.cost for piece in pieces[:-1])


def test_the_first_piece_is_a_second_and_comes_before_the_rest_is_drawn(
    system: Mini, tokens_seen: list[list[int]]
) -> None:
    stream = system.stream(REQUEST)
    first = next(stream)
    assert len(tokens_seen) == 1
    assert first.duration_s == pytest.approx(1, abs=0.03)
    assert len(list(stream)) == len(tokens_seen) - 1


def test_it_sounds_as_the_whole_does(system: Mini) -> None:
    """Nearer to it, in log-mel, than another reading of the same text."""
    whole = system.speak(REQUEST)
    streamed = mini_mel.log_mel(joined(list(system.stream(REQUEST))))
    other = mini_mel.log_mel(system.speak(replace(REQUEST, seed=4)).samples)
    reference = mini_mel.log_mel(whole.samples)
    shared = min(len(reference), len(other))
    apart = (reference[:shared] - other[:shared]).abs().mean()
    assert (reference - streamed).abs().mean() < 0.2 * apart


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_pieces_of_any_size_are_as_long_as_the_whole(
    system: Mini, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(system, "first_chunk", size)
    short = Request("a", "No.", seed=1)
    assert len(joined(list(system.stream(short)))) == len(system.speak(short).samples)


def test_pieces_are_joined_without_a_click() -> None:
    """No step between two samples at a seam that is larger than all steps elsewhere."""
    codec = load_codec()
    tokens = [int(t) for t in np.random.default_rng(0).integers(0, 4096, 60)]
    joiner = Joiner(codec, 0)
    pieces = [joiner.add(tokens[:25]), joiner.add(tokens[25:50]), joiner.finish(tokens[50:])]
    steps = np.abs(np.diff(np.concatenate(pieces)))
    seams = np.cumsum([len(piece) for piece in pieces])[:-1]
    near = np.zeros(len(steps), bool)
    for seam in seams:
        near[seam - FADE : seam + FADE] = True
    assert steps[near].max() <= steps[~near].max()


def test_a_clip_that_is_cut_says_so(system: Mini, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mamtra_eval.systems.mini.TOKENS_A_PHONE", 1)
    pieces = list(system.stream(REQUEST))
    assert pieces[-1].cost == system.speak(REQUEST).cost
    assert pieces[-1].cost["cut"] == 1


@pytest.mark.parametrize("change", [{"text": "?!"}, {"language": "zh"}])
def test_what_speak_refuses_is_refused(system: Mini, change: dict[str, str]) -> None:
    with pytest.raises(SynthesisError) as spoken:
        system.speak(replace(REQUEST, **change))
    with pytest.raises(SynthesisError) as streamed:
        next(system.stream(replace(REQUEST, **change)))
    assert str(streamed.value) == str(spoken.value)
