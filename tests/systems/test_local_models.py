from types import ModuleType

import pytest

from mamtra_eval.errors import MissingExtra
from mamtra_eval.systems._local_models import Model, served

MODEL = Model("own/er", "part", "the part", "1 MB", ("a", "b|c"))


def test_models_are_looked_for_and_hashed(tmp_path, monkeypatch):
    monkeypatch.setattr("mamtra_eval.weights.in_hub", lambda _: None)
    with pytest.raises(MissingExtra, match=r"own/er.*download own/er --local-dir"):
        MODEL.find(None, "sys")
    with pytest.raises(MissingExtra, match="no such folder"):
        MODEL.find(str(tmp_path / "no"), "sys")
    with pytest.raises(MissingExtra, match="lacks a, b or c"):
        MODEL.find(str(tmp_path), "sys")
    for name in "ac":
        (tmp_path / name).touch()
    assert MODEL.find(str(tmp_path), "sys") == tmp_path
    monkeypatch.setattr("mamtra_eval.weights.in_hub", lambda _: tmp_path)
    assert MODEL.find(None, "sys") == tmp_path
    assert set(MODEL.hashes(tmp_path)) == {"a", "c"}


def test_a_loader_is_served_while_a_package_loads(tmp_path):
    class Class:
        @classmethod
        def from_pretrained(cls, name, **rest):
            return name, rest

    module = ModuleType("module")
    module.Class = Class
    with served(module, "Class", {"a/b": tmp_path}):
        assert module.Class.from_pretrained("a/b", x=1) == (str(tmp_path), {"x": 1})
        with pytest.raises(LookupError):
            module.Class.from_pretrained("c/d")
    assert module.Class is Class
    with pytest.raises(RuntimeError), served(module, "Class", {}):
        raise RuntimeError
    assert module.Class is Class
