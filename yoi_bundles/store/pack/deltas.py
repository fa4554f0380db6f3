"""Deltas of packs: the variable-length numbers, the bounded applier, the encoder.

Source: gitformat-pack, "Deltified representation" and "Size encoding"; docs/adr/0018, 0026.
"""

from __future__ import annotations

from collections.abc import Callable

from dulwich.pack import apply_delta as apply_natively

from yoi_bundles.errors import MalformedBundleError, TooLargeError
from yoi_bundles.store.pack.signals import SIGNALS

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
_BLOCK_BYTES = 8
"""What is copied at least; a copy takes four bytes mostly."""
_STRIDE_BYTES = 4
"""Between blocks of a base: whatever is common to both and has 11 bytes is found."""
_INDEXED_BLOCKS = 16 * 1024
_COMPARED_BYTES = 48
_IS_SET = bytes([0, *[1] * 255])
_COPIES = {
    bytes(command >> bit & 1 for bit in range(6)): bytes([0x80 | command]) for command in range(64)
}
"""What begins a copy, by which of its operands are not zero."""


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
        stride = max(_STRIDE_BYTES, 1 + len(data) // _INDEXED_BLOCKS)
        # The first of equal blocks is kept: of text that repeats itself most follows there.
        starts = range(0, len(data) - _BLOCK_BYTES + 1, stride)[::-1]
        self._places = dict(
            zip([data[at : at + _BLOCK_BYTES] for at in starts], starts, strict=True)
        )

    def encode(self, target: bytes) -> bytes:
        """A delta that makes ``target`` of the base; it may be larger than ``target``."""
        base, find = self._data, self._places.get
        out = bytearray(_encode_size(len(base)) + _encode_size(len(target)))
        position = inserted = 0
        last = len(target) - _BLOCK_BYTES
        while position <= last:
            at = find(target[position : position + _BLOCK_BYTES])
            if at is None:
                position += 1
                continue
            end = position + _count_common(base, at, target, position)
            while position > inserted and at and base[at - 1] == target[position - 1]:
                position, at = position - 1, at - 1
            _add_inserts(out, target[inserted:position])
            _add_copies(out, at, end - position)
            position = inserted = end
        _add_inserts(out, target[inserted:])
        return bytes(out)


def encode_delta(base: bytes, target: bytes) -> bytes:
    """A delta that makes ``target`` of ``base``; it may be larger than ``target``."""
    return DeltaBase(base).encode(target)


def _count_common(base: bytes, at: int, target: bytes, position: int) -> int:
    """How many bytes are the same from two places on; the first block is."""
    size, step = _BLOCK_BYTES, _COMPARED_BYTES
    while True:
        ours = base[at + size : at + size + step]
        theirs = target[position + size : position + size + step]
        if ours != theirs or len(ours) < step:
            return size + _count_first(ours, theirs)
        size += step
        # A file that is mostly the same has few, long copies.
        step = min(step * 4, _COPY_BYTES)


def _count_first(ours: bytes, theirs: bytes) -> int:
    """How many bytes are the same at the beginning of both."""
    differing = int.from_bytes(ours, "little") ^ int.from_bytes(theirs, "little")
    # The lowest bit that is set is in the first byte that differs.
    same = ((differing & -differing).bit_length() - 1) // 8 if differing else len(ours)
    return min(same, len(ours), len(theirs))


def _add_inserts(out: bytearray, data: bytes) -> None:
    for start in range(0, len(data), _INSERT_BYTES):
        piece = data[start : start + _INSERT_BYTES]
        out.append(len(piece))
        out += piece


def _add_copies(out: bytearray, at: int, size: int) -> None:
    while size > _COPY_BYTES:
        out += _encode_copy(at, _COPY_BYTES)
        at, size = at + _COPY_BYTES, size - _COPY_BYTES
    out += _encode_copy(at, size)


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
    operands = (start | size << 32).to_bytes(6, "little")
    return _COPIES[operands.translate(_IS_SET)] + operands.replace(b"\0", b"")
