"""Trees as a whole: built from files, compared from the top, flattened to paths.

Source: docs/format.md, "Trees"; equal subtrees are never entered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from yoi_bundles.errors import ForbiddenPathError, TooLargeError
from yoi_bundles.model.ids import BlobId, Digest, RelativePath
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.paths import parse_tree_path, verify_siblings
from yoi_bundles.model.tree import TreeChange
from yoi_bundles.store.tree.objects import (
    EMPTY_TREE,
    Kind,
    Oid,
    TreeEntry,
    encode_tree,
    hash_object,
)

TreeLoader: TypeAlias = Callable[[Oid], tuple[TreeEntry, ...]]
"""Entries of a directory by its id."""


class BuiltTree(NamedTuple):
    """A tree made of files, with every object that it needs beyond those of its base.

    Args:
        entries: What the directories among the objects hold.
    """

    root: Oid
    objects: Mapping[Oid, tuple[Kind, bytes]]
    entries: Mapping[Oid, tuple[TreeEntry, ...]]

    @property
    def digest(self) -> Digest:
        """Identity of the tree."""
        return Digest.from_bytes(self.root)

    def loader(self, load: TreeLoader) -> TreeLoader:
        """Gives the entries of its own directories, and by another loader those of its base."""

        def load_entries(oid: Oid) -> tuple[TreeEntry, ...]:
            made = self.entries.get(oid)
            return load(oid) if made is None else made

        return load_entries


class Difference(NamedTuple):
    """An entry that two trees do not share; a directory stands before what is in it."""

    path: str
    is_tree: bool
    old: Oid | None
    new: Oid | None


_Node: TypeAlias = dict[str, "Oid | _Node"]


def build_tree(files: Mapping[RelativePath, bytes], limits: Limits = DEFAULT_LIMITS) -> BuiltTree:
    """Build the tree of a set of files; the same files make the same tree everywhere.

    Args:
        files: Content by path; all become regular files.
        limits: Bounds of names, depth, number and size.

    Raises:
        ForbiddenPathError: A path is unsafe, or two collide.
        TooLargeError: Too many files, or too large.
    """
    _verify_sizes(files, limits)
    objects: dict[Oid, tuple[Kind, bytes]] = {}
    root: _Node = {}
    for path, data in files.items():
        parse_tree_path(str(path), limits)
        oid = hash_object(Kind.BLOB, data)
        objects[oid] = (Kind.BLOB, data)
        _place(root, str(path), oid)
    made: dict[Oid, tuple[TreeEntry, ...]] = {}
    return BuiltTree(_store_node(root, objects, made, limits), objects, made)


def _verify_sizes(files: Mapping[RelativePath, bytes], limits: Limits) -> None:
    if len(files) > limits.files:
        raise TooLargeError("too many files", limit=limits.files, limit_name="files")
    if any(len(data) > limits.object_bytes for data in files.values()):
        raise TooLargeError(
            "a file is too large", limit=limits.object_bytes, limit_name="object_bytes"
        )
    if sum(map(len, files.values())) > limits.tree_bytes:
        raise TooLargeError(
            "the files are too large together", limit=limits.tree_bytes, limit_name="tree_bytes"
        )


def _place(root: _Node, path: str, oid: Oid) -> None:
    *parents, name = path.split("/")
    node = root
    for parent in parents:
        child = node.setdefault(parent, {})
        if isinstance(child, bytes):
            raise ForbiddenPathError(f"{parent!a} is a file and a directory", name=ascii(parent))
        node = child
    if name in node:
        raise ForbiddenPathError(f"{name!a} is a file and a directory", name=ascii(name))
    node[name] = oid


def _store_node(
    node: _Node,
    objects: dict[Oid, tuple[Kind, bytes]],
    made: dict[Oid, tuple[TreeEntry, ...]],
    limits: Limits,
) -> Oid:
    if len(node) > limits.tree_entries:
        raise TooLargeError(
            "a directory has too many entries",
            limit=limits.tree_entries,
            limit_name="tree_entries",
        )
    verify_siblings(node)
    entries = tuple(
        TreeEntry(name, False, child)
        if isinstance(child, bytes)
        else TreeEntry(name, True, _store_node(child, objects, made, limits))
        for name, child in node.items()
    )
    raw = encode_tree(entries)
    oid = hash_object(Kind.TREE, raw)
    objects[oid] = (Kind.TREE, raw)
    made[oid] = entries
    return oid


def compute_digest(files: Mapping[RelativePath, bytes]) -> Digest:
    """The digest that publishing these files would give; needs no repository.

    Args:
        files: Content by path.

    Raises:
        ForbiddenPathError: A path is unsafe, or two collide.
        TooLargeError: Too many files, or too large.
    """
    return build_tree(files).digest


def compute_root(entries: Mapping[RelativePath, BlobId]) -> Digest:
    """The digest of files whose blob ids are known.

    Args:
        entries: Blob ids by path.

    Raises:
        ForbiddenPathError: A path is unsafe, or two collide.
        TooLargeError: A directory with too many entries.
    """
    root: _Node = {}
    for path, blob in entries.items():
        _place(root, str(path), blob.raw)
    return Digest.from_bytes(_store_node(root, {}, {}, DEFAULT_LIMITS))


def compare_trees(
    load: TreeLoader, old: Oid | None, new: Oid | None, path: str = ""
) -> Iterator[Difference]:
    """Everything that two trees do not share, from the top; equal subtrees are not entered.

    Args:
        load: Gives the entries of either tree.
        old: The earlier directory, or None for nothing.
        new: The later directory, or None for nothing.
        path: Where the directories stand, with a slash at its end unless empty.

    Yields:
        Directories and files, each directory before its content. A name that turns from file to
        directory is two differences.
    """
    if old == new:
        return
    before = {} if old is None else {(e.name, e.is_tree): e.oid for e in load(old)}
    after = {} if new is None else {(e.name, e.is_tree): e.oid for e in load(new)}
    for name, is_tree in sorted(before.keys() | after.keys()):
        was, now = before.get((name, is_tree)), after.get((name, is_tree))
        if was == now:
            continue
        yield Difference(path + name, is_tree, was, now)
        if is_tree:
            yield from compare_trees(load, was, now, f"{path}{name}/")


def list_changes(load: TreeLoader, old: Oid | None, new: Oid) -> tuple[TreeChange, ...]:
    """Files that differ between two trees, in path order.

    Args:
        load: Gives the entries of either tree.
        old: The earlier tree, or None for nothing.
        new: The later tree.
    """
    found = [
        TreeChange(
            RelativePath(step.path),
            "added" if step.old is None else "removed" if step.new is None else "changed",
            None if step.old is None else BlobId.from_bytes(step.old),
            None if step.new is None else BlobId.from_bytes(step.new),
        )
        for step in compare_trees(load, old, new)
        if not step.is_tree
    ]
    return tuple(sorted(found, key=lambda change: change.path))


def flatten_tree(load: TreeLoader, root: Oid) -> dict[RelativePath, BlobId]:
    """All files of a tree in path order with their blob ids.

    Args:
        load: Gives the entries of a directory.
        root: The tree.
    """
    found: dict[str, Oid] = {}
    waiting = [] if root == EMPTY_TREE else [("", root)]
    while waiting:
        prefix, tree = waiting.pop()
        for name, is_tree, oid in load(tree):
            if is_tree:
                waiting.append((f"{prefix}{name}/", oid))
            else:
                found[prefix + name] = oid
    return {RelativePath(path): BlobId.from_bytes(found[path]) for path in sorted(found)}
