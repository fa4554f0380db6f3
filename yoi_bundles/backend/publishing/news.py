"""Tells whoever listens, in this process, that a workspace has a new revision."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

from yoi_bundles.model.ids import WorkspaceId

Listener: TypeAlias = Callable[[WorkspaceId], None]
"""Called from the publisher's thread, after the commit point; neither waits nor raises."""


class ChannelNews:
    """Rung after each publish."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()

    def listen(self, listener: Listener) -> None:
        """Call this one too, from now on."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def announce(self, workspace: WorkspaceId) -> None:
        """Say that a workspace has a new revision, which every reader finds."""
        for listener in self._listeners:
            listener(workspace)
