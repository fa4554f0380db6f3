"""What is read often and changes rarely, kept in memory for as long as a database says so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

from yoi_bundles.wire.database import Database

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class EpochCache(Generic[K, V]):
    """Values that are good until `Database.advance_epoch`, in whatever process it is called.

    Args:
        database: Whose epoch counts.
        entries: How many values are kept; the least recently used go first.
    """

    def __init__(self, database: Database, entries: int) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._epoch = -1
        self._values: LRUCache[K, V] = LRUCache(entries)

    def get(self, key: K, load: Callable[[K], V]) -> V:
        """The value of a key.

        Args:
            load: Reads it from the database; called if it is not known for this epoch. What it
                raises is passed on and not remembered.

        Raises:
            StoreError: The database failed.
        """
        # The epoch is read before the value: what is kept is never older than its epoch.
        epoch = self._database.epoch()
        with self._lock:
            if epoch != self._epoch:
                self._values.clear()
                self._epoch = epoch
            found = self._values.get(key)
        if found is not None:
            return found
        found = load(key)
        with self._lock:
            if epoch == self._epoch:
                self._values[key] = found
        return found
