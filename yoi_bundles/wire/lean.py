"""Answers that are at hand, given before a framework is asked.

A framework's routing, validation, dependencies and hop to a thread cost more than such an answer.
What is out of the ordinary, every error included, is left to the documented route; a route that
answers both ways makes its answer by the same function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeAlias

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from yoi_bundles.errors import BundleError
from yoi_bundles.wire.responses import EncodedResponse

Lean: TypeAlias = Callable[[Scope, Mapping[str, str]], Response | None]
"""Answers a request with such parts of its path, or None: then the documented route does.

Never blocks the event loop, and changes nothing. The caller is in ``scope["state"]``. Every
`BundleError` counts as None.
"""

_KEPT_PATHS = 1024
"""A fleet asks for few paths; the rest are matched again."""

_BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


class LeanRoute(NamedTuple):
    """A documented route, its methods, and what answers before it."""

    route: Route
    methods: frozenset[str]
    answer: Lean


def answer_first(app: Starlette, answer: Lean) -> None:
    """Ask ``answer`` before the route that an app was given last.

    Raises:
        TypeError: That is no route with methods.
    """
    route = app.routes[-1]
    if not isinstance(route, Route):
        raise TypeError(f"{route!r} has no methods")
    app.state.lean.append(LeanRoute(route, frozenset(route.methods or ()), answer))


class AtOnce(Protocol):
    """Middleware that may also answer in one turn of the event loop."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As any middleware."""

    def at_once(self, scope: Scope) -> EncodedResponse | None:
        """The answer to a request without a body, as if it had come the other way; or None.

        None leaves no trace: the request then takes the other way, through every step anew.

        Args:
            scope: As of ASGI, with no more than method, path, query, headers and state.
        """


class LeanAnswers:
    """Middleware that answers what can be answered at once; stands behind authentication.

    Args:
        app: Answers the rest, without another look at who asks.
        routes: Asked in order; may grow until the first request.
    """

    def __init__(self, app: ASGIApp, routes: list[LeanRoute]) -> None:
        self._app = app
        self._routes = routes
        self._match = lru_cache(_KEPT_PATHS)(self._match_anew)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the app do so."""
        answer = self._find(scope) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)

    def at_once(self, scope: Scope) -> EncodedResponse | None:
        """See `AtOnce`: an answer that needs neither to wait nor to read."""
        answer = self._find(scope)
        return answer if type(answer) is EncodedResponse else None

    def _find(self, scope: Scope) -> Response | None:
        """An answer to a request that has no body."""
        if "caller" not in scope.get("state", ()) or _has_body(scope):
            return None
        found = self._match(scope["method"], scope["path"])
        if found is None:
            return None
        lean, parts = found
        # The metrics name a request by its route.
        scope["route"] = lean.route
        try:
            return lean.answer(scope, parts)
        except BundleError:
            return None

    def _match_anew(self, method: str, path: str) -> tuple[LeanRoute, Mapping[str, str]] | None:
        for lean in self._routes:
            match = lean.route.path_regex.match(path) if method in lean.methods else None
            if match is not None:
                return lean, match.groupdict()
        return None


def _has_body(scope: Scope) -> bool:
    return any(name in _BODY_HEADERS for name, _ in scope["headers"])
