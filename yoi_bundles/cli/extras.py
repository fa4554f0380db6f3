"""Says in one line what to install for a command whose libraries are not there."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, TypeVar

from yoi_bundles.errors import InvalidInputError

F = TypeVar("F", bound=Callable[..., Any])

SERVER = ("fastapi", "httptools", "prometheus_client", "starlette", "uvicorn")
"""What the extra ``server`` brings and serving cannot do without."""


def verify_server_extra(what: str) -> None:
    """Prove that the libraries of the extra ``server`` are installed; none is loaded.

    Args:
        what: What needs them; begins the message.

    Raises:
        InvalidInputError: One is missing; the message says how to install all.
    """
    missing = [name for name in SERVER if find_spec(name) is None]
    if missing:
        raise InvalidInputError(
            f"{what} needs what is not installed here: pip install 'yoi-bundles[server]'",
            missing=missing,
        )


def needs_server_extra(what: str) -> Callable[[F], F]:
    """Let a command begin with `verify_server_extra`, before its options make anything."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            verify_server_extra(what)
            return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]

    return decorate
