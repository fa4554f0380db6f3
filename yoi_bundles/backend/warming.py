"""Bundle files built before Runtimes ask: for what most of them hold, and for fresh ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from yoi_bundles.backend.bundle_files import BundleFiles
from yoi_bundles.backend.errands import Errands
from yoi_bundles.model.ids import Digest, WorkspaceId
from yoi_bundles.store import BundleStore

WARMED_BASES = 4
"""Increments built for a revision; who holds something else has its file built when it asks."""


class Warming:
    """Builds in a thread of its own.

    Args:
        find_store: A workspace's repository, or None.
        find_held: The bundles that most Runtimes have as their newest, at most so many.
    """

    def __init__(
        self,
        files: BundleFiles,
        *,
        find_store: Callable[[WorkspaceId], BundleStore | None],
        find_held: Callable[[WorkspaceId, int], Sequence[Digest]],
    ) -> None:
        self._files = files
        self._find_store = find_store
        self._find_held = find_held
        self._errands = Errands("warm", self._build)

    def begin(self, workspace: WorkspaceId) -> None:
        """Build for the newest revision soon; what was not begun for an older one is dropped."""
        self._errands.begin(workspace)

    def close(self) -> None:
        """Begin nothing more; returns when the build under way is done."""
        self._errands.close()

    def _build(self, workspace: WorkspaceId) -> None:
        store = self._find_store(workspace)
        target = None if store is None else store.find_head()
        if store is None or target is None:
            return
        for digest in self._find_held(workspace, WARMED_BASES):
            held = store.find_revision(digest)
            if self._errands.is_outdated(workspace):
                return
            if held is not None and held.commit != target.commit:
                self._files.get(store, target, (held.commit,))
        # Last: fewest ask for it, and the first one of a workspace takes longest.
        if not self._errands.is_outdated(workspace):
            self._files.get(store, target, (), is_shallow=True)
