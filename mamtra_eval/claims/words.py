"""Numbers for people: bytes, FLOP, tokens and shares, always with their unit."""

from __future__ import annotations

from collections.abc import Iterable

SPEECH_RATE = 25
"""Speech tokens a second, of CosyVoice 2."""


def size(amount: float, *, signed: bool = False) -> str:
    """Bytes in MB (1e6) or GB (1e9): ``6.29 MB``; with the sign always shown if ``signed``."""
    unit, scale = ("GB", 1e9) if abs(amount) >= 1e9 else ("MB", 1e6)
    shown = f"{amount / scale:+,.2f}" if signed else f"{amount / scale:,.2f}"
    return f"{_minus(shown)} {unit}"


def flop(amount: float) -> str:
    """FLOP in the nearest of M, G and T: ``0.904 GFLOP``."""
    unit, scale = next(
        (unit, scale)
        for unit, scale in (("TFLOP", 1e12), ("GFLOP", 1e9), ("MFLOP", 1e6))
        if abs(amount) >= 0.1 * scale or unit == "MFLOP"
    )
    decimals = 1 if unit == "MFLOP" else 3
    return f"{_minus(f'{amount / scale:,.{decimals}f}')} {unit}"


def share(fraction: float, *, signed: bool = False) -> str:
    """A fraction in percent: ``34.2 %``."""
    return f"{_minus(f'{100 * fraction:+.1f}' if signed else f'{100 * fraction:.1f}')} %"


def tokens(number: float) -> str:
    """Tokens, with how long they speak: ``65,104 tokens (43.4 min)``."""
    seconds = number / SPEECH_RATE
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{number:,.0f} tokens ({seconds / length:,.1f} {unit})"
    return f"{number:,.0f} tokens ({seconds:,.1f} s)"


def listed(parts: Iterable[str]) -> str:
    """``a, b and c``."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def layers(indices: Iterable[int]) -> str:
    """Layer indices: ``0, 8, 11, 16``."""
    return ", ".join(map(str, indices))


def _minus(text: str) -> str:
    return text.replace("-", "−")
