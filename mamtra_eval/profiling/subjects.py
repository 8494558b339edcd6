"""What can be profiled: a decoder's shape, a checkpoint, or any target of the spine.

===================================  ====================================================
``shape:cosyvoice2``                 the teacher's shape with random weights
``shape:cosyvoice2:1:3``             … of a ratio, with its published layout
``shape:cosyvoice2:1:3,bits=4``      … with the weights of its layers quantised (8 or 4 bits)
``checkpoint/`` (a folder)           a trained decoder of any shape
``mini:1:1``, ``espeak``, an address  a system as ``evaluate`` takes it, end to end
===================================  ====================================================

Time and memory of a decoder depend on its shape alone, so that random weights do. A system that
lets one look at its decoder (``System.decoder``) is profiled in both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mamtra_eval import registry, targets
from mamtra_eval.errors import UserError
from mamtra_eval.models import layout
from mamtra_eval.models.config import DecoderConfig, preset
from mamtra_eval.targets import SystemSpec

if TYPE_CHECKING:
    import torch

    from mamtra_eval.models.decoder import Decoder
    from mamtra_eval.systems import System

SHAPE = "shape"
BITS = (4, 8)
SEED = 0
"""Of random weights: the same for the same shape."""


@dataclass(frozen=True)
class Subject:
    """One thing to be profiled, as it can be handed to another process.

    Attributes:
        name: in the run.
        target: as it was given.
        config: shape of its decoder, if it has one that we can look at.
        bits: of its quantised weights, or ``None``.
        spec: how to make the system; ``None`` for a decoder without one.
    """

    name: str
    target: str
    config: DecoderConfig | None
    bits: int | None = None
    spec: SystemSpec | None = None

    def system(self) -> System:
        """The system, not yet prepared.

        An endpoint is asked once: tries that it repeats by itself would hide failures in times.
        """
        assert self.spec is not None
        once = {"retries": "0"} if self.spec.kind == "http" else {}
        made: System = registry.create("systems", self.spec.kind, {**once, **self.spec.options})
        return made

    def fingerprint(self) -> str | None:
        """Hash of its weights; ``None`` where they are random or not ours to see."""
        from mamtra_eval.models import checkpoint

        if self.config is None or self.target.partition(":")[0] == SHAPE:
            return None
        return checkpoint.weights_hash(self._folder())

    def decoder(self, device: torch.device | str, dtype: torch.dtype) -> Decoder:
        """Its decoder with its weights, in eval mode; random ones for a shape."""
        import torch

        from mamtra_eval.models import checkpoint
        from mamtra_eval.models.decoder import Decoder

        if self.target.partition(":")[0] == SHAPE:
            assert self.config is not None
            torch.manual_seed(SEED)
            before = torch.get_default_dtype()
            torch.set_default_dtype(dtype)  # else half precision would need single's memory first
            try:
                with torch.device(device):
                    made = Decoder(self.config)
            finally:
                torch.set_default_dtype(before)
            made.use("auto")
        else:
            made = checkpoint.load(self._folder()).to(device, dtype).use("auto")
        if self.bits:
            from mamtra_eval.models.quantize import quantize

            quantize(made, self.bits)
        return made.eval().requires_grad_(False)

    def _folder(self) -> Path:
        if self.spec is None:
            return Path(self.target)
        folder = self.system().checkpoint()
        assert folder is not None
        return folder


def parse_all(given: Sequence[str]) -> list[Subject]:
    """Subjects of targets, ``NAME=TARGET`` or bare; UserError for what none of them is."""
    if not given:
        raise UserError("nothing to profile", fix="Give a TARGET such as shape:cosyvoice2:1:1.")
    return [parse(name, target) for name, target in targets.name_all(given).items()]


def parse(name: str, target: str) -> Subject:
    """The subject that a target stands for."""
    if target.partition(":")[0] == SHAPE:
        return _shape(name, target)
    spec = targets.parse(name, target)
    own = spec.options.get("checkpoint")
    if own is not None and spec.target == own:
        return _checkpoint(name, own, spec)
    system: System = registry.create("systems", spec.kind, spec.options)
    folder = system.checkpoint()
    if folder is None:
        return Subject(name, target, None, spec=spec)
    from mamtra_eval.models import checkpoint

    return Subject(name, target, checkpoint.read_config(folder), spec=spec)


def _checkpoint(name: str, folder: str, spec: SystemSpec) -> Subject:
    """A folder: with the family's synthesizer around it where it fits, else the decoder alone."""
    from mamtra_eval.models import checkpoint

    config = checkpoint.read_config(Path(folder))
    family = preset("mini")
    speaks = (config.speech_codes, config.text_vocabulary) == (
        family.speech_codes,
        family.text_vocabulary,
    )
    return Subject(name, folder, config, spec=spec if speaks else None)


def _shape(name: str, target: str) -> Subject:
    body, *options = target.split(",")
    _, _, rest = body.partition(":")
    size, _, ratio = rest.partition(":")
    config = preset(size)
    if ratio:
        kept = layout.transformer_layers(layout.Ratio.parse(ratio), config.layers)
        config = config.with_layout(kept)
    bits: int | None = None
    for option in options:
        key, _, value = option.partition("=")
        if key != "bits" or value not in map(str, BITS):
            raise UserError(
                f"{option!r} is no option of a shape",
                where=target,
                fix=f"Write shape:{size}{':' * bool(ratio)}{ratio},bits=8, or bits=4.",
            )
        bits = int(value)
    return Subject(name, target, config, bits)
