"""What both servers put around their routes: authentication, body limits, problems, metrics.

Authentication is ASGI middleware and not a dependency, because a framework reads the body before
it asks its dependencies: an unknown caller is answered before one byte of body is read.
"""

from __future__ import annotations

import base64
import binascii
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yoi_bundles.errors import (
    BundleError,
    ForbiddenError,
    InvalidInputError,
    TooLargeError,
    UnauthenticatedError,
)
from yoi_bundles.wire.guard import BODY_IDLE_SECONDS, GuardMiddleware, http_problem_response
from yoi_bundles.wire.problems import PROBLEM_MEDIA_TYPE, encode_problem
from yoi_bundles.wire.roles import CredentialView, Role

log = logging.getLogger(__name__)

OPEN_PATHS = frozenset({"/livez", "/readyz", "/healthz", "/metrics", "/openapi.json"})
"""Paths that say nothing about bundles and ask for no credential."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
"""Methods with a time series of their own; anybody can make up others."""

Authenticate = Callable[[str], CredentialView]


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """The largest body for paths that begin with ``prefix`` and end with ``suffix``."""

    limit_bytes: int | None
    """None: the route counts for itself while it streams."""
    prefix: str
    suffix: str = ""


def problem_response(error: BundleError) -> Response:
    """The answer for an error of ours."""
    document = encode_problem(error)
    headers = {"cache-control": "no-store"}
    if isinstance(error, UnauthenticatedError):
        headers["www-authenticate"] = 'Bearer realm="yoi-bundles"'
    return JSONResponse(
        document,
        status_code=document["status"],
        media_type=PROBLEM_MEDIA_TYPE,
        headers=headers,
    )


class AuthenticationMiddleware:
    """Sets ``scope["state"]["caller"]``, or answers 401 before the body is read."""

    def __init__(self, app: ASGIApp, authenticate: Authenticate) -> None:
        self._app = app
        self._authenticate = authenticate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a known caller on."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        try:
            caller = self._authenticate(_token_of(scope))
        except BundleError as error:
            response = problem_response(error)
            if scope["path"].startswith("/git/"):
                response.headers["www-authenticate"] = 'Basic realm="yoi-bundles"'
            await response(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


def _token_of(scope: Scope) -> str:
    """The token of a request: Bearer, or on ``/git/`` the password of Basic (git knows no other).

    Raises:
        UnauthenticatedError: None, several, or not in a form that is known.
    """
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(values) != 1:
        raise UnauthenticatedError(
            "one Authorization header is needed", hint="Authorization: Bearer <token>"
        )
    scheme, _, rest = values[0].partition(b" ")
    if scheme.lower() == b"bearer":
        return str(rest.strip().decode("latin-1"))
    if scheme.lower() == b"basic" and scope["path"].startswith("/git/"):
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2].decode()
        except (binascii.Error, UnicodeDecodeError):
            raise UnauthenticatedError("the Authorization header is malformed") from None
    raise UnauthenticatedError("only bearer tokens are known here")


class BodyLimitMiddleware:
    """Refuses bodies over their limit, by their announced and by their real length."""

    def __init__(self, app: ASGIApp, default_bytes: int, limits: Sequence[BodyLimit] = ()) -> None:
        self._app = app
        self._default = default_bytes
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count while the body streams."""
        limit = self._limit_of(scope["path"]) if scope["type"] == "http" else None
        if limit is None:
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > limit:
            await problem_response(_too_large(limit))(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _too_large(limit)
            return message

        await self._app(scope, counted, send)

    def _limit_of(self, path: str) -> int | None:
        for rule in self._limits:
            if path.startswith(rule.prefix) and path.endswith(rule.suffix):
                return rule.limit_bytes
        return self._default


def _too_large(limit_bytes: int) -> TooLargeError:
    return TooLargeError(
        f"the request's body is larger than {limit_bytes} bytes",
        limit=limit_bytes,
        limit_name="request_bytes",
    )


class MetricsMiddleware:
    """Counts requests by route and status, and how long they took."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._requests = Counter(
            "yoi_bundles_http_requests_total",
            "HTTP requests",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "yoi_bundles_http_request_seconds", "Time to answer", ["route"], registry=registry
        )

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
            # The template, never the path: a path would make one time series per digest.
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._requests.labels(method, route, str(status)).inc()
            self._seconds.labels(route).observe(time.perf_counter() - started)


def is_unchanged(request: Request, etag: str) -> bool:
    """Whether the caller has what it asks for already (RFC 9110, If-None-Match).

    Args:
        etag: Of what is here, quoted.
    """
    header = request.headers.get("if-none-match", "")
    known = {entry.strip().removeprefix("W/") for entry in header.split(",")}
    return "*" in known or etag in known


def require_role(*roles: Role) -> Any:  # noqa: ANN401  (what FastAPI's own Depends returns)
    """A dependency that lets only these roles through and gives the caller's credential."""

    def verify(request: Request) -> CredentialView:
        caller: CredentialView = request.scope["state"]["caller"]
        verify_role(caller, *roles)
        return caller

    return Depends(verify)


def verify_role(caller: CredentialView, *roles: Role) -> None:
    """Let only these roles through.

    Raises:
        ForbiddenError: Another role.
    """
    if caller.role not in roles:
        raise ForbiddenError(
            f"the role {caller.role} may not do this", hint=f"needs {' or '.join(roles)}"
        )


def add_common(
    app: FastAPI,
    *,
    authenticate: Authenticate,
    is_ready: Callable[[], bool],
    default_body_bytes: int,
    body_limits: Sequence[BodyLimit] = (),
    body_idle_seconds: float = BODY_IDLE_SECONDS,
) -> None:
    """Give an app what both servers share.

    Args:
        authenticate: Token to credential, or `UnauthenticatedError`.
        is_ready: Whether requests can be served now.
        default_body_bytes: Body limit where no rule of ``body_limits`` says otherwise.
        body_idle_seconds: Longest silence in a body before it is a 408.
    """
    registry = CollectorRegistry()
    app.add_exception_handler(BundleError, _on_bundle_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_unexpected)
    app.add_middleware(BodyLimitMiddleware, default_bytes=default_body_bytes, limits=body_limits)
    app.add_middleware(AuthenticationMiddleware, authenticate=authenticate)
    app.add_middleware(MetricsMiddleware, registry=registry)
    app.add_middleware(GuardMiddleware, body_idle_seconds=body_idle_seconds)

    async def live(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(request: Request) -> Response:
        is_up = is_ready()
        return JSONResponse({"status": "ok" if is_up else "not ready"}, 200 if is_up else 503)

    async def metrics(request: Request) -> Response:
        return PlainTextResponse(generate_latest(registry), media_type="text/plain; version=0.0.4")

    app.add_route("/livez", live, include_in_schema=False)
    app.add_route("/healthz", live, include_in_schema=False)
    app.add_route("/readyz", ready, include_in_schema=False)
    app.add_route("/metrics", metrics, include_in_schema=False)


def operation_id(route: APIRoute) -> str:
    """The name of a route's function: what generated clients call the operation."""
    return route.name


async def _on_bundle_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, BundleError):
        raise error
    return problem_response(error)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    # Names of fields and kinds of errors only: the input may hold what must not be repeated.
    wrong = [
        f"{'.'.join(str(part) for part in e['loc'])}: {e['type']}" for e in error.errors()[:20]
    ]
    return problem_response(
        InvalidInputError(f"the request is not as documented: {'; '.join(wrong)}", fields=wrong)
    )


async def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if isinstance(error.__cause__, BundleError):
        # The framework turns whatever a body's stream raises into a 400 of its own.
        return problem_response(error.__cause__)
    detail = str(error.detail)
    if error.status_code in {404, 405}:
        detail = f"{detail.lower()}: no such route here"
    return http_problem_response(error.status_code, detail, dict(error.headers or {}))


async def _on_unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    return problem_response(BundleError("something went wrong here; the log says what"))
