"""Bundle files on disk: built once for (target, base), immutable, handed out as files."""

from __future__ import annotations

import fcntl
import hashlib
import io
import math
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from cachetools import LRUCache

from yoi_bundles.backend.files.bounded_directory import (
    KEEP_BYTES,
    SUFFIX,
    BoundedDirectory,
    digest_file,
    mark_used,
    remove,
)
from yoi_bundles.errors import BundleError, TransportError
from yoi_bundles.model.ids import CommitId, Digest
from yoi_bundles.model.limits import KIB, MIB
from yoi_bundles.model.revision import Revision
from yoi_bundles.store import BundleStore, storage_faults

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

SMALL_BYTES = 1 * MIB
"""A file up to this size is kept in memory too."""
MEMORY_BYTES = 32 * MIB
"""Bytes kept in memory; the least recently used files leave it first."""
RECHECK_SECONDS = 60.0
"""How long a file is believed to be what was built; then all of it is hashed again."""

SHALLOW = "tip"
FULL = "full"
_TEMPORARY = "tmp-"
_ENTRY_BYTES = KIB
_KNOWN_BASES = 1024

_Bases: TypeAlias = LRUCache[tuple[CommitId, tuple[CommitId, ...]], CommitId | None]


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A finished bundle file.

    Args:
        base: The commit it builds on; None for a full bundle.
        scope: What it brings besides its target: the base, ``full`` or ``tip``.
        sha256: Of the whole file, which is not the git id of anything in it.
        content: All of it, if it is kept in memory.
    """

    path: Path
    target: CommitId
    digest: Digest
    base: CommitId | None
    scope: str
    size_bytes: int
    sha256: bytes
    content: bytes | None = field(default=None, repr=False, compare=False)
    etag: str = field(init=False, compare=False)
    """Strong validator: what the file holds, upon what, and as which bytes.

    By commit, as one digest may have several revisions, and each has a file of its own. By
    bytes, as a file that is built again may be another pack of the same objects.
    """

    def __post_init__(self) -> None:
        etag = f'"{self.target}.{self.scope}.{self.sha256.hex()[:16]}"'
        object.__setattr__(self, "etag", etag)

    @property
    def is_shallow(self) -> bool:
        """Whether a full bundle holds its target alone, without what was before it."""
        return self.scope == SHALLOW


class _Known(NamedTuple):
    """A file that was hashed: it is what was built."""

    file: BundleFile
    identity: tuple[int, int, int]
    hashed_at: float

    @property
    def weight_bytes(self) -> int:
        return _ENTRY_BYTES + len(self.file.content or b"")


class BundleFiles:
    """The bundle files of one Backend.

    Args:
        root: Their directory; one below it for each workspace.
        keep_bytes: Most bytes kept there, of all workspaces.
        timer: Seconds that only go forward.
    """

    def __init__(
        self,
        root: Path,
        keep_bytes: int = KEEP_BYTES,
        *,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._directory = BoundedDirectory(root, keep_bytes)
        self._timer = timer
        self._lock = threading.Lock()
        self._known: LRUCache[tuple[CommitId, str], _Known] = LRUCache(
            MEMORY_BYTES, getsizeof=lambda known: known.weight_bytes
        )
        self._bases: _Bases = LRUCache(_KNOWN_BASES)
        self._hashed: set[Path] = set()
        self._builds_end_at = math.inf

    def end_builds(self, within_seconds: float = 0.0) -> None:
        """Give up each build that is not done by then, now and ever after: the server stops."""
        end = self._timer() + within_seconds
        self._builds_end_at = min(self._builds_end_at, end)

    def _verify_time(self) -> None:
        if self._timer() >= self._builds_end_at:
            raise TransportError("the server stops before the bundle file is built")

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
            TransportError: It is not built before the server stops; nothing is left of it.
        """
        base = self._find_base(store, target, tuple(haves))
        scope = _scope(target, base, is_shallow=is_shallow and not haves)
        with storage_faults("build a bundle file"):
            known = self._find_known(target.commit, scope) or self._read(target, base, scope)
            if known is None:
                self._path_of(target, scope).parent.mkdir(parents=True, exist_ok=True)
                with _locked(self._path_of(target, scope).parent / "lock"):
                    known = self._read(target, base, scope) or self._make(
                        store, target, base, scope
                    )
        return known.file

    def find_ready(
        self, target: Revision, haves: tuple[CommitId, ...], *, is_shallow: bool = False
    ) -> BundleFile | None:
        """As `get`, if that takes neither a build nor a hash nor a walk: microseconds."""
        with self._lock:
            base = self._bases.get((target.commit, haves), target.commit)
        if base == target.commit:
            return None
        scope = _scope(target, base, is_shallow=is_shallow and not haves)
        try:
            known = self._find_known(target.commit, scope)
        except OSError:
            return None
        return None if known is None else known.file

    def is_sound(self, file: BundleFile) -> bool:
        """Whether a file is still what was built, all of it hashed anew; if not it is forgotten.

        Raises:
            StoreError: It cannot be read.
        """
        with storage_faults("read a bundle file"):
            try:
                with file.path.open("rb") as content:
                    found = hashlib.file_digest(content, "sha256").digest()
            except FileNotFoundError:
                found = b""
        if found != file.sha256:
            with self._lock:
                self._known.pop((file.target, file.scope), None)
        return found == file.sha256

    def _path_of(self, target: Revision, scope: str) -> Path:
        return self._root / str(target.workspace) / f"{target.commit}-{scope}{SUFFIX}"

    def _find_base(
        self, store: BundleStore, target: Revision, haves: tuple[CommitId, ...]
    ) -> CommitId | None:
        """The base of an increment; what lies below a commit never changes, so it is kept."""
        key = (target.commit, haves)
        with self._lock:
            base = self._bases.get(key, target.commit)
        if base == target.commit:  # which is never its own base
            base = store.find_base(target.commit, haves)
            with self._lock:
                self._bases[key] = base
        return base

    def _find_known(self, target: CommitId, scope: str) -> _Known | None:
        """What was hashed lately and has not been touched since."""
        with self._lock:
            known = self._known.get((target, scope))
        if known is None or self._timer() - known.hashed_at > RECHECK_SECONDS:
            return None
        try:
            return known if _identity(known.file.path.stat()) == known.identity else None
        except FileNotFoundError:
            return None

    def _read(self, target: Revision, base: CommitId | None, scope: str) -> _Known | None:
        """Hash a file; None if there is none, or it is not what was built."""
        path, content = self._path_of(target, scope), None
        try:
            expected = digest_file(path).read_text("ascii", "replace").partition(" ")[0]
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_size <= SMALL_BYTES:
                    content = file.read()
                    sha256 = hashlib.sha256(content)
                else:
                    sha256 = hashlib.file_digest(file, "sha256")
            mark_used(path, status)
        except FileNotFoundError:
            return None
        if sha256.hexdigest() != expected:
            return None
        found = BundleFile(
            path, target.commit, target.digest, base, scope, status.st_size, sha256.digest(),
            content,
        )  # fmt: skip
        known = _Known(found, _identity(status), self._timer())
        with self._lock:
            self._known[target.commit, scope] = known
        return known

    def _make(
        self, store: BundleStore, target: Revision, base: CommitId | None, scope: str
    ) -> _Known:
        """Build a file and its digest beside it; without one a file counts as not there.

        Raises:
            OSError: The disk does not give back what was written.
            TransportError: See `get`.
        """
        self._verify_time()
        path = self._path_of(target, scope)
        # What is served is what was built: a Runtime would refuse anything else, and remember it.
        remove(path)
        for leftover in path.parent.glob(f"{_TEMPORARY}*"):
            # Only who holds the lock builds: its builder was killed.
            leftover.unlink(missing_ok=True)
        bases = () if base is None else (base,)
        if base is None:
            self._learn(store, path.parent)
        with _replaced(path) as temporary:
            with _TimedFile(temporary, self._verify_time) as out:
                store.write_bundle(
                    out, target=target.commit, bases=bases, is_shallow=scope == SHALLOW
                )
            with temporary.open("rb") as built:
                sha256 = hashlib.file_digest(built, "sha256").hexdigest()
        with _replaced(digest_file(path)) as temporary:
            temporary.write_text(f"{sha256}  {path.name}\n")
        known = self._read(target, base, scope)
        if known is None:
            raise OSError("what was built is not what was written")
        self._directory.add(path, known.file.size_bytes)
        return known

    def _learn(self, store: BundleStore, directory: Path) -> None:
        """Let a store that has packed nothing yet see how an older process has; once for each."""
        with self._lock:
            is_first = directory not in self._hashed
            self._hashed.add(directory)
        found = [*directory.glob(f"*-{SHALLOW}{SUFFIX}"), *directory.glob(f"*-{FULL}{SUFFIX}")]
        if is_first and found:
            # A file that is damaged, or taken away just now, only costs the time it would save.
            with suppress(BundleError, FileNotFoundError):
                store.learn_packing(max(found, key=lambda path: path.stat().st_mtime_ns))


class _TimedFile(io.BufferedWriter):
    """A new file that asks before each write whether there is time for it."""

    def __init__(self, path: Path, verify_time: Callable[[], None]) -> None:
        super().__init__(io.FileIO(path, "wb"))
        self._verify_time = verify_time

    def write(self, data: ReadableBuffer, /) -> int:
        """As the library's.

        Raises:
            TransportError: There is none.
        """
        self._verify_time()
        return super().write(data)


def _scope(target: Revision, base: CommitId | None, *, is_shallow: bool) -> str:
    """What a bundle file brings besides its target, in names of files and validators."""
    if base is not None:
        return str(base)
    return SHALLOW if is_shallow and target.parent is not None else FULL


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """A file to write that takes the place of another when the block ends without an error."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_TEMPORARY)
    os.close(descriptor)
    try:
        yield Path(name)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that dies with its owner."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
