"""Hashes what a store holds and reports every object that is not what its id says.

Source: docs/operations.md; docs/format.md, "Invariants".
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from yoi_bundles.errors import StoreError, VerificationError
from yoi_bundles.model.ids import Digest
from yoi_bundles.model.revision import Revision
from yoi_bundles.store.care.damage import find_faults
from yoi_bundles.store.disk.faults import storage_faults
from yoi_bundles.store.disk.history import History
from yoi_bundles.store.disk.layout import find_layout_fault
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.disk.refs import RefStore
from yoi_bundles.store.protocol import StoreProblem, VerifyReport
from yoi_bundles.store.tree.objects import Kind, Oid, parse_tree


class Verification:
    """One verification; each object is read and hashed once, whatever names it.

    Args:
        objects: What is looked at; its caches are not.
        history: Where parents are found.
    """

    def __init__(self, objects: ObjectDatabase, history: History) -> None:
        self._objects = objects
        self._history = history
        self._seen: set[Oid] = set()
        self._bytes = 0
        self._problems: list[StoreProblem] = []

    def verify_revision(self, revision: Revision) -> None:
        """Hash a commit and its whole tree; problems are collected, not raised."""
        self._read(revision.commit.raw, Kind.COMMIT)
        todo = [(revision.digest.raw, Kind.TREE)]
        while todo:
            oid, kind = todo.pop()
            data = self._read(oid, kind)
            if data is not None and kind == Kind.TREE:
                todo += self._children(oid, data)

    def verify_files(self, root: Path) -> None:
        """Look at what is no object: packs as files, and what makes a directory a repository.

        Args:
            root: The repository.
        """
        fault = find_layout_fault(root)
        if fault is not None:
            self._note("", fault)
        with storage_faults("read packs"):
            for name, what in find_faults(root / "objects"):
                self._note(name, what)

    def verify_refs(self, refs: RefStore) -> None:
        """Hash all that refs reach; a ref that names no revision of ours is a problem itself."""
        names: list[Digest | None] = [None]
        try:
            names += [digest for digest, _ in refs.list_bundles()]
        except StoreError as error:
            self._note("", error.message)
        for name in names:
            try:
                tip = self._history.find_head() if name is None else self._history.find_bundle(name)
            except StoreError as error:
                self._note("" if name is None else str(name), error.message)
            else:
                self.verify_history(filter(None, [tip]))

    def verify_history(self, tips: Iterable[Revision]) -> None:
        """Hash revisions and all their ancestors; a broken ancestor ends its line."""
        for tip in tips:
            try:
                self._verify_ancestry(tip)
            except StoreError as error:
                self._note(str(error.facts.get("object", "")), error.message)

    def _verify_ancestry(self, tip: Revision) -> None:
        for revision in self._history.walk(tip):
            if revision.commit.raw in self._seen:
                break
            self.verify_revision(revision)

    def report(self) -> VerifyReport:
        """What was found so far."""
        return VerifyReport(len(self._seen), self._bytes, tuple(self._problems))

    def _children(self, oid: Oid, data: bytes) -> list[tuple[Oid, Kind]]:
        try:
            entries = parse_tree(data)
        except VerificationError as error:
            self._note(oid.hex(), error.message)
            return []
        return [(e.oid, Kind.TREE if e.is_tree else Kind.BLOB) for e in entries]

    def _read(self, oid: Oid, kind: Kind) -> bytes | None:
        """The bytes of an object that was not read before; None if it was, or is broken."""
        if oid in self._seen:
            return None
        self._seen.add(oid)
        try:
            data = self._objects.read(oid, kind)
        except StoreError as error:
            self._note(oid.hex(), error.message)
            return None
        self._bytes += len(data)
        return data

    def _note(self, object_id: str, message: str) -> None:
        self._problems.append(StoreProblem(object_id, message))
