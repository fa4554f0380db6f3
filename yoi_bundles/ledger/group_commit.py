"""Small writes of many threads in one transaction: they wait for the disk once, not each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from yoi_bundles.errors import BundleError

T = TypeVar("T")


class Entry(Generic[T]):
    """One write and how it went.

    Args:
        item: What is to be written.
    """

    def __init__(self, item: T) -> None:
        self.item = item
        self.is_done = False
        self.error: BundleError | None = None

    def verify(self) -> None:
        """Return if it was written.

        Raises:
            BundleError: What is wrong with it, or why nothing could be written.
        """
        if self.error is not None:
            raise self.error


class GroupCommit(Generic[T]):
    """Whoever comes while a commit is under way is part of the next one.

    Args:
        commit: Writes some items in one transaction; returns what is wrong with each, or None.
    """

    def __init__(self, commit: Callable[[Sequence[T]], Sequence[BundleError | None]]) -> None:
        self._commit = commit
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[Entry[T]] = []

    def add(self, item: T) -> Entry[T]:
        """Let an item be written with the next ones; `finish` must follow, from any thread."""
        entry = Entry(item)
        with self._lock:
            self._waiting.append(entry)
        return entry

    def finish(self, entry: Entry[T]) -> None:
        """Return when an item has had its turn; `Entry.verify` says how it went."""
        with self._turn:
            if not entry.is_done:
                self._write_waiting()

    def _write_waiting(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        errors: Sequence[BundleError | None] = ()
        try:
            errors = self._commit([entry.item for entry in batch])
        except BundleError as error:
            errors = [error] * len(batch)
        finally:
            if not errors:
                # Not one of ours: its owner raises it, and nobody may believe to be written.
                errors = [BundleError("the write failed together with others")] * len(batch)
            for entry, wrong in zip(batch, errors, strict=True):
                entry.error, entry.is_done = wrong, True
