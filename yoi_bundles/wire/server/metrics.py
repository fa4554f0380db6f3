"""Requests counted by route and status, those included that reach no route."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from starlette.types import Message, Receive, Scope, Send

from yoi_bundles.wire.answers.responses import EncodedResponse
from yoi_bundles.wire.at_once.before_routes import AtOnce
from yoi_bundles.wire.at_once.waits import Parked, is_parked

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
"""Methods with a time series of their own; anybody can make up others."""

UNMATCHED = "unmatched"
"""Route of what was refused before a route was found."""

BOUNDS = Histogram.DEFAULT_BUCKETS
"""Upper bounds in seconds; the last one is infinite."""


class _Times:
    """How long the answers of one route took."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * len(BOUNDS)
        self.seconds = 0.0


class RequestMetrics(Collector):
    """What is counted of one server's requests: in its event loop, and read in any thread.

    Numbers are kept as they are and named when somebody asks for them: the library's own counters
    take a lock each, and several frames.

    Args:
        registry: Where ``/metrics`` reads it.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._times: dict[str, _Times] = {}
        registry.register(self)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer.

        Args:
            route: Its template, never the path: that would make one time series per digest.
        """
        self._requests[method if method in METHODS else "other", route, status] += 1
        times = self._times.get(route)
        if times is None:
            times = self._times[route] = _Times()
        times.buckets[bisect_left(BOUNDS, seconds)] += 1
        times.seconds += seconds

    def count_refusal(self, status: int) -> None:
        """Count what was refused before it was a request."""
        self._requests["other", UNMATCHED, status] += 1

    def collect(self) -> Iterator[Metric]:
        """All there is, as the library writes it."""
        requests = CounterMetricFamily(
            "yoi_bundles_http_requests", "HTTP requests", labels=["method", "route", "status"]
        )
        # Copies, in one step each: the event loop goes on counting.
        for (method, route, status), number in list(self._requests.items()):
            requests.add_metric([method, route, str(status)], number)
        yield requests
        times = HistogramMetricFamily(
            "yoi_bundles_http_request_seconds", "Time to answer", labels=["route"]
        )
        for route, one in list(self._times.items()):
            times.add_metric([route], list(_cumulated(one.buckets)), one.seconds)
        yield times


def _cumulated(buckets: list[int]) -> Iterator[tuple[str, float]]:
    total = 0
    for bound, number in zip(BOUNDS, buckets, strict=True):
        total += number
        yield floatToGoString(bound), total  # type: ignore[no-untyped-call]


class MetricsMiddleware:
    """Counts what passes; stands outside of all other middleware, so that refusals count too."""

    def __init__(self, app: AtOnce, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Watch the status go by."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            if not is_parked(scope):  # else it is counted when it comes again
                self._count(scope, status, started)

    def at_once(self, scope: Scope) -> EncodedResponse | None:
        """See `AtOnce`."""
        started = time.perf_counter()
        answer = self._app.at_once(scope)
        if answer is not None and not isinstance(answer, Parked):
            self._count(scope, answer.status_code, started)
        return answer

    def _count(self, scope: Scope, status: int, started: float) -> None:
        route = getattr(scope.get("route"), "path", UNMATCHED)
        self._metrics.count(scope["method"], route, status, time.perf_counter() - started)
