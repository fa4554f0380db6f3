"""What both servers put around their routes: bounds, authentication, problems, metrics."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yoi_bundles.errors import (
    BundleError,
    InvalidInputError,
    TooLargeError,
    TransportError,
)
from yoi_bundles.model.request_limits import DEFAULT_REQUEST_LIMITS, RequestLimits
from yoi_bundles.wire.answers.responses import http_problem_response, problem_response
from yoi_bundles.wire.answers.throttle import Throttle
from yoi_bundles.wire.at_once.before_routes import EarlyAnswers
from yoi_bundles.wire.messages.problems import list_field_faults
from yoi_bundles.wire.messages.roles import CredentialView, Role, verify_role
from yoi_bundles.wire.server.authentication import Authenticate, AuthenticationMiddleware
from yoi_bundles.wire.server.guard import DEFAULT_PACE, BodyPace, GuardMiddleware
from yoi_bundles.wire.server.metrics import MetricsMiddleware, RequestMetrics
from yoi_bundles.wire.server.openapi import DocumentedAPI

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """The largest body for paths that begin with ``prefix`` and end with ``suffix``."""

    limit_bytes: int | None
    """None: the route counts for itself while it streams."""
    prefix: str
    suffix: str = ""


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


def require_role(*roles: Role) -> Any:  # noqa: ANN401  (what FastAPI's own Depends returns)
    """A dependency that lets only these roles through and gives the caller's credential."""

    def verify(request: Request) -> CredentialView:
        caller: CredentialView = request.scope["state"]["caller"]
        verify_role(caller, *roles)
        return caller

    return Depends(verify)


def add_common(
    app: DocumentedAPI,
    *,
    authenticate: Authenticate,
    is_ready: Callable[[], bool],
    default_body_bytes: int,
    body_limits: Sequence[BodyLimit] = (),
    body_pace: BodyPace = DEFAULT_PACE,
    request_limits: Callable[[], RequestLimits] = lambda: DEFAULT_REQUEST_LIMITS,
    timer: Callable[[], float] = time.monotonic,
) -> None:
    """Give an app what both servers share; in ``app.state`` what a connection asks it.

    These are ``metrics``, ``end_waits`` and ``at_once`` (see `AtOnce`); ``early`` is for
    `answer_first`.

    Args:
        authenticate: Token to credential, or `UnauthenticatedError`.
        is_ready: Whether requests can be served now.
        default_body_bytes: Body limit where no rule of ``body_limits`` says otherwise.
        body_pace: How slowly a body may come before it is a 408.
        request_limits: Bounds of each credential, asked anew for each request.
        timer: Seconds that only go forward, for rates.
    """
    registry = CollectorRegistry()
    app.state.metrics = RequestMetrics(registry)
    app.state.end_waits = lambda: None
    app.add_exception_handler(BundleError, _on_bundle_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(ClientDisconnect, _on_sender_gone)
    app.add_exception_handler(Exception, _on_unexpected)
    app.add_middleware(BodyLimitMiddleware, default_bytes=default_body_bytes, limits=body_limits)
    app.state.early = []
    throttle = Throttle(request_limits, timer)
    early = EarlyAnswers(app.entrance, app.state.early)
    guarded = GuardMiddleware(AuthenticationMiddleware(early, authenticate, throttle), body_pace)
    counted = MetricsMiddleware(guarded, app.state.metrics)
    app.state.at_once = counted.at_once
    app.entrance = ServerErrorMiddleware(counted, _on_unexpected)

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
    wrong = list_field_faults(error.errors())
    return problem_response(
        InvalidInputError(f"the request is not as documented: {'; '.join(wrong)}", fields=wrong)
    )


async def _on_sender_gone(request: Request, error: Exception) -> Response:
    # Nobody reads it, but it is counted: a body that breaks off is a fault of the network.
    return problem_response(TransportError("the sender went away before the end"))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    # The framework turns whatever a body's stream raises into a 400 of its own.
    if isinstance(error.__cause__, BundleError):
        return problem_response(error.__cause__)
    if isinstance(error.__cause__, ClientDisconnect):
        return await _on_sender_gone(request, error.__cause__)
    detail = str(error.detail)
    if error.status_code in {404, 405}:
        detail = f"{detail.lower()}: no such route here"
    return http_problem_response(error.status_code, detail, dict(error.headers or {}))


async def _on_unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    return problem_response(BundleError("something went wrong here; the log says what"))
