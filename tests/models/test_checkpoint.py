"""Checkpoints: what is saved is what is loaded; anything else is told in full."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from mamtra_eval.errors import UserError
from mamtra_eval.models import checkpoint, cost
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.sequences import zero_shot

SHAPE = DecoderConfig(
    layers=6, hidden=32, heads=2, kv_heads=1, head_dim=16, mlp=48,
    speech_codes=20, text_vocabulary=10, transformer=(0,), chunk=8,
)  # fmt: skip
IDS = torch.tensor([zero_shot(SHAPE, [1, 2, 3], prompt_speech=[4, 5])])


def _decoder(seed: int = 0, config: DecoderConfig = SHAPE) -> Decoder:
    torch.manual_seed(seed)
    return Decoder(config)


def _same(one: Decoder, other: Decoder) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def _change(folder: Path, **changes: torch.Tensor | None) -> None:
    """Replace tensors of a checkpoint, without its card; ``None`` removes one."""
    (folder / checkpoint.CARD).unlink(missing_ok=True)
    tensors = {k: v.clone() for k, v in load_file(folder / checkpoint.WEIGHTS).items()} | {
        name.replace("__", "."): tensor for name, tensor in changes.items()
    }
    save_file({k: v for k, v in tensors.items() if v is not None}, folder / checkpoint.WEIGHTS)


def test_round_trip(tmp_path: Path) -> None:
    saved = _decoder()
    checkpoint.save(tmp_path / "a" / "b", saved, {})
    loaded = checkpoint.load(tmp_path / "a" / "b")
    assert loaded.config == SHAPE == checkpoint.read_config(tmp_path / "a" / "b")
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    assert _same(saved, loaded)
    assert torch.equal(saved(IDS).logits, loaded(IDS).logits)  # rotary tables are made as well


def test_loading_initialises_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, _decoder(), {})
    before = torch.get_rng_state()
    real = torch.nn.init.normal_

    def on_meta(tensor: torch.Tensor, **options: float) -> torch.Tensor:
        assert tensor.is_meta
        return real(tensor, **options)

    monkeypatch.setattr(torch.nn.init, "normal_", on_meta)
    assert not any(p.is_meta for p in checkpoint.load(tmp_path).parameters())
    assert torch.equal(before, torch.get_rng_state())


def test_the_card_is_completed(tmp_path: Path) -> None:
    card = checkpoint.save(tmp_path, _decoder(), {"teacher": "abc", "dtype": "wrong"})
    assert card == checkpoint.read_card(tmp_path)
    assert (card["teacher"], card["ratio"], card["layout"]) == ("abc", "1:5", [0])
    assert (card["dtype"], card["mamtra_eval"]) == ("fp32", "0.1.0")
    assert card["parameters"] == cost.parameters(SHAPE)["total"]
    assert card["sha256"] == checkpoint.weights_hash(tmp_path)
    teacher = _decoder(config=SHAPE.with_layout(tuple(range(6))))
    assert checkpoint.save(tmp_path, teacher, {})["ratio"] == "1:0"


def test_equal_weights_have_an_equal_hash(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        checkpoint.save(tmp_path / name, _decoder(seed), {"made": name})
    a, b, c = (checkpoint.weights_hash(tmp_path / name) for name in "abc")
    assert a == b != c


def test_types_of_elements(tmp_path: Path) -> None:
    saved = _decoder()
    checkpoint.save(tmp_path, saved, {}, dtype="fp16")
    assert checkpoint.read_card(tmp_path)["dtype"] == "fp16"
    assert load_file(tmp_path / checkpoint.WEIGHTS)["head.weight"].dtype == torch.float16
    assert saved.head.weight.dtype == torch.float32
    loaded = checkpoint.load(tmp_path)
    assert loaded.head.weight.dtype == torch.float32
    assert torch.equal(loaded.head.weight, saved.head.weight.half().float())
    assert checkpoint.load(tmp_path, dtype="bf16").head.weight.dtype == torch.bfloat16
    with pytest.raises(UserError, match="fp16"):
        checkpoint.load(tmp_path, dtype="int4")


def test_other_keys_of_the_configuration_are_kept(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, _decoder(), {}, other={"tokenizer": {"name": "bytes"}})
    checkpoint.save(tmp_path, _decoder(1), {})
    assert checkpoint.read_other(tmp_path) == {"tokenizer": {"name": "bytes"}}
    assert _same(checkpoint.load(tmp_path), _decoder(1))


def test_other_files_of_the_folder_stay(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("{}")
    checkpoint.save(tmp_path, _decoder(), {})
    assert {path.name for path in tmp_path.iterdir()} == {
        "log.jsonl", "config.yaml", "model.safetensors", "card.json"
    }  # fmt: skip


def test_all_files_can_be_read_by_whom_the_umask_allows(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, _decoder(), {})
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1


class _Killed(BaseException):
    """Stands for the end of the process: nothing runs after it."""


@pytest.mark.parametrize("renames", range(5))
def test_a_kill_at_any_rename_leaves_the_old_or_the_new(
    renames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = _decoder(0), _decoder(1, SHAPE.with_layout((2, 3)))
    checkpoint.save(tmp_path, old, {"name": "old"})
    left, real = [renames], os.replace

    def replace(path: Path, target: Path) -> Path:
        if left[0] == 0:
            raise _Killed
        left[0] -= 1
        real(path, target)
        return Path(target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        patch.setattr(checkpoint.shutil, "rmtree", lambda path, ignore_errors: None)
        if renames < 4:
            with pytest.raises(_Killed):
                checkpoint.save(tmp_path, new, {"name": "new"})
        else:
            checkpoint.save(tmp_path, new, {"name": "new"})
    name, decoder = ("old", old) if renames == 0 else ("new", new)
    assert checkpoint.read_card(tmp_path)["name"] == name
    assert _same(checkpoint.load(tmp_path), decoder)
    checkpoint.save(tmp_path, _decoder(2), {})  # the next one clears up
    assert _same(checkpoint.load(tmp_path), _decoder(2))
    assert len(list(tmp_path.iterdir())) == 3


def test_a_full_disk_leaves_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, _decoder(), {})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full)
        with pytest.raises(OSError, match="No space"):
            checkpoint.save(tmp_path, _decoder(1), {})
    assert _same(checkpoint.load(tmp_path), _decoder())
    assert len(list(tmp_path.iterdir())) == 3


def test_what_a_killed_first_save_left_is_no_checkpoint(tmp_path: Path) -> None:
    assert not checkpoint.occupied(tmp_path / "nowhere")
    (tmp_path / checkpoint.PART).mkdir()
    assert not checkpoint.occupied(tmp_path)
    with pytest.raises(UserError, match=r"no config\.yaml"):
        checkpoint.load(tmp_path)


def test_everything_that_differs_is_named_at_once(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, _decoder(), {})
    _change(tmp_path, head__bias=None, norm__weight=None, head__scale=torch.ones(1),
            head__weight=torch.ones(5, 32), layers__1__mixer__D=torch.ones(2).int())  # fmt: skip
    with pytest.raises(UserError) as caught:
        checkpoint.load(tmp_path)
    said = str(caught.value)
    for part in ("missing: norm.weight, head.bias", "unexpected: head.scale",
                 "head.weight (5, 32) instead of (23, 32)", "layers.1.mixer.D"):  # fmt: skip
        assert part in said


def test_a_layout_of_other_weights_is_refused_briefly(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, _decoder(), {})
    path = tmp_path / checkpoint.CONFIG
    values = yaml.safe_load(path.read_text())
    values["decoder"]["transformer"] = [0, 1, 2, 3, 4, 5]
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(UserError, match=r"and \d+ more") as caught:
        checkpoint.load(tmp_path)
    assert len(str(caught.value)) < 1500


def test_weights_must_be_finite(tmp_path: Path) -> None:
    decoder = _decoder()
    checkpoint.save(tmp_path, decoder, {})
    _change(tmp_path, head__bias=torch.full((23,), float("nan")),
            norm__weight=torch.full((32,), float("inf")))  # fmt: skip
    with pytest.raises(UserError, match=r"not finite: head\.bias, norm\.weight|norm\.weight, head"):
        checkpoint.load(tmp_path)
    torch.nn.init.constant_(decoder.head.bias, 1e6)
    with pytest.raises(UserError, match=r"not finite: head\.bias"):
        checkpoint.save(tmp_path, decoder, {}, dtype="fp16")
    checkpoint.save(tmp_path, decoder, {})
    with pytest.raises(UserError, match="as fp16"):
        checkpoint.load(tmp_path, dtype="fp16")


def test_damaged_weights_are_told(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, _decoder(), {})
    path = tmp_path / checkpoint.WEIGHTS
    whole = path.read_bytes()
    for damaged in (b"", b"\0" * 100, whole[:-8], whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="damaged"):
            checkpoint.load(tmp_path)
    path.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1, whole[-1]]))
    with pytest.raises(UserError, match=r"not the weights that card\.json describes"):
        checkpoint.load(tmp_path)
    card = checkpoint.read_card(tmp_path)
    del card["sha256"]
    (tmp_path / checkpoint.CARD).write_text(json.dumps(card))
    checkpoint.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not valid YAML"),
        ("- a", "no mapping"),
        ("other: 1", "under decoder"),
        ("decoder: 1", "under decoder"),
        ("decoder: {layers: 1}", "missing"),
        ("decoder: {leyers: 1}", "leyers"),
    ],
)
def test_bad_configurations_are_told_with_their_file(text: str, said: str, tmp_path: Path) -> None:
    checkpoint.save(tmp_path, _decoder(), {})
    (tmp_path / checkpoint.CONFIG).write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        checkpoint.load(tmp_path)
    assert checkpoint.CONFIG in str(caught.value)


@pytest.mark.parametrize("name", [checkpoint.CONFIG, checkpoint.WEIGHTS])
def test_missing_files_are_told(name: str, tmp_path: Path) -> None:
    checkpoint.save(tmp_path, _decoder(), {})
    (tmp_path / name).unlink()
    with pytest.raises(UserError, match=f"no {name}"):
        checkpoint.load(tmp_path)


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_bad_cards_are_told(text: str, tmp_path: Path) -> None:
    checkpoint.save(tmp_path, _decoder(), {})
    (tmp_path / checkpoint.CARD).write_text(text)
    with pytest.raises(UserError, match="no card"):
        checkpoint.load(tmp_path)
    (tmp_path / checkpoint.CARD).unlink()
    assert checkpoint.load(tmp_path).config == SHAPE
