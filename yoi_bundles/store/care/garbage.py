"""Removes what no ref reaches: one new pack of all that one does, then the old packs go.

Only packs that were there before the look at the refs are removed, and none that somebody keeps;
loose objects are left to git. A reader that has an old pack open goes on reading it, and one that
misses an object looks for new packs.

Source: docs/adr/0015; docs/format.md, "Collecting garbage".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from yoi_bundles.errors import InvalidInputError
from yoi_bundles.model.ids import CommitId, Digest
from yoi_bundles.store.disk.history import History
from yoi_bundles.store.disk.merging import list_packs, remove_packs, write_merged
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.disk.refs import RefStore, bundle_ref
from yoi_bundles.store.pack.index import read_index_ids
from yoi_bundles.store.protocol import CollectReport
from yoi_bundles.store.tree.objects import Oid


def drop_bundles(refs: RefStore, history: History, digests: Collection[Digest]) -> None:
    """Remove the refs of bundles; the caller holds the writer lock.

    Raises:
        InvalidInputError: The newest bundle is among them; nothing has changed.
        StoreError: Refs could not be read or written.
    """
    head = history.find_head()
    if head is not None and head.digest in digests:
        raise InvalidInputError("the newest bundle of a workspace is not dropped")
    refs.pack(drop={bundle_ref(digest) for digest in digests})


def collect_garbage(objects: ObjectDatabase, refs: RefStore, history: History) -> CollectReport:
    """Pack the refs, and keep the objects that refs reach in one pack.

    Args:
        objects: The repository's objects; the caller holds the writer lock.
        refs: Its refs.
        history: Its revisions.

    Raises:
        StoreCorruptError: An object that a ref reaches is missing or corrupt; nothing has changed.
        StoreError: Packs or refs could not be read, written or removed.
    """
    old = list_packs(objects.pack_directory)
    # Read before anything changes: what is damaged stops it here.
    tips = [commit for _, commit in refs.list_all()]
    reached = list(dict.fromkeys(_reach(objects, history, tips)))
    refs.pack()
    boundary = refs.boundary.commits()
    kept = frozenset(reached) if boundary else frozenset()
    needed = {commit for commit in boundary if commit.raw in kept}
    if needed != boundary:
        refs.boundary.write(needed)
    if (objects.pack_directory / "multi-pack-index").exists():
        # It names packs: an operator manages them with git.
        return CollectReport(len(reached), 0, 0)
    return _replace_packs(objects, old, reached)


def _replace_packs(objects: ObjectDatabase, old: list[Path], reached: list[Oid]) -> CollectReport:
    held = sum(len(read_index_ids(path.read_bytes())) for path in old)
    if len(old) <= 1 and held <= len(reached):
        return CollectReport(len(reached), 0, 0)
    before = _size(old)
    merged = objects.install_pack(lambda path: write_merged(path, objects, reached))
    remove_packs([path for path in old if path.stem != merged], objects.pack_directory)
    objects.forget()
    freed = before - _size([objects.pack_directory / f"{merged}.idx"])
    return CollectReport(len(reached), max(0, held - len(reached)), freed)


def _size(indexes: list[Path]) -> int:
    """Bytes of packs; one that an operator's command took away meanwhile has none."""
    packs = [path.with_suffix(".pack") for path in indexes]
    return sum(path.stat().st_size for path in packs if path.exists())


def _reach(objects: ObjectDatabase, history: History, tips: list[CommitId]) -> Iterator[Oid]:
    """Every object that commits reach, commits first; each directory is entered once."""
    trees: list[Oid] = []
    seen: set[CommitId] = set()
    for tip in tips:
        for revision in history.walk(history.read(tip)):
            if revision.commit in seen:
                break
            seen.add(revision.commit)
            trees.append(revision.digest.raw)
            yield revision.commit.raw
    entered: set[Oid] = set()
    while trees:
        tree = trees.pop()
        if tree in entered:
            continue
        entered.add(tree)
        yield tree
        for entry in objects.read_tree(tree):
            if entry.is_tree:
                trees.append(entry.oid)
            else:
                yield entry.oid
