"""When packs and loose refs are made few again: after each write, or apart from writes.

Source: docs/adr/0003; docs/adr/0015; docs/format.md, "Order of writes".
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress

from yoi_bundles.errors import StoreError
from yoi_bundles.store.disk.merging import has_many_packs, merge_packs
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.disk.refs import RefStore


class Tidying:
    """Keeps the packs and loose refs of one repository few.

    What was written is durable before: a failure here costs speed, not the write, and is not told.

    Args:
        objects: Its objects.
        refs: Its refs.
        lock: Takes the writer lock.
    """

    def __init__(
        self,
        objects: ObjectDatabase,
        refs: RefStore,
        lock: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._objects = objects
        self._refs = refs
        self._lock = lock
        self._is_deferred = False

    def defer(self) -> None:
        """From now on leave it to `run`, unless that does not come for long."""
        self._is_deferred = True

    def after_write(self) -> None:
        """Tidy at the end of a write; the caller holds the writer lock."""
        with suppress(StoreError):
            if not self._is_deferred or has_many_packs(self._objects.pack_directory):
                merge_packs(self._objects, nullcontext)
        if not self._is_deferred:
            with suppress(StoreError):
                self._refs.pack_if_many()

    def run(self) -> None:
        """Tidy beside readers and writers: these wait while packs or refs are exchanged alone."""
        with suppress(StoreError):
            merge_packs(self._objects, self._lock)
        with suppress(StoreError), self._lock():
            self._refs.pack_if_many()
