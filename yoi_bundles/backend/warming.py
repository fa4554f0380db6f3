"""Bundle files built right after a publish, for what most Runtimes hold, before these ask."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from yoi_bundles.backend.bundle_files import BundleFiles
from yoi_bundles.errors import BundleError
from yoi_bundles.model.ids import Digest, WorkspaceId
from yoi_bundles.store import BundleStore

log = logging.getLogger(__name__)

WARMED_BASES = 4
"""Files built for a revision; who holds something else has its file built when it asks."""


class Warming:
    """Builds in one thread, which is there while there is something to build.

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
        self._lock = threading.Lock()
        self._due: set[WorkspaceId] = set()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def begin(self, workspace: WorkspaceId) -> None:
        """Build for the newest revision soon; what was not begun for an older one is dropped."""
        with self._lock:
            if self._is_closed:
                return
            self._due.add(workspace)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="warm", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Begin nothing more; returns when the build under way is done."""
        with self._lock:
            self._is_closed = True
            self._due.clear()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._due:
                    self._thread = None
                    return
                workspace = self._due.pop()
            try:
                self._build(workspace)
            except BundleError as error:
                log.warning("building bundle files of %s ahead: %s", workspace, error.code)

    def _build(self, workspace: WorkspaceId) -> None:
        store = self._find_store(workspace)
        target = None if store is None else store.find_head()
        if store is None or target is None:
            return
        for digest in self._find_held(workspace, WARMED_BASES):
            held = store.find_revision(digest)
            if self._is_closed or workspace in self._due:
                return
            if held is not None and held.commit != target.commit:
                self._files.get(store, target, (held.commit,))
