"""Whether to colour; a module of its own, as the start of every command needs it."""

from __future__ import annotations

import os


def wanted_color() -> bool | None:
    """What ``NO_COLOR`` and ``FORCE_COLOR`` say; None: colour if it is a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    return True if os.environ.get("FORCE_COLOR") else None
