"""Objects of one repository: read through dulwich and verified, written as whole packs.

Source: docs/adr/0002; gitrepository-layout, "objects".
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from dulwich.object_format import SHA256
from dulwich.object_store import DiskObjectStore
from dulwich.objects import ObjectID, RawObjectID

from yoi_bundles.errors import StoreCorruptError, StoreError, VerificationError
from yoi_bundles.model.limits import Limits
from yoi_bundles.store.disk.faults import storage_faults, translate_os_error
from yoi_bundles.store.disk.files import TEMP_PREFIX, sync_directory, write_new_file
from yoi_bundles.store.pack.index import encode_pack_index, read_index_ids
from yoi_bundles.store.pack.signals import SIGNALS
from yoi_bundles.store.pack.writer import PackEntry
from yoi_bundles.store.tree.objects import Kind, Oid, TreeEntry, hash_object, kind_name, parse_tree

PACK_MARK, INDEX_MARK = ".pack.new", ".idx.new"
"""How temporary packs and indexes end."""
KEEP_TARGET = Path("../../yoi.lock")
"""A ``.keep`` of ours is a link to the writer's lock: made at once, and told from an operator's."""
_MAPPED_READ_BYTES = 2 * 1024 * 1024
"""After so many bytes of objects the packs are closed: until then all that was read is resident."""
_TREE_CACHE_ENTRIES = 200_000
_SIZE_CACHE_ENTRIES = 200_000


class ObjectDatabase:
    """The ``objects`` directory of a repository.

    Reading is safe from several threads: dulwich opens and drops packs as it looks, so a lock is
    held for the length of one read. Packs that another program made are found on a miss.

    Args:
        path: The ``objects`` directory.
        limits: Bounds of what a stored tree may hold; those of receiving.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._store = DiskObjectStore(str(path), object_format=SHA256)
        # dulwich warns of packs left open; whoever forgets close() gets it at the end of life.
        weakref.finalize(self, self._store.close)
        self._lock = Lock()
        self._read_bytes = 0
        self._trees: dict[Oid, tuple[TreeEntry, ...]] = {}
        self._cached_entries = 0
        self._sizes: dict[Oid, int] = {}

    @property
    def limits(self) -> Limits:
        """Bounds of what is stored."""
        return self._limits

    @property
    def pack_directory(self) -> Path:
        """Where packs are."""
        return self._path / "pack"

    def close(self) -> None:
        """Close the files of all packs; a later read opens them again."""
        with self._lock:
            self._store.close()

    def forget(self) -> None:
        """Close all packs and drop what is kept in memory: the next reads are of the disk."""
        self.close()
        self._trees, self._cached_entries, self._sizes = {}, 0, {}

    def list_ids(self) -> set[Oid]:
        """The ids that the indexes of all packs name; no object is looked at.

        Raises:
            StoreCorruptError: An index is not one.
            StoreError: The indexes could not be read.
        """
        found: set[Oid] = set()
        with storage_faults("list objects"):
            for index in self.pack_directory.glob("pack-*.idx"):
                # An operator's repack may take it away: what it named is in another pack then.
                with suppress(FileNotFoundError):
                    found.update(read_index_ids(index.read_bytes()))
        return found

    def contains(self, oid: Oid) -> bool:
        """Whether an object of this id is here; its bytes are not looked at.

        Raises:
            StoreError: Packs could not be read.
        """
        with self._lock, storage_faults("look up an object"):
            return ObjectID(oid.hex().encode("ascii")) in self._store

    def find(self, oid: Oid) -> tuple[int, bytes] | None:
        """Type and bytes of an object, hashed on every read; None if it is not here.

        Raises:
            StoreCorruptError: The bytes are not what the id says.
            StoreError: Packs could not be read.
        """
        with self._lock:
            found = self._read(oid)
        if found is None:
            return None
        kind, data = found
        if kind not in (Kind.COMMIT, Kind.TREE, Kind.BLOB) or hash_object(kind, data) != oid:
            raise StoreCorruptError(
                f"object {oid.hex()} is corrupt", hint="verify the store", object=oid.hex()
            )
        return kind, data

    def _read(self, oid: Oid) -> tuple[int, bytes] | None:
        found = self._look(oid)
        if found is None:
            # Packs may be merged or repacked while dulwich lists them: list again to be sure.
            self._store.close()
            found = self._look(oid)
        if found is not None:
            self._read_bytes += len(found[1])
        if self._read_bytes > _MAPPED_READ_BYTES:
            self._read_bytes = 0
            self._store.close()
        return found

    def _look(self, oid: Oid) -> tuple[int, bytes] | None:
        """What dulwich says; its errors are not chained, since their frames pin its file maps."""
        try:
            return self._store.get_raw(RawObjectID(oid))
        except (KeyError, FileNotFoundError):
            return None
        except OSError as error:
            failure: StoreError = translate_os_error("read an object", error)
        except SIGNALS:
            raise
        except BaseException as error:  # noqa: BLE001 - native code ends in a panic
            failure = StoreCorruptError(
                f"object {oid.hex()} cannot be read: {type(error).__name__}",
                hint="verify the store",
                object=oid.hex(),
            )
        raise failure

    def read(self, oid: Oid, kind: Kind) -> bytes:
        """Bytes of an object that must be here and of this type.

        Raises:
            StoreCorruptError: It is missing, of another type, or its bytes are wrong.
            StoreError: Packs could not be read.
        """
        found = self.find(oid)
        if found is None or found[0] != kind:
            what = "is missing" if found is None else f"is not a {kind_name(kind)}"
            raise StoreCorruptError(f"object {oid.hex()} {what}", object=oid.hex())
        return found[1]

    def read_tree(self, oid: Oid) -> tuple[TreeEntry, ...]:
        """Entries of a directory; kept in memory, since ids never change their meaning.

        Raises:
            StoreCorruptError: Missing, not a tree, or one that no bundle may have.
        """
        cached = self._trees.get(oid)
        if cached is not None:
            return cached
        try:
            entries = parse_tree(self.read(oid, Kind.TREE), self._limits)
        except VerificationError as error:
            raise StoreCorruptError(
                f"tree {oid.hex()} is not one of a bundle: {error.message}", object=oid.hex()
            ) from error
        self.learn_trees({oid: entries})
        return entries

    def learn_trees(self, trees: Mapping[Oid, tuple[TreeEntry, ...]]) -> None:
        """Remember entries of directories that are held from now on."""
        for oid, entries in trees.items():
            if self._cached_entries + len(entries) > _TREE_CACHE_ENTRIES:
                self._trees, self._cached_entries = {}, 0
            if oid not in self._trees:
                self._trees[oid] = entries
                self._cached_entries += len(entries) + 1

    def blob_size(self, oid: Oid) -> int:
        """Length of a file's content.

        Raises:
            StoreCorruptError: Missing, not a blob, or its bytes are wrong.
        """
        size = self._sizes.get(oid)
        if size is None:
            size = len(self.read(oid, Kind.BLOB))
            self.learn_sizes({oid: size})
        return size

    def learn_sizes(self, sizes: Mapping[Oid, int]) -> None:
        """Remember lengths of files that are held from now on."""
        if len(self._sizes) + len(sizes) > _SIZE_CACHE_ENTRIES:
            self._sizes = {}
        self._sizes.update(sizes)

    @contextmanager
    def new_pack(self, write: Callable[[Path], tuple[bytes, list[PackEntry]]]) -> Iterator[str]:
        """`install_pack`, and keep the pack from ``git repack -ad`` until the block ends.

        Nothing reaches its objects before the refs are written in the block. Stock git keeps a
        pack with a ``.keep`` beside it, as it does for its own pushes.

        Args:
            write: See `install_pack`.

        Yields:
            The pack's name without suffix.

        Raises:
            StorageFullError: No room; nothing is left behind.
            StoreError: Writing failed; nothing is left behind.

        Source: git-index-pack, ``--keep``; docs/adr/0015.
        """
        mark: list[Path] = []

        def note(name: str) -> None:
            keep = self.pack_directory / f"{name}.keep"
            if not keep.exists():
                keep.symlink_to(KEEP_TARGET)
                mark.append(keep)

        try:
            yield self.install_pack(write, note)
        finally:
            with storage_faults("write a pack"):
                for keep in mark:
                    keep.unlink(missing_ok=True)

    def install_pack(
        self,
        write: Callable[[Path], tuple[bytes, list[PackEntry]]],
        announce: Callable[[str], None] = lambda name: None,
    ) -> str:
        """Write a pack and its index and make both durable; the caller holds the writer lock.

        Order: pack and index are written and fsynced under temporary names, the pack is renamed,
        then the index (git and dulwich see a pack by its index), then the directory is fsynced.

        Args:
            write: Writes and fsyncs the pack at a path; returns its checksum and entries.
            announce: Told the pack's name before anybody else can see it.

        Returns:
            The pack's name without suffix.

        Raises:
            StorageFullError: No room; nothing is left behind.
            StoreError: Writing failed; nothing is left behind.
        """
        # Not .pack and .idx: git and dulwich open every pair of such names, finished or not.
        pack = self.pack_directory / f"{TEMP_PREFIX}incoming{PACK_MARK}"
        index = self.pack_directory / f"{TEMP_PREFIX}incoming{INDEX_MARK}"
        try:
            with storage_faults("write a pack"):
                checksum, entries = write(pack)
                write_new_file(index, encode_pack_index(entries, checksum), 0o444)
                name = f"pack-{checksum.hex()}"
                pack = _tag(pack, checksum, PACK_MARK)
                index = _tag(index, checksum, INDEX_MARK)
                announce(name)
                pack.rename(self.pack_directory / f"{name}.pack")
                index.rename(self.pack_directory / f"{name}.idx")
                sync_directory(self.pack_directory)
                return name
        except BaseException:
            pack.unlink(missing_ok=True)
            index.unlink(missing_ok=True)
            raise


def _tag(temporary: Path, checksum: bytes, mark: str) -> Path:
    """Name a temporary file after its pack: recovery then knows which half rename to undo."""
    return temporary.rename(temporary.with_name(f"{TEMP_PREFIX}{checksum.hex()}{mark}"))
