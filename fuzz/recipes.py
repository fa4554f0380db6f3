"""Packs by recipe: mutated records become a well-formed frame, so that a fuzzer gets to the deltas.

A record is: a byte with the type in its three low bits, and 8 if its size is to be a lie; two
bytes of length; the data. Data of an OFS_DELTA begins with how many entries back its base is, of a
REF_DELTA with which whole object of the recipe, or (from 128) which held one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dulwich.pack import apply_delta as reference_delta

from fuzz.hostile import BLOB, NOWHERE, OFS, REF, Pack, oid_of, size_header, stored

_LYING = 8
_NOWHERE: bytes = NOWHERE
_HELD_DATA = b"What the receiver holds.\n" * 4
HELD: dict[bytes, tuple[int, bytes]] = {oid_of(BLOB, _HELD_DATA): (BLOB, _HELD_DATA)}
"""Bases that are not in the pack."""


def encode_recipe(records: Sequence[tuple[int, bytes]]) -> bytes:
    """The bytes of records, each its first byte and its data."""
    return b"".join(bytes([kind]) + len(data).to_bytes(2, "big") + data for kind, data in records)


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 3 <= len(data):
        size = int.from_bytes(data[position + 1 : position + 3], "big")
        yield data[position], data[position + 3 : position + 3 + size]
        position += 3 + size


@dataclass(frozen=True, slots=True)
class Recipe:
    """A pack without its checksum, and what it is made of: type, data, base."""

    body: bytes
    entries: Sequence[tuple[int, bytes, int | bytes | None]]

    def expected(self) -> list[bytes]:
        """Ids of all objects, as another implementation makes them; for packs that are sound."""
        known: dict[int | bytes, tuple[int, bytes]] = {}
        known.update(HELD.items())
        made: list[bytes] = []
        left = list(enumerate(self.entries))
        while left:
            ready = [(at, one) for at, one in left if one[2] is None or one[2] in known]
            if not ready:
                return []
            for at, (kind, data, base) in ready:
                value = (kind, data)
                if base is not None:
                    origin, source = known[base]
                    value = (origin, b"".join(reference_delta(source, data)))
                oid = oid_of(*value)
                made.append(oid)
                known[at] = known[oid] = value
            done = {at for at, _ in ready}
            left = [row for row in left if row[0] not in done]
        return made


def read_recipe(data: bytes) -> Recipe:
    """The pack that a recipe describes, right or wrong."""
    records = list(_split(data))
    whole = [oid_of(kind & 7, body) for kind, body in records if kind & 7 in (1, 2, 3)]
    pack = Pack()
    offsets: list[int] = []
    entries: list[tuple[int, bytes, int | bytes | None]] = []
    for first, data_of_entry in records:
        kind, at = first & 7, len(offsets)
        cut = 1 if kind in (OFS, REF) else 0
        choice, body = data_of_entry[:cut], data_of_entry[cut:]
        base: int | bytes | None = None
        if kind == OFS and offsets:
            index = max(0, at - max(1, *choice, 1))
            base = index
            offsets.append(pack.ofs(offsets[index], body))
        else:
            prefix = _base_of(choice, whole) if kind == REF else b""
            base = prefix or None
            size = len(body) + bool(first & _LYING)
            offsets.append(pack.raw(size_header(kind, size) + prefix + stored(body)))
        entries.append((kind, body, base))
    return Recipe(pack.encode()[:-32], entries)


def _base_of(choice: bytes, whole: Sequence[bytes]) -> bytes:
    index = choice[0] if choice else 0
    if index < 128:
        return [*whole, _NOWHERE][index % max(1, len(whole))]
    return [*HELD, _NOWHERE][index % (len(HELD) + 1)]
