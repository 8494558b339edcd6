"""Llasa in this process: a language model of transformers, and XCodec2 of the package ``xcodec2``.

Nothing is fetched: w2v-bert-2.0, which the codec asks a hub for, is handed to it from where it lies
(``_local_models``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mamtra_eval import audio
from mamtra_eval.errors import MissingExtra, SynthesisError, UserError
from mamtra_eval.prompts import Kept
from mamtra_eval.systems import _llasa_options as options_of
from mamtra_eval.systems import _llasa_prompt as prompt_of
from mamtra_eval.systems._local_models import Model, served

if TYPE_CHECKING:
    from torch import Tensor

CODEC = Model(
    "HKUSTAudio/xcodec2", "codec", "the codec XCodec2", "3.3 GB",
    ("config.json", "model.safetensors|pytorch_model.bin"),
)  # fmt: skip
SEMANTIC = Model(
    "facebook/w2v-bert-2.0", "semantic", "w2v-BERT 2.0, which XCodec2 hears with", "2.3 GB",
    ("config.json", "preprocessor_config.json", "model.safetensors|pytorch_model.bin"),
)  # fmt: skip
SAMPLE_RATE_HZ = 16_000
MAKE = "Make its environment: mamtra-eval env create llasa"


@dataclass(frozen=True)
class Prompt:
    """A voice: codes of the recording (50 a second), and its length in samples at 16 kHz."""

    codes: list[int]
    samples: int


class Spoken(NamedTuple):
    """Codes after the prompt's, how many tokens were made, whether the model ended it itself."""

    codes: list[int]
    tokens: int
    stopped: bool


class Loaded:
    """Language model, tokenizer and codec, ready to speak; make one with ``load``."""

    def __init__(
        self,
        model: Any,  # noqa: ANN401 -- objects of transformers, and of the package
        tokenizer: Any,  # noqa: ANN401
        codec: Any,  # noqa: ANN401
        settings: options_of.Settings,
    ) -> None:
        self._model, self._tokenizer, self._codec = model, tokenizer, codec
        self._settings = settings
        self._end = prompt_of.check_vocabulary(tokenizer, str(settings.model))
        self._prompts = Kept[Prompt]()

    def prompt(self, path: Path) -> Prompt:
        """Codes of a recording; SynthesisError for one that can't be read."""
        return self._prompts.get(path, self._encoded)

    def ids(self, prompt: Prompt, prompt_text: str, text: str) -> list[int]:
        """What the language model goes on from; SynthesisError where that leaves no room."""
        settings = self._settings
        messages = prompt_of.chat(prompt_text, text, prompt.codes, settings.joiner)
        found = prompt_of.input_ids(self._tokenizer, messages, settings.date)
        if len(found) >= settings.max_length:
            raise SynthesisError(
                f"prompt and text take {len(found)} tokens, max_length is {settings.max_length}: "
                "no room is left to speak"
            )
        return found

    def generate(self, ids: list[int], seed: int) -> Spoken:
        """Speech after ``ids``; transformers draws from torch's global generator."""
        import torch

        given = torch.tensor([ids], device=self._model.device)
        torch.manual_seed(seed)
        with torch.no_grad():
            made = self._model.generate(
                given, attention_mask=torch.ones_like(given), do_sample=True,
                eos_token_id=self._end, pad_token_id=self._end, **self._settings.sampling(),
            )  # fmt: skip
        new: list[int] = made[0, len(ids) :].tolist()
        stopped = bool(new) and new[-1] == self._end
        tokens = self._tokenizer.convert_ids_to_tokens(new[:-1] if stopped else new)
        codes, _ = prompt_of.codes_of(tokens)
        return Spoken(codes, len(new), stopped)

    def samples(self, prompt: Prompt, codes: list[int]) -> audio.Samples:
        """float32 (n,) at 16 kHz of what comes after the prompt, decoded together with it."""
        import torch

        both: Tensor = torch.tensor([[prompt.codes + codes]], device=self._codec.device)
        waves = self._codec.decode_code(both)
        found: audio.Samples = waves[0, 0, prompt.samples :].float().cpu().numpy()
        return found

    def _encoded(self, clip: audio.Clip) -> Prompt:
        import torch

        samples = audio.resample(clip.samples, clip.sample_rate_hz, SAMPLE_RATE_HZ)
        codes: Tensor = self._codec.encode_code(input_waveform=torch.from_numpy(samples)[None])
        return Prompt(codes[0, 0].tolist(), len(samples))


def load(settings: options_of.Settings, device: str) -> Loaded:
    """Language model and codec on a device; MissingExtra for what is not here."""
    import torch

    options_of.require_files(settings.model)
    codec_folder = find_codec(settings.codec)
    folders = {SEMANTIC.hub: SEMANTIC.find(settings.semantic, "llasa")}
    modules: Any = _package()
    transformers: Any = import_module("transformers")
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    with (
        served(modules, "Wav2Vec2BertModel", folders),
        served(modules, "AutoFeatureExtractor", folders),
    ):
        codec = modules.XCodec2Model.from_pretrained(str(codec_folder))
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(settings.model))
    model = transformers.AutoModelForCausalLM.from_pretrained(
        str(settings.model), torch_dtype=dtype[settings.precision]
    )
    parts = [part.eval().requires_grad_(False).to(device) for part in (model, codec)]
    return Loaded(parts[0], tokenizer, parts[1], settings)


def find_codec(given: str | None) -> Path:
    """The codec's folder; UserError for the one that transformers reads itself."""
    folder = CODEC.find(given, "llasa")
    path = folder / "config.json"
    try:
        kind = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"no configuration of a codec ({error})", where=str(path)) from error
    if kind != "xcodec":
        raise UserError(
            f"it is a model of type {kind!r}, not what the package xcodec2 reads ('xcodec')",
            where=str(path),
            fix=f"Give llasa:codec= the folder of {CODEC.hub}, not of its copy for transformers.",
        )
    return folder


def _package() -> Any:  # noqa: ANN401
    try:
        return import_module("xcodec2.modeling_xcodec2")
    except Exception as error:  # a broken wheel raises anything
        raise MissingExtra(
            f"the package xcodec2 does not import ({type(error).__name__}: {error})", fix=MAKE
        ) from error
