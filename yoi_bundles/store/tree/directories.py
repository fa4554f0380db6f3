"""Directories of a history, each parsed only where it differs from the one before it.

A history of large directories is long in rows and short in bytes: deltas make each tree of the one
before. Whoever parses every row of every tree works a hundred times for each byte that came.

Source: docs/format.md, "Trees" and "Receive".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import NamedTuple, TypeAlias

from yoi_bundles.errors import MalformedBundleError
from yoi_bundles.model.limits import Limits
from yoi_bundles.model.paths import verify_siblings
from yoi_bundles.store.tree.objects import (
    FILE_MODE,
    TREE_MODE,
    TreeEntry,
    encode_tree,
    parse_rows,
    sort_key,
    verify_entry_count,
)

ROW_COST_BYTES = 512
"""What it takes to look at one row, in bytes inflated in the same time."""

_NAME_COST_BYTES = 256
"""What it takes to hold one name against all others."""

Spend: TypeAlias = Callable[[int], None]
"""Counts work in bytes inflated, and raises when it is too much."""


class Directory(NamedTuple):
    """A tree object whose every row follows the rules of a bundle.

    Args:
        ends: Where each row ends in the raw bytes.
    """

    raw: bytes
    entries: tuple[TreeEntry, ...]
    ends: list[int]


class Step(NamedTuple):
    """A directory, and how it differs from the one before it.

    Args:
        removed: Rows of the one before that it has not; all of them if there was nothing alike.
        added: Its rows that the one before has not.
        is_whole: Nothing of the one before was used.
    """

    directory: Directory
    removed: tuple[TreeEntry, ...]
    added: tuple[TreeEntry, ...]
    is_whole: bool


def directory_of(entries: tuple[TreeEntry, ...]) -> Directory:
    """A directory whose entries are known to be right.

    Args:
        entries: In git's order.
    """
    return Directory(encode_tree(entries), entries, _find_ends(entries))


def parse_directory(raw: bytes, before: Directory | None, limits: Limits, spend: Spend) -> Step:
    """Parse a directory, looking only at rows that the one before has not.

    Args:
        raw: Content of a tree object.
        before: Another directory that has passed the same rules under limits no wider, or None.
        limits: Bounds; ``tree_entries`` and ``name_bytes`` apply.
        spend: Is told what each row that is looked at takes.

    Raises:
        MalformedBundleError: Not a tree, not in order, or a name twice.
        ForbiddenModeError: An entry that is neither a regular file nor a directory.
        ForbiddenPathError: A name that is unsafe, or two that collide.
        TooLargeError: More entries than a directory may have; or whatever ``spend`` raises.

    Source: docs/format.md, "Trees"; git's fsck_tree.
    """
    step = None if before is None else _parse_difference(raw, before, limits, spend)
    return step or _parse_whole(raw, before, limits, spend)


def _parse_whole(raw: bytes, before: Directory | None, limits: Limits, spend: Spend) -> Step:
    old = () if before is None else before.entries
    known = {entry.name.encode("utf-8"): entry.name for entry in old}
    rows = parse_rows(raw, 0, len(raw), b"", limits, known=known)
    spend(len(rows.entries) * ROW_COST_BYTES)
    verify_entry_count(len(rows.entries), limits)
    if rows.has_new_names or not _has_distinct_names(rows.entries):
        verify_siblings(entry.name for entry in rows.entries)
    return Step(
        Directory(raw, rows.entries, _find_ends(rows.entries)), old, rows.entries, is_whole=True
    )


def _parse_difference(raw: bytes, before: Directory, limits: Limits, spend: Spend) -> Step | None:
    """None where the two cannot be laid beside one another."""
    first, last = _find_differing(raw, before)
    head, removed, tail = before.entries[:first], before.entries[first:last], before.entries[last:]
    start, old_stop = _row_start(before, first), _row_start(before, last)
    moved = len(raw) - len(before.raw)
    previous = sort_key(head[-1]) if head else b""
    known = {entry.name.encode("utf-8"): entry.name for entry in removed}
    try:
        rows = parse_rows(raw, start, old_stop + moved, previous, limits, known=known)
    except MalformedBundleError:
        return None  # Not where rows begin: the whole says what is wrong, if anything is.
    if tail and sort_key(tail[0]) <= rows.last_key:
        return None
    spend((len(removed) + len(rows.entries)) * ROW_COST_BYTES)
    entries = (*head, *rows.entries, *tail)
    verify_entry_count(len(entries), limits)
    if rows.has_new_names or not _has_distinct_names(rows.entries):
        spend(len(entries) * _NAME_COST_BYTES)
        verify_siblings(entry.name for entry in entries)
    ends = before.ends[:first] + [start + end for end in _find_ends(rows.entries)]
    ends += [end + moved for end in before.ends[last:]] if moved else before.ends[last:]
    return Step(Directory(raw, entries, ends), removed, rows.entries, is_whole=False)


def _find_differing(raw: bytes, before: Directory) -> tuple[int, int]:
    """The rows of the one before that stand neither at the equal start nor at the equal end."""
    first = bisect_right(before.ends, _count_equal(raw, before.raw))
    start = _row_start(before, first)
    room = min(len(raw), len(before.raw)) - start
    end = len(before.raw) - _count_equal_at_end(raw, before.raw, room)
    return first, first if start >= end else bisect_left(before.ends, end) + 1


def _row_start(directory: Directory, row: int) -> int:
    return directory.ends[row - 1] if row else 0


def _has_distinct_names(entries: tuple[TreeEntry, ...]) -> bool:
    return len({entry.name for entry in entries}) == len(entries)


def _find_ends(entries: Iterable[TreeEntry]) -> list[int]:
    return list(
        accumulate(
            len(TREE_MODE if entry.is_tree else FILE_MODE)
            + len(entry.name if entry.name.isascii() else entry.name.encode("utf-8"))
            + len(entry.oid)
            + 2
            for entry in entries
        )
    )


def _count_equal(one: bytes, other: bytes) -> int:
    """How many bytes are equal at the start."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _count_equal_at_end(one: bytes, other: bytes, room: int) -> int:
    """How many of the last ``room`` bytes are equal."""
    low, high = 0, room
    while low < high:
        middle = (low + high + 1) // 2
        if one[len(one) - middle : len(one) - low] == other[len(other) - middle : len(other) - low]:
            low = middle
        else:
            high = middle - 1
    return low
