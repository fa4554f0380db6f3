"""Answers that are at hand, given before a framework is asked.

A framework's routing, validation, dependencies and hop to a thread cost more than such an answer.
What is out of the ordinary, every error included, is left to the documented route; a route that
answers both ways makes its answer by the same function.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yoi_bundles.errors import BundleError
from yoi_bundles.model.limits import KIB
from yoi_bundles.wire.answers.responses import EncodedResponse
from yoi_bundles.wire.at_once.waits import Parked

Lean: TypeAlias = Callable[[Scope, Mapping[str, str]], Response | None]
"""Answers a request with such parts of its path, or None: then the documented route does.

Never blocks the event loop, and changes nothing. The caller is in ``scope["state"]``. Every
`BundleError` counts as None.
"""

Later: TypeAlias = Callable[[Scope, Mapping[str, str], bytes], Awaitable[Response | None]]
"""As `Lean`, with the body, which is empty or small JSON; may wait for a build, or for a write.

What waits so weighs a third of what it does in the framework.
"""

SMALL_BYTES = 64 * KIB
"""Bodies up to this announced length are read before the framework is asked."""

_KEPT_PATHS = 1024
"""A fleet asks for few paths; the rest are matched again."""
_KEPT_LENGTH = 256
"""Longest path that is kept; none of ours is longer."""

_BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


class EarlyRoute(NamedTuple):
    """A documented route, its methods, and what answers before it."""

    route: Route
    methods: frozenset[str]
    answer: Lean | None
    later: Later | None


def answer_first(app: Starlette, answer: Lean | None = None, *, later: Later | None = None) -> None:
    """Ask ``answer``, and then ``later``, before the route that an app was given last.

    Raises:
        TypeError: That is no route with methods.
    """
    route = app.routes[-1]
    if not isinstance(route, Route):
        raise TypeError(f"{route!r} has no methods")
    app.state.early.append(EarlyRoute(route, frozenset(route.methods or ()), answer, later))


class AtOnce(Protocol):
    """Middleware that may also answer in one turn of the event loop."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As any middleware."""

    def at_once(self, scope: Scope) -> EncodedResponse | None:
        """The answer to a request without a body, as if it had come the other way; or None.

        None leaves no trace: the request then takes the other way, through every step anew. A
        `Parked` is no answer yet: whoever gets it asks again after the wait.

        Args:
            scope: As of ASGI, with no more than method, path, query, headers and state.
        """


class EarlyAnswers:
    """Middleware that answers what can be answered at once; stands behind authentication.

    Args:
        app: Answers the rest, without another look at who asks.
        routes: Asked in order; may grow until the first request.
    """

    def __init__(self, app: ASGIApp, routes: list[EarlyRoute]) -> None:
        self._app = app
        self._routes = routes
        self._match = lru_cache(_KEPT_PATHS)(self._match_anew)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the app do so."""
        answer = self._find(scope) if scope["type"] == "http" else None
        if answer is None:
            answer, receive = await self._find_later(scope, receive)
        await (answer or self._app)(scope, receive, send)

    def at_once(self, scope: Scope) -> EncodedResponse | None:
        """See `AtOnce`: an answer that needs no reading, or word that it is to be waited for."""
        answer = self._find(scope)
        if type(answer) is EncodedResponse or type(answer) is Parked:
            return answer
        return None

    def _find(self, scope: Scope) -> Response | None:
        """An answer to a request that has no body."""
        early, parts = self._route_of(scope)
        if early is None or early.answer is None or _has_body(scope):
            return None
        # The metrics name a request by its route.
        scope["route"] = early.route
        try:
            return early.answer(scope, parts)
        except BundleError:
            return None

    async def _find_later(self, scope: Scope, receive: Receive) -> tuple[Response | None, Receive]:
        """An answer that takes its time, and what gives the request's body again."""
        early, parts = self._route_of(scope)
        if early is None or early.later is None:
            return None, receive
        content = b""
        if _has_body(scope):
            body = SmallBody(receive)
            receive = body.receive
            if not _has_small_json(scope) or not await body.read():
                return None, receive
            content = body.content
        scope["route"] = early.route
        try:
            return await early.later(scope, parts, content), receive
        except BundleError:
            return None, receive

    def _route_of(self, scope: Scope) -> tuple[EarlyRoute | None, Mapping[str, str]]:
        if "caller" not in scope.get("state", ()):
            return None, {}
        match = self._match if len(scope["path"]) <= _KEPT_LENGTH else self._match_anew
        return match(scope["method"], scope["path"])

    def _match_anew(self, method: str, path: str) -> tuple[EarlyRoute | None, Mapping[str, str]]:
        for early in self._routes:
            match = early.route.path_regex.match(path) if method in early.methods else None
            if match is not None:
                return early, match.groupdict()
        return None, {}


class SmallBody:
    """A body that is read ahead, and can be received once more as it came.

    Args:
        receive: Gives it; what that raises is raised again by the second one.
    """

    def __init__(self, receive: Receive) -> None:
        self.content = b""
        self._receive = receive
        self._seen: list[Message] = []
        self._error: HTTPException | None = None

    async def read(self) -> bool:
        """Read all of it; whether there was an end."""
        parts = []
        while True:
            try:
                message = await self._receive()
            except HTTPException as error:  # it came too slowly; the framework says so
                self._error = error
                return False
            self._seen.append(message)
            if message["type"] != "http.request":
                return False
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                self.content = b"".join(parts)
                return True

    async def receive(self) -> Message:
        """As the first one."""
        if self._seen:
            return self._seen.pop(0)
        if self._error is not None:
            raise self._error
        return await self._receive()


def _has_small_json(scope: Scope) -> bool:
    """Whether a request says that its body is JSON of a length that is small."""
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    is_json = headers.get(b"content-type") == b"application/json"
    return is_json and length.isdigit() and int(length) <= SMALL_BYTES


def _has_body(scope: Scope) -> bool:
    return any(name in _BODY_HEADERS for name, _ in scope["headers"])
