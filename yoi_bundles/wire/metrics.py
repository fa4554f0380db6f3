"""Requests counted by route and status, those included that reach no route."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yoi_bundles.wire.waits import is_parked

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
"""Methods with a time series of their own; anybody can make up others."""

UNMATCHED = "unmatched"
"""Route of what was refused before a route was found."""


class RequestMetrics:
    """What is counted of one server's requests.

    Args:
        registry: Where ``/metrics`` reads it.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "yoi_bundles_http_requests_total",
            "HTTP requests",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "yoi_bundles_http_request_seconds", "Time to answer", ["route"], registry=registry
        )
        # A look-up by labels costs the library more than the count. There are as many as series.
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer.

        Args:
            route: Its template, never the path: that would make one time series per digest.
        """
        known = method if method in METHODS else "other"
        series = self._series.get((known, route, status))
        if series is None:
            series = self._requests.labels(known, route, str(status)), self._seconds.labels(route)
            self._series[known, route, status] = series
        series[0].inc()
        series[1].observe(seconds)

    def count_refusal(self, status: int) -> None:
        """Count what was refused before it was a request."""
        self._requests.labels("other", UNMATCHED, str(status)).inc()


class MetricsMiddleware:
    """Counts what passes; stands outside of all other middleware, so that refusals count too."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
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
                route = getattr(scope.get("route"), "path", UNMATCHED)
                seconds = time.perf_counter() - started
                self._metrics.count(scope["method"], route, status, seconds)
