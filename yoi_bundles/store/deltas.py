"""Deltas of packs: the variable-length numbers, the bounded applier, the encoder.

Source: gitformat-pack, "Deltified representation" and "Size encoding"; docs/adr/0018.
"""

from __future__ import annotations

from collections.abc import Callable

from dulwich.pack import apply_delta as apply_natively

from yoi_bundles.errors import MalformedBundleError, TooLargeError
from yoi_bundles.store.faults import SIGNALS

_MAX_SIZE_BYTES = 6
"""No object of a bundle is near 2**42 bytes; longer encodings only cost time."""
_COPY_BYTES = 0xFFFF
_INSERT_BYTES = 127
COST_BYTES = 24
"""What a byte of a delta takes at most to follow, in bytes inflated in the same time."""
_GUARD = bytes([_INSERT_BYTES]) + bytes(_INSERT_BYTES)
"""A last command. No command before it can take all of it as its own operands or data, and what is
left of it then, zeros, is no command: so the native applier, which stops at a bad command without
a word, is found out."""
_BLOCK_BYTES = 12
_PLACES = 16
"""How many places of one block in the base are compared."""
_INDEXED_BLOCKS = 16 * 1024
_STRIDE_BYTES = 32


def read_size(data: bytes, position: int) -> tuple[int, int]:
    """Read a little-endian base-128 number in its shortest form.

    Args:
        data: The delta.
        position: Where the number begins.

    Returns:
        The number and the position after it.

    Raises:
        MalformedBundleError: Truncated, overlong or absurdly large.
    """
    value = shift = 0
    for byte in data[position : position + _MAX_SIZE_BYTES]:
        if byte < 0x80:
            if byte == 0 and shift:
                raise MalformedBundleError("a size is not in its shortest form")
            return value | byte << shift, position + shift // 7 + 1
        value |= (byte & 0x7F) << shift
        shift += 7
    if position + _MAX_SIZE_BYTES > len(data):
        raise MalformedBundleError("a delta is truncated in its header")
    raise MalformedBundleError("a size is absurdly large")


def _spend_nothing(_: int) -> None:
    """For callers that made the delta themselves."""


def apply_delta(
    base: bytes, delta: bytes, max_bytes: int, spend: Callable[[int], None] = _spend_nothing
) -> bytes:
    """Rebuild an object from its base.

    Args:
        base: The base object's whole content.
        delta: The inflated delta.
        max_bytes: Bound of the result, checked before anything is built.
        spend: Is told what the commands cost, in bytes that could be inflated in the same time;
            a delta can make few bytes by very many commands.

    Raises:
        MalformedBundleError: The delta was made for another base, is truncated, copies from
            outside the base, or makes more or less than it says.
        TooLargeError: The result would be larger than ``max_bytes``, or ``spend`` says so.
    """
    base_size, middle = read_size(delta, 0)
    result_size, position = read_size(delta, middle)
    if base_size != len(base):
        raise MalformedBundleError("a delta was made for a base of another size")
    if result_size > max_bytes:
        raise TooLargeError(
            "a delta makes too large an object", limit=max_bytes, limit_name="object_bytes"
        )
    spend(len(delta) * COST_BYTES)
    announced = result_size + _INSERT_BYTES
    guarded = b"".join((delta[:middle], _encode_size(announced), delta[position:], _GUARD))
    try:
        made = b"".join(apply_natively(base, guarded))
    except SIGNALS:
        raise
    except BaseException:  # noqa: BLE001 - native code ends in a panic
        made = b""
    if len(made) != announced:
        raise MalformedBundleError(
            "a delta is truncated, copies from outside its base, or makes more or less than it says"
        )
    return made[:result_size]


class DeltaBase:
    """A base that deltas are made on: where each of its blocks stands.

    Args:
        data: The base's whole content.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._places: dict[bytes, list[int]] = {}
        last = len(data) - _BLOCK_BYTES
        for at in range(0, last + 1, 1 + len(data) // _INDEXED_BLOCKS):
            places = self._places.setdefault(data[at : at + _BLOCK_BYTES], [])
            if len(places) < _PLACES:
                places.append(at)

    def encode(self, target: bytes) -> bytes:
        """A delta that makes ``target`` of the base; it may be larger than ``target``."""
        base = self._data
        out = bytearray(_encode_size(len(base)) + _encode_size(len(target)))
        position = inserted = 0
        while position <= len(target) - _BLOCK_BYTES:
            places = self._places.get(target[position : position + _BLOCK_BYTES])
            if places is None:
                position += 1
                continue
            size, at = max((_count_common(base, at, target, position), at) for at in places)
            while position > inserted and at and base[at - 1] == target[position - 1]:
                position, at, size = position - 1, at - 1, size + 1
            _add_inserts(out, target[inserted:position])
            _add_copies(out, at, size)
            position += size
            inserted = position
        _add_inserts(out, target[inserted:])
        return bytes(out)


def encode_delta(base: bytes, target: bytes) -> bytes:
    """A delta that makes ``target`` of ``base``; it may be larger than ``target``."""
    return DeltaBase(base).encode(target)


def _count_common(base: bytes, at: int, target: bytes, position: int) -> int:
    """How many bytes are the same from two places on; the first block is."""
    limit = min(len(base) - at, len(target) - position)
    size, step = _BLOCK_BYTES, _STRIDE_BYTES
    while step:
        end = size + step
        if end <= limit and base[at + size : at + end] == target[position + size : position + end]:
            size, step = end, step * 2 if step >= _STRIDE_BYTES else step
        else:
            step //= 2
    return size


def _add_inserts(out: bytearray, data: bytes) -> None:
    for start in range(0, len(data), _INSERT_BYTES):
        piece = data[start : start + _INSERT_BYTES]
        out.append(len(piece))
        out += piece


def _add_copies(out: bytearray, at: int, size: int) -> None:
    for start in range(at, at + size, _COPY_BYTES):
        out += _encode_copy(start, min(_COPY_BYTES, at + size - start))


def _encode_size(value: int) -> bytes:
    """A little-endian base-128 number in its shortest form."""
    if 0x80 <= value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _encode_copy(start: int, size: int) -> bytes:
    """A copy of at most 0xFFFF bytes; zero bytes of the operands are left out."""
    command, operands = 0x80, bytearray()
    for bit, byte in enumerate(start.to_bytes(4, "little") + size.to_bytes(2, "little")):
        if byte:
            command |= 1 << bit
            operands.append(byte)
    return bytes([command]) + bytes(operands)
