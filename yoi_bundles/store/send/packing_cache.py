"""How objects were packed: columns in memory, and the packed bytes in a file without a name.

Most files of a bundle are in the next one too. Their compressed bytes are needed once for each
build, so they are read when they are written on, and not held in between.

Source: docs/adr/0018.
"""

from __future__ import annotations

import os
import tempfile
import weakref
import zlib
from array import array
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from yoi_bundles.store.tree.objects import Oid

_OVERHEAD_BYTES = 200
"""What remembering an object takes beside its bytes."""


class Packed(NamedTuple):
    """An object as it is to be sent.

    Args:
        base: What it is a delta on, or None.
        size: Length of what was compressed, the object or the delta.
        data: That, compressed.
    """

    base: Oid | None
    size: int
    data: bytes


class _Spool:
    """Packed objects, in the order in which they were added."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor = -1
        self._rows: dict[Oid, int] = {}
        self._bases: list[Oid | None] = []
        self._sizes = array("Q")
        self._crcs = array("I")
        self._ends = array("Q", [0])

    @property
    def cost_bytes(self) -> int:
        """What it takes, of memory and of the disk."""
        return self._ends[-1] + len(self._bases) * _OVERHEAD_BYTES

    def __contains__(self, oid: Oid) -> bool:
        return oid in self._rows

    def base(self, oid: Oid) -> Oid | None:
        row = self._rows.get(oid)
        return None if row is None else self._bases[row]

    def add(self, oid: Oid, packed: Packed) -> None:
        """Add an object, in place of one of this id.

        Raises:
            OSError: It could not be written.
        """
        if self._descriptor < 0:
            self._descriptor = self._open()
        if os.pwrite(self._descriptor, packed.data, self._ends[-1]) != len(packed.data):
            raise OSError("not all of it was written")
        self._ends.append(self._ends[-1] + len(packed.data))
        self._bases.append(packed.base)
        self._sizes.append(packed.size)
        self._crcs.append(zlib.crc32(packed.data))
        self._rows[oid] = len(self._bases) - 1

    def _open(self) -> int:
        with tempfile.TemporaryFile(dir=self._directory) as file:
            descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, descriptor)
        return descriptor

    def forget(self, oid: Oid) -> None:
        self._rows.pop(oid, None)

    def find(self, oid: Oid) -> Packed | None:
        """An object as it was added; None if it is not here, or the disk gives something else."""
        row = self._rows.get(oid)
        if row is None:
            return None
        start, end = self._ends[row], self._ends[row + 1]
        try:
            data = os.pread(self._descriptor, end - start, start)
        except OSError:
            return None
        if zlib.crc32(data) != self._crcs[row]:
            return None
        return Packed(self._bases[row], self._sizes[row], data)


class PackingView:
    """What was remembered at some time; most of it can be read though it was forgotten since."""

    def __init__(self, young: _Spool, old: _Spool) -> None:
        self._young = young
        self._old = old

    def __contains__(self, oid: Oid) -> bool:
        return oid in self._young or oid in self._old

    def base(self, oid: Oid) -> Oid | None:
        """What an object is a delta on; None if it is none, or not remembered any more."""
        return self._of(oid).base(oid)

    def find(self, oid: Oid) -> Packed | None:
        """An object; None if it is not remembered any more, or its bytes are not what they were."""
        return self._of(oid).find(oid)

    def _of(self, oid: Oid) -> _Spool:
        return self._young if oid in self._young else self._old


class PackingCache:
    """How objects were packed; what was not used for long is forgotten.

    There is a younger and an older part. What is used moves to the younger; once that has half of
    the room, it takes the place of the older.

    Args:
        directory: Of the files, which have no names and end with this.
        room_bytes: Bound of what it takes, of memory and of the disk.
    """

    def __init__(self, directory: Path, room_bytes: int) -> None:
        self._directory = directory
        self._room_bytes = room_bytes
        self._lock = Lock()
        self._young = _Spool(directory)
        self._old = _Spool(directory)

    def known(self) -> PackingView:
        """What is remembered now, and what will be until the younger part is full."""
        with self._lock:
            return PackingView(self._young, self._old)

    def keep(self, oid: Oid, packed: Packed) -> None:
        """Note that an object was used as it is remembered."""
        with self._lock:
            if oid not in self._young:
                self._add(oid, packed)

    def add(self, oid: Oid, packed: Packed) -> None:
        """Remember how an object was packed, and no more how it was before."""
        with self._lock:
            self._add(oid, packed)

    def _add(self, oid: Oid, packed: Packed) -> None:
        try:
            self._young.add(oid, packed)
        except OSError:
            # Nothing is lost but time. What was packed otherwise would not fit the others.
            self._young.forget(oid)
            self._old.forget(oid)
        if self._young.cost_bytes > self._room_bytes // 2:
            self._old, self._young = self._young, _Spool(self._directory)
