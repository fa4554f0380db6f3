"""Tree readers over the object database, and over a received pack in front of it.

Every byte they hand out has been hashed: by the database on each read, by the pack reader once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from yoi_bundles.errors import MissingObjectError
from yoi_bundles.model.ids import BlobId, Digest, RelativePath
from yoi_bundles.model.limits import Limits
from yoi_bundles.model.tree import TreeChange
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.tree.objects import Kind, Oid, TreeEntry, parse_tree
from yoi_bundles.store.tree.trees import BuiltTree, TreeLoader, flatten_tree, list_changes

if TYPE_CHECKING:
    from yoi_bundles.store.pack.reader import ReceivedPack


class ObjectTreeReader:
    """A `TreeReader` over any source of objects.

    Args:
        digest: The tree.
        load_tree: Gives verified entries of a directory.
        load_blob: Gives verified content of a file.
        contains: Whether an object can be loaded.
        place: Where a file's bytes stand, for reading many of them in order; None if it does not
            matter.
        plain_size: Length of a file that was found plain while it was received.
    """

    def __init__(
        self,
        digest: Digest,
        load_tree: TreeLoader,
        load_blob: Callable[[Oid], bytes],
        contains: Callable[[Oid], bool],
        *,
        place: Callable[[Oid], int] | None = None,
        plain_size: Callable[[Oid], int | None] = lambda _: None,
    ) -> None:
        self._digest = digest
        self._load_tree = load_tree
        self._load_blob = load_blob
        self._contains = contains
        self._place = place
        self._plain_size = plain_size
        self._entries: Mapping[RelativePath, BlobId] | None = None
        self._changed: dict[RelativePath, BlobId] = {}

    @property
    def digest(self) -> Digest:
        """Identity of the tree."""
        return self._digest

    def entries(self) -> Mapping[RelativePath, BlobId]:
        """All files in path order with their blob ids.

        Raises:
            StoreCorruptError: A directory is missing or corrupt.
        """
        if self._entries is None:
            self._entries = flatten_tree(self._load_tree, self._digest.raw)
        return self._entries

    def changes_from(self, older: Digest) -> tuple[TreeChange, ...] | None:
        """Files that differ from another tree; None if that one is not here.

        Raises:
            StoreCorruptError: A directory is missing or corrupt.
        """
        if not self._contains(older.raw):
            return None
        changes = list_changes(self._load_tree, older.raw, self._digest.raw)
        self._changed = {one.path: one.new for one in changes if one.new is not None}
        return changes

    def read(self, path: RelativePath) -> bytes:
        """The bytes of one file, checked against its blob id.

        Raises:
            MissingObjectError: The tree has no such file.
            StoreCorruptError: The bytes are missing or corrupt.
        """
        return self._load_blob(self._find(path))

    def read_all(self, paths: Iterable[RelativePath]) -> Iterator[tuple[RelativePath, bytes]]:
        """See `TreeReader.read_all`."""
        files = [(path, self._find(path)) for path in paths]
        place = self._place
        if place is not None:
            files.sort(key=lambda file: place(file[1]))
        load = self._load_blob
        for path, oid in files:
            yield path, load(oid)

    def plain_size(self, blob: BlobId) -> int | None:
        """See `TreeReader.plain_size`."""
        return self._plain_size(blob.raw)

    def _find(self, path: RelativePath) -> Oid:
        blob = self._changed.get(path) or self.entries().get(path)
        if blob is None:
            raise MissingObjectError("the bundle has no such file", file=str(path))
        return blob.raw


def stored_tree(objects: ObjectDatabase, digest: Digest) -> ObjectTreeReader:
    """A reader of a held tree."""
    return ObjectTreeReader(
        digest,
        objects.read_tree,
        lambda oid: objects.read(oid, Kind.BLOB),
        objects.contains,
    )


def built_tree(tree: BuiltTree, objects: ObjectDatabase) -> ObjectTreeReader:
    """A reader of a tree that is about to be published, completed from what is held."""

    def load_blob(oid: Oid) -> bytes:
        built = tree.objects.get(oid)
        return objects.read(oid, Kind.BLOB) if built is None else built[1]

    def contains(oid: Oid) -> bool:
        return oid in tree.objects or objects.contains(oid)

    return ObjectTreeReader(tree.digest, tree.loader(objects.read_tree), load_blob, contains)


def received_tree(
    pack: ReceivedPack,
    directories: Mapping[Oid, tuple[TreeEntry, ...]],
    objects: ObjectDatabase,
    digest: Digest,
    limits: Limits,
) -> ObjectTreeReader:
    """A reader of a tree in quarantine, completed from what is held.

    Args:
        pack: What came.
        directories: Entries that have been parsed already.
        objects: What is held.
        digest: The tree.
        limits: Bounds of what came.
    """

    def load_blob(oid: Oid) -> bytes:
        return pack.read(oid) if oid in pack.objects else objects.read(oid, Kind.BLOB)

    def load_tree(oid: Oid) -> tuple[TreeEntry, ...]:
        known = directories.get(oid)
        if known is not None:
            return known
        if oid in pack.objects:
            return parse_tree(pack.read(oid), limits)
        return objects.read_tree(oid)

    def contains(oid: Oid) -> bool:
        return oid in pack.objects or objects.contains(oid)

    place = None if pack.is_kept else pack.place_of
    return ObjectTreeReader(
        digest, load_tree, load_blob, contains, place=place, plain_size=pack.plain_size
    )
