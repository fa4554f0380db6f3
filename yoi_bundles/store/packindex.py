"""Encodes the index of a pack, version 2 with SHA-256.

Source: gitformat-pack, "Version 2 pack-*.idx files"; docs/adr/0003 says why not dulwich's writer.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from itertools import accumulate

from yoi_bundles.store.packwriter import PackEntry

_LARGE = 1 << 31


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
            b"\xfftOc\0\0\0\x02",
            b"".join(total.to_bytes(4, "big") for total in accumulate(counts)),
            b"".join(row.oid for row in rows),
            b"".join(row.crc32.to_bytes(4, "big") for row in rows),
            b"".join(places.get(row.offset, row.offset).to_bytes(4, "big") for row in rows),
            b"".join(offset.to_bytes(8, "big") for offset in large),
            pack_checksum,
        )
    )
    return body + sha256(body).digest()
