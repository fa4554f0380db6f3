"""A tree made of another one and a few changed files: only the directories on their paths are new.

Source: docs/format.md, "Trees".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

from yoi_bundles.errors import ForbiddenPathError, InvalidInputError, TooLargeError
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.paths import parse_tree_path, verify_siblings
from yoi_bundles.store.disk.measures import Measure, MeasureCache, add_measures
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.tree.objects import (
    EMPTY_TREE,
    Kind,
    Oid,
    TreeEntry,
    encode_tree,
    hash_object,
)
from yoi_bundles.store.tree.trees import BuiltTree, TreeLoader, build_tree

_Changes: TypeAlias = "dict[str, Oid | _Changes | None]"
"""Name → new blob, None for a file that goes, or the changes below a directory."""


def build_on(
    base: Oid | None,
    files: Mapping[RelativePath, bytes],
    removed: Collection[RelativePath],
    objects: ObjectDatabase,
    cache: MeasureCache,
) -> BuiltTree:
    """Build the tree of a revision: of all its files, or of a held tree and what differs from it.

    Args:
        base: The held tree, or None.
        files: As for `build_tree`, or as for `edit_tree` if there is a base.
        removed: As for `edit_tree`.
        objects: What is held; its limits apply.
        cache: Measures of held trees.

    Raises:
        ForbiddenPathError: A path is unsafe, too long or too deep, or two collide.
        InvalidInputError: A file that goes is not there.
        TooLargeError: More than a bundle may hold.
        StoreCorruptError: Something of the base is missing or corrupt.
    """
    root = EMPTY_TREE if base is None else base
    if base is None and not removed:
        tree = build_tree(files, objects.limits)
    else:
        tree = edit_tree(objects.read_tree, root, files, removed, objects.limits)
    if tree.root != EMPTY_TREE:
        _Measuring(tree, objects, cache).measure(tree.root, base).verify(objects.limits)
    return tree


class _Measuring:
    """Measures an edited tree from what is known of the one before it.

    Args:
        tree: The edited one.
        objects: What is held.
        cache: Measures of held trees; learns those of the edited directories.
    """

    def __init__(self, tree: BuiltTree, objects: ObjectDatabase, cache: MeasureCache) -> None:
        self._tree = tree
        self._objects = objects
        self._measure_cache = cache

    def measure(self, oid: Oid, before: Oid | None) -> Measure:
        """What a directory is as files; only entries that differ are looked at, if that will do.

        Args:
            oid: The directory.
            before: What it was, or None if it was not there.

        Raises:
            StoreCorruptError: An object of the base is missing or corrupt.
        """
        made = self._tree.entries.get(oid)
        if made is None:
            return self._measure_cache.measure(oid)
        old = {} if before is None else {one.name: one for one in self._objects.read_tree(before)}
        found = None
        if before is not None:
            same = {entry for entry in made if old.get(entry.name) == entry}
            gone = [(entry, self._part(entry, None)) for entry in old.values() if entry not in same]
            new = [(entry, self._part(entry, old)) for entry in made if entry not in same]
            found = self._measure_cache.measure(before).replace(gone, new)
        if found is None:
            found = add_measures((entry, self._part(entry, old)) for entry in made)
        self._measure_cache.learn({oid: found})
        return found

    def _part(self, entry: TreeEntry, old: Mapping[str, TreeEntry] | None) -> Measure | int:
        """The measure of one entry, edited with its neighbours ``old``, or held if that is None."""
        if entry.is_tree:
            if old is None:
                return self._measure_cache.measure(entry.oid)
            was = old.get(entry.name)
            return self.measure(entry.oid, was.oid if was is not None and was.is_tree else None)
        new = self._tree.objects.get(entry.oid)
        return self._objects.blob_size(entry.oid) if new is None else len(new[1])


def list_measures(
    root: Oid, known: Mapping[Oid, Measure], objects: ObjectDatabase, cache: MeasureCache
) -> dict[Oid, Measure]:
    """Measures of all directories of a held tree, itself included, and those known before.

    Args:
        root: The tree.
        known: Directories with all that are below them: they are not entered.
        objects: What is held.
        cache: Measures of held trees.

    Raises:
        StoreCorruptError: An object is missing or corrupt.
    """
    found = dict(known)
    waiting = [root]
    while waiting:
        oid = waiting.pop()
        if oid not in found:
            found[oid] = cache.measure(oid)
            waiting += [entry.oid for entry in objects.read_tree(oid) if entry.is_tree]
    return found


def edit_tree(
    load: TreeLoader,
    base: Oid,
    files: Mapping[RelativePath, bytes],
    removed: Collection[RelativePath] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> BuiltTree:
    """Build the tree that another one becomes; same files, same tree as from scratch.

    Args:
        load: Gives the entries of the base's directories.
        base: The tree to begin with.
        files: Content of new and changed files by path.
        removed: Files of the base that go, before the others come. A directory without files goes
            with its last one.
        limits: Bounds of names, depth and sizes of what is new; those of the tree as a whole are
            the caller's.

    Returns:
        The tree with its new objects, and none that only the base needs.

    Raises:
        ForbiddenPathError: A path is unsafe, or two collide.
        InvalidInputError: A file that goes is not there.
        TooLargeError: A file or a directory is too large.
    """
    edit = _Edit(load, limits)
    root = edit.apply(base, _arrange({str(path): None for path in removed}))
    root = edit.apply(root, _arrange(edit.add_files(files)))
    return BuiltTree(root, edit.objects, edit.entries)


def _arrange(changes: Mapping[str, Oid | None]) -> _Changes:
    """Changes by path as a tree of their own."""
    root: _Changes = {}
    for path, change in changes.items():
        *parents, name = path.split("/")
        node = root
        for parent in parents:
            child = node.setdefault(parent, {})
            if not isinstance(child, dict):
                raise _two_in_one(parent)
            node = child
        if name in node:
            raise _two_in_one(name)
        node[name] = change
    return root


class _Edit:
    """One edit and the objects it makes."""

    def __init__(self, load: TreeLoader, limits: Limits) -> None:
        self._load = load
        self._limits = limits
        self.entries: dict[Oid, tuple[TreeEntry, ...]] = {}
        self.objects: dict[Oid, tuple[Kind, bytes]] = {}

    def add_files(self, files: Mapping[RelativePath, bytes]) -> dict[str, Oid | None]:
        """Keep the bytes of files; returns their ids by path.

        Raises:
            ForbiddenPathError: A path is unsafe.
            TooLargeError: A file is too large.
        """
        found: dict[str, Oid | None] = {}
        for path, data in files.items():
            parse_tree_path(str(path), self._limits)
            if len(data) > self._limits.object_bytes:
                raise TooLargeError(
                    "a file is too large",
                    limit=self._limits.object_bytes,
                    limit_name="object_bytes",
                )
            found[str(path)] = self._add(Kind.BLOB, data)
        return found

    def apply(self, base: Oid, changes: _Changes) -> Oid:
        """The directory after its changes; the empty tree if nothing is left in it.

        Raises:
            ForbiddenPathError: Two names collide, or a file is where a directory is to be.
            TooLargeError: Too many entries.
            InvalidInputError: A file that goes is not there.
        """
        if not changes:
            return base
        before = self._entries_of(base)
        entries = {entry.name: entry for entry in before}
        for name, change in changes.items():
            made = self._change(entries.get(name), name, change)
            if made is None:
                entries.pop(name, None)
            else:
                entries[name] = made
        if len(entries) > self._limits.tree_entries:
            raise TooLargeError(
                "a directory has too many entries",
                limit=self._limits.tree_entries,
                limit_name="tree_entries",
            )
        if entries.keys() - {entry.name for entry in before}:
            verify_siblings(entries)
        oid = self._add(Kind.TREE, encode_tree(entries.values()))
        self.entries[oid] = tuple(entries.values())
        return oid

    def _entries_of(self, oid: Oid) -> tuple[TreeEntry, ...]:
        if oid == EMPTY_TREE:
            return ()
        made = self.entries.get(oid)
        return self._load(oid) if made is None else made

    def _change(
        self, old: TreeEntry | None, name: str, change: Oid | _Changes | None
    ) -> TreeEntry | None:
        """One entry after its change, or None if it goes."""
        is_tree = isinstance(change, dict)
        if old is not None and old.is_tree != is_tree:
            raise _two_in_one(name)
        if change is None:
            if old is None:
                raise InvalidInputError(
                    f"the file {name!a} is to go and is not there", hint="send all files"
                )
            return None
        if isinstance(change, bytes):
            return TreeEntry(name, False, change)
        made = self.apply(EMPTY_TREE if old is None else old.oid, change)
        return None if made == EMPTY_TREE else TreeEntry(name, True, made)

    def _add(self, kind: Kind, data: bytes) -> Oid:
        oid = hash_object(kind, data)
        self.objects[oid] = (kind, data)
        return oid


def _two_in_one(name: str) -> ForbiddenPathError:
    return ForbiddenPathError(f"{name!a} is a file and a directory", name=ascii(name))
