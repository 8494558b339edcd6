"""CosyVoice 2 as a system: one path for every layout, on a clone that computes next to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mamtra_eval import audio
from mamtra_eval.audio import Clip
from mamtra_eval.codecs import _cosyvoice_source as sources
from mamtra_eval.codecs.cosyvoice2 import Prompt
from mamtra_eval.errors import MissingExtra, SynthesisError, UserError
from mamtra_eval.models import checkpoint, cosyvoice2, strict
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.generate import length_bounds
from mamtra_eval.models.sampling import SamplerConfig
from mamtra_eval.models.sequences import zero_shot
from mamtra_eval.systems import Request, System
from mamtra_eval.systems import _cosyvoice_options as options_of
from mamtra_eval.systems._cosyvoice_engines import Ask, OwnEngine, UpstreamEngine
from mamtra_eval.systems.cosyvoice2 import CosyVoice2, create
from tests.systems import fake_cosyvoice as fake

Places = dict[str, str]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    root = tmp_path_factory.mktemp("cosyvoice")
    clone, model = fake.write_source(root / "clone"), fake.write_model(root / "model")
    config, tensors = cosyvoice2.read_llm(model)
    torch.manual_seed(0)
    hybrid = Decoder(config.with_layout(tuple(range(0, 24, 2))))
    checkpoint.save(root / "1-1", hybrid, {}, dtype="fp32", other={})
    checkpoint.save(root / "teacher", strict.build(config, tensors, "x"), {}, dtype="fp32",
                    other={})  # fmt: skip
    audio.write(Clip(np.zeros(16_000, np.float32), 16_000), root / "prompt")
    with fake.forgotten():
        yield {"model": str(model), "source": str(clone), "any_revision": "true",
               "text_frontend": "wetext", "device": "cpu"}  # fmt: skip


def system_of(places: Places, **options: str) -> CosyVoice2:
    return CosyVoice2(options_of.read({**places, **options}))


def request(places: Places, text: str = "Say it.", **others: Any) -> Request:
    prompt = Path(places["model"]).parent / "prompt.flac"
    return Request("u1", text, **{"prompt_text": "a b", "prompt_audio": prompt, "seed": 5} | others)


@pytest.mark.parametrize("member", ["teacher", "1-1", None])
def test_every_layout_speaks_by_one_path(places: Places, member: str | None) -> None:
    folder = Path(places["model"]).parent
    system = system_of(places, **{"checkpoint": str(folder / member)} if member else {})
    clip, again = system.speak(request(places)), system.speak(request(places))
    np.testing.assert_array_equal(clip.samples, again.samples)
    tokens = clip.cost["tokens"]
    _, most = length_bounds(len("say it."))
    assert 1 <= tokens <= most  # the least is of the end token alone: two more stops end it too
    assert len(clip.samples) == tokens * 960
    assert clip.cost["cut"] == float(tokens == most)
    assert not np.array_equal(
        clip.samples[:960], system.speak(request(places, seed=6)).samples[:960]
    )


def test_the_teacher_of_the_folder_and_its_checkpoint_are_one(places: Places) -> None:
    folder = Path(places["model"]).parent
    converted = system_of(places, checkpoint=str(folder / "teacher"))
    own = system_of(places)
    np.testing.assert_array_equal(
        converted.speak(request(places)).samples, own.speak(request(places)).samples
    )
    assert converted.footprint() == own.footprint()
    assert (own.checkpoint(), converted.checkpoint()) == (None, folder / "teacher")


def test_pieces_of_a_text_are_said_one_behind_the_other(places: Places) -> None:
    system = system_of(places, sampler="greedy")
    whole = system.speak(request(places, "First.|Second one."))
    parts = [system.speak(request(places, text)) for text in ("First.", "Second one.")]
    assert whole.cost["tokens"] == sum(part.cost["tokens"] for part in parts)
    assert len(whole.samples) == sum(len(part.samples) for part in parts)


def test_a_batch_is_what_its_clips_are_alone(places: Places) -> None:
    requests = [request(places, text, seed=n) for n, text in enumerate(["Aa.", "Bb|Cc dd.", "E."])]
    made = dict(system_of(places, batch="3").speak_many(requests))
    for index, one in enumerate(requests):
        alone = system_of(places).speak(one)
        together = made[index]
        assert isinstance(together, Clip)
        np.testing.assert_array_equal(together.samples, alone.samples)


def test_what_one_clip_lacks_is_its_own_failure(places: Places, tmp_path: Path) -> None:
    broken = tmp_path / "broken.flac"
    broken.write_bytes(b"no audio")
    requests = [
        request(places, prompt_audio=None), request(places, "..."),
        request(places, prompt_audio=broken), request(places),
    ]  # fmt: skip
    made = dict(system_of(places, batch="4").speak_many(requests))
    assert [type(made[n]) for n in range(4)] == [*[SynthesisError] * 3, Clip]
    for n, told in enumerate(["in the voice of a prompt", "nothing to say", "can't be read"]):
        assert told in str(made[n])


def test_a_stream_says_what_speak_says(places: Places) -> None:
    system = system_of(places)
    asked = request(places, "A sentence that is long enough for some pieces.|And more.")
    pieces = list(system.stream(asked))
    whole = system.speak(asked)
    assert len(pieces) > 1
    assert sum(len(piece.samples) for piece in pieces) == len(whole.samples)
    assert pieces[-1].cost == whole.cost
    assert not any(piece.cost for piece in pieces[:-1])


def test_identity_tells_all_that_a_clip_depends_on(places: Places) -> None:
    folder = Path(places["model"]).parent
    plain = system_of(places).identity([])
    assert plain["source"] == {
        "revision": None, "fingerprint": sources.PROJECT.fingerprint(Path(places["source"])),
    }  # fmt: skip
    assert set(plain["codec"]) == {
        "cosyvoice2.yaml", "flow.pt", "hift.pt", "campplus.onnx", "speech_tokenizer_v2.onnx",
        "text_tokenizer",
    }  # fmt: skip
    assert "kernels" not in plain
    others = [
        {"sampler": "ras-2024"}, {"sampler": "greedy"}, {"top_p": "0.7"}, {"precision": "bf16"},
        {"text_frontend": "rules"}, {"engine": "upstream"}, {"checkpoint": str(folder / "1-1")},
    ]  # fmt: skip
    identities = [plain, *(system_of(places, **other).identity([]) for other in others)]
    assert len({repr(identity) for identity in identities}) == len(identities)
    assert "torch" in identities[-1]["kernels"]
    assert system_of(places, batch="7").identity([]) == plain  # changes no clip


def test_half_precision_weights_halve_the_cache(places: Places) -> None:
    single, half = (system_of(places, precision=p, sampler="greedy") for p in ("fp32", "bf16"))
    one, two = single.footprint(), half.footprint()
    assert one.cache_bytes(100) == 2 * two.cache_bytes(100)
    assert half.speak(request(places)).cost["tokens"] > 0


def test_a_checkpoint_of_other_tokens_is_refused(places: Places, tmp_path: Path) -> None:
    shape = DecoderConfig(2, 8, 2, 1, 4, 8, speech_codes=9, text_vocabulary=50, transformer=(0,))
    checkpoint.save(tmp_path / "other", Decoder(shape), {}, dtype="fp32", other={})
    with pytest.raises(UserError, match="speech_codes 9, the model folder 37"):
        system_of(places, checkpoint=str(tmp_path / "other")).prepare()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"engine": "upstream", "checkpoint": "c"}, "its own teacher alone"),
        ({"engine": "upstream", "precision": "fp16"}, "no half-precision weights"),
        ({"engine": "upstream", "batch": "2"}, "one text at a time"),
        ({"engine": "upsteam"}, "no engine of cosyvoice2 named 'upsteam'"),
        ({"sampler": "ras"}, "no sampler of cosyvoice2 named 'ras'"),
        ({"precision": "half"}, "no precision"),
        ({"flow_precision": "bf16"}, "no flow_precision"),
        ({"text_frontend": "ttsfrd2"}, "ttsfrd"),
        ({"batch": "0"}, "between 1 and"),
        ({"colour": "red"}, "no option of cosyvoice2"),
        ({"model": "/not/there"}, "no such folder"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    places: Places, options: dict[str, str], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        system_of(places, **options)


def test_autocast_is_refused_where_the_package_leaves_it_out_in_silence(places: Places) -> None:
    with pytest.raises(UserError, match="autocast is for CUDA devices"):
        system_of(places, precision="autocast").identity([])


def test_the_model_is_given_or_named_by_the_environment(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = {name: value for name, value in places.items() if name != "model"}
    monkeypatch.delenv(options_of.MODEL_VARIABLE, raising=False)
    with pytest.raises(MissingExtra, match=r"hf download FunAudioLLM/CosyVoice2-0\.5B"):
        system_of(without)
    monkeypatch.setenv(options_of.MODEL_VARIABLE, places["model"])
    assert system_of(without).settings.model == Path(places["model"])


def test_the_plugin_is_placed(places: Places) -> None:
    made = create({**places, "env": "none"})
    assert isinstance(made, System)
    assert isinstance(made, CosyVoice2)
    assert made.max_processes == 1


class Loop:
    """The package's language model as far as it is called: remembers, and says three tokens."""

    def inference(self, **given: Any) -> Iterator[int]:
        self.given = given
        yield from (int(torch.randint(40, (1,))), 8, 9)


