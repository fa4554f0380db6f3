"""Problem documents as answers, answers that need none, and the headers that decide of them."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from yoi_bundles.errors import BundleError, UnauthenticatedError
from yoi_bundles.wire.messages.problems import (
    PROBLEM_MEDIA_TYPE,
    encode_http_problem,
    encode_problem,
)

CLOSE = {"connection": "close"}
"""Header of answers after which nothing more is read from the connection."""


class EncodedResponse(Response):
    """An answer that is written as it is given: nothing is derived or encoded for each request.

    Args:
        headers: As they go out; names in lower case, the length among them if there is a body.
    """

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> None:
        self.status_code = status
        self.raw_headers = headers
        self.body = body
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send head and body."""
        start = {"type": "http.response.start", "status": self.status_code}
        await send(start | {"headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


def problem_response(error: BundleError, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer for an error of ours; an error that says when to ask again says so in HTTP too.

    Args:
        headers: Further ones.
    """
    document = encode_problem(error)
    own = {"cache-control": "no-store"}
    if isinstance(error, UnauthenticatedError):
        own["www-authenticate"] = 'Bearer realm="yoi-bundles"'
    wait_seconds = error.facts.get("retry_after_seconds")
    if isinstance(wait_seconds, int):
        own["retry-after"] = str(wait_seconds)
    return JSONResponse(
        document,
        status_code=document["status"],
        media_type=PROBLEM_MEDIA_TYPE,
        headers=own | (headers or {}),
    )


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


def find_header(scope: Scope, name: bytes) -> str | None:
    """The first header of a name, or None.

    Args:
        name: In lower case.
    """
    for known, value in scope["headers"]:
        if known == name:
            return str(value.decode("latin-1"))
    return None


def is_unchanged(scope: Scope, etag: str) -> bool:
    """Whether the caller has what it asks for already (RFC 9110, If-None-Match).

    Args:
        etag: Of what is here, quoted.
    """
    header = find_header(scope, b"if-none-match")
    if header is None:
        return False
    known = {entry.strip().removeprefix("W/") for entry in header.split(",")}
    return "*" in known or etag in known
