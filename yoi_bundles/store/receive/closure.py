"""Step 5 and 6 of receive: every tree checked, and the tip's closure exactly what came plus held.

Trees are compared with their parent revision's from the top, so what did not change is never
entered. What a tree would be as files is counted once per distinct directory: a tree that names
itself ten times on every level cannot make this slow.

Source: docs/format.md, "Receive"; git's connectivity check.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from yoi_bundles.errors import (
    ForbiddenPathError,
    MalformedBundleError,
    MissingObjectError,
)
from yoi_bundles.model.limits import Limits
from yoi_bundles.model.revision import Revision
from yoi_bundles.store.disk.history import History
from yoi_bundles.store.disk.measures import Measure, MeasureCache, add_measures
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.pack.reader import ReceivedPack
from yoi_bundles.store.tree.directories import (
    ROW_COST_BYTES,
    Directory,
    Step,
    directory_of,
    parse_directory,
)
from yoi_bundles.store.tree.objects import Kind, Oid, TreeEntry
from yoi_bundles.store.tree.trees import compare_trees

_MAX_PARSED_TREES = 20_000
_MAX_PARSED_ENTRIES = 100_000


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
                steps = compare_trees(self._objects.read_tree, newer, older)
                self._known.update(
                    (step.new, _kind_of(step.is_tree)) for step in steps if step.new is not None
                )
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
        measures: MeasureCache,
        limits: Limits,
    ) -> None:
        self._pack = pack
        self._objects = objects
        self._held = held
        self._measure_cache = measures
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

    def use_what_is_held(self, trees: Iterable[Oid]) -> None:
        """Note as used what the checked trees name, although it is held and so was not looked at.

        A bundle file may bring again what its prerequisite has, as one that brings a tip alone.

        Args:
            trees: Roots that passed `verify_tree`.
        """
        seen: set[Oid] = set()
        waiting = [tree for tree in trees if tree in self._pack.objects]
        while waiting:
            tree = waiting.pop()
            if tree in seen:
                continue
            seen.add(tree)
            entries = self._load(tree).entries
            self._pack.spend(len(entries) * ROW_COST_BYTES)
            for entry in entries:
                packed = self._pack.objects.get(entry.oid)
                if packed is not None:
                    self._use(entry.oid, packed.kind, _kind_of(entry.is_tree))
                    waiting += [entry.oid] * entry.is_tree

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
        return self._measure_cache.measure(tree)

    def _verify_held(self, oid: Oid, wanted: Kind) -> None:
        """Reached by a prerequisite, and of the type that the new tree says."""
        kind = self._held.find_kind(oid)
        if kind is None:
            raise _missing(oid)
        _verify_kind(oid, kind, wanted)

    def _visit_entries(self, tree: Oid, before: Oid | None, depth: int) -> Measure:
        step = self._parse(tree, None if before is None else self._load(before))
        added = self._visit_added(step, depth)
        if before is None or step.is_whole:
            return add_measures(added)
        # What the one before has too was looked at with it.
        removed = [(entry, self._measure_known(entry)) for entry in step.removed]
        return self._measure_tree(before).replace(removed, added) or self._measure_again(step)

    def _visit_added(self, step: Step, depth: int) -> list[tuple[TreeEntry, Measure | int]]:
        """Rows that the directory before has not, each with its measure."""
        objects, use = self._pack.objects, self.used.add
        old = {(entry.name, entry.is_tree): entry.oid for entry in step.removed}
        added: list[tuple[TreeEntry, Measure | int]] = []
        for entry in step.added:
            name, is_tree, oid = entry
            packed = objects.get(oid)
            if packed is not None and not is_tree and packed.kind == Kind.BLOB:
                use(oid)  # Nearly every row of a first bundle.
                added.append((entry, packed.size))
            elif is_tree:
                added.append((entry, self._visit(oid, old.get((name, True)), depth + 1)))
            else:
                added.append((entry, self._visit_blob(oid, old.get((name, False)))))
        return added

    def _measure_again(self, step: Step) -> Measure:
        entries = step.directory.entries
        self._pack.spend(len(entries) * ROW_COST_BYTES)
        return add_measures((entry, self._measure_known(entry)) for entry in entries)

    def _measure_tree(self, tree: Oid) -> Measure:
        known = self.measures.get(tree)
        return self._measure_cache.measure(tree) if known is None else known

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
        """The size of a file that did not come as one."""
        packed = self._pack.objects.get(oid)
        if packed is not None:
            _verify_kind(oid, packed.kind, Kind.BLOB)
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
