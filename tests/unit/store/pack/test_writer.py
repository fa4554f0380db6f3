"""What a pack's writer deflates is inflated again, however long it is."""

import random
import zlib

import pytest

from yoi_bundles.store.pack.writer import deflate_delta


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 100_000])
def test_a_delta_of_any_length_is_inflated_again(size):
    delta = random.Random(size).randbytes(size)

    assert zlib.decompress(deflate_delta(delta)) == delta


def test_a_long_delta_is_packed_by_codes_of_its_own():
    """For a short one fixed codes are faster to inflate; a long one is worth the smaller size."""
    long = bytes(random.Random(1).choices(b"abcd", k=20_000))
    fixed = zlib.compressobj(zlib.Z_BEST_COMPRESSION, strategy=zlib.Z_FIXED)

    assert len(deflate_delta(long)) < 0.8 * len(fixed.compress(long) + fixed.flush())
