"""Finds, for files that have no older version to build on, others that are much like them.

As git does it: files are put into an order in which like stands beside like, and each looks at the
few before it. The one with which it has most words in common may be worth a delta.

Source: git-pack-objects, ``--window`` and ``--depth``; docs/adr/0018, 0026.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from pathlib import Path

from yoi_bundles.store.pack.deltas import DeltaBase
from yoi_bundles.store.pack.headers import find_stream
from yoi_bundles.store.pack.reader import ReceivedPack
from yoi_bundles.store.pack.writer import deflate_delta
from yoi_bundles.store.send.packing_cache import Packed, PackingCache, PackingView
from yoi_bundles.store.tree.objects import OID_BYTES, Kind, Oid

_WINDOW = 10
_MAX_DEPTH = 16
"""Bases above a delta; whoever reads the object inflates them all."""
_MAX_BYTES = 256 * 1024
"""Larger files are sent whole: their deltas take long and are rare."""
_LEVEL = 9
_LEAST_COMMON = 0.4
"""Of a file's words; with fewer in common, a delta on the other is larger than the file."""
_NO_PUNCTUATION = bytes(
    byte if byte >= 0x80 or chr(byte).isalnum() else ord(" ") for byte in range(256)
)
_REMEMBERED_BYTES = 32 * 1024 * 1024


class _File:
    """A file to pack, and one that later ones may be a delta on; it is read when needed."""

    def __init__(self, oid: Oid, read: Callable[[Oid], bytes]) -> None:
        self.oid = oid
        self._read = read

    @cached_property
    def data(self) -> bytes:
        """Its content."""
        return self._read(self.oid)

    @cached_property
    def words(self) -> frozenset[bytes]:
        """Those of its text."""
        return frozenset(self.data.translate(_NO_PUNCTUATION).split())

    @cached_property
    def base(self) -> DeltaBase:
        """What deltas on it are made with."""
        return DeltaBase(self.data)


class SimilarFiles:
    """Packs files against one another, and remembers how, since most are in the next bundle too.

    Args:
        read: Gives the verified content of a file.
        size_of: Gives its length.
        directory: Where what is remembered is kept, in files without a name.
    """

    def __init__(
        self, read: Callable[[Oid], bytes], size_of: Callable[[Oid], int], directory: Path
    ) -> None:
        self._read = read
        self._size_of = size_of
        self._packings = PackingCache(directory, _REMEMBERED_BYTES)

    def pack(self, files: Mapping[str, Sequence[Oid]]) -> Iterator[tuple[Oid, Packed]]:
        """Each file as it is to be sent, a base before what is built on it.

        Args:
            files: Ids by what `kind_of` says of their paths; each id once.

        Raises:
            StoreCorruptError: While iterating: a file is missing or corrupt.
        """
        order = [
            oid
            for kind in sorted(files)
            for oid in sorted(files[kind], key=self._size_of, reverse=True)
        ]
        depths: dict[Oid, int] = {}
        for oid, packed in _bases_first(order, self._packings.known()):
            depth = 0 if packed.base is None else depths.get(packed.base, _MAX_DEPTH) + 1
            # A base that was packed anew may be deeper now than when this was built on it.
            if depth <= _MAX_DEPTH:
                depths[oid] = depth
                self._packings.keep(oid, packed)
                yield oid, packed
        window: deque[_File] = deque(maxlen=_WINDOW)
        for oid in order:
            file = _File(oid, self._read)
            if oid not in depths:
                packed = _pack_one(file, window)
                depths[oid] = 0 if packed.base is None else depths[packed.base] + 1
                self._packings.add(oid, packed)
                yield oid, packed
            if self._size_of(oid) <= _MAX_BYTES and depths[oid] < _MAX_DEPTH:
                window.append(file)

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
            self._packings.add(entry.oid, Packed(oid, size, bytes(pack.view[start:end])))


def kind_of(path: str) -> str:
    """Files with the same ending are alike sooner than others."""
    return path.rpartition("/")[2].rpartition(".")[2]


def _bases_first(order: Sequence[Oid], known: PackingView) -> Iterator[tuple[Oid, Packed]]:
    """What is known of these, each after its base if that is one of these and known too."""
    left = {oid for oid in order if oid in known}
    for oid in order:
        chain: list[Oid] = []
        at: Oid | None = oid
        while at is not None and at in left and len(chain) <= _MAX_DEPTH:
            chain.append(at)
            at = known.base(at)
        for one in reversed(chain):
            left.discard(one)
            packed = known.find(one)
            if packed is not None:
                yield one, packed


def _pack_one(file: _File, window: deque[_File]) -> Packed:
    """A file whole, or as a delta on the likest candidate if that is smaller."""
    whole = Packed(None, len(file.data), zlib.compress(file.data, _LEVEL))
    if len(file.data) > _MAX_BYTES or not window:
        return whole
    common, likest = max(((len(file.words & one.words), one) for one in window), key=itemgetter(0))
    if common < len(file.words) * _LEAST_COMMON:
        return whole
    delta = likest.base.encode(file.data)
    packed = deflate_delta(delta)
    # The distance to the base takes a few bytes, and following a delta some time.
    return Packed(likest.oid, len(delta), packed) if len(packed) + 8 < len(whole.data) else whole
