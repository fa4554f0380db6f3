"""Problem documents as answers, and answers that need none."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse

from yoi_bundles.errors import BundleError, UnauthenticatedError
from yoi_bundles.wire.problems import PROBLEM_MEDIA_TYPE, encode_http_problem, encode_problem

CLOSE = {"connection": "close"}
"""Header of answers after which nothing more is read from the connection."""


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


def is_unchanged(request: Request, etag: str) -> bool:
    """Whether the caller has what it asks for already (RFC 9110, If-None-Match).

    Args:
        etag: Of what is here, quoted.
    """
    header = request.headers.get("if-none-match")
    if header is None:
        return False
    known = {entry.strip().removeprefix("W/") for entry in header.split(",")}
    return "*" in known or etag in known
