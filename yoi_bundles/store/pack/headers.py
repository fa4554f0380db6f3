"""The headers of pack entries as they are read: sizes and distances, in their shortest form.

Source: gitformat-pack, "Size encoding" and "Deltified representation".
"""

from __future__ import annotations

from yoi_bundles.errors import MalformedBundleError
from yoi_bundles.store.pack.writer import OFS_DELTA, REF_DELTA
from yoi_bundles.store.tree.objects import OID_BYTES


def read_entry_header(view: memoryview, position: int) -> tuple[int, int, int]:
    """Type, inflated size and the position behind them.

    Args:
        view: A pack; at least seven bytes of it follow.
        position: Where the entry begins.

    Raises:
        MalformedBundleError: Padded, or absurdly large.
    """
    byte = view[position]
    kind, size, shift = (byte >> 4) & 7, byte & 0x0F, 4
    while byte & 0x80:
        position += 1
        byte = view[position]
        size |= (byte & 0x7F) << shift
        shift += 7
        if shift > 46 or (byte == 0):
            raise MalformedBundleError("an object's size is not in its shortest form")
    return kind, size, position + 1


def read_distance(view: memoryview, position: int) -> tuple[int, int]:
    """How far before an entry its base begins, and the position behind that.

    Args:
        view: A pack; at least seven bytes of it follow.
        position: Where the distance begins.

    Raises:
        MalformedBundleError: Longer than the pack.
    """
    byte = view[position]
    distance = byte & 0x7F
    while byte & 0x80:
        position += 1
        byte = view[position]
        distance = ((distance + 1) << 7) | (byte & 0x7F)
        if distance > len(view):
            raise MalformedBundleError("a delta's base lies before the pack")
    return distance, position + 1


def find_stream(view: memoryview, offset: int) -> tuple[int, int]:
    """Where the zlib stream of an entry begins, and its inflated size.

    Args:
        view: A pack.
        offset: Where an entry begins that was read before.
    """
    kind, size, position = read_entry_header(view, offset)
    if kind == OFS_DELTA:
        _, position = read_distance(view, position)
    elif kind == REF_DELTA:
        position += OID_BYTES
    return position, size
