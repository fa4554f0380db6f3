"""Deltas: the applier believes nothing, the encoder makes what git reads."""

import random

import pytest

from yoi_bundles.errors import MalformedBundleError, TooLargeError
from yoi_bundles.store.deltas import apply_delta, encode_delta, read_size

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
