"""Parsed files kept by blob id, so that a change costs what changed."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TypeAlias

from cachetools import LRUCache

from yoi_bundles.content.parse import ParsedFile
from yoi_bundles.model.ids import BlobId, RelativePath
from yoi_bundles.model.limits import MIB, Limits

CACHE_BYTES = 64 * MIB
"""Bound of one cache, counted in bytes of the files as they were read."""

_OVERHEAD_BYTES = 512
"""What an entry costs beside its file; keeps a million empty files from being free."""

_Key: TypeAlias = tuple[RelativePath, BlobId, Limits]


class ParseCache:
    """Least recently used parsed files; safe to share between threads.

    What a file says depends on its path, its bytes and the limits alone, and the blob id
    stands for the bytes: an entry never goes stale. It holds no opinion on who may see a file.

    Args:
        size_bytes: Bound of what is kept.
    """

    def __init__(self, size_bytes: int = CACHE_BYTES) -> None:
        self._files: LRUCache[_Key, ParsedFile] = LRUCache(
            size_bytes, getsizeof=lambda parsed: parsed.size_bytes + _OVERHEAD_BYTES
        )
        self._lock = Lock()

    def get(
        self,
        path: RelativePath,
        blob: BlobId,
        limits: Limits,
        parse: Callable[[], ParsedFile],
    ) -> ParsedFile:
        """The parsed file, from the cache or made now.

        Args:
            path: Where it stands in the tree.
            blob: Id of its bytes.
            limits: Those it is parsed under.
            parse: Makes it; called without a lock, so two threads may both do so.
        """
        key = (path, blob, limits)
        with self._lock:
            found = self._files.get(key)
        if found is not None:
            return found
        made = parse()
        with self._lock:
            if made.size_bytes + _OVERHEAD_BYTES <= self._files.maxsize:
                self._files[key] = made
        return made
