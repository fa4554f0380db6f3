"""Finds, for files that have no older version to build on, others that are much like them.

As git does it: files are put into an order in which like stands beside like, and each looks at the
few before it. A quick compression against each candidate's text says which is worth a delta.

Source: git-pack-objects, ``--window`` and ``--depth``; docs/adr/0018.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from threading import Lock
from typing import NamedTuple

from yoi_bundles.store.deltas import DeltaBase
from yoi_bundles.store.objects import OID_BYTES, Kind, Oid
from yoi_bundles.store.packheaders import find_stream
from yoi_bundles.store.packreader import ReceivedPack
from yoi_bundles.store.packwriter import deflate_delta

_WINDOW = 10
_MAX_DEPTH = 16
"""Bases above a delta; whoever reads the object inflates them all."""
_MAX_BYTES = 256 * 1024
"""Larger files are sent whole: their deltas take long and are rare."""
_LEVEL = 9
_REMEMBERED_BYTES = 32 * 1024 * 1024
_OVERHEAD_BYTES = 400


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


class _Candidate:
    """A file that later ones may be a delta on; it is read when one looks at it."""

    def __init__(self, oid: Oid, depth: int, read: Callable[[Oid], bytes]) -> None:
        self.oid = oid
        self.depth = depth
        self._read = read

    @cached_property
    def _data(self) -> bytes:
        return self._read(self.oid)

    @cached_property
    def _base(self) -> DeltaBase:
        return DeltaBase(self._data)

    def estimate(self, target: bytes) -> int:
        """Roughly how many bytes the target would take beside this one."""
        stream = zlib.compressobj(1, zdict=self._data)
        return len(stream.compress(target)) + len(stream.flush())

    def encode(self, target: bytes) -> bytes:
        """The target as a delta on this one."""
        return self._base.encode(target)


class SimilarFiles:
    """Packs files against one another, and remembers how, since most are in the next bundle too.

    Args:
        read: Gives the verified content of a file.
        size_of: Gives its length.
    """

    def __init__(self, read: Callable[[Oid], bytes], size_of: Callable[[Oid], int]) -> None:
        self._read = read
        self._size_of = size_of
        self._lock = Lock()
        self._known: OrderedDict[Oid, Packed] = OrderedDict()
        self._room = _REMEMBERED_BYTES

    def pack(self, files: Iterable[tuple[Oid, str]]) -> Iterator[tuple[Oid, Packed]]:
        """Each file as it is to be sent, a base before what is built on it.

        Args:
            files: Ids and paths; each id once.

        Raises:
            StoreCorruptError: While iterating: a file is missing or corrupt.
        """
        order = sorted(files, key=lambda file: (_kind_of(file[1]), -self._size_of(file[0])))
        depths: dict[Oid, int] = {}
        for oid, packed in _bases_first(self._find_known(oid for oid, _ in order)):
            depth = 0 if packed.base is None else depths.get(packed.base, _MAX_DEPTH) + 1
            # A base that was packed anew may be deeper now than when this was built on it.
            if depth <= _MAX_DEPTH:
                depths[oid] = depth
                yield oid, packed
        window: deque[_Candidate] = deque(maxlen=_WINDOW)
        for oid, _ in order:
            if oid not in depths:
                packed = _pack_one(self._read(oid), window)
                depths[oid] = 0 if packed.base is None else depths[packed.base] + 1
                self._remember(oid, packed)
                yield oid, packed
            if self._size_of(oid) <= _MAX_BYTES and depths[oid] < _MAX_DEPTH:
                window.append(_Candidate(oid, depths[oid], self._read))

    def learn(self, pack: ReceivedPack) -> None:
        """Remember how the files of a pack are packed there.

        Args:
            pack: A whole one; deltas on what is not in it are passed over.
        """
        entries = pack.entries
        ends = [*(entry.offset for entry in entries[1:]), len(pack.view) - OID_BYTES]
        for entry, end in zip(entries, ends, strict=True):
            base = pack.table.base(entry.offset)
            oid = pack.table.oid(base) if isinstance(base, int) else base
            if pack.objects[entry.oid].kind != Kind.BLOB or (oid and oid not in pack.objects):
                continue
            start, size = find_stream(pack.view, entry.offset)
            self._remember(entry.oid, Packed(oid, size, bytes(pack.view[start:end])))

    def _find_known(self, oids: Iterable[Oid]) -> dict[Oid, Packed]:
        with self._lock:
            return {oid: packed for oid in oids if (packed := self._known.get(oid)) is not None}

    def _remember(self, oid: Oid, packed: Packed) -> None:
        with self._lock:
            before = self._known.pop(oid, None)
            self._room += 0 if before is None else _cost(before)
            self._known[oid] = packed
            self._room -= _cost(packed)
            while self._room < 0 and self._known:
                self._room += _cost(self._known.popitem(last=False)[1])


def _cost(packed: Packed) -> int:
    """Bytes that remembering takes."""
    return len(packed.data) + _OVERHEAD_BYTES


def _kind_of(path: str) -> str:
    """Files with the same ending are alike sooner than others."""
    return path.rpartition("/")[2].rpartition(".")[2]


def _bases_first(known: dict[Oid, Packed]) -> Iterator[tuple[Oid, Packed]]:
    """What is known, each after its base if that is known too."""
    done: set[Oid] = set()
    for oid in known:
        chain: list[Oid] = []
        at: Oid | None = oid
        while at is not None and at in known and at not in done:
            chain.append(at)
            at = known[at].base
        for one in reversed(chain):
            done.add(one)
            yield one, known[one]


def _pack_one(data: bytes, window: deque[_Candidate]) -> Packed:
    """A file whole, or as a delta on the likest candidate if that is smaller."""
    whole = Packed(None, len(data), zlib.compress(data, _LEVEL))
    if len(data) > _MAX_BYTES or not window:
        return whole
    base = min(window, key=lambda one: one.estimate(data))
    delta = base.encode(data)
    packed = deflate_delta(delta)
    # The distance to the base takes a few bytes, and following a delta some time.
    return Packed(base.oid, len(delta), packed) if len(packed) + 8 < len(whole.data) else whole
