"""Object ids and the strict tree parser."""

import pytest
from store_factories import raw_tree

from yoi_bundles.errors import (
    ForbiddenModeError,
    ForbiddenPathError,
    MalformedBundleError,
    TooLargeError,
)
from yoi_bundles.model.limits import Limits
from yoi_bundles.store.tree.objects import (
    EMPTY_TREE,
    Kind,
    TreeEntry,
    encode_tree,
    hash_object,
    kind_name,
    parse_tree,
)

ID = bytes(range(32))
FILE, TREE = b"100644", b"40000"


def test_the_empty_blob_has_the_id_that_git_gives_it():
    expected = "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813"
    assert hash_object(Kind.BLOB, b"").hex() == expected
    assert hash_object(Kind.TREE, b"") == EMPTY_TREE


def test_small_and_large_objects_are_hashed_alike():
    large = b"x" * 40_000
    assert hash_object(Kind.BLOB, large) != hash_object(Kind.BLOB, large[:-1])
    assert kind_name(Kind.COMMIT) == "commit"


def test_a_tree_round_trips_in_git_order():
    entries = [TreeEntry("a.b", False, ID), TreeEntry("a", True, ID), TreeEntry("a-b", False, ID)]
    raw = encode_tree(entries)
    assert [e.name for e in parse_tree(raw)] == ["a-b", "a.b", "a"]
    assert encode_tree(parse_tree(raw)) == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"100644 a\0" + ID[:-1],
        b"garbage",
        b"100644 a" + ID.replace(b"\0", b"\1"),
        b"100648 a\0" + ID,
        raw_tree((FILE, b"b", ID), (FILE, b"a", ID)),
        raw_tree((FILE, b"a", ID), (FILE, b"a", ID)),
        raw_tree((TREE, b"a", ID), (FILE, b"a.b", ID)),
        raw_tree((TREE, b"a", EMPTY_TREE)),
    ],
)
def test_a_tree_out_of_format_or_order_is_malformed(raw):
    with pytest.raises(MalformedBundleError) as caught:
        parse_tree(raw)
    assert caught.value.code == "malformed_bundle"


@pytest.mark.parametrize(
    "mode", [b"100755", b"120000", b"160000", b"100664", b"040000", b"0100644", b"0", b"644"]
)
def test_other_modes_are_refused_by_name(mode):
    with pytest.raises(ForbiddenModeError) as caught:
        parse_tree(raw_tree((mode, b"a", ID)))
    assert caught.value.facts["mode"] == mode.decode()


@pytest.mark.parametrize(
    "name", [b"", b".", b"..", b".git", b"a/b", b"\xff\xfe", b"git~1", b"e\xcc\x81", b"con"]
)
def test_unsafe_names_are_refused(name):
    with pytest.raises((ForbiddenPathError, MalformedBundleError)):
        parse_tree(raw_tree((FILE, name, ID)))


def test_names_that_collide_are_refused_even_as_file_and_directory():
    with pytest.raises(ForbiddenPathError):
        parse_tree(raw_tree((FILE, b"A", ID), (FILE, b"a", ID)))
    with pytest.raises(ForbiddenPathError):
        parse_tree(raw_tree((FILE, b"a", ID), (FILE, b"a-b", ID), (TREE, b"a", ID)))


def test_the_number_of_entries_is_bounded():
    raw = raw_tree(*((FILE, b"f%03d" % i, ID) for i in range(5)))
    assert len(parse_tree(raw, Limits(tree_entries=5))) == 5
    with pytest.raises(TooLargeError) as caught:
        parse_tree(raw, Limits(tree_entries=4))
    assert caught.value.facts["limit_name"] == "tree_entries"
