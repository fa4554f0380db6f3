"""Step 5 and 6 of receive: every tree checked, and the tip's closure exactly what came plus held.

Trees are compared with their parent revision's from the top, so what did not change is never
entered. What a tree would be as files is counted once per distinct directory: a tree that names
itself ten times on every level cannot make this slow.

Source: docs/format.md, "Receive"; git's connectivity check.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from yoi_bundles.errors import (
    ForbiddenPathError,
    MalformedBundleError,
    MissingObjectError,
    TooLargeError,
)
from yoi_bundles.model.limits import Limits
from yoi_bundles.model.revision import Revision
from yoi_bundles.store.directories import (
    ROW_COST_BYTES,
    Directory,
    Step,
    directory_of,
    parse_directory,
)
from yoi_bundles.store.history import History
from yoi_bundles.store.objectdb import ObjectDatabase
from yoi_bundles.store.objects import Kind, Oid, TreeEntry
from yoi_bundles.store.packreader import ReceivedPack
from yoi_bundles.store.trees import compare_trees

_MAX_MEASURES = 100_000
_MAX_PARSED_TREES = 20_000
_MAX_PARSED_ENTRIES = 100_000


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


class MeasureBook:
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


def _kind_of(is_tree: bool) -> Kind:
    return Kind.TREE if is_tree else Kind.BLOB


class HeldClosure:
    """Everything that the prerequisites of a bundle file reach, found only as far as asked.

    Args:
        objects: The store.
        history: Its revisions.
        prerequisites: Held commits that the bundle file builds on.
    """

    def __init__(
        self, objects: ObjectDatabase, history: History, prerequisites: Iterable[Revision]
    ) -> None:
        self._objects = objects
        self._known: dict[Oid, Kind] = {}
        self._steps = self._explore(history, tuple(prerequisites))

    def note(self, entries: Iterable[TreeEntry]) -> None:
        """Remember entries of a directory that a prerequisite is known to reach."""
        self._known.update((entry.oid, _kind_of(entry.is_tree)) for entry in entries)

    def find_kind(self, oid: Oid) -> Kind | None:
        """The type of an object that a prerequisite reaches, or None if none does.

        The trees of the prerequisites are searched before their history.

        Raises:
            StoreCorruptError: An object on the way is missing or corrupt.
        """
        if oid not in self._known and not self._objects.contains(oid):
            return None  # A look through all history would be the sender's to ask for.
        while oid not in self._known:
            if next(self._steps, None) is None:
                return None
        return self._known[oid]

    def _explore(self, history: History, tips: tuple[Revision, ...]) -> Iterator[bool]:
        for tip in tips:
            newer: Oid | None = None
            for revision in history.walk(tip):
                older = revision.digest.raw
                self._known.update({older: Kind.TREE, revision.commit.raw: Kind.COMMIT})
                yield True
                for step in compare_trees(self._objects.read_tree, newer, older):
                    if step.new is not None:
                        self._known[step.new] = _kind_of(step.is_tree)
                newer = older
                yield True


class ClosureCheck:
    """Walks the trees of new commits, oldest first.

    Args:
        pack: What came.
        objects: What is held.
        held: What the prerequisites reach.
        measures: Measures of held trees.
        limits: Bounds.
    """

    def __init__(
        self,
        pack: ReceivedPack,
        objects: ObjectDatabase,
        held: HeldClosure,
        measures: MeasureBook,
        limits: Limits,
    ) -> None:
        self._pack = pack
        self._objects = objects
        self._held = held
        self._book = measures
        self._limits = limits
        self.measures: dict[Oid, Measure] = {}
        """Of every tree that was looked at."""
        # What other limits let pass is looked at again.
        self._is_known_safe = limits.name_bytes >= objects.limits.name_bytes
        self._parsed: dict[Oid, Directory] = {}
        self._parsed_entries = 0
        self.used: set[Oid] = set()

    def verify_tree(self, tree: Oid, before: Oid | None) -> None:
        """Check the tree of one new commit.

        Args:
            tree: Its root.
            before: The root of its parent's tree, checked or held; None for a first commit.

        Raises:
            MissingObjectError: Something it names neither came nor is held.
            MalformedBundleError: A tree that is none, or an id used with the wrong type.
            ForbiddenModeError: See `parse_tree`.
            ForbiddenPathError: See `parse_tree`; or too deep, or a path too long.
            TooLargeError: Too many files or bytes.
        """
        self._visit(tree, before, 0).verify(self._limits)

    def list_directories(self, tree: Oid) -> dict[Oid, tuple[TreeEntry, ...]]:
        """The directories of a checked tree whose entries are still at hand."""
        found: dict[Oid, tuple[TreeEntry, ...]] = {}
        waiting = [tree]
        while waiting:
            oid = waiting.pop()
            directory = None if oid in found else self._parsed.get(oid)
            if directory is not None:
                found[oid] = directory.entries
                waiting += [entry.oid for entry in directory.entries if entry.is_tree]
        return found

    def _visit(self, tree: Oid, before: Oid | None, depth: int) -> Measure:
        known = self.measures.get(tree)
        if known is not None:
            return known
        if depth > self._limits.tree_depth:
            raise ForbiddenPathError(
                "a tree is too deep", limit=self._limits.tree_depth, limit_name="tree_depth"
            )
        packed = self._pack.objects.get(tree)
        if packed is None:
            measure = self._measure_held(tree, before)
        else:
            self._use(tree, packed.kind, Kind.TREE)
            measure = self._visit_entries(tree, before, depth)
        # Refused at once: a directory repeated on every level grows without bound.
        if measure.files > self._limits.files:
            measure.verify(self._limits)
        self.measures[tree] = measure
        return measure

    def _measure_held(self, tree: Oid, before: Oid | None) -> Measure:
        if tree != before:
            self._verify_held(tree, Kind.TREE)
        return self._book.measure(tree)

    def _verify_held(self, oid: Oid, wanted: Kind) -> None:
        """Reached by a prerequisite, and of the type that the new tree says."""
        kind = self._held.find_kind(oid)
        if kind is None:
            raise _missing(oid)
        _verify_kind(oid, kind, wanted)

    def _visit_entries(self, tree: Oid, before: Oid | None, depth: int) -> Measure:
        step = self._parse(tree, None if before is None else self._load(before))
        old = {(entry.name, entry.is_tree): entry.oid for entry in step.removed}
        added = [
            (entry, self._visit(entry.oid, old.get((entry.name, True)), depth + 1))
            if entry.is_tree
            else (entry, self._visit_blob(entry.oid, old.get((entry.name, False))))
            for entry in step.added
        ]
        if before is None or step.is_whole:
            return add_measures(added)
        # What the one before has too was looked at with it.
        removed = [(entry, self._measure_known(entry)) for entry in step.removed]
        return self._measure_tree(before).replace(removed, added) or self._measure_again(step)

    def _measure_again(self, step: Step) -> Measure:
        entries = step.directory.entries
        self._pack.spend(len(entries) * ROW_COST_BYTES)
        return add_measures((entry, self._measure_known(entry)) for entry in entries)

    def _measure_tree(self, tree: Oid) -> Measure:
        known = self.measures.get(tree)
        return self._book.measure(tree) if known is None else known

    def _measure_known(self, entry: TreeEntry) -> Measure | int:
        """Of an entry that was looked at, or is held."""
        if entry.is_tree:
            return self._measure_tree(entry.oid)
        packed = self._pack.objects.get(entry.oid)
        return self._objects.blob_size(entry.oid) if packed is None else packed.size

    def _parse(self, tree: Oid, before: Directory | None) -> Step:
        # (5) the raw bytes of every tree that came are checked here.
        step = parse_directory(
            self._pack.read(tree),
            before if self._is_known_safe else None,
            self._limits,
            self._pack.spend,
        )
        self._keep(tree, step.directory)
        return step

    def _keep(self, tree: Oid, directory: Directory) -> None:
        self._parsed_entries += len(directory.entries)
        if len(self._parsed) > _MAX_PARSED_TREES or self._parsed_entries > _MAX_PARSED_ENTRIES:
            self._parsed, self._parsed_entries = {}, len(directory.entries)
        self._parsed[tree] = directory

    def _load(self, tree: Oid) -> Directory:
        """A tree of the parent: checked before, or held."""
        known = self._parsed.get(tree)
        if known is not None:
            return known
        if tree in self._pack.objects:
            return self._parse(tree, None).directory
        entries = self._objects.read_tree(tree)
        self._held.note(entries)
        directory = directory_of(entries)
        self._keep(tree, directory)
        return directory

    def _visit_blob(self, oid: Oid, before: Oid | None) -> int:
        packed = self._pack.objects.get(oid)
        if packed is not None:
            self._use(oid, packed.kind, Kind.BLOB)
            return packed.size
        if oid != before:
            self._verify_held(oid, Kind.BLOB)
        return self._objects.blob_size(oid)

    def _use(self, oid: Oid, kind: Kind, wanted: Kind) -> None:
        _verify_kind(oid, kind, wanted)
        self.used.add(oid)


def _verify_kind(oid: Oid, kind: Kind, wanted: Kind) -> None:
    if kind != wanted:
        raise MalformedBundleError(
            f"a {kind.name.lower()} is named as if it were a {wanted.name.lower()}",
            object=oid.hex(),
        )


def _missing(oid: Oid) -> MissingObjectError:
    return MissingObjectError(
        "the bundle file needs an object that neither came nor is held", object=oid.hex()
    )
