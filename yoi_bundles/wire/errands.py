"""Work behind a publish or a receive: in one thread, which is there while there is something to do.

Source: docs/operations.md, "Run a Backend" and "Run a Runtime".
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress

from yoi_bundles.errors import BundleError
from yoi_bundles.model.ids import WorkspaceId

log = logging.getLogger(__name__)

_NICE = 10
"""Added to the priority number of the thread: whoever answers a request goes first."""
_ARENA_MAX = -8
"""``M_ARENA_MAX`` of ``malloc.h``."""


def share_heap() -> None:
    """Let all threads of this process that start from here on allocate from one heap.

    The GNU C library gives a thread a heap of its own, where all that a build has freed waits for
    the next build. Nothing is gained by it: only one thread of Python runs at a time.

    Source: mallopt(3), M_ARENA_MAX.
    """
    # Another C library has one heap, or no such function.
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


class Errands:
    """Does one kind of work for each workspace that it is due for.

    Args:
        name: Of the thread, and in the log.
        work: Is told the workspace; whatever it raises of ours is logged.
        rest_seconds: Time that is left to others before each piece of work.
    """

    def __init__(
        self, name: str, work: Callable[[WorkspaceId], None], *, rest_seconds: float = 0.0
    ) -> None:
        self._name = name
        self._work = work
        self._rest_seconds = rest_seconds
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._due: set[WorkspaceId] = set()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def begin(self, workspace: WorkspaceId) -> None:
        """Do the work soon; if it is under way, once more after that."""
        with self._lock:
            if self._is_closed:
                return
            self._due.add(workspace)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def is_outdated(self, workspace: WorkspaceId) -> bool:
        """Whether the work under way for a workspace is due again, or nobody waits for it."""
        return self._is_closed or workspace in self._due

    def close(self) -> None:
        """Begin nothing more; returns when what is under way is done."""
        with self._lock:
            self._is_closed = True
            self._ended.set()
            self._due.clear()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        # Linux knows a priority for each thread; elsewhere this one is as good as the others.
        with suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while True:
            self._ended.wait(self._rest_seconds)
            with self._lock:
                if not self._due:
                    self._thread = None
                    return
                workspace = self._due.pop()
            try:
                self._work(workspace)
            except BundleError as error:
                log.warning("%s of %s: %s", self._name, workspace, error.code)
