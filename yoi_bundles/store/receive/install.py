"""Writes a received pack into a repository: step 10 of receive, under the writer lock.

A thin pack is completed with the bases of its deltas, as ``git index-pack --fix-thin`` does: a
stored pack never depends on another.

Source: gitformat-pack; docs/format.md, "Order of writes".
"""

from __future__ import annotations

import itertools
import os
import zlib
from hashlib import sha256
from pathlib import Path

from yoi_bundles.store.pack.mapped import read_slices
from yoi_bundles.store.pack.reader import ReceivedPack
from yoi_bundles.store.pack.writer import (
    PACK_HEADER_BYTES,
    PackEntry,
    encode_entry_header,
    encode_pack_header,
)
from yoi_bundles.store.tree.objects import OID_BYTES


def write_received_pack(path: Path, pack: ReceivedPack) -> tuple[bytes, list[PackEntry]]:
    """Write a verified pack as one that stands alone, and make its bytes durable.

    Args:
        path: A temporary file in the pack directory.
        pack: What came.

    Returns:
        The checksum of what was written and its entries.

    Raises:
        MissingObjectError: A base is not there any more.
        StoreCorruptError: A base cannot be read any more.
        OSError: Writing failed.
    """
    bases = {oid: kind for oid, kind in pack.external_bases.items() if oid not in pack.objects}
    entries = pack.entries
    body = pack.view[PACK_HEADER_BYTES:-OID_BYTES]
    with path.open("wb") as file:
        digest = sha256()
        head = encode_pack_header(len(entries) + len(bases))
        for part in itertools.chain((memoryview(head),), read_slices(body)):
            digest.update(part)
            file.write(part)
        body.release()
        for oid, kind in bases.items():
            data = pack.read_base(oid)
            packed = encode_entry_header(kind, len(data)) + zlib.compress(data)
            entries.append(PackEntry(oid, file.tell(), zlib.crc32(packed)))
            digest.update(packed)
            file.write(packed)
        file.write(digest.digest())
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o444)
    return digest.digest(), entries
