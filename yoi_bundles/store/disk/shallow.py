"""Where a repository's history begins, if not at the first revision: git's ``shallow`` file.

Source: gitrepository-layout, "shallow"; docs/adr/0017; docs/format.md, "Shallow repositories".
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from yoi_bundles.errors import StoreCorruptError
from yoi_bundles.model.ids import CommitId
from yoi_bundles.store.disk.faults import storage_faults
from yoi_bundles.store.disk.files import replace_file, sync_directory

SHALLOW = "shallow"
_LINES = re.compile(rb"(?:[0-9a-f]{64}\n)*")


class ShallowBoundary:
    """Commits whose parents are not held although they name one.

    Reading takes no lock; the caller of `write` holds the writer lock. An operator's
    ``git fetch --unshallow`` may take the file away at any time.

    Args:
        root: The repository.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / SHALLOW
        self._commits: frozenset[CommitId] = frozenset()
        self._key: tuple[int, int, int] | None = None

    def commits(self) -> frozenset[CommitId]:
        """The commits at which history begins; empty if it is whole.

        Raises:
            StoreCorruptError: The file holds something else.
            StoreError: It could not be read.
        """
        with storage_faults("read where history begins"):
            try:
                stat = self._path.stat()
            except FileNotFoundError:
                return frozenset()
            key = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if key != self._key:
                # The key is older than the bytes: a change in between is read once more.
                self._commits, self._key = parse_shallow(self._path.read_bytes()), key
        return self._commits

    def write(self, commits: Collection[CommitId]) -> None:
        """Let history begin at these commits, durably; without any, the file goes.

        Raises:
            StorageFullError: No room; nothing has changed.
            StoreError: It could not be written.
        """
        with storage_faults("write where history begins"):
            if commits:
                lines = b"".join(b"%s\n" % commit.hex_ascii for commit in sorted(commits))
                replace_file(self._path, lines)
            elif self._path.exists():
                self._path.unlink()
                sync_directory(self._path.parent)


def parse_shallow(raw: bytes) -> frozenset[CommitId]:
    """The commits in the bytes of a ``shallow`` file.

    Raises:
        StoreCorruptError: It holds anything but ids of commits, each on a line.
    """
    if _LINES.fullmatch(raw) is None:
        raise StoreCorruptError("the list of where history begins is garbled")
    return frozenset(CommitId(line.decode("ascii")) for line in raw.split(b"\n") if line)
