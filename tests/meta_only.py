"""A mode in which every tensor must be on ``meta``: shapes alone, with no value to wait for."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class MetaOnly(TorchDispatchMode):
    """Counts operations; an AssertionError at the first one with a tensor elsewhere."""

    operations = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves((args, kwargs, made)):
            assert not isinstance(tensor, Tensor) or tensor.is_meta, func
        self.operations += 1
        return made
