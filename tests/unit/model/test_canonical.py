"""Canonical JSON: one byte string for a value, on every machine."""

import hashlib

import pytest
import rfc8785

from yoi_bundles.model.base import Model
from yoi_bundles.model.canonical import canonical_hash, encode_canonical
from yoi_bundles.model.ids import Name


class Sample(Model):
    """Something of everything."""

    b: int = 1
    a: str = "é"
    names: tuple[Name, ...] = ()
    table: dict[str, float | None] = {}  # noqa: RUF012 - pydantic copies defaults


def test_keys_are_sorted_and_nothing_is_spaced():
    value = Sample(names=(Name("z"), Name("a")), table={"y": 0.5, "x": None})
    expected = '{"a":"é","b":1,"names":["z","a"],"table":{"x":null,"y":0.5}}'
    assert encode_canonical(value) == expected.encode()


def test_the_order_of_writing_does_not_matter():
    one, two = Sample(table={"x": 1.0, "y": 2.0}), Sample(table={"y": 2.0, "x": 1.0})
    assert encode_canonical(one) == encode_canonical(two)
    assert canonical_hash(one) == canonical_hash(two)


def test_numbers_are_written_as_rfc_8785_does():
    assert b'{"x":1e+21,"y":1}' in encode_canonical(Sample(table={"y": 1.0, "x": 1e21}))


def test_the_hash_is_sha256_of_the_bytes():
    value = Sample()
    digest = hashlib.sha256(encode_canonical(value)).hexdigest()
    assert str(canonical_hash(value)) == f"sha256:{digest}"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_refused(value):
    with pytest.raises((rfc8785.CanonicalizationError, ValueError, TypeError)):
        encode_canonical(Sample.model_construct(b=2**60, a="", names=(), table={"x": value}))


def test_integers_that_json_readers_round_are_refused():
    with pytest.raises(rfc8785.CanonicalizationError):
        encode_canonical(Sample(b=2**53))
