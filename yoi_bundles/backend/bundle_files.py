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
        is_shallow: Whether a full bundle holds its target alone, without what was before it.
    """

    path: Path
    target: CommitId
    digest: Digest
    base: CommitId | None
    size_bytes: int
    is_shallow: bool = False

    @property
    def etag(self) -> str:
        """Strong validator: what the file holds, and upon what.

        By commit, as one digest may have several revisions, and each has a file of its own.
        """
        return f'"{self.target}.{_scope(self.base, is_shallow=self.is_shallow)}"'


class BundleFiles:
    """The bundle files of one Backend.

    Args:
        root: Their directory; one below it for each workspace.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(
        self,
        store: BundleStore,
        target: Revision,
        haves: Sequence[CommitId],
        *,
        is_shallow: bool = False,
    ) -> BundleFile:
        """The smallest bundle file that brings a holder of ``haves`` to ``target``.

        Args:
            is_shallow: Without any ``haves``, leave out what was before the target. Who holds
                something, and nothing to build on, takes whole history only (docs/adr/0017).

        Built under a lock if it is not there yet, so that many who ask at once, in this process
        or another, cost one build.

        Raises:
            StorageFullError: No room for it.
            StoreError: It cannot be built or written.
        """
        base = store.find_base(target.commit, haves)
        directory = self._root / str(target.workspace)
        is_shallow = is_shallow and not haves and target.parent is not None
        path = directory / f"{target.commit}-{_scope(base, is_shallow=is_shallow)}.bundle"
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
                        size = _build(store, target.commit, base, path, is_shallow=is_shallow)
                        _evict(directory)
        return BundleFile(path, target.commit, target.digest, base, size, is_shallow)


def _scope(base: CommitId | None, *, is_shallow: bool) -> str:
    """What a bundle file brings besides its target, in names of files and validators."""
    if base is not None:
        return str(base)
    return "tip" if is_shallow else "full"


def _touch(path: Path) -> int | None:
    """Size of a finished file, whose last use is now; None if there is none."""
    try:
        os.utime(path)
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _build(
    store: BundleStore, target: CommitId, base: CommitId | None, path: Path, *, is_shallow: bool
) -> int:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix="tmp-")
    try:
        with os.fdopen(descriptor, "wb") as out:
            bases = () if base is None else (base,)
            info = store.write_bundle(out, target=target, bases=bases, is_shallow=is_shallow)
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
