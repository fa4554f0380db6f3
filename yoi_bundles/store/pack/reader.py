"""One pass over a received pack: every byte accounted for, every object hashed once.

Step 4 of receive. Nothing is believed: counts, sizes, offsets and deltas are bounded before they
cost memory or time. What is needed again later is kept within a budget, or inflated again within
the same total cap.

Source: gitformat-pack; docs/adr/0002; docs/format.md, "Receive".
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from yoi_bundles.errors import MalformedBundleError, MissingObjectError, TooLargeError
from yoi_bundles.model.limits import Limits
from yoi_bundles.model.tree import PlainCheck
from yoi_bundles.store.pack.deltas import apply_delta, read_size
from yoi_bundles.store.pack.headers import find_stream, read_distance, read_entry_header
from yoi_bundles.store.pack.mapped import SLICE_BYTES, forget_pages, read_slices
from yoi_bundles.store.pack.plain_files import PlainFiles
from yoi_bundles.store.pack.table import PackTable
from yoi_bundles.store.pack.writer import OFS_DELTA, PACK_HEADER_BYTES, REF_DELTA, PackEntry
from yoi_bundles.store.tree.objects import OID_BYTES, Kind, Oid, hash_object

_SMALLEST_ENTRY_BYTES = 9
"""One header byte and the shortest zlib stream."""
_KEPT_BYTES = 4 * 1024 * 1024
_KEPT_DELTA_BYTES = 8 * 1024 * 1024
_KEPT_OVERHEAD_BYTES = 200
"""What it costs to remember a few bytes."""
_MISSED_BASE_COST_BYTES = 128 * 1024
"""What a look for a base that is not held takes, in bytes inflated in the same time."""
_WINDOW_SLACK = 64
_KINDS = MappingProxyType({int(kind): kind for kind in Kind})

BaseLoader: TypeAlias = Callable[[Oid], "tuple[int, bytes] | None"]
"""Finds a delta's base among what is held; None if it is not."""


class PackedObject(NamedTuple):
    """An object whose id has been computed."""

    kind: Kind
    size: int
    offset: int
    depth: int


