"""Read-only directories materialised from bundles, every file checked when it is read.

Beside ``<digest>/`` stands ``<digest>.index.json``: the paths and blob ids. The index proves
itself, since the tree id computed from it must be the digest; a file proves itself by its blob id.

Source: docs/format.md, "Checkouts".
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from yoi_bundles.errors import (
    BundleError,
    InvalidInputError,
    MissingObjectError,
    StoreCorruptError,
)
from yoi_bundles.model.ids import BlobId, Digest, RelativePath
from yoi_bundles.model.tree import TreeReader
from yoi_bundles.store.disk.faults import storage_faults
from yoi_bundles.store.disk.files import (
    PRIVATE,
    TEMP_PREFIX,
    exclusive_lock,
    make_directories,
    make_temporary_name,
    replace_file,
    sync_directory,
    write_new_file,
)
from yoi_bundles.store.tree.objects import Kind, hash_object
from yoi_bundles.store.tree.trees import compute_root

_LOCK_FILE = "yoi.lock"
_INDEX_SUFFIX = ".index.json"
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class CheckoutReader:
    """A `TreeReader` over a directory on disk that believes nothing it finds there.

    Args:
        path: The checkout.
        digest: Its bundle.
        entries: Paths and blob ids, proven to be the bundle's.
    """

    def __init__(self, path: Path, digest: Digest, entries: Mapping[RelativePath, BlobId]) -> None:
        self._path = path
        self._digest = digest
        self._entries = entries

    @property
    def digest(self) -> Digest:
        """Identity of the tree."""
        return self._digest

    def entries(self) -> Mapping[RelativePath, BlobId]:
        """All files in path order with their blob ids."""
        return self._entries

    def changes_from(self, older: Digest) -> None:
        """A checkout holds no directories of its tree to compare."""

    def read(self, path: RelativePath) -> bytes:
        """The bytes of one file, checked against its blob id; no symbolic link is followed.

        Raises:
            MissingObjectError: The bundle has no such file.
            StoreCorruptError: The file is missing, is something else or was changed.
        """
        blob = self._entries.get(path)
        if blob is None:
            raise MissingObjectError("the bundle has no such file", file=str(path))
        try:
            data = _read_below(self._path, str(path))
        except OSError as error:
            raise _corrupt(f"a checked-out file cannot be read: {error.strerror}", path) from error
        if hash_object(Kind.BLOB, data) != blob.raw:
            raise _corrupt("a checked-out file was changed", path)
        return data

    def read_all(self, paths: Iterable[RelativePath]) -> Iterator[tuple[RelativePath, bytes]]:
        """See `TreeReader.read_all`."""
        return ((path, self.read(path)) for path in paths)

    def plain_size(self, blob: BlobId) -> None:
        """Nobody has looked at these files before."""


def _corrupt(message: str, path: RelativePath) -> StoreCorruptError:
    return StoreCorruptError(message, hint="repair the checkout", file=str(path))


def _read_below(root: Path, path: str) -> bytes:
    """Read a file below a directory, refusing links at every step of the way.

    Raises:
        OSError: A step is missing or a link, or the file is not a regular one.
    """
    *parents, name = path.split("/")
    flags = _READ_FLAGS | os.O_DIRECTORY
    descriptor = os.open(root, flags)
    try:
        for parent in parents:
            child = os.open(parent, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = child
        with os.fdopen(os.open(name, _READ_FLAGS, dir_fd=descriptor), "rb") as file:
            return file.read()
    finally:
        os.close(descriptor)


class Checkout:
    """One materialised bundle.

    Args:
        path: The directory.
        reader: Verified access to its files.
    """

    def __init__(self, path: Path, reader: CheckoutReader) -> None:
        self._path = path
        self._reader = reader

    @property
    def path(self) -> Path:
        """The directory, for a process that is given it read-only."""
        return self._path

    @property
    def digest(self) -> Digest:
        """Identity of the tree."""
        return self._reader.digest

    @property
    def reader(self) -> TreeReader:
        """Verified access to the files."""
        return self._reader

    def verify_names(self) -> None:
        """Check that the directory holds exactly the bundle's files, as regular files.

        Raises:
            StoreCorruptError: A file is missing, extra or a link.
            StoreError: The directory could not be read.
        """
        with storage_faults("list a checkout"):
            found = set(_walk(self._path, ""))
        wanted = {str(path) for path in self._reader.entries()}
        wanted |= {parent + "/" for path in wanted for parent in _parents(path)}
        for name in sorted(found ^ wanted):
            what = "extra" if name in found else "missing"
            raise StoreCorruptError(
                f"a checkout has {what} files", hint="repair the checkout", file=ascii(name)
            )

    def verify(self) -> None:
        """Check names and the content of every file.

        Raises:
            StoreCorruptError: A file is missing, extra, a link or was changed.
            StoreError: The directory could not be read.
        """
        self.verify_names()
        for path in self._reader.entries():
            self._reader.read(path)


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _walk(root: Path, prefix: str) -> Iterator[str]:
    """Names below a directory: ``a/`` for directories, ``a`` for files, ``a@`` for all else."""
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield f"{prefix}{entry.name}/"
                yield from _walk(Path(entry.path), f"{prefix}{entry.name}/")
            else:
                mark = "" if entry.is_file(follow_symlinks=False) else "@"
                yield f"{prefix}{entry.name}{mark}"


class CheckoutArea:
    """All checkouts below one directory, named by digest.

    Args:
        root: The directory; it is made if missing. It must belong to this process's user alone.

    Raises:
        StoreError: The directory could not be made or swept.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        with storage_faults("open the checkouts"):
            make_directories(root.parent, PRIVATE)
            make_directories(root)
            with exclusive_lock(root / _LOCK_FILE):
                for leftover in root.glob(f"{TEMP_PREFIX}*"):
                    _remove(leftover)

    def find(self, digest: Digest) -> Checkout | None:
        """The checkout of a bundle, or None.

        Raises:
            StoreCorruptError: Its index is missing or does not make the digest.
            StoreError: It could not be read.
        """
        path = self._root / str(digest)
        if not path.is_dir():
            return None
        return Checkout(path, CheckoutReader(path, digest, self._read_index(digest)))

    def ensure(self, digest: Digest, source: TreeReader) -> Checkout:
        """The checkout of a bundle, made from the source if there is none.

        Args:
            digest: The bundle.
            source: Its files.

        Raises:
            StoreCorruptError: The checkout has missing or extra files: `repair` it; or the
                source is corrupt.
            StorageFullError: No room; nothing is left behind.
            StoreError: It could not be written.
        """
        found = self.find(digest)
        if found is None:
            with self._locked():
                if not (self._root / str(digest)).is_dir():
                    self._make(digest, source)
            found = self.find(digest)
        if found is None:
            raise StoreCorruptError("a checkout vanished while it was made")
        found.verify_names()
        return found

    def repair(self, digest: Digest, source: TreeReader) -> Checkout:
        """Make a checkout anew and put it in the place of what is there.

        Args:
            digest: The bundle.
            source: Its files.

        Raises:
            StoreCorruptError: The source is corrupt.
            StorageFullError: No room; the old one is still there.
            StoreError: It could not be written.
        """
        with self._locked():
            self._make(digest, source)
        return self.ensure(digest, source)

    def remove(self, digest: Digest) -> None:
        """Remove a checkout; harmless if there is none.

        Raises:
            StoreError: It could not be removed.
        """
        with storage_faults("remove a checkout"), self._locked():
            self._retire(self._root / str(digest))
            self._index_path(digest).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with storage_faults("write a checkout"), exclusive_lock(self._root / _LOCK_FILE):
            yield

    def _index_path(self, digest: Digest) -> Path:
        return self._root / f"{digest}{_INDEX_SUFFIX}"

    def _read_index(self, digest: Digest) -> Mapping[RelativePath, BlobId]:
        with storage_faults("read a checkout's index"):
            try:
                raw = self._index_path(digest).read_bytes()
                table = json.loads(raw)
                entries = {RelativePath.parse(k): BlobId.parse(v) for k, v in table.items()}
                actual = compute_root(entries)
            except (OSError, ValueError, TypeError, AttributeError, BundleError) as error:
                raise StoreCorruptError(
                    "a checkout's index cannot be read", hint="repair the checkout"
                ) from error
        if actual != digest:
            raise StoreCorruptError(
                "a checkout's index is of another bundle", hint="repair the checkout"
            )
        return dict(sorted(entries.items()))

    def _make(self, digest: Digest, source: TreeReader) -> None:
        """Write a temporary directory, then the index, then put the directory in place."""
        if source.digest != digest:
            raise InvalidInputError("the source is another bundle than the checkout")
        temporary = self._root / make_temporary_name()
        with storage_faults("write a checkout"):
            try:
                _write_files(temporary, source)
                table = {str(path): str(blob) for path, blob in source.entries().items()}
                index = json.dumps(table, indent=0, sort_keys=True).encode("utf-8")
                replace_file(self._index_path(digest), index, 0o444)
                self._retire(self._root / str(digest))
                temporary.rename(self._root / str(digest))
                sync_directory(self._root)
            except BaseException:
                _remove(temporary)
                raise

    def _retire(self, path: Path) -> None:
        """Rename first: a half-removed checkout must not look like one."""
        old = self._root / make_temporary_name()
        with contextlib.suppress(FileNotFoundError):
            path.rename(old)
            _remove(old)


def _write_files(root: Path, source: TreeReader) -> None:
    """Write and fsync every file as read-only, then every directory."""
    root.mkdir(mode=0o755)
    directories = {root: None}
    for path in source.entries():
        target = root / str(path)
        for parent in reversed(target.relative_to(root).parents[:-1]):
            directory = root / parent
            if directory not in directories:
                directory.mkdir(mode=0o755)
                directories[directory] = None
        write_new_file(target, source.read(path), 0o444)
    for directory in reversed(directories):
        sync_directory(directory)
        directory.chmod(0o555)


def _remove(path: Path) -> None:
    """Remove a read-only directory tree; harmless if there is none."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for directory, _, _ in os.walk(path):
        Path(directory).chmod(0o755)
    shutil.rmtree(path)
