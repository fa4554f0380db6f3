"""What directories are as files: how many, how large, how deep; computed once for each.

Source: docs/format.md, "Trees"; docs/adr/0022.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from yoi_bundles.errors import ForbiddenPathError, TooLargeError
from yoi_bundles.model.limits import Limits
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.tree.objects import Oid, TreeEntry

_MAX_MEASURES = 100_000


class Measure(NamedTuple):
    """What a directory is as files, everything below it counted."""

    files: int
    size_bytes: int
    depth: int
    path_bytes: int

    def verify(self, limits: Limits) -> None:
        """Check against the bounds of one bundle.

        Raises:
            TooLargeError: Too many files or bytes.
            ForbiddenPathError: Too deep, or a path too long.
        """
        if self.files > limits.files:
            raise TooLargeError("a tree has too many files", limit=limits.files, limit_name="files")
        if self.size_bytes > limits.tree_bytes:
            raise TooLargeError(
                "a tree's files are too large together",
                limit=limits.tree_bytes,
                limit_name="tree_bytes",
            )
        if self.depth > limits.tree_depth:
            raise ForbiddenPathError(
                "a tree is too deep", limit=limits.tree_depth, limit_name="tree_depth"
            )
        if self.path_bytes > limits.path_bytes:
            raise ForbiddenPathError(
                "a path is too long", limit=limits.path_bytes, limit_name="path_bytes"
            )

    def replace(
        self,
        removed: Iterable[tuple[TreeEntry, Measure | int]],
        added: Iterable[tuple[TreeEntry, Measure | int]],
    ) -> Measure | None:
        """The measure of a directory after some of its entries were changed.

        Args:
            removed: Entries it has, with their measures.
            added: Those it has instead.

        Returns:
            None if all entries must be looked at, since the deepest or longest may be gone.
        """
        old, new = add_measures(removed), add_measures(added)
        if (old.depth == self.depth and new.depth < old.depth) or (
            old.path_bytes == self.path_bytes and new.path_bytes < old.path_bytes
        ):
            return None
        return Measure(
            self.files - old.files + new.files,
            self.size_bytes - old.size_bytes + new.size_bytes,
            max(self.depth, new.depth),
            max(self.path_bytes, new.path_bytes),
        )


def add_measures(entries: Iterable[tuple[TreeEntry, Measure | int]]) -> Measure:
    """The measure of a directory from those of its entries.

    Args:
        entries: Each with the measure of a directory or the size of a file.
    """
    files = size_bytes = depth = path_bytes = 0
    for (name, _, _), part in entries:
        longest = len(name) if name.isascii() else len(name.encode("utf-8"))
        if isinstance(part, int):
            files += 1
            size_bytes += part
        else:
            files += part.files
            size_bytes += part.size_bytes
            depth = max(depth, part.depth + 1)
            longest += 1 + part.path_bytes
        if longest > path_bytes:  # noqa: PLR1730  (a call for each entry costs more than the rest)
            path_bytes = longest
    return Measure(files, size_bytes, depth, path_bytes)


class MeasureCache:
    """Measures of held trees, computed once: an id never changes its meaning.

    Args:
        objects: Where trees and sizes are read.
    """

    def __init__(self, objects: ObjectDatabase) -> None:
        self._objects = objects
        self._known: dict[Oid, Measure] = {}

    def learn(self, measures: Mapping[Oid, Measure]) -> None:
        """Remember measures of trees that are held from now on."""
        if len(self._known) + len(measures) > _MAX_MEASURES:
            self._known = {}
        self._known.update(measures)

    def measure(self, tree: Oid) -> Measure:
        """The measure of a held tree.

        Raises:
            StoreCorruptError: An object is missing or corrupt.
        """
        known = self._known.get(tree)
        if known is None:
            known = add_measures(
                (entry, self.measure(entry.oid))
                if entry.is_tree
                else (entry, self._objects.blob_size(entry.oid))
                for entry in self._objects.read_tree(tree)
            )
            if len(self._known) > _MAX_MEASURES:
                self._known = {}
            self._known[tree] = known
        return known