class ReceivedPack:
    """A pack whose every object has been inflated, resolved and hashed.

    Args:
        view: The pack's bytes, from ``PACK`` to the end of the file.
        limits: Bounds.
        find_base: Finds bases that are not in the pack.
        find_plain: Asked about every file while its bytes are in memory; what it answers is for
            `plain_size`.

    Raises:
        MalformedBundleError: Any deviation from the format, at construction.
        MissingObjectError: A delta whose base is neither in the pack nor held.
        TooLargeError: A bound was passed.
    """

    def __init__(
        self,
        view: memoryview,
        limits: Limits,
        find_base: BaseLoader,
        find_plain: PlainCheck | None = None,
    ) -> None:
        self.view = view
        self._limits = limits
        self._find_base = find_base
        self._plain = None if find_plain is None else PlainFiles(find_plain)
        self._end = len(view) - OID_BYTES
        self._work_left = limits.inflated_bytes
        self._kept: OrderedDict[Oid, bytes] = OrderedDict()
        self._kept_left = _KEPT_BYTES
        self._delta_left = _KEPT_DELTA_BYTES
        self.table = PackTable()
        self._waiting: dict[int | Oid, list[int]] = {}
        self._waiting_data: dict[int, bytes] = {}
        self.objects: dict[Oid, PackedObject] = {}
        self.external_bases: dict[Oid, int] = {}
        self.inflated_bytes = 0
        self._scan()
        self._resolve_external()
        if self._plain is not None:
            self._plain.ask()

    @property
    def entries(self) -> list[PackEntry]:
        """What an index of the pack says."""
        return self.table.entries()

    def blob_sizes(self) -> dict[Oid, int]:
        """Lengths of the files that came."""
        return {oid: one.size for oid, one in self.objects.items() if one.kind == Kind.BLOB}

    def plain_size(self, oid: Oid) -> int | None:
        """Length of a file that was found plain; None of any other object."""
        return None if self._plain is None or oid not in self._plain else self.objects[oid].size

    @property
    def is_kept(self) -> bool:
        """Whether nothing of it has to be inflated again."""
        return len(self._kept) >= len(self.objects)

    def place_of(self, oid: Oid) -> int:
        """Where an object stands; bases near what is made of them. -1 if it is not of this pack."""
        packed = self.objects.get(oid)
        return -1 if packed is None else packed.offset

    def read(self, oid: Oid) -> bytes:
        """Bytes of an object of the pack, from memory or inflated again.

        Raises:
            KeyError: The pack has no such object.
            TooLargeError: Inflating again passes the total cap.
        """
        kept = self._find_kept(oid)
        return self._rebuild(oid) if kept is None else kept

    def read_base(self, oid: Oid) -> bytes:
        """Bytes of a base that is not in the pack, from memory or from where it was found.

        Raises:
            MissingObjectError: It is not there any more.
        """
        kept = self._kept.get(oid)
        found = (0, kept) if kept is not None else self._find_base(oid)
        if found is None:
            raise MissingObjectError("a delta's base is not held any more", object=oid.hex())
        return found[1]

    # --- (4a) frame: header, count, trailer ----------------------------------------------------

    def _scan(self) -> None:
        count = self._verify_frame()
        position = forgotten = PACK_HEADER_BYTES
        for _ in range(count):
            position = self._take_entry(position)
            if position - forgotten > SLICE_BYTES:
                forget_pages(self.view)
                forgotten = position
        if position != self._end:
            raise MalformedBundleError("the pack has bytes after its last object")

    def _verify_frame(self) -> int:
        view = self.view
        if self._end < PACK_HEADER_BYTES or bytes(view[:8]) != b"PACK\0\0\0\x02":
            raise MalformedBundleError("no pack of version 2 after the header")
        count = int.from_bytes(view[8:12], "big")
        if count > self._limits.objects:
            raise _too_large("objects", self._limits.objects)
        if count * _SMALLEST_ENTRY_BYTES > self._end - PACK_HEADER_BYTES:
            raise MalformedBundleError("the pack says it has more objects than fit into it")
        checksum = sha256()
        for part in read_slices(view[: self._end]):
            checksum.update(part)
        if checksum.digest() != bytes(view[self._end :]):
            raise MalformedBundleError("the pack's checksum is wrong")
        return count

    # --- (4b) one entry: header, inflation -----------------------------------------------------

    def _take_entry(self, offset: int) -> int:
        """Read the entry at an offset and make its object; returns where the entry ends.

        A header is shorter than the checksum after the last entry: no look at a byte is outside.
        """
        if offset >= self._end:
            raise MalformedBundleError("the pack ends inside an object")
        view, table = self.view, self.table
        kind, size, position = read_entry_header(view, offset)
        if size > self._limits.object_bytes:
            raise _too_large("object_bytes", self._limits.object_bytes)
        base: int | Oid | None = None
        base_oid: Oid | None = None
        if kind == OFS_DELTA:
            distance, position = read_distance(view, position)
            base = offset - distance
            base_oid = table.find(base)
        elif kind == REF_DELTA:
            base = base_oid = bytes(view[position : position + OID_BYTES])
            position += OID_BYTES
        elif kind not in _KINDS:
            raise MalformedBundleError(f"object type {kind} has no place in a bundle")
        data, end = self._inflate(position, size)
        oid: Oid | None = None
        if base is None:
            oid = self._record(offset, _KINDS[kind], data, 0)
        elif base_oid is not None and base_oid in self.objects:
            oid = self._take_delta(offset, base_oid, data)
        else:
            self._wait(offset, base, data)
        table.add(offset, base, zlib.crc32(view[offset:end]), oid)
        if oid is not None and self._waiting:
            self._make_awaited(offset, oid)
        return end

    def _inflate(self, position: int, size: int) -> tuple[bytes, int]:
        """Inflate exactly ``size`` bytes; the stream must end there and nowhere else."""
        self._work_left -= size
        if self._work_left < 0:
            raise _too_large("inflated_bytes", self._limits.inflated_bytes)
        last = self._end
        if position >= last:
            raise MalformedBundleError("the pack ends inside an object")
        if size > (last - position) * self._limits.inflate_ratio:
            raise _too_large("inflate_ratio", self._limits.inflate_ratio)
        stream = zlib.decompressobj()
        window = size + (size >> 10) + _WINDOW_SLACK
        end = position + window
        end = min(end, last)
        data = stream.decompress(self.view[position:end], size + 1)
        while not stream.eof:
            # Rare: the stream is longer than any sensible compressor makes it.
            rest = stream.unconsumed_tail
            if len(data) > size or (not rest and end >= self._end):
                raise MalformedBundleError("an object's data is longer or shorter than it says")
            start, end = end, min(end + window, self._end)
            data += stream.decompress(rest + bytes(self.view[start:end]), size + 1 - len(data))
        if len(data) != size:
            raise MalformedBundleError("an object's data is longer or shorter than it says")
        return data, end - len(stream.unused_data)

    def spend(self, size: int) -> None:
        """Count work, also that of inflating a base again: no pack can ask for more.

        Args:
            size: Bytes inflated, or what could be inflated in the same time.

        Raises:
            TooLargeError: All of it passes ``inflated_bytes``.
        """
        self._work_left -= size
        if self._work_left < 0:
            raise _too_large("inflated_bytes", self._limits.inflated_bytes)

    # --- (4c) ids and deltas -------------------------------------------------------------------

    def _take_delta(self, offset: int, base: Oid, delta: bytes) -> Oid:
        """Make the object of a delta on one that was made."""
        kind, _, _, depth = self.objects[base]
        data = self._make(delta, self.read(base), depth + 1)
        return self._record(offset, kind, data, depth + 1)

    def _wait(self, offset: int, base: int | Oid, delta: bytes) -> None:
        """Keep a delta until its base is known."""
        self._verify_delta(delta)
        cost = len(delta) + _KEPT_OVERHEAD_BYTES
        if cost <= self._delta_left:
            self._delta_left -= cost
            self._waiting_data[offset] = delta
        self._waiting.setdefault(base, []).append(offset)

    def _verify_delta(self, data: bytes) -> None:
        """Bounds of a delta that has to wait: its sizes are looked at now."""
        _, position = read_size(data, 0)
        size, _ = read_size(data, position)
        if size > self._limits.object_bytes:
            raise _too_large("object_bytes", self._limits.object_bytes)

    def _make(self, delta: bytes, base: bytes, depth: int) -> bytes:
        if depth > self._limits.delta_depth:
            raise _too_large("delta_depth", self._limits.delta_depth)
        room = min(self._limits.object_bytes, self._work_left)
        data = apply_delta(base, delta, room, self.spend)
        self.spend(len(data))
        return data

    def _make_awaited(self, offset: int, oid: Oid) -> None:
        """Make every delta that waited for an object, and those that waited for these."""
        awaited = [oid] if self._is_awaited(offset, oid) else []
        while awaited:
            awaited += self._make_waiting(awaited.pop())

    def _is_awaited(self, offset: int, oid: Oid) -> bool:
        return offset in self._waiting or oid in self._waiting

    def _make_waiting(self, base: Oid) -> list[Oid]:
        """Make all deltas on one object; those that others wait for are returned.

        Only one base is in memory at a time, however many deltas waited for it.
        """
        packed, data = self.objects[base], self.read(base)
        offsets = self._waiting.pop(packed.offset, []) + self._waiting.pop(base, [])
        made = self._make_all(offsets, packed.kind, data, packed.depth + 1)
        return [oid for oid in made if self._is_awaited(self.objects[oid].offset, oid)]

    def _make_all(self, offsets: list[int], kind: Kind, base: bytes, depth: int) -> list[Oid]:
        made: list[Oid] = []
        for offset in offsets:
            delta = self._waiting_data.pop(offset, None)
            if delta is None:
                delta = self._inflate(*find_stream(self.view, offset))[0]
            else:
                self._delta_left += len(delta) + _KEPT_OVERHEAD_BYTES
            oid = self._record(offset, kind, self._make(delta, base, depth), depth)
            self.table.name(offset, oid)
            made.append(oid)
        return made

    def _record(self, offset: int, kind: Kind, data: bytes, depth: int) -> Oid:
        oid = hash_object(kind, data)
        if oid in self.objects:
            raise MalformedBundleError("the pack holds an object twice")
        self.objects[oid] = PackedObject(kind, len(data), offset, depth)
        self.inflated_bytes += len(data)
        self._keep(oid, data)
        if self._plain is not None and kind == Kind.BLOB:
            self.spend(len(data))  # It takes about as long as inflating.
            self._plain.add(oid, data)
        return oid

    def _keep(self, oid: Oid, data: bytes) -> None:
        """Remember bytes while there is room; what was not read for longest goes first."""
        if len(data) > _KEPT_BYTES // 4:
            return
        self._kept[oid] = data
        self._kept_left -= len(data) + _KEPT_OVERHEAD_BYTES
        while self._kept_left < 0 and self._kept:
            _, oldest = self._kept.popitem(last=False)
            self._kept_left += len(oldest) + _KEPT_OVERHEAD_BYTES

    def _resolve_external(self) -> None:
        """Deltas against held objects, and those that waited for what they make."""
        for base in [key for key in self._waiting if isinstance(key, bytes)]:
            # It may have been made meanwhile, of another held base.
            found = self._load_base(base) if base in self._waiting else None
            if found is None:
                continue
            self.external_bases[base] = found[0]
            self._keep(base, found[1])
            awaited = self._make_all(self._waiting.pop(base), Kind(found[0]), found[1], 1)
            while awaited:
                awaited += self._make_waiting(awaited.pop())
        if self._waiting:
            first = next((key for key in self._waiting if isinstance(key, bytes)), b"")
            raise MissingObjectError(
                "a delta's base is neither in the pack nor held", object=first.hex()
            )

    def _load_base(self, oid: Oid) -> tuple[int, bytes] | None:
        """A held base; looking for one that is not held costs as much as a large one."""
        found = self._find_base(oid)
        self.spend(_MISSED_BASE_COST_BYTES if found is None else len(found[1]))
        return found

    def _rebuild(self, oid: Oid) -> bytes:
        """Inflate an object again, following its chain of bases.

        All of them are kept: what stands near is made of the same ones.
        """
        if oid not in self.objects:
            raise KeyError(oid)
        chain: list[Oid] = []
        wanted: Oid | None = oid
        data: bytes | None = None
        while data is None and wanted in self.objects:
            chain.append(wanted)
            base = self.table.base(self.objects[wanted].offset)
            wanted = self.table.oid(base) if isinstance(base, int) else base
            data = None if wanted is None else self._find_kept(wanted)
        if data is None and wanted is not None:
            found = self._load_base(wanted)
            data = b"" if found is None else found[1]
        for link in reversed(chain):
            stream = find_stream(self.view, self.objects[link].offset)
            inflated, _ = self._inflate(*stream)
            if data is None:
                data = inflated
            else:
                data = apply_delta(data, inflated, self._limits.object_bytes, self.spend)
                self.spend(len(data))
            self._keep(link, data)
        return data or b""

    def _find_kept(self, oid: Oid) -> bytes | None:
        """Bytes that are in memory; they stay there, however long ago they were made."""
        kept = self._kept.get(oid)
        if kept is not None:
            self._kept.move_to_end(oid)
        return kept


def _too_large(name: str, limit: int) -> TooLargeError:
    return TooLargeError(f"the pack passes the limit {name}", limit=limit, limit_name=name)
