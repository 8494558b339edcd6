"""DNSMOS: predicted listening quality on the 1 to 5 scale, without a reference.

Four figures, higher is better: ``dnsmos`` (overall), ``dnsmos_sig`` (the speech itself),
``dnsmos_bak`` (freedom from background noise) and ``dnsmos_p808`` (a second network, trained on
P.808 listening tests). They answer to noise, clicks and coding artefacts. They were trained on
noisy human speech and do not rank synthesizers by naturalness; DNSMOS is not UTMOS, and the two
must not be compared.

Options:
    threads: threads that one worker computes with (default 1). More than one pays only on an idle
        machine with fewer workers than cores.

The networks are those inside the ``speechmos`` package 0.0.1.1, none of whose code is run; the
readings equal that package's (``model_type="dnsmos"``). A clip shorter than 9.01 s is doubled
until it is not. Windows of 9.01 s then start at every whole second from 0 up to the length,
rounded down to seconds, less 9.01 s, and the reading is their mean. The package computes the end
of a window in floating point and leaves out the windows where that comes out a sample short
(starts at 7 to 23 s and 119 to 122 s); so does this, or published figures could not be met.

Method: Reddy et al., "DNSMOS P.835", 2022; Reddy et al., "DNSMOS", 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mamtra_eval import audio, features
from mamtra_eval.audio import Samples
from mamtra_eval.errors import MeasurementError, MissingExtra, UserError
from mamtra_eval.metrics import Figure, Item, Metric, Reading
from mamtra_eval.registry import read_options
from mamtra_eval.testset import TestSet
from mamtra_eval.torch_threads import torch_threads

if TYPE_CHECKING:
    from mamtra_eval.metrics._dnsmos_networks import P808Network, SignalNetwork

PACKAGES = ("speechmos",)
DEFAULTS = {"threads": 1}

PACKAGE = "speechmos==0.0.1.1"
SHA256 = {
    "sig_bak_ovr.onnx": "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd",
    "model_v8.onnx": "9246480c58567bc6affd4200938e77eef49468c8bc7ed3776d109c07456f6e91",
}

RATE_HZ = 16000
WINDOW_S = 9.01
WINDOW = 144160
P808_MARGIN = 160  # the P.808 network hears a window without its last 10 ms
WINDOWS_AT_ONCE = 32  # bounds the memory for long clips

# Raw network output to mean opinion, highest power first.
POLYNOMIALS = {
    "sig": (-0.08397278, 1.22083953, 0.0052439),
    "bak": (-0.13166888, 1.60915514, -0.39604546),
    "ovrl": (-0.06766283, 1.11546468, 0.04602535),
}


class Dnsmos(Metric):
    """The four scores; networks are loaded at the first clip."""

    figures = (
        Figure("dnsmos", "ovrl", unit="mos", title="DNSMOS overall"),
        Figure("dnsmos_sig", "sig", unit="mos", title="DNSMOS speech", headline=False),
        Figure("dnsmos_bak", "bak", unit="mos", title="DNSMOS background", headline=False),
        Figure("dnsmos_p808", "p808", unit="mos", title="DNSMOS P.808", headline=False),
    )
    note = (
        "DNSMOS hears noise and artefacts. It does not rank synthesizers by naturalness, and it "
        "is not UTMOS."
    )

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def signature(self) -> str:
        """Networks by hash."""
        networks = "|".join(f"{Path(name).stem}:{sha[:8]}" for name, sha in SHA256.items())
        return f"metric:dnsmos|{PACKAGE.replace('==', ':')}|{networks}|threads:{self._threads}"

    def check(self, testset: TestSet) -> None:
        """UserError if the networks are not there."""
        del testset
        for name in SHA256:
            find_network(name)

    def measure(self, item: Item) -> Reading:
        """Score one clip."""
        samples = item.samples_16k
        if len(samples) == 0:
            raise MeasurementError("the clip holds no samples at 16 kHz")
        samples = lengthen(samples)
        starts = window_starts(len(samples))
        with torch_threads(self._threads):
            groups = _groups(starts)
            raw = np.concatenate([self._signal.scores(samples, group) for group in groups])
            p808 = [self._p808.score(p808_input(samples, start)) for start in starts]
        counts = {
            name: float(np.polyval(POLYNOMIALS[name], raw[:, column].astype(np.float64)).mean())
            for column, name in enumerate(POLYNOMIALS)
        }
        counts["p808"] = float(np.mean(p808))
        return Reading(counts, {"windows": len(starts)})

    @cached_property
    def _signal(self) -> SignalNetwork:
        from mamtra_eval.metrics._dnsmos_networks import SignalNetwork

        return SignalNetwork(find_network("sig_bak_ovr.onnx"))

    @cached_property
    def _p808(self) -> P808Network:
        from mamtra_eval.metrics._dnsmos_networks import P808Network

        return P808Network(find_network("model_v8.onnx"))


def create(options: Mapping[str, Any]) -> Metric:
    """Make the metric; nothing heavy is imported yet."""
    threads = read_options("metric dnsmos", options, DEFAULTS)["threads"]
    if threads < 1:
        raise UserError(f"option threads of metric dnsmos must be at least 1, not {threads}")
    return Dnsmos(threads)


def find_network(name: str) -> Path:
    """A network's file inside the installed package, which is not imported; its hash checked."""
    package = find_spec("speechmos")
    if package is None or package.origin is None:
        raise MissingExtra("the networks of dnsmos are not installed", fix=f"pip install {PACKAGE}")
    path = Path(package.origin).parent / "dnsmos_models" / name
    if not path.is_file() or audio.sha256(path) != SHA256[name]:
        raise MissingExtra(
            "missing, or not the network that dnsmos knows",
            where=str(path),
            fix=f"Install the known ones with: pip install --force-reinstall --no-deps {PACKAGE}",
        )
    return path


def lengthen(samples: Samples) -> Samples:
    """Double the clip until it fills a window."""
    while len(samples) < WINDOW:
        samples = np.concatenate([samples, samples])
    return samples


def window_starts(n_samples: int) -> list[int]:
    """Starts in seconds of the windows that are scored."""
    hops = int(n_samples // RATE_HZ - WINDOW_S) + 1
    # In floating point on purpose, see above.
    return [s for s in range(hops) if int((s + WINDOW_S) * RATE_HZ) - s * RATE_HZ == WINDOW]


def p808_input(samples: Samples, start_s: int) -> features.Floats:
    """Log-mel spectrogram (900, 120) of a window, scaled to -1 (80 dB below its maximum) to 1."""
    window = samples[start_s * RATE_HZ :][: WINDOW - P808_MARGIN]
    mel = features.mel_spectrogram(window, sample_rate_hz=RATE_HZ, n_fft=321, hop=160, n_mels=120)
    return (features.decibels(mel, top_db=80.0) + np.float32(40)) / np.float32(40)


def _groups(starts: list[int]) -> list[list[int]]:
    """Runs of consecutive windows, of bounded length: these share work."""
    groups: list[list[int]] = []
    for start in starts:
        if groups and start == groups[-1][-1] + 1 and len(groups[-1]) < WINDOWS_AT_ONCE:
            groups[-1].append(start)
        else:
            groups.append([start])
    return groups
