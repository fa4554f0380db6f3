"""Bundle files built before Runtimes ask: for what most of them hold, and for fresh ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from yoi_bundles.backend.files.bundle_files import BundleFiles
from yoi_bundles.errors import TransportError
from yoi_bundles.model.ids import CommitId, Digest, WorkspaceId
from yoi_bundles.model.revision import Revision
from yoi_bundles.store import BundleStore
from yoi_bundles.wire.errands import Errands

WARMED_BASES = 4
"""Increments built for a revision, beside that on its parent; who holds something else has its file
built when it asks."""
REST_SECONDS = 0.2
"""Between a publish and the build of a first bundle: Runtimes that wait for news ask at once, and a
build would keep them waiting. Fresh ones come at any time."""


class Prebuilding:
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
        self._increments = Errands("warm", self._build_increments)
        self._first = Errands("warm first", self._build_first, rest_seconds=REST_SECONDS)

    def begin(self, workspace: WorkspaceId) -> None:
        """Build for the newest revision soon; what was not begun for an older one is dropped."""
        self._increments.begin(workspace)
        self._first.begin(workspace)

    def close(self) -> None:
        """Begin nothing more; returns when the builds under way are done or given up."""
        self._increments.close()
        self._first.close()

    def _build_increments(self, workspace: WorkspaceId) -> None:
        store = self._find_store(workspace)
        target = None if store is None else store.find_head()
        if store is None or target is None:
            return
        held = map(store.find_revision, self._find_held(workspace, WARMED_BASES))
        bases = [target.parent, *(one.commit for one in held if one is not None)]
        for base in dict.fromkeys(bases):
            if self._increments.is_outdated(workspace):
                return
            if base is not None and base != target.commit:
                self._build(store, target, (base,))

    def _build_first(self, workspace: WorkspaceId) -> None:
        store = self._find_store(workspace)
        target = None if store is None else store.find_head()
        if store is not None and target is not None:
            self._build(store, target, ())

    def _build(self, store: BundleStore, target: Revision, haves: tuple[CommitId, ...]) -> None:
        # When the server stops nobody waits for it.
        with suppress(TransportError):
            self._files.get(store, target, haves, is_shallow=True)