def test_the_packages_loop_gets_what_our_decoder_gets() -> None:
    loop = Loop()
    engine = UpstreamEngine(loop, torch.device("cpu"))
    prompt = Prompt([7, 8], [3, 4, 5], {"llm_embedding": torch.ones(1, 192)})
    ask = Ask([10, 11], prompt, seed=4)
    first, again = engine.generate([ask])[0], list(engine.stream(ask))
    assert first.tokens == again
    assert first.stopped  # three of the forty that are allowed
    shape = DecoderConfig(2, 8, 2, 1, 4, 8, speech_codes=37, text_vocabulary=50, transformer=(0, 1))
    item = OwnEngine(Decoder(shape), SamplerConfig("greedy"))._item(ask)
    given = {name: value[0].tolist() for name, value in loop.given.items()
             if name in ("text", "prompt_text", "prompt_speech_token")}  # fmt: skip
    assert item.prompt == zero_shot(
        shape, given["text"], given["prompt_text"], given["prompt_speech_token"]
    )
    assert (item.minimum, item.maximum) == (4, 40)
    assert [int(loop.given[name]) for name in ("text_len", "prompt_text_len")] == [2, 2]


def test_nothing_of_the_engine_reaches_those_who_take_its_tokens() -> None:
    """Its half precision and its random numbers are its own, also between two tokens."""

    class Drawing(Loop):
        def inference(self, **given: Any) -> Iterator[int]:
            for _ in range(5):
                half = torch.is_autocast_enabled("cpu")
                yield int(torch.randint(1000, (1,))) + (1000 if half else 0)

    prompt = Prompt([7], [3], {"llm_embedding": torch.ones(1, 192)})
    engine = UpstreamEngine(Drawing(), torch.device("cpu"), autocast=True)
    whole = engine.generate([Ask([1], prompt, seed=4)])[0].tokens
    torch.manual_seed(9)
    undisturbed = torch.rand(6)
    torch.manual_seed(9)
    streamed, mine = [], [torch.rand(1)]
    for token in engine.stream(Ask([1], prompt, seed=4)):
        assert not torch.is_autocast_enabled("cpu")
        streamed.append(token)
        mine.append(torch.rand(1))
    assert streamed == whole
    assert all(token >= 1000 for token in whole)
    torch.testing.assert_close(torch.cat(mine), undisturbed)


def test_pieces_are_decoded_as_many_at_a_time_as_asked(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = system_of(places, batch="2")
    system.prepare()
    seen, generate = [], system._engine.generate
    monkeypatch.setattr(
        system._engine, "generate", lambda asks: (seen.append(len(asks)), generate(asks))[1]
    )
    clips = dict(system.speak_many([request(places, "Aa.|Bb.|Cc."), request(places, "Dd.|Ee.")]))
    assert seen == [2, 2, 1]
    assert all(isinstance(clip, Clip) for clip in clips.values())
