"""Routes that answer in the event loop when all they need is at hand.

A framework's validation, dependencies and hop to a thread cost more than such an answer. What is
out of the ordinary, every error included, is left to the documented route.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

Lean: TypeAlias = Callable[[Request], Awaitable[Response | None]]
"""Answers, or None: then the documented route does. Never blocks the event loop."""


def lean_route(lean: Lean) -> type[APIRoute]:
    """A class of routes that ask ``lean`` before they do what they document."""

    class LeanRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            documented = super().get_route_handler()

            async def handle(request: Request) -> Response:
                answer = await lean(request)
                return await documented(request) if answer is None else answer

            return handle

    return LeanRoute
