"""How much one caller may ask of a server at a time."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from yoi_bundles.model.base import Model


class RequestLimits(Model):
    """Upper bounds of each credential, and of each address that signs in in vain.

    The defaults are far above what a Runtime does: it asks for news every 30 seconds.
    """

    requests_per_second: Annotated[float, Field(gt=0, le=1_000_000)] = 100.0
    """Of one credential, on average."""
    burst_requests: Annotated[int, Field(ge=1, le=1_000_000)] = 400
    """Of one credential, at once after a pause."""
    concurrent_requests: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Of one credential, begun and not yet answered."""
    failures_per_minute: Annotated[float, Field(gt=0, le=1_000_000)] = 60.0
    """Requests of one address without a credential that is known, on average."""
    burst_failures: Annotated[int, Field(ge=1, le=1_000_000)] = 120
    """Requests of one address without a credential that is known, at once after a pause."""


DEFAULT_REQUEST_LIMITS = RequestLimits()
