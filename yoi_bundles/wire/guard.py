"""What no route should have to think of: doubtful headers, encoded bodies, bodies that stall.

Source: RFC 9112 sections 3.2, 6.1 and 11.2 (one length, one Host, or the request may be smuggled);
RFC 9110 sections 15.5.9 (408) and 15.5.16 (415).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yoi_bundles.wire.problems import PROBLEM_MEDIA_TYPE, encode_http_problem

BODY_IDLE_SECONDS = 30.0
"""How long a sender may be silent in the middle of a body."""

SINGLE_HEADERS = (
    b"content-length",
    b"transfer-encoding",
    b"authorization",
    b"host",
    b"content-type",
)
"""Headers of which a second one means that somebody on the way may read another request."""

ENCODED_PREFIX = "/git/"
"""Below this a body may be compressed: git does so, and its route inflates within a bound."""

_CLOSE = {"connection": "close"}


def http_problem_response(
    status: int, detail: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """A problem document for what HTTP itself knows as an error."""
    return JSONResponse(
        encode_http_problem(status, detail),
        status_code=status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers={"cache-control": "no-store"} | (headers or {}),
    )


class GuardMiddleware:
    """Lets only requests through that have one reading, and ends those that stall.

    Args:
        body_idle_seconds: Longest silence in a body; the time a route takes does not count.
    """

    def __init__(self, app: ASGIApp, body_idle_seconds: float = BODY_IDLE_SECONDS) -> None:
        self._app = app
        self._idle_seconds = body_idle_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge the head, then watch the body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        doubt = find_doubt(scope["headers"])
        if doubt is not None:
            # Where this request ends is in doubt, so nothing more is read from the connection.
            await http_problem_response(400, doubt, _CLOSE)(scope, receive, send)
            return
        if _is_encoded(scope["headers"]) and not scope["path"].startswith(ENCODED_PREFIX):
            refusal = http_problem_response(415, "bodies are taken without a content encoding")
            await refusal(scope, receive, send)
            return
        await self._app(scope, _watched(receive, self._idle_seconds), send)


def find_doubt(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """What gives a request two readings, or None.

    Args:
        headers: Names in lower case.
    """
    seen: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in SINGLE_HEADERS:
            if name in seen:
                return f"more than one {name.decode()} header"
            seen[name] = value
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


def _watched(receive: Receive, idle_seconds: float) -> Receive:
    """As ``receive``, but a silent sender is a 408 that the exception handlers answer.

    Nothing is timed once the body is complete: then ``receive`` waits for the caller to leave.
    """
    is_complete = False

    async def watched() -> Message:
        nonlocal is_complete
        if is_complete:
            return await receive()
        try:
            async with asyncio.timeout(idle_seconds):
                message = await receive()
        except TimeoutError:
            raise HTTPException(
                408, f"the body did not go on for {idle_seconds:g} seconds", headers=_CLOSE
            ) from None
        is_complete = not message.get("more_body", False)
        return message

    return watched
