"""Receiving, trust, host policy loading, secrets and the worker catalog.

``from yoi_bundles.runtime import Runtime`` is the way in; it is loaded when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yoi_bundles.runtime.service import Runtime

__all__ = ["Runtime"]


def __getattr__(name: str) -> type[Runtime]:
    if name == "Runtime":
        from yoi_bundles.runtime.service import Runtime

        return Runtime
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
