"""Reading the official weights: the same network, and nothing else than those weights."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest
import torch

from mamtra_eval.errors import UserError
from mamtra_eval.models import strict
from mamtra_eval.models.cosyvoice2 import read_llm
from mamtra_eval.models.sequences import zero_shot
from tests.models import official_llm as official

Q0 = "llm.model.model.layers.0.self_attn.q_proj.weight"


def test_the_teacher_is_the_network_that_transformers_runs(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = official.weights()
    config, tensors = read_llm(official.write(tmp_path, theirs))
    teacher = strict.build(config, tensors, "llm.pt")
    body = transformers.Qwen2Model(
        transformers.Qwen2Config(
            vocab_size=official.TEXT, hidden_size=official.HIDDEN, intermediate_size=official.MLP,
            num_hidden_layers=24, num_attention_heads=official.HEADS,
            num_key_value_heads=official.KV_HEADS, rms_norm_eps=1e-6, hidden_act="silu",
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        )
    ).eval()  # fmt: skip
    prefix = "llm.model.model."
    body.load_state_dict({name.removeprefix(prefix): tensor for name, tensor in theirs.items()
                          if name.startswith(prefix)}, strict=True)  # fmt: skip
    text, speech = [7, 49, 0, 12], [3, 36, 0, 11, 5]
    sos, task = theirs["llm_embedding.weight"]
    embedded = torch.cat([
        sos[None], theirs[f"{prefix}embed_tokens.weight"][text],
        task[None], theirs["speech_embedding.weight"][speech],
    ])  # fmt: skip
    ids = torch.tensor([zero_shot(config, text, prompt_speech=speech)])
    with torch.no_grad():
        hidden = body(inputs_embeds=embedded[None]).last_hidden_state
        wanted = hidden @ theirs["llm_decoder.weight"].T + theirs["llm_decoder.bias"]
        torch.testing.assert_close(teacher(ids).logits, wanted, atol=1e-5, rtol=1e-5)


def test_sizes_come_from_the_tensors_and_the_configuration(tmp_path: Path) -> None:
    settings = {"num_attention_heads": 2, "rms_norm_eps": 1e-5, "rope_theta": 1e4}
    config, _ = read_llm(official.write(tmp_path, official.weights(3), settings))
    assert (config.layers, config.hidden, config.mlp) == (3, official.HIDDEN, official.MLP)
    assert (config.heads, config.kv_heads, config.head_dim) == (2, 1, 32)
    assert (config.speech_codes, config.text_vocabulary) == (official.SPEECH - 3, official.TEXT)
    assert (config.transformer, config.norm_eps, config.rope_theta) == ((0, 1, 2), 1e-5, 1e4)
    assert read_llm(tmp_path, heads=4)[0].head_dim == 16


def test_heads_are_64_wide_if_nothing_says_otherwise(tmp_path: Path) -> None:
    found = official.weights(1)
    for name in ("k", "v"):
        for kind in ("weight", "bias"):
            key = f"llm.model.model.layers.0.self_attn.{name}_proj.{kind}"
            found[key] = torch.cat([found[key], found[key]])
    config, _ = read_llm(official.write(tmp_path, found, settings={}))
    assert (config.heads, config.kv_heads, config.head_dim) == (1, 1, 64)


@pytest.mark.parametrize("heads", [3, 64, -1])
def test_heads_that_do_not_fit_are_refused(heads: int, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        read_llm(official.write(tmp_path, official.weights(1)), heads=heads)


def test_keys_that_are_not_the_configured_heads_are_refused(tmp_path: Path) -> None:
    settings = {"num_attention_heads": 2, "num_key_value_heads": 2}
    with pytest.raises(UserError, match="not 2 heads of 32"):
        read_llm(official.write(tmp_path, official.weights(1), settings))


def test_wrappers_and_numbers_of_training_are_taken_off(tmp_path: Path) -> None:
    plain = official.weights(1)
    config, wanted = read_llm(official.write(tmp_path / "a", plain))
    contents = ({**plain, "epoch": 3, "step": 1000}, {"model": plain}, {"state_dict": plain})
    for number, content in enumerate(contents):
        found_config, found = read_llm(official.write(tmp_path / str(number), content))
        assert found_config == config
        assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def test_the_tied_text_head_may_be_absent(tmp_path: Path) -> None:
    found = official.weights(1)
    del found["llm.model.lm_head.weight"]
    assert "embedding.weight" in read_llm(official.write(tmp_path, found))[1]


def test_old_files_that_cannot_be_mapped_are_read(tmp_path: Path) -> None:
    official.write(tmp_path, official.weights(1))
    path = tmp_path / "llm.pt"
    torch.save(official.weights(1), path, _use_new_zipfile_serialization=False)
    assert read_llm(path)[0].layers == 1


def test_everything_that_differs_is_named_at_once(tmp_path: Path) -> None:
    found = official.weights(2)
    del found["llm_decoder.bias"]
    del found["llm.model.model.layers.1.mlp.up_proj.weight"]
    found["flow.weight"] = torch.ones(1)
    found["llm_embedding.weight"] = torch.ones(3, official.HIDDEN)
    with pytest.raises(UserError) as caught:
        read_llm(official.write(tmp_path, found))
    said = str(caught.value)
    for part in ("llm_decoder.bias", "layers.1.mlp.up_proj.weight", "unexpected: flow.weight",
                 "llm_embedding.weight (3, 64) instead of (2, 64)", str(tmp_path)):  # fmt: skip
        assert part in said


def test_a_missing_tensor_that_gives_a_size_is_only_missing(tmp_path: Path) -> None:
    found = official.weights(2)
    del found[Q0]
    with pytest.raises(UserError, match=rf"missing: {re.escape(Q0)}[.]"):
        read_llm(official.write(tmp_path, found))


def test_many_differences_are_counted(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing: .* and \d+ more"):
        read_llm(official.write(tmp_path, {"a": torch.ones(1)}))


@pytest.mark.parametrize("content", [[1, 2], {"config": {"a": 1}}, {Q0: torch.ones(4)}])
def test_other_contents_are_refused(content: object, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        read_llm(official.write(tmp_path, content))


class _Code:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("ran"),))


def test_a_pickle_that_runs_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    official.write(tmp_path, {**official.weights(1), "extra": _Code()})
    with pytest.raises(UserError, match="can run code"):
        read_llm(tmp_path)
    (tmp_path / "llm.pt").write_bytes(pickle.dumps(_Code()))
    with pytest.raises(UserError, match="can run code"):
        read_llm(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_damaged_and_missing_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no llm\.pt"):
        read_llm(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        read_llm(tmp_path / "nowhere")
    path = official.write(tmp_path, official.weights(1)) / "llm.pt"
    whole = path.read_bytes()
    for damaged in (b"", b"not a pickle", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="damaged"):
            read_llm(path)
    path.write_bytes(whole)
    (tmp_path / "CosyVoice-BlankEN" / "config.json").write_text('{"rope_theta": "x"}')
    with pytest.raises(UserError, match="Qwen2"):
        read_llm(path)
