"""Bundle files on disk: built once for (target, base), immutable, handed out as files."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from yoi_bundles.model.ids import CommitId, Digest
from yoi_bundles.model.revision import Revision
from yoi_bundles.store import BundleStore
from yoi_bundles.store.damage import has_pack_trailer
from yoi_bundles.store.faults import storage_faults

KEEP_FILES = 256
"""Files kept for each workspace; the least recently used go first."""


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A finished bundle file.

    Args:
        base: The commit it builds on; None for a full bundle.
    """

    path: Path
    target: CommitId
    digest: Digest
    base: CommitId | None
    size_bytes: int

    @property
    def etag(self) -> str:
        """Strong validator: what the file holds, and upon what.

        By commit, as one digest may have several revisions, and each has a file of its own.
        """
        return f'"{self.target}.{"full" if self.base is None else self.base}"'


class BundleFiles:
    """The bundle files of one Backend.

    Args:
        root: Their directory; one below it for each workspace.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, store: BundleStore, target: Revision, haves: Sequence[CommitId]) -> BundleFile:
        """The smallest bundle file that brings a holder of ``haves`` to ``target``.

        Built under a lock if it is not there yet, so that many who ask at once, in this process
        or another, cost one build.

        Raises:
            StorageFullError: No room for it.
            StoreError: It cannot be built or written.
        """
        base = store.find_base(target.commit, haves)
        directory = self._root / str(target.workspace)
        path = directory / f"{target.commit}-{'full' if base is None else base}.bundle"
        with storage_faults("build a bundle file"):
            size = _touch(path)
            if size is not None and not has_pack_trailer(path):
                # What is served is what was built: a Runtime would refuse it, and remember that.
                path.unlink(missing_ok=True)
                size = None
            if size is None:
                directory.mkdir(parents=True, exist_ok=True)
                with _locked(directory / "lock"):
                    size = _touch(path)
                    if size is None:
                        size = _build(store, target.commit, base, path)
                        _evict(directory)
        return BundleFile(path, target.commit, target.digest, base, size)


def _touch(path: Path) -> int | None:
    """Size of a finished file, whose last use is now; None if there is none."""
    try:
        os.utime(path)
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _build(store: BundleStore, target: CommitId, base: CommitId | None, path: Path) -> int:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix="tmp-")
    try:
        with os.fdopen(descriptor, "wb") as out:
            info = store.write_bundle(out, target=target, bases=() if base is None else (base,))
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return info.size_bytes


def _evict(directory: Path) -> None:
    files = sorted(directory.glob("*.bundle"), key=lambda file: file.stat().st_mtime_ns)
    for file in files[:-KEEP_FILES]:
        # An answer that is being sent keeps its open file; only the name goes.
        file.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that dies with its owner."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
