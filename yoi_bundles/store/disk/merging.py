"""Keeps the number of packs small: every open pack costs file descriptors and each look-up time.

Small packs are merged geometrically, so that an object is rewritten a logarithmic number of times.
Packs are removed only after the one that replaces them is durable; a reader that still has one open
goes on reading it. The merged pack is written before the writer lock is taken: packs never change,
and one that is gone when the lock is there was collected, so what was written is thrown away.

Source: docs/adr/0003; docs/format.md, "On disk".
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from yoi_bundles.errors import StoreCorruptError
from yoi_bundles.store.disk.faults import storage_faults
from yoi_bundles.store.disk.files import TEMP_PREFIX, make_temporary_name, sync_directory
from yoi_bundles.store.disk.objects import INDEX_MARK, ObjectDatabase
from yoi_bundles.store.pack.index import read_index_ids
from yoi_bundles.store.pack.writer import PackEntry, PackWriter
from yoi_bundles.store.tree.objects import Oid

_MAX_PACKS = 16
_MANY_PACKS = 4 * _MAX_PACKS
_ALWAYS_MERGED = _MAX_PACKS // 2
_NAME = re.compile(r"pack-[0-9a-f]{40,64}\.idx")


def has_many_packs(directory: Path) -> bool:
    """Whether there are so many packs that no write should add to them before they are merged.

    Raises:
        StoreError: The directory could not be read.
    """
    with storage_faults("list packs"):
        return len(list_packs(directory)) > _MANY_PACKS


def merge_packs(objects: ObjectDatabase, lock: Callable[[], AbstractContextManager[None]]) -> None:
    """Merge small packs if there are too many.

    Nothing is done where an operator has a multi-pack-index, which names packs, and to packs that
    he keeps.

    Args:
        objects: The database.
        lock: Takes the writer lock, if the caller does not hold it.

    Raises:
        StoreCorruptError: An object of a pack is corrupt, or was collected; nothing has changed.
        StoreError: Packs could not be read, written or removed.
    """
    directory = objects.pack_directory
    with storage_faults("merge packs"):
        if (directory / "multi-pack-index").exists():
            return
        indexes = list_packs(directory)
        if len(indexes) <= _MAX_PACKS:
            return
        chosen = _choose(indexes)
        ids = {oid: None for path in chosen for oid in read_index_ids(path.read_bytes())}
        written = directory / make_temporary_name("merged_")
        try:
            pack = write_merged(written, objects, list(ids))
            with lock():
                _exchange(objects, chosen, written, pack)
        finally:
            written.unlink(missing_ok=True)


def _exchange(
    objects: ObjectDatabase, old: list[Path], written: Path, pack: tuple[bytes, list[PackEntry]]
) -> None:
    """Put a pack in the place of others, if they are all still there; under the writer lock.

    Raises:
        StoreError: Packs could not be written or removed.
        OSError: As before.
    """
    directory = objects.pack_directory
    if not set(old) <= set(list_packs(directory)):
        return

    def move(path: Path) -> tuple[bytes, list[PackEntry]]:
        written.rename(path)
        return pack

    merged = objects.install_pack(move)
    remove_packs([path for path in old if path.stem != merged], directory)
    objects.close()


def list_packs(directory: Path) -> list[Path]:
    """Indexes of the packs that may be replaced: those that nobody keeps.

    Raises:
        OSError: The directory could not be read.
    """
    return [
        path
        for path in directory.iterdir()
        if _NAME.fullmatch(path.name) and not os.path.lexists(path.with_suffix(".keep"))
    ]


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


def write_merged(
    path: Path, objects: ObjectDatabase, ids: Sequence[Oid]
) -> tuple[bytes, list[PackEntry]]:
    """Write held objects as one pack, each hashed as it is read, and make its bytes durable.

    Raises:
        StoreCorruptError: One is missing or corrupt.
        OSError: Writing failed.
    """
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


def remove_packs(indexes: list[Path], directory: Path) -> None:
    """Remove packs by their indexes; harmless if another program was faster.

    The index goes first, as without it nobody opens the pack: to a name by which recovery knows
    that the pack is to go too.

    Raises:
        OSError: One could not be removed.
    """
    for index in indexes:
        checksum = index.stem.removeprefix("pack-")
        going = directory / f"{TEMP_PREFIX}{checksum}{INDEX_MARK}"
        with suppress(FileNotFoundError):
            index.rename(going)
        for path in directory.glob(f"{index.stem}.*"):
            path.unlink(missing_ok=True)
        going.unlink(missing_ok=True)
    sync_directory(directory)
