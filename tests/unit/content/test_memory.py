"""A tree in memory reads like one of a store."""

from __future__ import annotations

import pytest

from yoi_bundles.builtin import load_builtin_files
from yoi_bundles.content.check_tree import load_bundle
from yoi_bundles.content.memory import MemoryTree
from yoi_bundles.content.parse import blob_id_of
from yoi_bundles.errors import MissingObjectError
from yoi_bundles.model.ids import Digest, RelativePath

DIGEST = Digest("ab" * 32)


def test_entries_come_in_path_order_with_blob_ids() -> None:
    tree = MemoryTree({RelativePath("b"): b"2", RelativePath("a"): b"1"}, DIGEST)
    assert list(tree.entries().items()) == [
        (RelativePath("a"), blob_id_of(b"1")),
        (RelativePath("b"), blob_id_of(b"2")),
    ]
    assert tree.read(RelativePath("b")) == b"2"


def test_a_missing_file_is_a_missing_object() -> None:
    with pytest.raises(MissingObjectError, match="no file a"):
        MemoryTree({}, DIGEST).read(RelativePath("a"))


def test_a_bundle_is_loaded_under_the_digest_given() -> None:
    assert load_bundle(MemoryTree(load_builtin_files(), DIGEST)).digest == DIGEST
