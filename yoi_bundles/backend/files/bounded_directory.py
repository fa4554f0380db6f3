"""The directory of finished bundle files: bounded in bytes, the least recently used go first."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from yoi_bundles.model.limits import MIB

KEEP_BYTES = 1024 * MIB
KEEP_FILES = 16_384
"""Files kept, whatever their size: all of them are looked at when room is made."""
SUFFIX = ".bundle"
DIGEST_SUFFIX = ".sha256"

_LEFT = 0.9
"""Part of a bound that is left when room was made, so that not every file makes room anew."""
_RECOUNT_FILES = 256
"""Files after which all are counted anew: other processes put some there too."""


class BoundedDirectory:
    """Files below one directory, a directory each workspace; the time of access is the last use.

    Args:
        root: The directory; made with its first file.
        keep_bytes: Most bytes that are kept; a single file may have more.
    """

    def __init__(self, root: Path, keep_bytes: int) -> None:
        self._root = root
        self._keep_bytes = keep_bytes
        self._lock = threading.Lock()
        self._bytes = 0
        self._files = 0
        self._uncounted = _RECOUNT_FILES

    def add(self, path: Path, size_bytes: int) -> None:
        """Count a file that was put there, and make room if there is too much.

        Raises:
            OSError: The directory could not be read.
        """
        with self._lock:
            self._bytes += size_bytes
            self._files += 1
            self._uncounted += 1
            is_full = self._bytes > self._keep_bytes or self._files > KEEP_FILES
            if is_full or self._uncounted >= _RECOUNT_FILES:
                self._make_room(path)

    def _make_room(self, newest: Path) -> None:
        """Count anew; remove what was used longest ago if that is too much."""
        found = sorted(self._list(newest), reverse=True)
        self._bytes = newest.stat().st_size + sum(size for _, size, _ in found)
        self._files = len(found) + 1
        self._uncounted = 0
        if self._bytes <= self._keep_bytes and self._files <= KEEP_FILES:
            return
        while found and (
            self._bytes > self._keep_bytes * _LEFT or self._files > KEEP_FILES * _LEFT
        ):
            _, size, path = found.pop()
            remove(path)
            self._bytes -= size
            self._files -= 1

    def _list(self, newest: Path) -> list[tuple[int, int, Path]]:
        found = []
        for path in self._root.glob(f"*/*{SUFFIX}"):
            with suppress(FileNotFoundError):  # another process makes room too
                status = path.stat()
                if path != newest:
                    found.append((status.st_atime_ns, status.st_size, path))
        return found


def digest_file(path: Path) -> Path:
    """Where the SHA-256 of a bundle file stands, as ``sha256sum`` prints it."""
    return path.with_suffix(DIGEST_SUFFIX)


def remove(path: Path) -> None:
    """Take a file away with its digest; an answer that is being sent keeps it open."""
    path.unlink(missing_ok=True)
    digest_file(path).unlink(missing_ok=True)


def mark_used(path: Path, status: os.stat_result) -> None:
    """Note that a file was used just now.

    Args:
        status: Of the file; when its content changed stays as it is.

    Raises:
        OSError: It is gone.
    """
    os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))
