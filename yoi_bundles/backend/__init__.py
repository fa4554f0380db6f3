"""Publishing, visibility, registry and sync.

``from yoi_bundles.backend import Backend`` is the way in; it is loaded when asked for, so that
commands which only publish do not load a database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yoi_bundles.backend.service import Backend

__all__ = ["Backend"]


def __getattr__(name: str) -> type[Backend]:
    if name == "Backend":
        from yoi_bundles.backend.service import Backend

        return Backend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
