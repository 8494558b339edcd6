"""UTMOS: naturalness as listeners would rate it, 1 to 5, predicted by UTMOS22-strong.

One figure, ``utmos``, higher is better: the network, the judge and the domain of SpeechMOS v1.2.0
(``utmos22_strong``), without its code. It needs the weights (411 MB), fetched once; a run without
them is refused with the line that brings them. Options, all behind ``utmos.``:

``weights``     another file with weights of the same network
``device``      ``cuda`` or ``cpu``; by default cuda where there is one
``batch_size``  most clips taken at once (default 1); only clips of one length to the sample ever
                are, for zeros behind a shorter one would change its score
``resample``    the way to 16 kHz, a method of ``rates``; default ``sinc``, which SpeechMOS uses

It was trained on English of at most 10 s (VoiceMOS Challenge 2022). Users report that other
languages and accents come out lower, so compare systems in one language only. The prediction is
not bounded to 1 to 5. Do not set it beside UTMOSv2, DNSMOS or a listening test.

As with SpeechMOS, nothing is cut off and the level is left as it is. The first layer takes mean
and level out of each of its channels, save for a constant of 1e-5 in the variance. So an offset
changes nothing, but a gain does, the more the quieter the clip: compare systems at one level.
Turning the signal upside down changes the score, too. Samples that resampling carries beyond full
scale are clipped, which SpeechMOS does not do.

Method: Saeki et al., "UTMOS: UTokyo-SaruLab System for VoiceMOS Challenge 2022", 2022.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamtra_eval import audio, devices, rates
from mamtra_eval.audio import Samples
from mamtra_eval.batching import by_equal_size, in_batches, one_by_one
from mamtra_eval.errors import MeasurementError, MissingExtra, UserError, describe
from mamtra_eval.metrics import Figure, Item, Metric, Reading
from mamtra_eval.registry import read_options
from mamtra_eval.testset import TestSet
from mamtra_eval.torch_threads import torch_threads
from mamtra_eval.weights import Weights, cache, download, folder, given

if TYPE_CHECKING:
    from mamtra_eval.metrics._utmos_network import Utmos22Strong

OPTION_SECTION = "utmos"
DEFAULTS: dict[str, Any] = {"weights": None, "device": None, "batch_size": 1, "resample": "sinc"}

FAST = {"batch_size": 16}

NAME = "UTMOS22-strong"
FILE = "utmos22_strong_step7459_v1.pt"
URL = f"https://github.com/tarepan/SpeechMOS/releases/download/v1.0.0/{FILE}"
SHA256 = "38aa51ab79e2a4e09a1449758a4b37e9cbb2e8235a49662a732d33a9ba1e9bff"
OPTION = "utmos.weights"


class Utmos(Metric):
    """The score; weights are read at the first clip."""

    on_device = True

    figures = (Figure("utmos", "utmos", unit="mos", title="UTMOS22-strong (predicted MOS)"),)
    note = (
        "UTMOS22-strong was trained on short English clips; other languages tend to score lower. "
        "Its values are not comparable with those of other predictors (UTMOSv2, DNSMOS)."
    )

    def __init__(
        self, weights: str | None, device: str | None, batch_size: int, resample: str
    ) -> None:
        self._given, self.device = weights, device
        self.batch_size, self.resampler = batch_size, resample

    def signature(self) -> str:
        """Weights by hash, and what was asked of them; MissingExtra if they are not here."""
        batch = f"|batch:{self.batch_size}" if self.batch_size > 1 else ""
        return (
            f"metric:utmos22-strong|weights:{self._sha256[:8]}|judge:288|domain:0"
            f"|precision:fp32{batch}"
        )

    def check(self, testset: TestSet) -> None:
        """MissingExtra if the weights are not here, or are not what they should be."""
        del testset
        devices.check(self.device, "utmos.device")
        if self._sha256 == SHA256:
            return
        if self._given is None:
            raise MissingExtra(
                f"not the published weights {NAME}: SHA-256 {self._sha256[:8]}…, "
                f"expected {SHA256[:8]}…",
                where=str(self._path),
                fix=f"Fetch them again: {_published().fetch} ; or, if others are meant, give "
                f"their path as {OPTION}.",
            )
        self._network  # noqa: B018 -- others than the published show here whether they fit

    def measure(self, item: Item) -> Reading:
        """Score one clip; MeasurementError if it is silent or too short."""
        (reading,) = self._read([self._hear(item)])
        if isinstance(reading, Exception):
            raise reading
        return reading

    def measure_many(self, items: Sequence[Item]) -> Sequence[Reading | Exception]:
        """Score clips, those of one length together."""
        clips = one_by_one(self._hear, items)
        sizes = [-1 if isinstance(clip, Exception) else len(clip) for clip in clips]
        return in_batches(self._read, clips, by_equal_size(sizes, self.batch_size))

    def _hear(self, item: Item) -> Samples:
        """The clip at 16 kHz, long enough for one frame and not constant."""
        from mamtra_eval.metrics import _utmos_network as networks

        samples = item.at_16k(self.resampler)
        fewest = networks.PUBLISHED.ssl.receptive_field
        if len(samples) < fewest:
            raise MeasurementError(
                f"too short to score: {len(samples)} samples at 16 kHz, fewer than {fewest}"
            )
        if samples.min() == samples.max():
            raise MeasurementError("nothing to score: digital silence")
        return samples

    def _read(self, clips: Sequence[Samples | Exception]) -> list[Reading | Exception]:
        """Readings of clips of one length; those that could not be heard stay what they are."""
        from mamtra_eval.metrics import _utmos_network as networks

        heard = [clip for clip in clips if not isinstance(clip, Exception)]
        with torch_threads():
            scores = iter(networks.predict(self._network, heard) if heard else [])
        return [clip if isinstance(clip, Exception) else _reading(next(scores)) for clip in clips]

    @cached_property
    def _path(self) -> Path:
        return given(self._given, NAME, OPTION) if self._given else _published().require()

    @cached_property
    def _sha256(self) -> str:
        return audio.sha256(self._path)

    @cached_property
    def _network(self) -> Utmos22Strong:

        from mamtra_eval.metrics import _utmos_network as networks

        network = networks.load(self._path, networks.PUBLISHED)
        device = devices.choose(self.device)
        try:
            return network.to(device)
        except Exception as error:  # no such device, no memory left on it
            raise UserError(
                f"the network of utmos does not go to the device {device!r} ({describe(error)})",
                fix="Set utmos.device=cpu, or free memory on the device.",
            ) from error


def fast(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options in fast mode."""
    del options
    return dict(FAST)


def defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """All options with their defaults."""
    del options
    return dict(DEFAULTS)


def create(options: Mapping[str, Any]) -> Metric:
    """Make the metric; nothing heavy is imported yet."""
    read = read_options("metric utmos", options, DEFAULTS)
    rates.check(read["resample"])
    if read["batch_size"] < 1:
        raise UserError(
            f"option batch_size of metric utmos must be at least 1, not {read['batch_size']}"
        )
    return Utmos(**read)


def weights() -> list[Weights]:
    """What is loaded by default."""
    return [_published()]


def _published() -> Weights:
    torch_home = Path(os.environ.get("TORCH_HOME") or cache() / "torch").expanduser()
    return Weights(
        name=NAME,
        path=folder() / FILE,
        fetch=download(URL, FILE),
        size="411 MB",
        option=OPTION,
        sha256=SHA256,
        alias=(torch_home / "hub" / "checkpoints" / FILE,),  # where SpeechMOS itself puts it
    )


def _reading(score: float) -> Reading | MeasurementError:
    if not math.isfinite(score):
        return MeasurementError(f"the network gave no number for this clip ({score})")
    return Reading({"utmos": score})
