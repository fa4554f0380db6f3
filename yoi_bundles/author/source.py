"""A workspace's directory as files; nothing outside the directory is read.

A file whose size, times and inode are those it had when it was last read is not read again, as git
does it. One that was changed shortly before it was read is, since a second change might have left
the same time behind.

Source: docs/format.md, "The bundle tree, schema 1"; git's racy-git document.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from yoi_bundles.content.layout import MANIFEST_PATH
from yoi_bundles.content.parse import blob_id_of
from yoi_bundles.errors import (
    BundleError,
    ForbiddenModeError,
    InvalidInputError,
    TooLargeError,
)
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.paths import parse_tree_path, verify_paths

SCHEMA_DIRECTORY = ".yoi-schemas"
"""Where `init` puts JSON Schemas for editors; never part of a bundle."""

RACY_NANOSECONDS = 2_000_000_000
"""Age a file must have had when it was read: more than the steps of any file system's clock."""

_BESIDE = frozenset(
    {".git", ".gitignore", ".gitattributes", ".editorconfig", ".idea", ".vscode", SCHEMA_DIRECTORY}
)
"""Names at the top of a workspace that belong to tools, not to the bundle."""
_LITTER = re.compile(r"\.DS_Store|Thumbs\.db|desktop\.ini|\.#.+|#.+#|.+~|\..+\.sw[a-p]")
_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Stamp(NamedTuple):
    """A file as it was when it was read, and the id of what was read."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int
    blob: str
    """64 hex digits."""


class Snapshot(NamedTuple):
    """The files of a workspace at one moment.

    Args:
        stamps: Path → stamp of every file.
        read: Path → bytes of every file that had to be read.
        began_ns: When reading began, in nanoseconds since 1970.
    """

    stamps: Mapping[str, Stamp]
    read: Mapping[str, bytes]
    began_ns: int

    @property
    def trusted_ns(self) -> int:
        """A file changed before this, and with the stamp it had, must still be what was read."""
        return self.began_ns - RACY_NANOSECONDS


NOTHING = Snapshot({}, {}, 0)
"""Before a directory was first looked at."""


def read_workspace(
    directory: Path, *, limits: Limits = DEFAULT_LIMITS
) -> dict[RelativePath, bytes]:
    """Read all files of a workspace; the executable bit is not looked at.

    Args:
        directory: Holds ``bundle.toml``. Version control, editor settings and litter are left out.
        limits: ``file_bytes``, ``tree_bytes``, ``files`` and those of paths apply.

    Returns:
        Path → bytes, in path order, as they would be published.

    Raises:
        BundleError: As `take_snapshot`.
    """
    read = take_snapshot(directory, limits=limits).read
    return {RelativePath(path): read[path] for path in sorted(read)}


def take_snapshot(
    directory: Path, before: Snapshot = NOTHING, *, limits: Limits = DEFAULT_LIMITS
) -> Snapshot:
    """Look at all files of a workspace and read those that may have changed.

    Args:
        directory: As for `read_workspace`.
        before: The last snapshot of the same directory, taken under the same limits.
        limits: As for `read_workspace`.

    Raises:
        InvalidInputError: There is no such directory, it holds no ``bundle.toml``, or it cannot
            be read.
        ForbiddenModeError: It holds a symbolic link, socket, pipe or device.
        ForbiddenPathError: A name is unsafe on some file system.
        TooLargeError: A limit is passed.
    """
    try:
        top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidInputError(
            "there is no such directory", hint="`yoi-bundles init` makes a workspace"
        ) from None
    except OSError as error:
        raise _unreadable("the directory", error) from None
    try:
        found = _Walk(limits, before).read(top)
    finally:
        os.close(top)
    if str(MANIFEST_PATH) not in found.stamps:
        raise InvalidInputError(
            "the directory holds no bundle.toml",
            hint="`yoi-bundles init` makes a workspace; or name the directory of one",
        )
    if found.stamps.keys() != before.stamps.keys():
        verify_paths(RelativePath(path) for path in found.stamps)
    return found


class _Walk:
    """One walk over a directory by descriptors, so that no name is looked up twice."""

    def __init__(self, limits: Limits, before: Snapshot) -> None:
        self.limits = limits
        self.before = before
        self.stamps: dict[str, Stamp] = {}
        self.data: dict[str, bytes] = {}
        self.total_bytes = 0

    def read(self, top: int) -> Snapshot:
        began_ns = time.time_ns()
        self._read_directory(top, "")
        return Snapshot(self.stamps, self.data, began_ns)

    def _read_directory(self, directory: int, prefix: str) -> None:
        for name in self._keep_unchanged(directory, prefix):
            if is_left_out(name, is_top=not prefix):
                continue
            path = prefix + name
            parse_tree_path(path, self.limits)
            try:
                opened = os.open(name, _OPEN_FLAGS, dir_fd=directory)
            except OSError as error:
                raise _refusal(path, directory, name, error) from None
            try:
                self._read_entry(opened, path)
            finally:
                os.close(opened)

    def _keep_unchanged(self, directory: int, prefix: str) -> list[str]:
        """Keep the files that cannot have changed; returns the names of all other entries.

        This is all that most files of a large workspace meet: one look at each, and little else.
        """
        find, trusted_ns = self.before.stamps.get, self.before.trusted_ns
        look, is_regular = os.lstat, stat.S_ISREG
        kept: dict[str, Stamp] = {}
        others: list[str] = []
        for name in _names_of(directory, prefix):
            path = prefix + name
            known = find(path)
            if known is None:
                others.append(name)
                continue
            size, modified_ns, changed_ns, inode, _ = known
            try:
                status = look(name, dir_fd=directory)
            except OSError:
                others.append(name)
                continue
            if (
                modified_ns < trusted_ns > changed_ns
                and status.st_ctime_ns == changed_ns
                and status.st_mtime_ns == modified_ns
                and status.st_ino == inode
                and status.st_size == size
                and is_regular(status.st_mode)
            ):
                kept[path] = known
            else:
                others.append(name)
        self.stamps.update(kept)
        self.total_bytes += sum([stamp[0] for stamp in kept.values()])
        self._verify_totals()
        return others

    def _read_entry(self, opened: int, path: str) -> None:
        status = os.fstat(opened)
        if stat.S_ISDIR(status.st_mode):
            self._read_directory(opened, f"{path}/")
        elif stat.S_ISREG(status.st_mode):
            data = _read_capped(opened, path, self.limits.file_bytes)
            self.data[path] = data
            self._keep(path, _stamp_of(status, str(blob_id_of(data)), len(data)))
        else:
            raise _special(path)

    def _keep(self, path: str, stamp: Stamp) -> None:
        self.stamps[path] = stamp
        self.total_bytes += stamp.size
        self._verify_totals()

    def _verify_totals(self) -> None:
        if len(self.stamps) > self.limits.files:
            raise _too_large("the workspace has more files than", "files", self.limits.files)
        if self.total_bytes > self.limits.tree_bytes:
            raise _too_large(
                "all files together have more bytes than", "tree_bytes", self.limits.tree_bytes
            )


def _stamp_of(status: os.stat_result, blob: str, size: int | None = None) -> Stamp:
    """The stamp of a file; ``size`` is what was read, should it have grown meanwhile."""
    return Stamp(
        status.st_size if size is None else size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        blob,
    )


def _refusal(path: str, directory: int, name: str, error: OSError) -> BundleError:
    """Why an entry could not be opened: a link, a socket, or no permission."""
    try:
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    except OSError:
        return _unreadable(path, error)
    if stat.S_ISLNK(mode) or stat.S_ISSOCK(mode):
        return _special(path)
    return _unreadable(path, error)


def _names_of(directory: int, prefix: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError as error:
        raise _unreadable(prefix or "the directory", error) from None


def is_left_out(name: str, *, is_top: bool) -> bool:
    """Whether a name belongs to tools or is litter, and is no part of a bundle."""
    return (is_top and name in _BESIDE) or _LITTER.fullmatch(name) is not None


def _read_capped(opened: int, path: str, limit: int) -> bytes:
    """The bytes of an open file; never more than the limit is held."""
    try:
        with os.fdopen(os.dup(opened), "rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    if len(data) > limit:
        raise _too_large(f"{path} has more bytes than", "file_bytes", limit, file=path)
    return data


def _too_large(message: str, name: str, limit: int, *, file: str | None = None) -> TooLargeError:
    return TooLargeError(f"{message} {limit}", limit_name=name, limit=limit, file=file)


def _special(path: str) -> ForbiddenModeError:
    return ForbiddenModeError(
        f"{path} is not a regular file",
        hint="a bundle holds regular files only: replace links by what they point to",
        file=path,
    )


def _unreadable(what: str, error: OSError) -> InvalidInputError:
    return InvalidInputError(f"{what} cannot be read: {error.strerror}")
