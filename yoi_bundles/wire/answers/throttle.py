"""How often, and how many at once: bounds of each credential and of each unknown peer.

Source: RFC 9110 section 10.2.3 (Retry-After); RFC 6585 section 4 (429).
"""

from __future__ import annotations

import ipaddress
import math
from collections import Counter, OrderedDict
from collections.abc import Callable

from yoi_bundles.errors import TooManyRequestsError
from yoi_bundles.model.request_limits import RequestLimits

MAX_KEYS = 16_384
"""Credentials, and as many addresses, whose rate is remembered; the least recent are forgotten."""

BUSY_SECONDS = 1
"""What a caller is told to wait when too many of its requests are under way."""

ROUNDING_SECONDS = 1e-6
"""What sums of intervals may be off by."""


class Rate:
    """Events by key, at an average rate with bursts: the generic cell rate algorithm.

    Of each key it keeps the moment at which all of its events so far would have been due, and at
    which rate.

    Args:
        clock: Seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._due: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, *, per_second: float, burst: int) -> float:
        """Count one event, if there is room for it.

        Returns:
            0 if it was counted, else the seconds until there is room.
        """
        now = self._clock()
        due, counted_per_second = self._due.get(key, (now, per_second))
        # Under another rate it is as many events, and so as long as they take now.
        ahead_seconds = max(due - now, 0.0) * counted_per_second / per_second
        wait_seconds = ahead_seconds - (burst - 1) / per_second
        if wait_seconds > ROUNDING_SECONDS:
            return wait_seconds
        self._due[key] = now + ahead_seconds + 1 / per_second, per_second
        self._due.move_to_end(key)
        if len(self._due) > MAX_KEYS:
            self._due.popitem(last=False)
        return 0.0


class Throttle:
    """The bounds of one server; used from its event loop alone.

    Args:
        limits: Asked anew for each request, so that a reloaded policy holds at once.
        clock: Seconds that only go forward.
    """

    def __init__(self, limits: Callable[[], RequestLimits], clock: Callable[[], float]) -> None:
        self._limits = limits
        self._requests = Rate(clock)
        self._failures = Rate(clock)
        self._under_way: Counter[str] = Counter()

    def begin(self, name: str) -> None:
        """Count a request of a credential as under way; `end` must follow.

        Args:
            name: The credential's.

        Raises:
            TooManyRequestsError: Too many are under way, or they come too fast; not counted.
        """
        limits = self._limits()
        if self._under_way[name] >= limits.concurrent_requests:
            raise refuse_for("too many requests of this token are under way", BUSY_SECONDS)
        wait_seconds = self._requests.take(
            name, per_second=limits.requests_per_second, burst=limits.burst_requests
        )
        if wait_seconds:
            raise refuse_for("requests of this token come too fast", wait_seconds)
        self._under_way[name] += 1

    def end(self, name: str) -> None:
        """Count a request that `begin` took as answered."""
        self._under_way[name] -= 1
        if not self._under_way[name]:
            del self._under_way[name]

    def note_failure(self, address: str) -> None:
        """Count a request without a known credential.

        Args:
            address: The peer's.

        Raises:
            TooManyRequestsError: It makes too many of them.
        """
        limits = self._limits()
        wait_seconds = self._failures.take(
            network_of(address),
            per_second=limits.failures_per_minute / 60,
            burst=limits.burst_failures,
        )
        if wait_seconds:
            raise refuse_for("too many requests without a known token from here", wait_seconds)


def network_of(address: str) -> str:
    """What counts as one peer: an IPv4 address, or the /64 that one IPv6 host has to itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped or ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)


def refuse_for(message: str, wait_seconds: float) -> TooManyRequestsError:
    """The error of a caller who may ask again in some seconds."""
    seconds = max(1, math.ceil(wait_seconds))
    return TooManyRequestsError(
        message, hint=f"ask again in {seconds} s", retry_after_seconds=seconds
    )
