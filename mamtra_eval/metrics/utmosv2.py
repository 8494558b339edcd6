"""UTMOSv2: naturalness predicted by the package utmosv2, which draws lots; seeded here by the clip.

One figure, ``utmosv2``, higher is better. The package is on no index; install it with
``pip install 'git+https://github.com/sarulab-speech/UTMOSv2@v1.3.0'``. Fetch three files once, too:
the weights (``mamtra-eval doctor`` has the line) and, since the package builds on them, the models
``facebook/wav2vec2-base`` and ``timm/tf_efficientnetv2_s.in21k_ft_in1k`` of the Hugging Face hub.
A run fetches nothing. Options, all behind ``utmosv2.``:

``fold``                   which of the five networks of the cross-validation, 0 (default) to 4
``num_repetitions``        looks at random excerpts of a clip that are averaged; default 5, as in
                           the paper (the package's own default is 1)
``remove_silent_section``  ``true`` (default, the package's own) cuts out what stays below a sample
                           value of 0.1 for 0.3 s or more. That is not what the paper did, and of
                           a quiet clip it leaves nothing: such a clip fails
``predict_dataset``        the data set whose listeners are asked; default ``sarulab``
``seed``                   another number gives other excerpts; default 0
``weights``                another file with weights of the same network
``device``                 ``cuda`` or ``cpu``; by default cuda where there is one

The package takes its excerpts from numpy's global generator, so that its values change from run to
run. Here the generators are seeded by ``seed`` and the clip's samples before each clip, and put
back behind it: neither order nor other clips matter. Paper numbers are means over all five folds.
On a GPU the package computes in half precision, which the signature says.

Method: Baba et al., "The T05 System for the VoiceMOS Challenge 2024", 2024.
"""

from __future__ import annotations

import hashlib
import math
import os
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mamtra_eval import audio, devices
from mamtra_eval.audio import Samples
from mamtra_eval.errors import MeasurementError, MissingExtra, UserError, describe, unknown_name
from mamtra_eval.extras import extra_version, import_extra
from mamtra_eval.metrics import Figure, Item, Metric, Reading
from mamtra_eval.registry import read_options
from mamtra_eval.testset import TestSet
from mamtra_eval.weights import Weights, download, folder, given

PACKAGES = ("utmosv2",)
OPTION_SECTION = "utmosv2"
DEFAULTS: dict[str, Any] = {
    "fold": 0,
    "num_repetitions": 5,
    "remove_silent_section": True,
    "predict_dataset": "sarulab",
    "seed": 0,
    "weights": None,
    "device": None,
}

EXTRA = "utmosv2"
NEEDS = ("the metric utmosv2", "utmosv2", EXTRA)
"""Feature, package and extra, for what is said where the package is not."""
SOURCE = "'git+https://github.com/sarulab-speech/UTMOSv2@v1.3.0'"

CONFIG = "fusion_stage3"
FOLDS = 5
DATASETS = (
    "sarulab", "bvcc", "somos", "blizzard2008", "blizzard2009", "blizzard2010-EH1",
    "blizzard2010-EH2", "blizzard2010-ES1", "blizzard2010-ES3", "blizzard2011",
)  # fmt: skip
HUB_MODELS = ("facebook/wav2vec2-base", "timm/tf_efficientnetv2_s.in21k_ft_in1k")
URL = "https://huggingface.co/sarulab-speech/UTMOSv2/resolve/main"
SHA256 = {0: "c8149d988e4bbf3f347e6966b5d769de347a5f8c59ffca1dc4bd4bf5b8585e57"}
"""Of the published weights by fold, where known."""
OPTION = "utmosv2.weights"
RATE_HZ = 16000


