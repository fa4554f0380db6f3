"""Brings a damaged repository as far as its own bytes allow, and takes in what is lacking then.

Nothing is guessed: objects are saved one by one by their hash, refs are made anew only from what is
known to have been accepted, and the newest revision never becomes an older one. What is lacking
afterwards is written down, so that every process that opens the repository knows it.

Source: docs/adr/0014; docs/format.md, "Damage".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from yoi_bundles.errors import InvalidInputError, StoreCorruptError, StoreError, VerificationError
from yoi_bundles.model.ids import CommitId, Digest, WorkspaceId
from yoi_bundles.store.care.damage import (
    find_damaged_loose,
    find_damaged_packs,
    find_derived,
    find_stamp,
    has_trailer,
    read_pack,
    read_sound_objects,
    set_aside,
)
from yoi_bundles.store.care.ref_mending import RefMender
from yoi_bundles.store.care.verification import Verification
from yoi_bundles.store.disk.faults import storage_faults
from yoi_bundles.store.disk.files import PRIVATE, make_directories, replace_file
from yoi_bundles.store.disk.history import History
from yoi_bundles.store.disk.lacking import DAMAGED, LACKING, find_lacking, list_set_aside
from yoi_bundles.store.disk.layout import mend_layout
from yoi_bundles.store.disk.merging import remove_packs
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.disk.refs import RefStore
from yoi_bundles.store.pack.written import write_pack
from yoi_bundles.store.protocol import MendReport, ObjectSource, Witness
from yoi_bundles.store.tree.bundle_file import MAIN_REF
from yoi_bundles.store.tree.commits import parse_commit
from yoi_bundles.store.tree.objects import Kind, Oid, hash_object, parse_tree


class Mender:
    """Mends one repository; the caller of each method holds the writer lock.

    Args:
        root: The repository.
        workspace: Whose it is.
        objects: Its objects.
        refs: Its refs.
        history: Its revisions.
    """

    def __init__(
        self,
        root: Path,
        workspace: WorkspaceId,
        objects: ObjectDatabase,
        refs: RefStore,
        history: History,
    ) -> None:
        self._root = root
        self._workspace = workspace
        self._objects = objects
        self._refs = refs
        self._history = history
        self._limits = objects.limits

    def mend(self, witness: Witness) -> MendReport:
        """Set damaged files aside, save what they still give, make lost refs anew.

        Safe to repeat and to interrupt. A sound repository is left as it is.

        Args:
            witness: What others remember of this repository.

        Raises:
            StorageFullError: No room to save objects; they are still where they were.
            StoreError: Files could not be read or written.
        """
        with storage_faults("mend a repository"):
            made = mend_layout(self._root, self._workspace)
            moved = self.mend_objects()
            refs = RefMender(self._root, self._refs, self._history, self._objects)
            moved += refs.mend(witness, find_stamp())
            lacking = self._take_back()
        return MendReport(tuple(moved), (*made, *refs.made), lacking)

    def mend_objects(self) -> list[str]:
        """Set damaged packs, loose objects and what git derived from them aside; no ref changes.

        Returns:
            Names of what was set aside.

        Raises:
            OSError: Files could not be read or written.
            StorageFullError: No room to save objects; they are still where they were.
        """
        packs = find_damaged_packs(self._objects.pack_directory)
        loose = list(find_damaged_loose(self._objects.pack_directory.parent))
        derived = find_derived(self._objects.pack_directory.parent, only_damaged=not packs)
        indexes = [path for pack in packs if (path := pack.with_suffix(".idx")).exists()]
        if not (packs or loose or derived):
            return []
        # A second name first, then what they still give, then the first name goes: at no point
        # is there an object that no file has.
        names = set_aside(self._root, [*packs, *indexes, *loose, *derived], find_stamp())
        saved = self._save(packs)
        for path in (*loose, *derived):
            path.unlink(missing_ok=True)
        remove_packs(
            [pack.with_suffix(".idx") for pack in packs if pack.stem != saved],
            self._objects.pack_directory,
        )
        self._forget()
        return names

    def _save(self, packs: list[Path]) -> str | None:
        """Write the sound objects of damaged packs as a new pack; its name, if there are any."""
        found: dict[Oid, tuple[Kind, bytes]] = {}
        for pack in packs:
            for oid, kind, data in read_sound_objects(pack, self._limits):
                found[oid] = (kind, data)
        return self._objects.install_pack(lambda path: write_pack(path, found)) if found else None

    def _take_back(self) -> frozenset[Digest]:
        """Packs set aside whole, because their index was lost, may hold what is lacking."""
        lacking = self.note_lacking()
        for path in list_set_aside(self._root) if lacking else ():
            if ".pack." in path.name and has_trailer(path):
                objects = {oid: (kind, data) for oid, kind, data in read_pack(path, self._limits)}
                lacking = self.fill(objects.get)
        return lacking

    def _forget(self) -> None:
        self._objects.forget()
        self._history.forget()

    # --- what is lacking -------------------------------------------------------------------------

    def find_lacking(self) -> frozenset[Digest]:
        """See `yoi_bundles.store.disk.lacking.find_lacking`."""
        return find_lacking(self._root)

    def note_lacking(self) -> frozenset[Digest]:
        """Look which bundles cannot be read whole, and write it down for all processes.

        Raises:
            StoreError: It could not be read or written.
        """
        lacking = frozenset(self._walk_bundles())
        path = self._root / DAMAGED / LACKING
        with storage_faults("note what is lacking"):
            if lacking:
                make_directories(path.parent, PRIVATE)
                replace_file(path, "".join(f"{one}\n" for one in sorted(lacking)).encode("ascii"))
            else:
                path.unlink(missing_ok=True)
        return lacking

    def _walk_bundles(self) -> Iterator[Digest]:
        """Whole look at each bundle; the newest one needs all of its history too."""
        for digest, commit in self._refs.list_bundles():
            verification = Verification(self._objects, self._history)
            try:
                revision = self._history.read(commit)
                if self._refs.find(MAIN_REF) == commit:
                    verification.verify_history([revision])
                else:
                    verification.verify_revision(revision)
            except StoreError:
                yield digest
                continue
            if verification.report().problems:
                yield digest

    def fill(self, source: ObjectSource) -> frozenset[Digest]:
        """Take lacking objects from a source, each by its id, and note what is lacking still.

        Args:
            source: Where they may be.

        Returns:
            Bundles that are still lacking objects.

        Raises:
            StorageFullError: No room; nothing has changed.
            StoreError: Objects could not be read or written.
        """
        found: dict[Oid, tuple[Kind, bytes]] = {}
        seen: set[Oid] = set()
        todo = [(commit.raw, Kind.COMMIT) for commit in self._tips()]
        while todo:
            oid, kind = todo.pop()
            if oid in seen:
                continue
            seen.add(oid)
            data = self._read_or_take(oid, kind, source, found)
            if data is not None:
                todo += self._children(kind, data)
        if found:
            with storage_faults("mend a repository"):
                self._objects.install_pack(lambda path: write_pack(path, found))
            self._forget()
        return self.note_lacking()

    def _tips(self) -> list[CommitId]:
        main = self._refs.find(MAIN_REF)
        tips = [commit for _, commit in self._refs.list_bundles()]
        return tips if main is None else [main, *tips]

    def _read_or_take(
        self, oid: Oid, kind: Kind, source: ObjectSource, found: dict[Oid, tuple[Kind, bytes]]
    ) -> bytes | None:
        try:
            return self._objects.read(oid, kind)
        except StoreCorruptError:
            offered = source(oid)
        if offered is None or offered[0] != kind or hash_object(kind, offered[1]) != oid:
            return None
        found[oid] = (kind, offered[1])
        return offered[1]

    def _children(self, kind: Kind, data: bytes) -> list[tuple[Oid, Kind]]:
        try:
            if kind == Kind.TREE:
                entries = parse_tree(data, self._limits)
                return [(e.oid, Kind.TREE if e.is_tree else Kind.BLOB) for e in entries]
            if kind == Kind.BLOB:
                return []
            revision = parse_commit(data, self._limits).revision
        except (VerificationError, InvalidInputError):
            return []
        tree = [(revision.digest.raw, Kind.TREE)]
        parent = revision.parent
        if parent is None or revision.commit in self._refs.boundary.commits():
            return tree
        return [*tree, (parent.raw, Kind.COMMIT)]
