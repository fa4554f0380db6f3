"""Writes bundle files: which objects to send, and each as small as it gets.

Objects are found by comparing every commit's tree with its parent's, so the cost follows what
changed. A changed file or directory is a delta against the same path's version before it, a new
file one against another that is much like it.

Source: docs/format.md, "Bundle file"; docs/adr/0017 and 0018; gitformat-pack.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from yoi_bundles.errors import InvalidInputError
from yoi_bundles.model.ids import CommitId
from yoi_bundles.model.revision import Revision
from yoi_bundles.store.disk.faults import storage_faults, verification_faults
from yoi_bundles.store.disk.history import History
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.pack.deltas import encode_delta
from yoi_bundles.store.pack.mapped import map_file
from yoi_bundles.store.pack.reader import ReceivedPack
from yoi_bundles.store.pack.writer import PackWriter
from yoi_bundles.store.send.similar import SimilarFiles, kind_of
from yoi_bundles.store.tree.bundle_file import (
    BundleFileInfo,
    encode_bundle_header,
    read_bundle_header,
)
from yoi_bundles.store.tree.objects import Kind, Oid
from yoi_bundles.store.tree.trees import compare_trees

_MAX_DELTA_DEPTH = 50
_MAX_DELTA_BYTES = 2 * 1024 * 1024
_SCATTERED_READS = 16
"""Objects read from all over the packs before these are closed: each makes 64 KiB resident."""


class _Item(NamedTuple):
    """One object to send, and the object its path held before."""

    oid: Oid
    kind: Kind
    previous: Oid | None


class _Chosen(NamedTuple):
    """Every object to send once; of a new file, of which there may be very many, only the id.

    Args:
        files: Those without an older version to make a delta on, by `kind_of`.
        others: Commits first, bases of deltas before their deltas.
    """

    files: dict[str, list[Oid]]
    others: list[_Item]

    def __len__(self) -> int:
        return sum(map(len, self.files.values())) + len(self.others)


class _Choice(NamedTuple):
    """What a bundle file brings: revisions, oldest first, and what stands before them."""

    base: Revision | None
    revisions: list[Revision]
    is_shallow: bool

    @property
    def prerequisites(self) -> tuple[CommitId, ...]:
        """What the header names."""
        parent = self.revisions[0].parent if self.is_shallow else None
        found = parent if self.base is None else self.base.commit
        return () if found is None else (found,)


class _Sent(NamedTuple):
    """Where an object stands in the pack and how long its delta chain is."""

    offset: int
    depth: int


class _SentObjects:
    """Those that are in the pack, as columns."""

    def __init__(self) -> None:
        self._rows: dict[Oid, int] = {}
        self._offsets = array("Q")
        self._depths = array("B")

    def add(self, oid: Oid, sent: _Sent) -> None:
        self._rows[oid] = len(self._rows)
        self._offsets.append(sent.offset)
        self._depths.append(sent.depth)

    def find(self, oid: Oid | None) -> _Sent | None:
        row = None if oid is None else self._rows.get(oid)
        return None if row is None else _Sent(self._offsets[row], self._depths[row])


class BundleWriter:
    """Writes the bundle files of one repository.

    Args:
        objects: Where everything is read, verified on each read.
        history: Revisions of the repository.
    """

    def __init__(self, objects: ObjectDatabase, history: History) -> None:
        self._objects = objects
        self._history = history
        self._similar = SimilarFiles(self._read, objects.blob_size, objects.pack_directory)
        self._reads = 0

    def _read(self, oid: Oid, kind: Kind = Kind.BLOB) -> bytes:
        self._reads += 1
        if self._reads % _SCATTERED_READS == 0:
            self._objects.close()
        return self._objects.read(oid, kind)

    def write(
        self, out: BinaryIO, target: Revision, bases: Sequence[CommitId], *, is_shallow: bool
    ) -> BundleFileInfo:
        """Write a bundle file that brings a receiver from one of its commits to the target.

        Args:
            out: Gets the file; nothing is read back or sought.
            target: The tip.
            bases: Commits the receiver has; those that are no ancestor of the target are ignored.
            is_shallow: Without a usable base, leave out all before the target.

        Returns:
            What was written.

        Raises:
            InvalidInputError: The target is among the bases: there is nothing to send.
            StoreCorruptError: An object is missing or corrupt; the output is to be thrown away.
            StoreError: The output could not be written.
        """
        if target.commit in bases:
            raise InvalidInputError("the receiver has the target already", hint="send nothing")
        choice = _choose_revisions(self._history, target, frozenset(bases), is_shallow=is_shallow)
        chosen = _choose_objects(self._objects, choice.base, choice.revisions)
        header = encode_bundle_header(target.commit, choice.prerequisites)
        with storage_faults("write a bundle file"):
            out.write(header)
            pack = self._write_pack(out, chosen)
        return BundleFileInfo(
            target.commit,
            target.digest,
            None if choice.base is None else choice.base.commit,
            len(header) + pack.size_bytes,
            len(chosen),
            choice.is_shallow,
        )

    def learn(self, path: Path) -> None:
        """Take over how an older bundle file of the repository is packed.

        A file is packed against others once, which takes half a millisecond; a process that has
        just begun remembers none. Nothing is believed of the older file but what its hashes prove.

        Args:
            path: The bundle file.

        Raises:
            VerificationError: It is not one, or names objects it does not bring.
            StoreError: It could not be read.
        """
        limits = self._objects.limits
        with (
            verification_faults("read a bundle file"),
            path.open("rb") as file,
            map_file(file.fileno()) as view,
        ):
            header = read_bundle_header(BytesIO(view[: limits.header_bytes]), limits)
            pack = view[header.size_bytes :]
            known = ReceivedPack(pack, limits, lambda _: None)
            self._objects.learn_sizes({oid: one.size for oid, one in known.objects.items()})
            self._similar.learn(known)

    def _write_pack(self, out: BinaryIO, chosen: _Chosen) -> PackWriter:
        pack = PackWriter(out, len(chosen), is_indexed=False)
        sent = _SentObjects()
        for oid, packed in self._similar.pack(chosen.files):
            base = sent.find(packed.base)
            at = pack.add_packed(
                oid, Kind.BLOB, packed.size, packed.data, None if base is None else base.offset
            )
            sent.add(oid, _Sent(at, 0 if base is None else base.depth + 1))
        for item in chosen.others:
            sent.add(item.oid, self._add_item(pack, item, sent))
        pack.finish()
        return pack

    def _add_item(self, pack: PackWriter, item: _Item, sent: _SentObjects) -> _Sent:
        """Add one object, as a delta if that is smaller and the chain is short enough."""
        data = self._read(item.oid, item.kind)
        previous = sent.find(item.previous)
        if item.previous is None or (previous and previous.depth >= _MAX_DELTA_DEPTH):
            return _Sent(pack.add(item.oid, item.kind, data), 0)
        base = self._read(item.previous, item.kind)
        if len(base) + len(data) > _MAX_DELTA_BYTES:
            return _Sent(pack.add(item.oid, item.kind, data), 0)
        delta = encode_delta(base, data)
        if len(delta) >= len(data):
            return _Sent(pack.add(item.oid, item.kind, data), 0)
        if previous is None:
            return _Sent(pack.add_ref_delta(item.oid, item.previous, delta), 1)
        return _Sent(pack.add_ofs_delta(item.oid, previous.offset, delta), previous.depth + 1)


def _choose_revisions(
    history: History, target: Revision, bases: frozenset[CommitId], *, is_shallow: bool
) -> _Choice:
    """The newest base below the target and what lies between; without one, all or the target."""
    chosen: list[Revision] = []
    for revision in history.walk(target if bases or not is_shallow else None):
        if revision.commit in bases:
            return _Choice(revision, chosen[::-1], False)
        chosen.append(revision)
    if not is_shallow and chosen[-1].parent is None:
        return _Choice(None, chosen[::-1], False)
    # What is not held cannot be sent: a shallow repository hands on its tip alone.
    return _Choice(None, [target], target.parent is not None)


def _choose_objects(
    objects: ObjectDatabase, base: Revision | None, revisions: Sequence[Revision]
) -> _Chosen:
    chosen = _Chosen({}, [_Item(revision.commit.raw, Kind.COMMIT, None) for revision in revisions])
    seen: set[Oid] = set()
    before = None if base is None else base.digest.raw
    for revision in revisions:
        tree = revision.digest.raw
        if tree != before and tree not in seen:
            seen.add(tree)
            chosen.others.append(_Item(tree, Kind.TREE, before))
        for step in compare_trees(objects.read_tree, before, tree):
            if step.new is None or step.new in seen:
                continue
            seen.add(step.new)
            if step.is_tree or step.old is not None:
                kind = Kind.TREE if step.is_tree else Kind.BLOB
                chosen.others.append(_Item(step.new, kind, step.old))
            else:
                chosen.files.setdefault(kind_of(step.path), []).append(step.new)
        before = tree
    return chosen
