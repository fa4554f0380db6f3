"""What is read often and changes rarely, kept in memory for as long as a database says so."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

from yoi_bundles.ledger.database import Database

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Values(NamedTuple, Generic[K, V]):
    """What was read in one epoch."""

    epoch: int
    get: Callable[[K], V]


class EpochCache(Generic[K, V]):
    """Values that are good until `Database.advance_epoch`, in whatever process it is called.

    Args:
        database: Whose epoch counts.
        load: Reads a value from the database, if it is not known for this epoch. What it raises
            is passed on and not remembered.
        entries: How many values are kept; the least recently used go first.
    """

    def __init__(self, database: Database, load: Callable[[K], V], entries: int) -> None:
        self._database = database
        self._keep = functools.lru_cache(entries)
        self._load = load
        self._values: _Values[K, V] = _Values(-1, load)

    def get(self, key: K) -> V:
        """The value of a key.

        Raises:
            StoreError: The database failed.
        """
        # The epoch is read before the value, and each has a cache of its own: what is kept is
        # never older than its epoch.
        epoch, values = self._database.epoch(), self._values
        if values.epoch != epoch:
            values = self._values = _Values(epoch, self._keep(self._load))
        return values.get(key)
