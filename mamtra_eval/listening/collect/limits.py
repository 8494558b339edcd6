"""How much a collector takes, of whom, and how fast."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import NamedTuple


class Rate(NamedTuple):
    """A token bucket: requests a second in the long run, and how many at once."""

    per_s: float
    burst: float


_SESSION = Rate(5, 60)
_ADDRESS = Rate(200, 2000)
_STARTS = Rate(2, 600)


@dataclass(frozen=True)
class Limits:
    """Bounds of a collector; the defaults let 200 raters work behind one address.

    Attributes:
        body_bytes: of a request.
        body_s: to send it, in seconds.
        wait_s: for the database, in seconds, before the page is told to try again.
        silence_s: after which an unfinished list goes out again, in seconds.
        session: requests about one session.
        address: requests from one address.
        starts: of sessions from one address.
    """

    body_bytes: int = 1024 * 1024
    body_s: float = 60.0
    wait_s: float = 10.0
    silence_s: float = 3600.0
    session: Rate = _SESSION
    address: Rate = _ADDRESS
    starts: Rate = _STARTS


class Buckets:
    """A token bucket for every name; the ones unused for longest are forgotten."""

    def __init__(self, rate: Rate, most: int = 20_000) -> None:
        self._rate = rate
        self._most = most
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, name: str, now_s: float) -> float:
        """Take one token: 0, or the seconds until there is one."""
        left, since_s = self._left.pop(name, (self._rate.burst, now_s))
        left = min(self._rate.burst, left + max(0.0, now_s - since_s) * self._rate.per_s)
        granted = left >= 1
        self._left[name] = (left - granted, now_s)
        if len(self._left) > self._most:
            del self._left[next(iter(self._left))]
        return 0.0 if granted else (1 - left) / self._rate.per_s


def network(address: str) -> str:
    """What counts as one client: an IPv4 address, the /64 of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, 64), strict=False))
    return address
