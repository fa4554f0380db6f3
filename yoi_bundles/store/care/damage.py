"""Finds files of a repository whose bytes have changed on disk, and what of them is still sound.

Checksums find a damaged file. What an index or a pack still gives, hashed object by object, is
worth saving: one wrong byte in a pack of a thousand objects is one lost object.

Source: gitformat-pack, trailers of packs, indexes and multi-pack-indexes; docs/adr/0014.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from dulwich.object_format import SHA256
from dulwich.objects import RawObjectID
from dulwich.pack import Pack

from yoi_bundles.errors import BundleError, StoreCorruptError
from yoi_bundles.model.limits import Limits
from yoi_bundles.store.disk.files import PRIVATE, link_if_new, make_directories, sync_directory
from yoi_bundles.store.disk.lacking import DAMAGED, list_set_aside
from yoi_bundles.store.pack.index import read_index_ids
from yoi_bundles.store.pack.mapped import map_file
from yoi_bundles.store.pack.reader import ReceivedPack
from yoi_bundles.store.pack.signals import SIGNALS
from yoi_bundles.store.tree.objects import OID_BYTES, Kind, Oid, hash_object

_DERIVED = (
    "pack/multi-pack-index*",
    "info/commit-graph",
    "info/commit-graphs/*",
    "pack/*.rev",
    "pack/*.bitmap",
)
"""What git makes from packs to be faster; it does without."""
_KEPT_FILES = 64
"""Files that stay set aside; the oldest go first."""


def set_aside(root: Path, paths: list[Path], stamp: str) -> list[str]:
    """Give damaged files a second name in ``damaged/``; the first one is the caller's to remove.

    Args:
        root: The repository; the caller holds the writer lock.
        paths: Files below it.
        stamp: A time that sorts as text; it follows each name.

    Returns:
        The names that were given.

    Raises:
        OSError: It could not be done.
    """
    directory = root / DAMAGED
    make_directories(directory, PRIVATE)
    names = [f"{path.name}.{stamp}" for path in paths]
    for path, name in zip(paths, names, strict=True):
        link_if_new(path, directory / name)
    sync_directory(directory)
    kept = sorted(list_set_aside(root), key=lambda path: path.name.rpartition(".")[2])
    for path in kept[:-_KEPT_FILES]:
        path.unlink(missing_ok=True)
    return names


def find_stamp() -> str:
    """The time, for names of files that are set aside: sorts as text, to the second."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def find_damaged_packs(directory: Path) -> list[Path]:
    """Packs (by their ``.pack`` file) that are not as they were written, or lack a half.

    Args:
        directory: ``objects/pack``; the caller holds the writer lock.

    Raises:
        OSError: It could not be read.
    """
    return [pack for pack in sorted(directory.glob("pack-*.pack")) if not _is_sound(pack)]


def _is_sound(pack: Path) -> bool:
    """Whether both checksums are right, and every id of the index gives an object of that id."""
    index = pack.with_suffix(".idx")
    if not index.exists():
        return True  # Not a pack yet: recovery knows what to do with it.
    if not (has_trailer(pack) and has_trailer(index)):
        return False
    try:
        wanted = read_index_ids(index.read_bytes())
    except StoreCorruptError:
        return False
    return len(list(_read_by_index(pack, wanted))) == len(wanted)


def has_trailer(path: Path) -> bool:
    """Whether a file of git ends with the SHA-256 of all before it.

    Raises:
        OSError: It could not be read.
    """
    digest = sha256()
    with path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size - OID_BYTES
        while left > 0:
            part = file.read(min(left, 1 << 20))
            left -= len(part)
            digest.update(part)
        return left == 0 and file.read() == digest.digest()


def read_sound_objects(pack: Path, limits: Limits) -> Iterator[tuple[Oid, Kind, bytes]]:
    """The objects that a damaged pack still gives; an object may come twice.

    Args:
        pack: The ``.pack`` file.
        limits: Bounds of what a pack without an index may hold.
    """
    if has_trailer(pack):
        yield from read_pack(pack, limits)
    try:
        ids = read_index_ids(pack.with_suffix(".idx").read_bytes())
    except (StoreCorruptError, OSError):
        return
    yield from _read_by_index(pack, ids)


def _read_by_index(pack: Path, ids: list[Oid]) -> Iterator[tuple[Oid, Kind, bytes]]:
    try:
        opened = Pack(str(pack.with_suffix("")), object_format=SHA256)
    except SIGNALS:
        raise
    except BaseException:  # noqa: BLE001 - whatever dulwich says, there is nothing to read
        return
    try:
        for oid in ids:
            found = _try_read(opened, oid)
            if found is not None:
                yield oid, *found
    finally:
        opened.close()


def _try_read(pack: Pack, oid: Oid) -> tuple[Kind, bytes] | None:
    """An object if its bytes are right; native code ends in a panic on some that are not."""
    try:
        kind, data = pack.get_raw(RawObjectID(oid))
        return (Kind(kind), data) if hash_object(kind, data) == oid else None
    except SIGNALS:
        raise
    except BaseException:  # noqa: BLE001
        return None


def read_pack(pack: Path, limits: Limits) -> Iterator[tuple[Oid, Kind, bytes]]:
    """The objects of a pack whose index is lost or not to be believed; none if it is no pack.

    Args:
        pack: The file, under whatever name.
        limits: Bounds.
    """
    with pack.open("rb") as file, map_file(file.fileno()) as view:
        try:
            scanned = ReceivedPack(view, limits, lambda oid: None)
            for oid, packed in scanned.objects.items():
                yield oid, packed.kind, scanned.read(oid)
        except BundleError:
            return


def find_faults(objects: Path) -> Iterator[tuple[str, str]]:
    """Files of packs whose checksum is wrong, each with what is wrong; quick, for a look.

    Args:
        objects: The ``objects`` directory of a repository.

    Raises:
        OSError: A file could not be read.
    """
    for path in sorted((objects / "pack").glob("pack-*")):
        if path.suffix in {".pack", ".idx"} and not has_trailer(path):
            yield path.name, "its checksum is wrong"
    for path in find_derived(objects, only_damaged=True):
        yield path.name, "its checksum is wrong"
    for path in find_damaged_loose(objects):
        yield f"{path.parent.name}{path.name}"[:16], "the loose object is corrupt"


def find_damaged_loose(objects: Path) -> Iterator[Path]:
    """Loose objects (git commands make them) whose content is not what their name says."""
    for path in sorted(objects.glob("[0-9a-f][0-9a-f]/" + "[0-9a-f]" * 62)):
        try:
            raw = zlib.decompress(path.read_bytes())
        except zlib.error:
            raw = b""
        if sha256(raw).hexdigest() != path.parent.name + path.name:
            yield path


def find_derived(objects: Path, *, only_damaged: bool) -> list[Path]:
    """Files that git made from packs: those that are damaged, or all."""
    found = [path for glob in _DERIVED for path in objects.glob(glob) if path.is_file()]
    lists = [path for path in found if path.name == "commit-graph-chain"]
    return [
        path for path in found if not only_damaged or (path not in lists and not has_trailer(path))
    ]
