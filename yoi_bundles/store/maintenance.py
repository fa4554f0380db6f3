"""Keeps the number of packs small: every open pack costs file descriptors and each look-up time.

Runs at the end of a write, under its lock. Small packs are merged geometrically, so that an object
is rewritten a logarithmic number of times. Packs are removed only after the one that replaces them
is durable; a reader that still has one open goes on reading it.

Source: docs/adr/0003; docs/format.md, "On disk".
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from yoi_bundles.errors import StoreCorruptError
from yoi_bundles.store.faults import storage_faults
from yoi_bundles.store.files import sync_directory
from yoi_bundles.store.objectdb import ObjectDatabase
from yoi_bundles.store.objects import Oid
from yoi_bundles.store.packindex import read_index_ids
from yoi_bundles.store.packwriter import PackEntry, PackWriter

_MAX_PACKS = 16
_ALWAYS_MERGED = _MAX_PACKS // 2
_NAME = re.compile(r"pack-[0-9a-f]{40,64}\.idx")


def merge_packs(objects: ObjectDatabase) -> None:
    """Merge small packs if there are too many; the caller holds the writer lock.

    Nothing is done where an operator has a multi-pack-index, which names packs, and to packs that
    he keeps.

    Args:
        objects: The database.

    Raises:
        StoreCorruptError: An object of a pack is corrupt; nothing has changed.
        StoreError: Packs could not be read, written or removed.
    """
    directory = objects.pack_directory
    with storage_faults("merge packs"):
        if (directory / "multi-pack-index").exists():
            return
        indexes = [
            path
            for path in directory.iterdir()
            if _NAME.fullmatch(path.name) and not path.with_suffix(".keep").exists()
        ]
        if len(indexes) <= _MAX_PACKS:
            return
        chosen = _choose(indexes)
        ids = {oid: None for path in chosen for oid in read_index_ids(path.read_bytes())}
        merged = objects.install_pack(lambda path: _write_merged(path, objects, list(ids)))
        _remove([path for path in chosen if path.stem != merged], directory)
        objects.close()


def _choose(indexes: list[Path]) -> list[Path]:
    """The smallest packs, and each larger one that is not much larger than all before it."""
    chosen: list[Path] = []
    total = 0
    for path in sorted(indexes, key=lambda path: path.stat().st_size):
        size = path.stat().st_size
        if len(chosen) >= _ALWAYS_MERGED and size > 2 * total:
            break
        chosen.append(path)
        total += size
    return chosen


def _write_merged(
    path: Path, objects: ObjectDatabase, ids: list[Oid]
) -> tuple[bytes, list[PackEntry]]:
    with path.open("wb") as file:
        pack = PackWriter(file, len(ids))
        for oid in ids:
            found = objects.find(oid)
            if found is None:
                raise StoreCorruptError("a pack lacks an object of its index", object=oid.hex())
            pack.add(oid, *found)
        checksum = pack.finish()
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o444)
    return checksum, pack.entries


def _remove(indexes: list[Path], directory: Path) -> None:
    """The index first: without it nobody opens the pack, and recovery knows what to do."""
    for index in indexes:
        index.unlink()
        for path in directory.glob(f"{index.stem}.*"):
            path.unlink()
    sync_directory(directory)
