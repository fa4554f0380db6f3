"""Deltas of packs: the variable-length numbers, the bounded applier, the encoder.

Source: gitformat-pack, "Deltified representation" and "Size encoding".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dulwich.pack import create_delta

from yoi_bundles.errors import MalformedBundleError, TooLargeError

_MAX_SIZE_BITS = 42
"""No object of a bundle is near 2**42 bytes; longer encodings only cost time."""
_FINE_BYTES = 96 * 1024
"""Up to here byte-exact matching is used; its time grows with the product of both sizes."""
_COPY_BYTES = 0xFFFF
_INSERT_BYTES = 127
_COMMAND_COST_BYTES = 512
_BILLED_COMMANDS = 1024


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
    while shift < _MAX_SIZE_BITS:
        if position >= len(data):
            raise MalformedBundleError("a delta is truncated in its header")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            if byte == 0 and shift:
                raise MalformedBundleError("a size is not in its shortest form")
            return value, position
        shift += 7
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
    base_size, position = read_size(delta, 0)
    result_size, position = read_size(delta, position)
    if base_size != len(base):
        raise MalformedBundleError("a delta was made for a base of another size")
    if result_size > max_bytes:
        raise TooLargeError(
            "a delta makes too large an object", limit=max_bytes, limit_name="object_bytes"
        )
    result = bytearray()
    commands, end = 0, len(delta)
    while position < end:
        command = delta[position]
        position += 1
        commands += 1
        if commands == _BILLED_COMMANDS:
            spend(commands * _COMMAND_COST_BYTES)
            commands = 0
        if command & 0x80:
            start, size, position = _read_copy(command, delta, position)
            if start + size > base_size:
                raise MalformedBundleError("a delta copies from outside its base")
            if len(result) + size > result_size:
                raise MalformedBundleError("a delta makes more than it says")
            result += base[start : start + size]
        else:
            if command == 0 or position + command > end:
                raise MalformedBundleError("a delta has an empty or truncated insert")
            result += delta[position : position + command]
            position += command
    spend(commands * _COMMAND_COST_BYTES)
    if len(result) != result_size:
        raise MalformedBundleError("a delta makes more or less than it says")
    return bytes(result)


def _read_copy(command: int, delta: bytes, position: int) -> tuple[int, int, int]:
    """Start and size of a copy, and the position after it."""
    operands = 0
    for bit in range(7):
        if command & (1 << bit):
            if position >= len(delta):
                raise MalformedBundleError("a delta is truncated in a copy")
            operands |= delta[position] << (8 * bit)
            position += 1
    size = operands >> 32
    return operands & 0xFFFFFFFF, size or 0x10000, position


def encode_delta(base: bytes, target: bytes) -> bytes:
    """A delta that makes ``target`` of ``base``; it may be larger than ``target``."""
    if len(base) + len(target) <= _FINE_BYTES:
        return b"".join(create_delta(base, target))
    return _encode_by_lines(base, target)


class _Span(NamedTuple):
    """A range to copy from the base, or one to insert from the target."""

    is_copy: bool
    start: int
    end: int


def _encode_by_lines(base: bytes, target: bytes) -> bytes:
    """Copy the lines that the base has too: linear in size, whatever the bytes are."""
    out = bytearray(_encode_size(len(base)) + _encode_size(len(target)))
    for span in _match_lines(base, target):
        if span.is_copy:
            for start in range(span.start, span.end, _COPY_BYTES):
                out += _encode_copy(start, min(_COPY_BYTES, span.end - start))
        else:
            for start in range(span.start, span.end, _INSERT_BYTES):
                piece = target[start : min(start + _INSERT_BYTES, span.end)]
                out += bytes([len(piece)]) + piece
    return bytes(out)


def _match_lines(base: bytes, target: bytes) -> list[_Span]:
    """The target as ranges of the base where a line is known, and of itself elsewhere."""
    places: dict[bytes, int] = {}
    position = 0
    for line in base.splitlines(keepends=True):
        places.setdefault(line, position)
        position += len(line)
    spans: list[_Span] = [_Span(False, 0, 0)]
    position = 0
    for line in target.splitlines(keepends=True):
        last, size = spans[-1], len(line)
        place = places.get(line)
        if last.is_copy and base.startswith(line, last.end):
            spans[-1] = last._replace(end=last.end + size)
        elif place is not None:
            spans.append(_Span(True, place, place + size))
        elif last.is_copy:
            spans.append(_Span(False, position, position + size))
        else:
            spans[-1] = _Span(False, position if last.end == 0 else last.start, position + size)
        position += size
    return spans


def _encode_size(value: int) -> bytes:
    """A little-endian base-128 number in its shortest form."""
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
