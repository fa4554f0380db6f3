"""Where the entries of a pack are: columns, since there may be hundreds of thousands of them."""

from __future__ import annotations

from array import array
from bisect import bisect_left

from yoi_bundles.errors import MalformedBundleError
from yoi_bundles.store.pack.writer import PackEntry
from yoi_bundles.store.tree.objects import Oid


class PackTable:
    """Entries by offset; a few bytes for each."""

    def __init__(self) -> None:
        self._offsets = array("Q")
        self._crcs = array("I")
        self._bases: dict[int, int | Oid] = {}
        self._oids: list[Oid | None] = []

    def add(self, offset: int, base: int | Oid | None, crc: int, oid: Oid | None) -> None:
        """Note the next entry; offsets rise.

        Args:
            offset: Where it begins.
            base: Offset or id of the base, if it is a delta.
            crc: Checksum of its bytes.
            oid: Id of its object, or None if that is not known yet.
        """
        self._offsets.append(offset)
        self._crcs.append(crc)
        self._oids.append(oid)
        if base is not None:
            self._bases[offset] = base

    def _row(self, offset: int) -> int:
        return bisect_left(self._offsets, offset)

    def find(self, offset: int) -> Oid | None:
        """The id of the object at an offset; None if it is a delta that waits.

        Raises:
            MalformedBundleError: No entry begins there.
        """
        offsets = self._offsets
        row = bisect_left(offsets, offset)
        if row == len(offsets) or offsets[row] != offset:
            raise MalformedBundleError("a delta's base offset is not that of an object")
        return self._oids[row]

    def base(self, offset: int) -> int | Oid | None:
        """What an entry is a delta on."""
        return self._bases.get(offset)

    def entries(self) -> list[PackEntry]:
        """What an index says of every object whose id is known, in the order of the pack."""
        rows = zip(self._oids, self._offsets, self._crcs, strict=True)
        return [PackEntry(oid, offset, crc) for oid, offset, crc in rows if oid is not None]

    def oid(self, offset: int) -> Oid | None:
        """The id of the object at an offset, once it is known."""
        return self._oids[self._row(offset)]

    def name(self, offset: int, oid: Oid) -> None:
        """Note the id of the object at an offset, which was not known before."""
        self._oids[self._row(offset)] = oid
