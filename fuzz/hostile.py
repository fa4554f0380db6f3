"""What the hostile corpus has already: its encoders, its cases, and the objects in their packs."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "hostile"), str(ROOT / "tests")]

from builder import (  # noqa: E402
    BASE_FILES,
    BLOB,
    NOWHERE,
    OFS,
    REF,
    Pack,
    World,
    as_upload,
    encode_commit,
    oid_of,
    size_header,
    stored,
)
from families import CASES, FAMILIES, content  # noqa: E402

__all__ = [
    "BASE_FILES",
    "BLOB",
    "NOWHERE",
    "OFS",
    "REF",
    "Pack",
    "content",
    "encode_commit",
    "objects_in",
    "oid_of",
    "size_header",
    "split_upload",
    "stored",
    "uploads",
]

_SMALL_BYTES = 6_000


@cache
def uploads(*families: str) -> Mapping[str, bytes]:
    """Bundle files of whole families, small ones only, and the honest ones before them."""
    world = World()
    found = {f"honest-{at}": upload.raw for at, upload in enumerate(world.setup())}
    wanted = [name for family in FAMILIES if family.name in families for name in family.cases]
    for name in wanted:
        raw = as_upload(CASES[name](world)).raw
        if len(raw) <= _SMALL_BYTES:
            found[name.replace("/", "-")] = raw
    return found


def split_upload(raw: bytes) -> tuple[bytes, bytes]:
    """Header with its empty line, and pack without its checksum."""
    head, gap, rest = raw.partition(b"\n\n")
    return head + gap, rest[:-32]


def objects_in(pack: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and bytes of the entries of a pack, as far as it can be read; deltas as they are."""
    position = 12
    while position < len(pack):
        byte = pack[position]
        kind, position = (byte >> 4) & 7, position + 1
        while byte & 0x80 and position < len(pack):
            byte, position = pack[position], position + 1
        if kind == OFS:
            while pack[position : position + 1] >= b"\x80":
                position += 1
            position += 1
        elif kind == REF:
            position += 32
        stream = zlib.decompressobj()
        try:
            data = stream.decompress(pack[position:], 1 << 20)
        except zlib.error:
            return
        position = len(pack) - len(stream.unused_data)
        yield kind, data
