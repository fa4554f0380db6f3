"""Writes one pack, object by object, to any stream.

Source: gitformat-pack, version 2, with SHA-256 as its hash.
"""

from __future__ import annotations

import zlib
from hashlib import sha256
from typing import NamedTuple, Protocol

from yoi_bundles.store.tree.objects import Oid

OFS_DELTA = 6
REF_DELTA = 7
PACK_HEADER_BYTES = 12
_SHORT_DELTA_BYTES = 1024


class ByteSink(Protocol):
    """All a pack is written to needs to do."""

    def write(self, data: bytes, /) -> object:
        """Take all of the bytes."""
        ...


class PackEntry(NamedTuple):
    """What an index says of one object."""

    oid: Oid
    offset: int
    crc32: int


def encode_pack_header(count: int) -> bytes:
    """The twelve bytes before the first object."""
    return b"PACK\0\0\0\x02" + count.to_bytes(4, "big")


def encode_entry_header(kind: int, size: int) -> bytes:
    """Type and inflated size of an object, in their shortest form."""
    out = bytearray()
    byte = (kind << 4) | (size & 0x0F)
    size >>= 4
    while size:
        out.append(byte | 0x80)
        byte = size & 0x7F
        size >>= 7
    out.append(byte)
    return bytes(out)


def encode_offset(distance: int) -> bytes:
    """Distance back to the base of an OFS_DELTA."""
    out = [distance & 0x7F]
    distance >>= 7
    while distance:
        distance -= 1
        out.append(0x80 | (distance & 0x7F))
        distance >>= 7
    return bytes(reversed(out))


def deflate_delta(delta: bytes) -> bytes:
    """Compress a delta; a short one by fixed codes.

    Whoever inflates a stream with codes of its own builds their tables first, which takes longer
    than all else that a short delta asks for. Fixed codes need none, for 7% more bytes.

    Source: RFC 1951, section 3.2.6; docs/adr/0018.
    """
    if len(delta) > _SHORT_DELTA_BYTES:
        return zlib.compress(delta, zlib.Z_BEST_COMPRESSION)
    stream = zlib.compressobj(zlib.Z_BEST_COMPRESSION, strategy=zlib.Z_FIXED)
    return stream.compress(delta) + stream.flush()


class PackWriter:
    """One pack on its way to a stream; the number of objects is fixed at the start.

    Args:
        out: Where the bytes go; the pack begins at its current position.
        count: Objects that will be added.
        is_indexed: Whether ``entries`` are kept, for an index.
    """

    def __init__(self, out: ByteSink, count: int, *, is_indexed: bool = True) -> None:
        self._out = out
        self._left = count
        self._hash = sha256()
        self._offset = 0
        self._is_indexed = is_indexed
        self.entries: list[PackEntry] = []
        self._emit(encode_pack_header(count))

    @property
    def size_bytes(self) -> int:
        """Bytes written so far."""
        return self._offset

    def add(self, oid: Oid, kind: int, data: bytes) -> int:
        """Add a whole object.

        Returns:
            Its offset, for deltas that follow.
        """
        return self._add(oid, encode_entry_header(kind, len(data)), zlib.compress(data))

    def add_ofs_delta(self, oid: Oid, base_offset: int, delta: bytes) -> int:
        """Add a delta against an object written before.

        Returns:
            Its offset.
        """
        return self.add_packed(oid, OFS_DELTA, len(delta), deflate_delta(delta), base_offset)

    def add_ref_delta(self, oid: Oid, base: Oid, delta: bytes) -> int:
        """Add a delta against an object that the receiver holds.

        Returns:
            Its offset.
        """
        header = encode_entry_header(REF_DELTA, len(delta)) + base
        return self._add(oid, header, deflate_delta(delta))

    def add_packed(
        self, oid: Oid, kind: int, size: int, packed: bytes, base_offset: int | None = None
    ) -> int:
        """Add an object, or a delta against one written before, that is compressed already.

        Args:
            kind: The object's type.
            size: Length of what was compressed.
            packed: The zlib stream.
            base_offset: Where the base of a delta is.

        Returns:
            Its offset.
        """
        if base_offset is None:
            return self._add(oid, encode_entry_header(kind, size), packed)
        header = encode_entry_header(OFS_DELTA, size)
        return self._add(oid, header + encode_offset(self._offset - base_offset), packed)

    def finish(self) -> bytes:
        """Write the trailer.

        Returns:
            The pack's checksum, 32 bytes.

        Raises:
            ValueError: Fewer or more objects than announced; a programming error.
        """
        if self._left:
            raise ValueError(f"{self._left} objects announced but not written")
        checksum = self._hash.digest()
        self._emit(checksum)
        return checksum

    def _add(self, oid: Oid, header: bytes, packed: bytes) -> int:
        offset = self._offset
        self._emit(header)
        self._emit(packed)
        self._left -= 1
        if self._is_indexed:
            crc = zlib.crc32(packed, zlib.crc32(header))
            self.entries.append(PackEntry(oid, offset, crc))
        return offset

    def _emit(self, data: bytes) -> None:
        self._out.write(data)
        self._hash.update(data)
        self._offset += len(data)
