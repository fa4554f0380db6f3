"""The index of a pack, version 2 with SHA-256: encoded whole, its ids read back.

Source: gitformat-pack, "Version 2 pack-*.idx files"; docs/adr/0003 says why not dulwich's writer.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from itertools import accumulate

from yoi_bundles.errors import StoreCorruptError
from yoi_bundles.store.pack.writer import PackEntry
from yoi_bundles.store.tree.objects import OID_BYTES, Oid

_LARGE = 1 << 31
_MAGIC = b"\xfftOc\0\0\0\x02"
_NAMES_AT = len(_MAGIC) + 256 * 4


def encode_pack_index(entries: Iterable[PackEntry], pack_checksum: bytes) -> bytes:
    """The whole index file of a pack.

    Args:
        entries: In any order.
        pack_checksum: The pack's trailer.
    """
    rows = sorted(entries)
    counts = [0] * 256
    for row in rows:
        counts[row.oid[0]] += 1
    large = [row.offset for row in rows if row.offset >= _LARGE]
    places = {offset: _LARGE | place for place, offset in enumerate(large)}
    body = b"".join(
        (
            _MAGIC,
            b"".join(total.to_bytes(4, "big") for total in accumulate(counts)),
            b"".join(row.oid for row in rows),
            b"".join(row.crc32.to_bytes(4, "big") for row in rows),
            b"".join(places.get(row.offset, row.offset).to_bytes(4, "big") for row in rows),
            b"".join(offset.to_bytes(8, "big") for offset in large),
            pack_checksum,
        )
    )
    return body + sha256(body).digest()


def read_index_ids(raw: bytes) -> list[Oid]:
    """The ids that an index of version 2 names, in order.

    Args:
        raw: The index file.

    Raises:
        StoreCorruptError: Not such an index, or shorter than it says.
    """
    count = int.from_bytes(raw[_NAMES_AT - 4 : _NAMES_AT], "big")
    end = _NAMES_AT + count * OID_BYTES
    if not raw.startswith(_MAGIC) or len(raw) < end:
        raise StoreCorruptError("a pack index is not one of version 2")
    return [raw[at : at + OID_BYTES] for at in range(_NAMES_AT, end, OID_BYTES)]
