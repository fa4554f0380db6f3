"""Who is told of each revision that is accepted here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from yoi_bundles.model.ids import WorkspaceId
from yoi_bundles.model.revision import Revision

log = logging.getLogger(__name__)

Listener: TypeAlias = Callable[[Revision], object]
"""Called in the thread that received; what it raises is logged."""


class Listeners:
    """The callbacks of one Runtime, by workspace; safe to share between threads."""

    def __init__(self) -> None:
        self._listeners: list[tuple[WorkspaceId, Listener]] = []

    def add(self, workspace: WorkspaceId, listener: Listener) -> Callable[[], None]:
        """Tell a listener of a workspace's revisions, until what is returned is called."""
        entry = (workspace, listener)
        self._listeners.append(entry)

        def end() -> None:
            with suppress(ValueError):  # ended before
                self._listeners.remove(entry)

        return end

    def tell(self, revision: Revision) -> None:
        """Call all that want to know of a revision's workspace, in the order they came."""
        wanted = [one for workspace, one in self._listeners if workspace == revision.workspace]
        for listener in wanted:
            try:
                listener(revision)
            except Exception:
                # It is accepted whatever becomes of the news of it.
                log.exception("a listener to %s failed", revision.workspace)