class UtmosV2(Metric):
    """The score; the package and the weights are loaded at ``check`` or at the first clip."""

    on_device = True

    figures = (Figure("utmosv2", "utmosv2", unit="mos", title="UTMOSv2 (predicted MOS)"),)
    note = (
        "UTMOSv2 scores random excerpts, drawn here by the clip's content. Its values are not "
        "comparable with those of other predictors (UTMOS22, DNSMOS)."
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = dict(options)
        self._seed, self._fold = self._options["seed"], self._options["fold"]
        self.device = self._options["device"]

    def signature(self) -> str:
        """Package, weights by hash, and all that the excerpts depend on."""
        options = self._options
        precision = "fp16-autocast" if self._device.startswith("cuda") else "fp32"
        return (
            f"metric:utmosv2-{_version()}|config:{CONFIG}|fold:{self._fold}"
            f"|weights:{self._sha256[:8]}|repetitions:{options['num_repetitions']}"
            f"|remove_silent:{str(options['remove_silent_section']).lower()}"
            f"|dataset:{options['predict_dataset']}|seed:{self._seed}-content"
            f"|precision:{precision}"
        )

    def check(self, testset: TestSet) -> None:
        """MissingExtra if package, weights or the models that it builds on are not here."""
        del testset
        self._model  # noqa: B018 -- loading it is the check

    def measure(self, item: Item) -> Reading:
        """Score one clip; MeasurementError if it is silent or the package leaves nothing of it."""
        samples = item.at_16k(self.resampler)
        if not samples.any():
            raise MeasurementError("nothing to score: digital silence")
        with _seeded(_content_seed(samples, self._seed)):
            score = self._predict(samples)
        if not math.isfinite(score):
            raise MeasurementError(f"utmosv2 gave no number for this clip ({score})")
        return Reading({"utmosv2": score})

    def _predict(self, samples: Samples) -> float:
        options = self._options
        try:
            scores = self._model.predict(
                data=samples,
                sr=RATE_HZ,
                predict_dataset=options["predict_dataset"],
                device=self._device,
                num_workers=0,
                batch_size=1,
                num_repetitions=options["num_repetitions"],
                remove_silent_section=options["remove_silent_section"],
                verbose=False,
            )
        except ZeroDivisionError as error:  # it repeats what is left until that is long enough
            raise MeasurementError(
                "utmosv2 took the whole clip for silence (no sample above 0.1); with "
                "utmosv2.remove_silent_section=false it would score it"
            ) from error
        return float(np.asarray(scores).reshape(-1)[0])

    @cached_property
    def _path(self) -> Path:
        own = self._options["weights"]
        return given(own, "UTMOSv2", OPTION) if own else _published(self._fold).require()

    @cached_property
    def _sha256(self) -> str:
        return audio.sha256(self._path)

    @cached_property
    def _device(self) -> str:

        return devices.choose(self._options["device"])

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 -- imported lazily
        package, path = _package(), self._path
        import torch

        try:
            # It would fetch what is missing and unpickle anything: so the weights are loaded here.
            with _offline(), _seeded(0):
                model = package.create_model(
                    pretrained=False, config=CONFIG, fold=self._fold, device=self._device
                )
                model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:  # of the hub, the file system, the weights
            fetch = " ; ".join(f"hf download {name}" for name in HUB_MODELS)
            raise MissingExtra(
                f"utmosv2 can't be loaded ({describe(error)})",
                where=str(path),
                fix=f"It builds on models of the hub; where there is a network: {fetch} . If the "
                f"weights are damaged: {_published(self._fold).fetch}",
            ) from error
        return model


def create(options: Mapping[str, Any]) -> Metric:
    """Make the metric; nothing heavy is imported yet."""
    read = read_options("metric utmosv2", options, DEFAULTS)
    if not 0 <= read["fold"] < FOLDS:
        raise UserError(f"option fold of metric utmosv2 must be 0 to 4, not {read['fold']}")
    if read["num_repetitions"] < 1:
        raise UserError(
            "option num_repetitions of metric utmosv2 must be at least 1, "
            f"not {read['num_repetitions']}"
        )
    if read["predict_dataset"] not in DATASETS:
        raise unknown_name("data set of utmosv2", read["predict_dataset"], DATASETS)
    return UtmosV2(read)


def weights() -> list[Weights]:
    """What is loaded by default."""
    return [_published(DEFAULTS["fold"])]


def _published(fold: int) -> Weights:
    name = f"fold{fold}_s42_best_model.pth"
    # The package spells the variable so.
    own = Path(os.environ.get("UTMOSV2_CHACHE") or "~/.cache/utmosv2").expanduser()
    return Weights(
        name=f"UTMOSv2, fold {fold}",
        path=folder() / f"utmosv2_{name}",
        fetch=download(f"{URL}/{name}", f"utmosv2_{name}"),
        size="819 MB",
        option=OPTION,
        sha256=SHA256.get(fold),
        alias=(own / "models" / CONFIG / name,),
    )


def _package() -> Any:  # noqa: ANN401 -- it has no types here
    with _from_source():
        return import_extra("utmosv2", *NEEDS)


def _version() -> str:
    with _from_source():
        return extra_version(*NEEDS)


@contextmanager
def _from_source() -> Iterator[None]:
    """No index has the package, so no extra of this one can bring it: name its source."""
    try:
        yield
    except MissingExtra as error:
        fix = (error.fix or "").replace(f"'mamtra-eval[{EXTRA}]'", SOURCE)
        raise MissingExtra(error.what, where=error.where, fix=fix) from error


def _content_seed(samples: Samples, seed: int) -> int:
    """A seed of 32 bits that belongs to the clip, whenever it is measured."""
    content = (samples + np.float32(0)).tobytes()  # some formats hold -0.0, others know 0 only
    digest = hashlib.sha256(f"{seed}:".encode() + content)
    return int.from_bytes(digest.digest()[:4], "big")


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of Python, numpy and torch; leave them as they were.

    Of torch's only that of the CPU: on a GPU the package computes without chance.
    """
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


@contextmanager
def _offline() -> Iterator[None]:
    """Keep the Hugging Face hub to its cache: a run fetches nothing."""
    constants: Any = import_extra("huggingface_hub.constants", *NEEDS)
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
