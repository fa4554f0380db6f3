"""Files that only the host's operator can have written.

Every directory on the way is looked at, through every symbolic link, before the file is opened; the
file itself is judged by its open descriptor, so nobody can swap it in between.

Source: docs/policy.md, "The file"; sshd's ``safe_path`` does the same for its files.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

_MAX_LINKS = 40
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a FIFO must not make the opener wait
)


_RACY_NANOSECONDS = 2_000_000_000
"""More than the steps of any file system's clock."""

FileStamp: TypeAlias = tuple[int, ...]
"""Time of last change in nanoseconds, then device, inode, mode, owner and group of a file."""


class UntrustedFileError(Exception):
    """Why a file is not believed; the text holds no path. Translated by who asked."""


def is_directory(path: str | Path) -> bool:
    """Whether a path is a directory that can be looked at; unlike `Path.is_dir` it never raises."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116  (half the price of a path)
    except (OSError, ValueError):
        return False


def find_stamp(path: str) -> FileStamp | None:
    """What another file, or another right to it, would change; None if nothing can be seen."""
    try:
        found = os.stat(path, follow_symlinks=False)  # noqa: PTH116  (half the price of a path)
    except (OSError, ValueError):
        return None
    return (
        found.st_ctime_ns, found.st_dev, found.st_ino, found.st_mode, found.st_uid, found.st_gid
    )  # fmt: skip


def is_settled(stamp: FileStamp) -> bool:
    """Whether the change that a stamp tells of is so old that the next one has another time."""
    return stamp[0] < time.time_ns() - _RACY_NANOSECONDS


def open_regular(path: Path) -> int:
    """Open a regular file for reading without following a link at its end.

    Returns:
        A descriptor that the caller closes.

    Raises:
        UntrustedFileError: It is missing, a link, or no regular file.
    """
    fault = None
    descriptor = -1
    try:
        descriptor = os.open(path, _FLAGS)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            fault = "it is not a regular file"
    except OSError as error:
        fault = _describe(error)
    if fault is not None:
        # Raised outside the handler: the system's own error carries the path.
        raise UntrustedFileError(fault)
    return descriptor


def open_trusted(path: Path) -> int:
    """Open a regular file that nobody but the current user or root can have written.

    Returns:
        A descriptor that the caller closes.

    Raises:
        UntrustedFileError: The file or a directory on the way could have been written by others.
    """
    verify_directories(path)
    descriptor = open_regular(path)
    fault = _find_fault(os.fstat(descriptor))
    if fault is not None:
        os.close(descriptor)
        raise UntrustedFileError(f"it {fault}")
    return descriptor


def read_capped(descriptor: int, limit_bytes: int) -> bytes:
    """Read a whole file from a descriptor, and close it.

    Raises:
        UntrustedFileError: It cannot be read, or is longer than the limit.
    """
    fault = None
    data = b""
    try:
        with os.fdopen(descriptor, "rb") as stream:
            data = stream.read(limit_bytes + 1)
    except OSError as error:
        fault = _describe(error)
    if len(data) > limit_bytes:
        fault = f"it is longer than {limit_bytes} bytes"
    if fault is not None:
        raise UntrustedFileError(fault)
    return data


def verify_directories(path: Path) -> None:
    """Check every directory on the way to a file, also behind symbolic links.

    Raises:
        UntrustedFileError: One is missing, or others could rename what stands in it.
    """
    fault = None
    try:
        for status in _walk_directories(path):
            fault = fault or _find_directory_fault(status)
    except OSError as error:
        fault = _describe(error)
    if fault is not None:
        raise UntrustedFileError(f"a directory above it: {fault}")


def _walk_directories(path: Path) -> Iterator[os.stat_result]:
    """The status of each directory that is passed on the way to a path."""
    pending = list(reversed(path.absolute().parts))  # `..` stays: a link may stand before it
    at = Path(pending.pop())
    yield at.lstat()
    links = 0
    while len(pending) > 1:
        part = pending.pop()
        if part == "..":
            at = at.parent
            continue
        step = at / part
        status = step.lstat()
        if not stat.S_ISLNK(status.st_mode):
            at = step
            yield status
            continue
        links += 1
        if links > _MAX_LINKS:
            raise OSError("too many links")
        target = step.readlink()
        parts = target.parts[1:] if target.is_absolute() else target.parts
        at = Path(target.anchor) if target.is_absolute() else at
        pending.extend(reversed(parts))


def _find_directory_fault(status: os.stat_result) -> str | None:
    if not stat.S_ISDIR(status.st_mode):
        return "it is not a directory"
    if status.st_mode & stat.S_ISVTX and status.st_uid in _trusted_owners():
        return None  # like /tmp: entries can be removed by their owners alone
    return _find_fault(status)


def _find_fault(status: os.stat_result) -> str | None:
    """Why somebody else could have written a file or directory, or None."""
    if not hasattr(os, "geteuid"):  # pragma: no cover - Windows: ACLs are the operator's affair
        return None
    if status.st_uid not in _trusted_owners():
        return "belongs to neither this user nor root"
    if status.st_mode & _WRITABLE_BY_OTHERS:
        return f"may be written by others (mode {stat.S_IMODE(status.st_mode):04o})"
    return None


def _trusted_owners() -> tuple[int, ...]:
    return (0, os.geteuid()) if hasattr(os, "geteuid") else (0,)


def _describe(error: OSError) -> str:
    """What the system says, without the path."""
    if isinstance(error, FileNotFoundError):
        return "it does not exist"
    if isinstance(error, PermissionError):
        return "it may not be read"
    if error.errno in (errno.ELOOP, errno.EMLINK):
        return "it is a symbolic link; name the file itself"
    return f"it cannot be read ({os.strerror(error.errno) if error.errno else 'bad path'})"
