"""Git objects as bytes: ids, tree entries, the strict tree parser.

Source: gitformat-pack (object types); git-hash-object; docs/format.md, "Trees".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import IntEnum
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from yoi_bundles.errors import (
    ForbiddenModeError,
    ForbiddenPathError,
    MalformedBundleError,
    TooLargeError,
)
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.paths import verify_name, verify_siblings

Oid: TypeAlias = bytes
"""32 raw bytes of an object id; inside store/ only."""

OID_BYTES = 32
_SMALL_BYTES = 16 * 1024
FILE_MODE = b"100644"
TREE_MODE = b"40000"
EMPTY_TREE: Oid = sha256(b"tree 0\0").digest()


class Kind(IntEnum):
    """Object types by their number in a pack; tags (4) have no place in a bundle."""

    COMMIT = 1
    TREE = 2
    BLOB = 3


_NAMES = (b"", b"commit", b"tree", b"blob")
_NO_NAMES: Mapping[bytes, str] = MappingProxyType({})
_ENTRY = re.compile(rb"([0-7]{1,7}) ([^\0]*)\0(.{32})", re.DOTALL)


class TreeEntry(NamedTuple):
    """One entry of a directory."""

    name: str
    is_tree: bool
    oid: Oid


class Rows(NamedTuple):
    """Some entries of a directory.

    Args:
        has_new_names: One has a name that was not known.
        last_key: What the next must come after in git's order.
    """

    entries: tuple[TreeEntry, ...]
    has_new_names: bool
    last_key: bytes


def hash_object(kind: int, data: bytes) -> Oid:
    """The id of an object: SHA-256 over type, length and content."""
    header = b"%s %d\0" % (_NAMES[kind], len(data))
    if len(data) < _SMALL_BYTES:  # one call on a copy is faster than two calls
        return sha256(header + data).digest()
    digest = sha256(header)
    digest.update(data)
    return digest.digest()


def kind_name(kind: int) -> str:
    """The type as git spells it."""
    return _NAMES[kind].decode("ascii")


def sort_key(entry: TreeEntry) -> bytes:
    """Git orders entries as if directory names ended with a slash."""
    name = entry.name.encode("utf-8")
    return name + b"/" if entry.is_tree else name


def encode_tree(entries: Iterable[TreeEntry]) -> bytes:
    """The canonical bytes of a directory.

    Args:
        entries: In any order; names are not checked here.
    """
    return b"".join(
        b"%s %s\0%s"
        % (TREE_MODE if entry.is_tree else FILE_MODE, entry.name.encode("utf-8"), entry.oid)
        for entry in sorted(entries, key=sort_key)
    )


def parse_tree(raw: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[TreeEntry, ...]:
    """Parse a directory whose every entry follows the rules of a bundle.

    Args:
        raw: Content of a tree object.
        limits: Bounds; ``tree_entries`` and ``name_bytes`` apply.

    Raises:
        MalformedBundleError: Not a tree, not in order, or a name twice.
        ForbiddenModeError: An entry that is neither a regular file nor a directory.
        ForbiddenPathError: A name that is unsafe, or two that collide.
        TooLargeError: More entries than a directory may have.

    Source: docs/format.md, "Trees"; git's fsck_tree.
    """
    entries = parse_rows(raw, 0, len(raw), b"", limits).entries
    verify_entry_count(len(entries), limits)
    verify_siblings(entry.name for entry in entries)
    return entries


def parse_rows(
    raw: bytes,
    start: int,
    stop: int,
    previous: bytes,
    limits: Limits,
    *,
    known: Mapping[bytes, str] = _NO_NAMES,
) -> Rows:
    """Parse some rows of a directory; how many there may be, and which collide, is not looked at.

    Args:
        raw: Content of a tree object.
        start: Where the first row begins.
        stop: Where the last one must end.
        previous: What the first must come after in git's order; see `sort_key`.
        limits: Bounds; ``name_bytes`` applies.
        known: Names that have passed these rules under limits no wider.

    Raises:
        MalformedBundleError: Not rows from start to stop, or not in order.
        ForbiddenModeError: An entry that is neither a regular file nor a directory.
        ForbiddenPathError: A name that is unsafe.
    """
    entries: list[TreeEntry] = []
    position, has_new_names, match_entry = start, False, _ENTRY.match
    while position < stop:
        match = match_entry(raw, position, stop)
        if match is None:
            raise MalformedBundleError("a tree entry is truncated or has no mode")
        mode, name, oid = match.groups()
        is_tree = mode != FILE_MODE and _verify_directory(mode, oid)
        text = known.get(name)
        if text is None:
            text, has_new_names = _verify_name(name, limits), True
        entries.append(TreeEntry(text, is_tree, oid))
        key = name + b"/" if is_tree else name  # git's order
        if key <= previous:
            raise MalformedBundleError("tree entries are out of order or double")
        previous, position = key, match.end()
    return Rows(tuple(entries), has_new_names, previous)


def verify_entry_count(count: int, limits: Limits) -> None:
    """Check how many entries a directory has.

    Raises:
        TooLargeError: More than ``tree_entries``.
    """
    if count > limits.tree_entries:
        raise TooLargeError(
            "a directory has too many entries",
            limit=limits.tree_entries,
            limit_name="tree_entries",
        )


def _verify_directory(mode: bytes, oid: Oid) -> bool:
    """True for a directory with something in it; regular file is the only other choice."""
    if mode == TREE_MODE:
        if oid == EMPTY_TREE:
            # No file system and no publisher keeps one: a checkout would have another digest.
            raise MalformedBundleError("a directory in a tree is empty")
        return True
    shown = mode.decode("ascii")
    raise ForbiddenModeError(
        f"a tree entry has mode {shown}; only 100644 and 40000 may stand in a bundle", mode=shown
    )


def _verify_name(name: bytes, limits: Limits) -> str:
    try:
        return verify_name(name.decode("utf-8"), limits)
    except UnicodeDecodeError:
        raise ForbiddenPathError("a name in a tree is not UTF-8") from None
