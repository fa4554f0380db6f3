"""Durable files: write, fsync, rename, fsync the directory; and the one writer lock.

Source: docs/format.md, "Order of writes"; restic's local backend for the same order.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

TEMP_PREFIX = "yoi_tmp_"
"""How every temporary file of ours begins, so that recovery can tell them from git's.

Not ``tmp_``: ``git gc --prune=now`` removes such files whoever is writing them.
"""

PRIVATE = 0o700
"""Mode of directories that are for their owner only."""


def make_temporary_name(kind: str = "") -> str:
    """A name for a temporary file or directory that no other writer has.

    Args:
        kind: What it is for; tells recovery files of one kind from others.
    """
    return f"{TEMP_PREFIX}{kind}{os.urandom(8).hex()}"


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new_file(path: Path, data: bytes, mode: int = 0o644, *, is_durable: bool = True) -> None:
    """Create a file that must not exist, and make its bytes durable (not yet its name).

    Args:
        is_durable: False for a file that is only there to be there, as a lock is.

    Raises:
        FileExistsError: The file exists.
        OSError: Writing failed; the file is gone again.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if is_durable:
                os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def replace_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put new content under a name, atomically and durably.

    Raises:
        OSError: Writing failed; the old content is still there.
    """
    temporary = path.with_name(make_temporary_name())
    write_new_file(temporary, data, mode)
    try:
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def link_if_new(path: Path, name: Path) -> None:
    """Give a file another name; harmless if that name is taken."""
    with contextlib.suppress(FileExistsError):
        name.hardlink_to(path)


def make_directories(path: Path, mode: int = 0o755) -> None:
    """Create a directory and its missing ancestors, each made durable in its parent.

    Args:
        path: The directory wanted; harmless if it exists.
        mode: Of the ones that are made.
    """
    missing: list[Path] = []
    path = path.absolute()
    while not path.is_dir() and path != path.parent:
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        directory.mkdir(mode=mode, exist_ok=True)
        sync_directory(directory.parent)


@contextlib.contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file; waits for other threads and processes, dies with its owner.

    Args:
        path: The lock file; it is created if missing and never removed.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a living process holds a lock on the file; False if there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
