"""Where the entries of a pack are: columns, since there may be hundreds of thousands of them."""

from __future__ import annotations

from array import array
from bisect import bisect_left

from yoi_bundles.store.objects import Oid
from yoi_bundles.store.packwriter import PackEntry


class PackTable:
    """Entries by offset; a few bytes for each."""

    def __init__(self) -> None:
        self._offsets = array("Q")
        self._sizes = array("Q")
        self._data_offsets = array("Q")
        self._crcs = array("I")
        self._bases: dict[int, int | Oid] = {}
        self._oids: list[Oid | None] = []

    def add(
        self, offset: int, size: int, data_offset: int, base: int | Oid | None, crc: int
    ) -> None:
        """Note the next entry; offsets rise.

        Args:
            offset: Where it begins.
            size: Its inflated size.
            data_offset: Where its zlib stream begins.
            base: Offset or id of the base, if it is a delta.
            crc: Checksum of its bytes.
        """
        self._offsets.append(offset)
        self._sizes.append(size)
        self._data_offsets.append(data_offset)
        self._crcs.append(crc)
        self._oids.append(None)
        if base is not None:
            self._bases[offset] = base

    def _row(self, offset: int) -> int:
        return bisect_left(self._offsets, offset)

    def find(self, offset: int) -> int | None:
        """The row of the entry that begins at an offset, for `oid_of_row`."""
        row = bisect_left(self._offsets, offset)
        return row if row < len(self._offsets) and self._offsets[row] == offset else None

    def oid_of_row(self, row: int) -> Oid | None:
        """The id of the object of a row, once it is known."""
        return self._oids[row]

    def stream(self, offset: int) -> tuple[int, int]:
        """Where an entry's zlib stream begins, and its inflated size."""
        row = self._row(offset)
        return self._data_offsets[row], self._sizes[row]

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
        """Note the id of the object at an offset; most often that of the entry added last."""
        row = -1 if self._offsets[-1] == offset else self._row(offset)
        self._oids[row] = oid
