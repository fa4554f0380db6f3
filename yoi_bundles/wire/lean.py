"""Answers that are at hand, given before a framework is asked.

A framework's routing, validation, dependencies and hop to a thread cost more than such an answer.
What is out of the ordinary, every error included, is left to the documented route; a route that
answers both ways makes its answer by the same function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from yoi_bundles.errors import BundleError

Lean: TypeAlias = Callable[[Scope, Mapping[str, str]], Response | None]
"""Answers a request with such parts of its path, or None: then the documented route does.

Never blocks the event loop, and changes nothing. The caller is in ``scope["state"]``. Every
`BundleError` counts as None.
"""

_BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


class LeanRoute(NamedTuple):
    """A documented route, and what answers before it."""

    route: Route
    answer: Lean


def answer_first(app: Starlette, answer: Lean) -> None:
    """Ask ``answer`` before the route that an app was given last.

    Raises:
        TypeError: That is no route with methods.
    """
    route = app.routes[-1]
    if not isinstance(route, Route):
        raise TypeError(f"{route!r} has no methods")
    app.state.lean.append(LeanRoute(route, answer))


class LeanAnswers:
    """Middleware that answers what can be answered at once; stands behind authentication.

    Args:
        app: Answers the rest, without another look at who asks.
        routes: Asked in order; may grow until the first request.
    """

    def __init__(self, app: ASGIApp, routes: list[LeanRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the app do so."""
        answer = self._find(scope) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)

    def _find(self, scope: Scope) -> Response | None:
        """An answer to a request that has no body."""
        if "caller" not in scope.get("state", ()) or _has_body(scope):
            return None
        path, method = scope["path"], scope["method"]
        for route, answer in self._routes:
            match = route.path_regex.match(path) if method in (route.methods or ()) else None
            if match is None:
                continue
            # The metrics name a request by its route.
            scope["route"] = route
            try:
                return answer(scope, match.groupdict())
            except BundleError:
                return None
        return None


def _has_body(scope: Scope) -> bool:
    return any(name in _BODY_HEADERS for name, _ in scope["headers"])
