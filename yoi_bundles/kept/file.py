"""Files that only save work: believed if they are ours and whole, else as if they were not there.

Nothing is lost with such a file, so nothing waits for the disk, and no failure to write one is
told. What a power loss leaves of one has another checksum.

Source: docs/adr/0021-what-a-stat-cache-may-vouch-for.md.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from yoi_bundles.errors import StoreError
from yoi_bundles.store import TEMP_PREFIX, create_data_directory, write_new_file

KEPT_FILES = 64
"""Files of one directory; those written longest ago go first."""
KEPT_BYTES = 32 * 1024 * 1024
"""Of one file: the stamps of 50,000 files with long paths are half of it."""

_STALE_SECONDS = 60.0
_DIGEST_BYTES = 32


def read_kept(path: Path, magic: bytes) -> bytes | None:
    """What was kept under a name, or None if it is not there, not ours alone, torn or too large.

    Args:
        path: The file.
        magic: What it must begin with: its kind and format.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not _is_ours(status) or status.st_size > KEPT_BYTES:
                return None
            data = file.read(KEPT_BYTES + 1)
    except OSError:
        return None
    start = len(magic) + _DIGEST_BYTES
    payload = data[start:]
    is_whole = data[:start] == magic + hashlib.sha256(payload).digest()
    return payload if is_whole else None


def _is_ours(status: os.stat_result) -> bool:
    """Whether nobody but this user can have written a file."""
    return (
        stat.S_ISREG(status.st_mode)
        and status.st_uid == os.geteuid()
        and not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    )


def write_kept(path: Path, magic: bytes, payload: bytes) -> None:
    """Keep something under a name, readable by its owner only; a failure is not told.

    Args:
        path: The file; its directory is made if it is missing, and held to `KEPT_FILES`.
        magic: As for `read_kept`.
        payload: What is kept; nothing is written if it is too large.
    """
    if len(magic) + _DIGEST_BYTES + len(payload) > KEPT_BYTES:
        return
    temporary = path.with_name(f"{TEMP_PREFIX}{os.getpid()}_{time.monotonic_ns()}")
    with suppress(OSError, StoreError):
        create_data_directory(path.parent)
        _sweep(path)
        data = magic + hashlib.sha256(payload).digest() + payload
        write_new_file(temporary, data, 0o600, is_durable=False)
        try:
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Remove what killed writers left, and what is too much when a file is added.

    Raises:
        OSError: Something could not be removed.
    """
    found: list[tuple[float, Path]] = []
    with os.scandir(path.parent) as entries:
        for entry in entries:
            age = time.time() - entry.stat(follow_symlinks=False).st_mtime
            if entry.name.startswith(TEMP_PREFIX) and age > _STALE_SECONDS:
                Path(entry.path).unlink(missing_ok=True)
            elif entry.name != path.name:
                found.append((age, Path(entry.path)))
    for _, old in sorted(found)[KEPT_FILES - 1 :]:
        old.unlink(missing_ok=True)
