"""Deltas: the applier believes nothing, the encoder makes what git reads."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoi_bundles.errors import MalformedBundleError, TooLargeError
from yoi_bundles.store.pack.deltas import apply_delta, encode_delta, read_size

BASE = b"0123456789" * 10


def delta(*commands, base=100, result=10):
    return bytes([base, result]) + b"".join(commands)


COPY_TEN = b"\x90\x0a"


def test_copy_and_insert_are_applied():
    raw = delta(b"\x91\x05\x05", b"\x03abc", b"\x90\x02")
    assert apply_delta(BASE, raw, 100) == b"56789abc01"


def test_a_copy_without_a_size_copies_64_kib():
    base = bytes(range(256)) * 257
    raw = b"\x80\x82\x04" + b"\x80\x80\x04" + b"\x81\x07"
    assert len(base) == 65792
    assert apply_delta(base, raw, 1 << 20) == base[7 : 7 + 65536]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x80",
        delta(),
        delta(COPY_TEN, base=99),
        delta(COPY_TEN, result=9),
        delta(COPY_TEN, result=11),
        delta(b"\x00"),
        delta(b"\x0aabc"),
        delta(b"\x91\x5f\x0a"),
        delta(b"\x91\x5f"),
        delta(b"\xff"),
        delta(b"\x90\xff", result=100),
        b"\xe4\x00\x0a" + COPY_TEN,
        b"\x64\x8a\x00" + COPY_TEN,
        b"\xff\xff\xff\xff\xff\xff\x01" + COPY_TEN,
    ],
)
def test_a_delta_that_lies_is_malformed(raw):
    with pytest.raises(MalformedBundleError) as caught:
        apply_delta(BASE, raw, 1000)
    assert caught.value.code == "malformed_bundle"


def test_a_bomb_is_refused_before_it_is_built():
    raw = b"\x64" + b"\x80\x80\x80\x80\x04" + COPY_TEN
    with pytest.raises(TooLargeError) as caught:
        apply_delta(BASE, raw, 1000)
    assert caught.value.facts["limit_name"] == "object_bytes"


def test_sizes_are_read_in_their_shortest_form_only():
    assert read_size(b"\x00", 0) == (0, 1)
    assert read_size(b"x\xe4\x01", 1) == (228, 3)
    with pytest.raises(MalformedBundleError):
        read_size(b"\x80\x00", 0)


@pytest.mark.parametrize("lines", [3, 40, 9000])
def test_an_edit_becomes_a_small_delta(lines):
    rng = random.Random(lines)
    text = [f"line {rng.random()}\n".encode() for _ in range(lines)]
    base = b"".join(text)
    text[lines // 2] = b"changed\n"
    text.insert(1, b"inserted\n")
    target = b"".join(text)
    made = encode_delta(base, target)
    assert len(made) < 100
    assert apply_delta(base, made, len(target)) == target


def test_an_edit_of_text_that_repeats_itself_becomes_a_small_delta():
    row = b'{"name": "read", "is_allowed": true},\n'
    base, target = row * 5000, row * 2500 + b'{"name": "write"},\n' + row * 2500
    made = encode_delta(base, target)
    assert len(made) < 60
    assert apply_delta(base, made, len(target)) == target


def test_what_has_eleven_bytes_in_common_is_copied_wherever_it_stands():
    common = b"0123456789a"
    for before in range(9):
        base = b"x" * before + common + b"y" * 100
        made = encode_delta(base, b"z" * 3 + common)
        # An insert of what comes before the block, a copy of three bytes, and the two sizes.
        assert len(made) < 2 + 1 + 3 + len(common)
        assert apply_delta(base, made, 100) == b"z" * 3 + common


@given(
    base=st.binary(max_size=300),
    cuts=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300), st.binary(max_size=20))),
)
def test_a_delta_makes_its_target_of_its_base(base, cuts):
    target = b"".join(base[start:end] + more for start, end, more in cuts)
    assert apply_delta(base, encode_delta(base, target), len(target)) == target


@pytest.mark.parametrize(
    ("base", "target"),
    [
        (b"", b"x" * 200_000),
        (b"x" * 200_000, b""),
        (b"a\n" * 100_000, b"b\n" * 100_000),
        (b"a\n" * 100_000, b"b\n" + b"a\n" * 100_000 + b"c\nd\n"),
        (b"q" * 70_000 + b"\n", b"q" * 70_000 + b"\n" + b"q" * 70_000 + b"\n"),
    ],
)
def test_large_inputs_are_matched_by_lines(base, target):
    made = encode_delta(base, target)
    assert apply_delta(base, made, len(target)) == target


def test_large_files_without_common_lines_take_no_long_time():
    rng = random.Random(1)
    base, target = rng.randbytes(300_000), rng.randbytes(300_000)
    assert apply_delta(base, encode_delta(base, target), 300_000) == target


# --- the native applier against a plain reading of the format ---


def read_number(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while data[position] & 0x80:
        value |= (data[position] & 0x7F) << shift
        position, shift = position + 1, shift + 7
    if shift and not data[position]:
        raise ValueError("not in its shortest form")
    return value | data[position] << shift, position + 1


def take(data: bytes, position: int, size: int) -> tuple[bytes, int]:
    if position + size > len(data):
        raise ValueError("truncated")
    return data[position : position + size], position + size


def follow(base: bytes, delta: bytes) -> bytes:
    """What gitformat-pack says a delta makes; ValueError or IndexError if it is none."""
    base_size, position = read_number(delta, 0)
    result_size, position = read_number(delta, position)
    made = b""
    while position < len(delta):
        command, position = delta[position], position + 1
        if command & 0x80:
            bits = [bit for bit in range(7) if command >> bit & 1]
            operands, position = take(delta, position, len(bits))
            value = sum(byte << 8 * bit for bit, byte in zip(bits, operands, strict=True))
            made += take(base, value & 0xFFFFFFFF, value >> 32 or 0x10000)[0]
        elif command:
            piece, position = take(delta, position, command)
            made += piece
        else:
            raise ValueError("reserved")
    if (base_size, result_size) != (len(base), len(made)):
        raise ValueError("sizes")
    return made


def try_to(work, *arguments):
    try:
        return work(*arguments)
    except (ValueError, IndexError, MalformedBundleError, TooLargeError):
        return None


def spoil(rng: random.Random, delta: bytearray) -> None:
    match rng.randrange(5):
        case 0:
            delta[rng.randrange(len(delta))] = rng.randrange(256)
        case 1:
            del delta[rng.randrange(len(delta)) + 1 :]
        case 2:
            delta += rng.randbytes(rng.randint(1, 9))
        case 3:
            delta.append(rng.choice([1, 2, 17, 127, 128, 129, 144, 145, 255]))
        case _:
            delta += b"\x91" + bytes([rng.randrange(256), rng.randrange(256)])


def test_what_is_accepted_is_exactly_what_the_format_allows():
    rng = random.Random(7)
    accepted = 0
    for _ in range(30_000):
        base = rng.randbytes(rng.choice([0, 1, 20, 90]))
        target = base[rng.randrange(len(base) + 1) :] + rng.randbytes(rng.choice([0, 1, 100]))
        delta = bytearray(encode_delta(base, target + base))
        for _ in range(rng.randrange(3)):
            spoil(rng, delta)
        wanted = try_to(follow, base, bytes(delta))
        assert try_to(apply_delta, base, bytes(delta), 1 << 20) == wanted, (base, delta)
        accepted += wanted is not None
    assert 10_000 < accepted < 25_000


@pytest.mark.parametrize(
    "tail", [b"\x91\x05\x05", b"\x90\xff", b"\x7f", b"\x01", b"\xff", b"\x80", b"\x00"]
)
def test_a_bad_command_behind_the_last_one_is_found_out(tail):
    """The native applier stops at it without a word, when all that was announced is made."""
    with pytest.raises(MalformedBundleError):
        apply_delta(BASE, delta(COPY_TEN, tail), 1000)


def test_a_small_change_in_the_middle_of_a_line_is_a_small_delta():
    line = b"Before you change %s, read %s and say what you expect to happen (%d).\n"
    base = b"".join(line % (b"the schema", b"the notes", n) for n in range(30))
    target = b"".join(line % (b"the schema", b"the plan", n * 7) for n in range(30))
    made = encode_delta(base, target)
    assert apply_delta(base, made, len(target)) == target
    assert len(made) < len(target) / 3
