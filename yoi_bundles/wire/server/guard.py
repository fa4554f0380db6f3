"""What no route should have to think of: doubtful headers, encoded bodies, bodies that stall.

Source: RFC 9112 sections 3.2, 6.1 and 11.2 (one length, one Host, or the request may be smuggled);
RFC 9110 sections 15.5.9 (408) and 15.5.16 (415).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from yoi_bundles.model.limits import KIB
from yoi_bundles.wire.answers.responses import CLOSE, EncodedResponse, http_problem_response
from yoi_bundles.wire.at_once.before_routes import AtOnce


@dataclass(frozen=True, slots=True)
class BodyPace:
    """How slowly a body may come; only time spent waiting for it counts."""

    idle_seconds: float = 30.0
    """Longest silence."""
    grace_seconds: float = 60.0
    """Time that every body has."""
    bytes_per_second: float = 16.0 * KIB
    """What a body must come at, on average, once its grace is over."""


DEFAULT_PACE = BodyPace()

SINGLE_HEADERS = frozenset(
    {b"content-length", b"transfer-encoding", b"authorization", b"host", b"content-type"}
)
"""Headers of which a second one means that somebody on the way may read another request."""

ENCODED_PREFIX = "/git/"
"""Below this a body may be compressed: git does so, and its route inflates within a bound."""


class GuardMiddleware:
    """Lets only requests through that have one reading, and ends those that stall.

    Args:
        pace: How slowly bodies may come.
    """

    def __init__(self, app: AtOnce, pace: BodyPace = DEFAULT_PACE) -> None:
        self._app = app
        self._pace = pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge the head, then watch the body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = _find_refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, _watched(receive, self._pace), send)

    def at_once(self, scope: Scope) -> EncodedResponse | None:
        """See `AtOnce`."""
        return self._app.at_once(scope) if _find_refusal(scope) is None else None


def _find_refusal(scope: Scope) -> Response | None:
    headers = scope["headers"]
    doubt = find_doubt(headers, scope.get("http_version", "1.1"))
    if doubt is not None:
        # Where this request ends is in doubt, so nothing more is read from the connection.
        return http_problem_response(400, doubt, CLOSE)
    if _is_encoded(headers) and not scope["path"].startswith(ENCODED_PREFIX):
        return http_problem_response(415, "bodies are taken without a content encoding")
    return None


def find_doubt(headers: Iterable[tuple[bytes, bytes]], version: str = "1.1") -> str | None:
    """What gives a request two readings, or None.

    Args:
        headers: Names in lower case.
        version: Of HTTP; before 1.1 a request need not say which host it is for.
    """
    seen: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in SINGLE_HEADERS:
            if name in seen:
                return f"more than one {name.decode()} header"
            seen[name] = value
    if b"host" not in seen and version == "1.1":
        return "no host header"
    coding = seen.get(b"transfer-encoding")
    if coding is None:
        return None
    if b"content-length" in seen:
        return "both content-length and transfer-encoding"
    if coding.strip().lower() != b"chunked":
        return "another transfer-encoding than chunked"
    return None


def _is_encoded(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(
        name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}
        for name, value in headers
    )


def _watched(receive: Receive, pace: BodyPace) -> Receive:
    """As ``receive``, but a sender that is too slow is a 408 that the exception handlers answer.

    Nothing is timed once the body is complete: then ``receive`` waits for the caller to leave.
    """
    is_complete = False
    seen_bytes = 0
    waited_seconds = 0.0

    async def watched() -> Message:
        nonlocal is_complete, seen_bytes, waited_seconds
        if is_complete:
            return await receive()
        left_seconds = pace.grace_seconds + seen_bytes / pace.bytes_per_second - waited_seconds
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            if left_seconds <= 0:
                raise TimeoutError
            async with asyncio.timeout(min(pace.idle_seconds, left_seconds)):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, _reason(pace, left_seconds), headers=CLOSE) from None
        waited_seconds += clock() - started
        seen_bytes += len(message.get("body", b""))
        is_complete = not message.get("more_body", False)
        return message

    return watched


def _reason(pace: BodyPace, left_seconds: float) -> str:
    if left_seconds < pace.idle_seconds:
        return f"the body came at less than {pace.bytes_per_second:g} bytes a second"
    return f"the body did not go on for {pace.idle_seconds:g} seconds"
