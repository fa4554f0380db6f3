"""Directories parsed after another one: the same answer, for less work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_factories import raw_tree

from yoi_bundles.errors import BundleError, ForbiddenPathError, MalformedBundleError, TooLargeError
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.store.disk.measures import Measure, add_measures
from yoi_bundles.store.tree.directories import (
    ROW_COST_BYTES,
    directory_of,
    parse_directory,
)
from yoi_bundles.store.tree.objects import TreeEntry, encode_tree, parse_tree, sort_key

ID = bytes(range(32))
FILE, TREE = b"100644", b"40000"


def file(name, fill=0):
    return TreeEntry(name, False, bytes([fill]) * 32)


def entries_of(*entries):
    return tuple(sorted(entries, key=sort_key))


def parse(raw, before=None, limits=DEFAULT_LIMITS):
    spent = []
    base = None if before is None else directory_of(before)
    return parse_directory(raw, base, limits, spent.append), sum(spent)


def outcome(action):
    try:
        return action()
    except BundleError as error:
        return type(error)


NAMES = st.sampled_from(["a", "a-b", "a.b", "b", "B", "é", "README", "readme", "con", "z" * 30])
ENTRIES = st.lists(
    st.builds(
        TreeEntry, NAMES, st.booleans(), st.sampled_from([ID, b"\1" * 32, b"100644 a\0" * 4])
    ),
    max_size=9,
)
GOOD = st.lists(
    st.builds(TreeEntry, st.sampled_from("abcdefgh"), st.booleans(), st.just(ID)),
    unique_by=lambda entry: entry.name,
).map(lambda entries: entries_of(*entries))


@given(GOOD, ENTRIES, st.binary(max_size=3), st.integers(0, 400))
def test_whatever_comes_is_judged_as_if_nothing_came_before(before, entries, noise, place):
    raw = encode_tree(entries)
    raw = raw[:place] + noise + raw[place:]
    alone = outcome(lambda: parse_tree(raw))
    step = outcome(lambda: parse(raw, before)[0])
    if isinstance(alone, tuple):
        assert (step.directory.entries, step.directory.raw) == (alone, raw)
        assert step.directory == directory_of(alone)
    else:
        assert step == alone


@given(GOOD, GOOD)
def test_what_was_removed_and_added_is_the_difference(before, after):
    step, _ = parse(encode_tree(after), before)
    assert set(before) - set(step.removed) | set(step.added) == set(after)
    if not step.is_whole:
        kept = [entry for entry in before if entry not in step.removed]
        assert entries_of(*kept, *step.added) == after


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: (*rows[:700], file(rows[700].name, 9), *rows[701:]),
        lambda rows: rows[1:],
        lambda rows: rows[:-1],
        lambda rows: (*rows[:-1], file(rows[-1].name, 9)),
        lambda rows: (file(rows[0].name, 9), *rows[1:]),
        lambda rows: rows,
    ],
    ids=["changed", "first gone", "last gone", "last changed", "first changed", "the same"],
)
def test_one_change_among_many_rows_costs_little(change):
    before = tuple(file(f"f{number:05}") for number in range(2000))
    after = change(before)
    step, spent = parse(encode_tree(after), before)
    assert step.directory == directory_of(after)
    assert spent <= 2 * ROW_COST_BYTES
    assert parse(encode_tree(after))[1] == len(after) * ROW_COST_BYTES


def test_a_new_name_is_held_against_all_others():
    before = tuple(file(f"f{number:05}") for number in range(2000))
    raw = encode_tree(entries_of(*before, file("F00999")))
    with pytest.raises(ForbiddenPathError):
        parse(raw, before)
    step, spent = parse(encode_tree(entries_of(*before, file("other"))), before)
    assert not step.is_whole
    assert spent >= 2001 * ROW_COST_BYTES // 2


@pytest.mark.parametrize(
    "rows",
    [
        [(FILE, b"a", ID), (FILE, b"c", ID), (FILE, b"b", ID)],
        [(FILE, b"a", ID), (FILE, b"b", ID), (FILE, b"b", ID)],
        [(FILE, b"a", ID), (FILE, b"b", ID), (FILE, b"ab", ID), (FILE, b"c", ID)],
        [(FILE, b"b", ID), (FILE, b"a", ID), (FILE, b"c", ID)],
    ],
)
def test_rows_out_of_order_are_refused_after_others_in_order(rows):
    with pytest.raises(MalformedBundleError) as caught:
        parse(raw_tree(*rows), (file("a"), file("b"), file("c")))
    assert caught.value.code == "malformed_bundle"


@pytest.mark.parametrize(
    "entries",
    [
        [(FILE, b"README", ID), (FILE, b"readme", ID)],
        [(FILE, b"a", ID), (TREE, b"a", ID)],
        [(FILE, b"CON", ID), (FILE, b"a", ID)],
    ],
    ids=["a new name that folds to a known one", "a known name twice", "a new unsafe name"],
)
def test_known_names_do_not_excuse_others(entries):
    with pytest.raises(ForbiddenPathError):
        parse(raw_tree(*entries), entries_of(file("README"), file("a"), file("b")))


def test_the_number_of_entries_is_bounded_after_another_too():
    before = tuple(file(f"f{number}") for number in range(4))
    raw = encode_tree((*before, file("f5")))
    with pytest.raises(TooLargeError) as caught:
        parse(raw, before, Limits(tree_entries=4))
    assert caught.value.facts["limit_name"] == "tree_entries"


def test_rows_that_only_look_alike_at_the_end_are_read_from_the_start():
    """The last bytes of an id may be a row; where rows begin is decided from the front."""
    inner = raw_tree((FILE, b"z", ID))
    before = (file("a"), TreeEntry("z", False, ID))
    # The id of "y" ends with what "z" begins with; the rest is what it has.
    raw = raw_tree((FILE, b"a", bytes(32)), (FILE, b"y", ID[:23] + inner[:9])) + ID + b"x"
    assert outcome(lambda: parse(raw, before)) is outcome(lambda: parse_tree(raw))
    raw = raw_tree((FILE, b"a", bytes(32)), (FILE, b"y" + b"1" * 30, (inner + inner)[-32:]))
    assert parse(raw, before)[0].directory.entries == parse_tree(raw)


PARTS = st.lists(
    st.tuples(
        st.builds(file, st.text("abc", min_size=1, max_size=6)),
        st.integers(0, 99) | st.builds(Measure, *[st.integers(1, 9)] * 4),
    ),
    max_size=6,
)


@given(PARTS, PARTS, PARTS)
def test_a_measure_of_a_changed_directory_is_that_of_its_entries_or_unknown(kept, removed, added):
    before = add_measures([*kept, *removed])
    after = before.replace(removed, added)
    assert after in {None, add_measures([*kept, *added])}
    if not removed:
        assert after is not None
