"""Tree objects."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from hashlib import sha256

from dulwich.object_format import SHA256
from dulwich.objects import ShaFile, Tree

from fuzz.hostile import objects_in, split_upload, uploads
from fuzz.target import Target, must, must_equal
from yoi_bundles.model.limits import Limits
from yoi_bundles.store.tree.objects import Kind, encode_tree, hash_object, parse_tree

LIMITS = Limits(tree_entries=20, name_bytes=40)
_NEVER = frozenset("/\\:\0") | {chr(code) for code in (*range(32), *range(127, 160))}


def check_tree(data: bytes) -> None:
    """An accepted tree is canonical, its names are harmless, and others read the same from it."""
    entries = parse_tree(data, LIMITS)
    must_equal(encode_tree(entries), data, "encoded again")
    head = b"tree %d\0" % len(data)
    must_equal(hash_object(Kind.TREE, data), sha256(head + data).digest(), "git's id")
    must(len(entries) <= LIMITS.tree_entries, "entries beyond their limit")
    folded = {unicodedata.normalize("NFC", entry.name.casefold()) for entry in entries}
    must_equal(len(folded), len(entries), "names that ignore case")
    for entry in entries:
        must(not _NEVER & set(entry.name), f"the name {entry.name!a}")
        must(entry.name.lower() not in ("", ".", "..", ".git"), f"the name {entry.name!a}")
        must(len(entry.name.encode()) <= LIMITS.name_bytes, "a name beyond its limit")
    other = ShaFile.from_raw_string(Tree.type_num, data, object_format=SHA256)
    assert isinstance(other, Tree)
    rows = [(row.path.decode(), row.mode, bytes.fromhex(row.sha.decode())) for row in other.items()]
    ours = [(e.name, 0o40000 if e.is_tree else 0o100644, e.oid) for e in entries]
    must_equal(sorted(rows), sorted(ours), "dulwich's entries")


def _seeds() -> Mapping[str, bytes]:
    found = {"empty": b""}
    for name, raw in uploads("paths", "modes", "graph", "sizes").items():
        objects = objects_in(split_upload(raw)[1])
        trees = [data for kind, data in objects if kind == Kind.TREE and len(data) < 2000]
        found |= {f"{name}-{at}": data for at, data in enumerate(trees)}
    return found


TARGETS = (
    Target(
        "tree",
        check_tree,
        frozenset({"malformed_bundle", "forbidden_mode", "forbidden_path", "too_large"}),
        _seeds,
        max_bytes=2048,
    ),
)
