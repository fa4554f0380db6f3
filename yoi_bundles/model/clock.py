"""The clock that is injected where nobody injects another."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]
"""Now, with a time zone."""


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)
