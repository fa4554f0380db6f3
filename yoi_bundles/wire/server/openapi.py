"""What the OpenAPI documents say about errors: each status, as problem documents."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from yoi_bundles.wire.at_once.waits import serve_with_waits
from yoi_bundles.wire.messages.problems import PROBLEM_MEDIA_TYPE, Problem

Responses = dict[int | str, dict[str, Any]]


class DocumentedAPI(FastAPI):
    """An app whose document gives problems their media type, and whose requests may wait."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401  (the framework's own)
        super().__init__(**settings)
        self.entrance: ASGIApp = super().__call__
        """What sees a request first; to be put around itself, before anything of the framework."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Serve; see `serve_with_waits`, whose frame is the only one that waits."""
        if scope["type"] == "http":
            return serve_with_waits(self.entrance, scope, receive, send)
        return super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI 3.1 document, made once."""
        if self.openapi_schema is not None:
            return self.openapi_schema
        document = super().openapi()
        for response in _error_responses(document):
            schema = response["content"].pop("application/json")
            response["content"][PROBLEM_MEDIA_TYPE] = schema
        return document


def _error_responses(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for operations in document["paths"].values():
        for operation in operations.values():
            responses = operation["responses"].items()
            yield from (response for status, response in responses if status[0] in "45")


def problems(*statuses: int) -> Responses:
    """Responses of a route that answers with these, beside those of every route."""
    return {
        status: {"description": f"{HTTPStatus(status).phrase}: a problem.", "model": Problem}
        for status in statuses
    }


PROBLEM_RESPONSES: Responses = problems(400, 401, 403, 408, 413, 415, 422, 429) | {
    "5XX": {"description": "A fault here or further on: a problem.", "model": Problem}
}
"""For every route. What each code means stands in docs/http-api.md, "Error codes"."""
