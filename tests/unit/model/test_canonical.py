"""Canonical JSON: one byte string for a value, on every machine."""

import hashlib

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from yoi_bundles.model.base import Model
from yoi_bundles.model.canonical import canonical_hash, encode_canonical, encode_canonical_json
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


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**54), 2**54)
    | st.floats()
    | st.decimals(-9999, 9999, places=3).map(float)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def encode_by_library(value: object) -> bytes | None:
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError):
        return None


@given(VALUES)
@example({"\uffff": 1, "\U00010000": 2, "\ue000": 3})
@example(['\x00\x1f\x7f\u2028"\\/\b\t', "\ud800", "é"])
@example([0.2, -0.25, 0.0001, 0.00001, 1e16, 123456789012345680.0, -0.0, 1.0])
@example([2**53 - 1, 1 - 2**53, 2**53, -(2**53)])
@example({"b": {"d": [], "c": {}}, "a": [True, None, 12, "x"]})
def test_the_quick_way_says_what_the_library_says(value):
    try:
        made = encode_canonical_json(value)
    except (rfc8785.CanonicalizationError, UnicodeError):
        made = None
    assert made == encode_by_library(value)
