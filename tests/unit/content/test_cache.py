"""The parse cache: what it saves, what it may never do."""

from __future__ import annotations

import pytest

from yoi_bundles.builtin import load_builtin_files
from yoi_bundles.content import ParseCache, check_files, load_bundle
from yoi_bundles.content.memory import MemoryTree
from yoi_bundles.errors import ForbiddenMaterialError
from yoi_bundles.model.ids import Digest, RelativePath
from yoi_bundles.model.limits import Limits

FILES = dict(load_builtin_files())
CODER = RelativePath("prompts/role/coder.md")
DIGEST = Digest("1" * 64)


class Counting(MemoryTree):
    """A tree that counts its reads."""

    def __init__(self, files):
        super().__init__(files, DIGEST)
        self.reads = []

    def read(self, path):
        self.reads.append(path)
        return super().read(path)


def test_a_second_tree_costs_only_the_files_that_changed():
    cache = ParseCache()
    load_bundle(Counting(FILES), cache=cache)
    changed = Counting(FILES | {CODER: FILES[CODER] + b"\nBe exact.\n"})

    bundle = load_bundle(changed, cache=cache)

    assert changed.reads == [CODER]
    assert "Be exact." in next(
        prompt.value.body for key, prompt in bundle.prompts.items() if str(key) == "role.coder"
    )


def test_the_result_is_the_same_with_and_without_a_cache():
    cache = ParseCache()
    broken = FILES | {RelativePath("profiles/coder.toml"): b'description = "x"\ncolour = 1\n'}

    for _ in range(2):
        cached = check_files(broken, cache=cache)
        assert cached.findings == check_files(broken).findings
        assert cached.bundle is None


def test_what_was_refused_once_is_refused_from_the_cache_too():
    cache = ParseCache()
    token = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
    tree = Counting(FILES | {CODER: FILES[CODER] + f"\nUse {token}.\n".encode()})

    for _ in range(2):
        with pytest.raises(ForbiddenMaterialError):
            load_bundle(tree, cache=cache)

    assert tree.reads.count(CODER) == 1


def test_a_smaller_limit_is_not_passed_by_a_file_parsed_under_a_larger_one():
    cache = ParseCache()
    assert check_files(FILES, cache=cache).bundle is not None

    small = check_files(FILES, limits=Limits(file_bytes=100), cache=cache)

    assert {finding.code for finding in small.findings} >= {"too_large"}


def test_the_same_bytes_at_another_path_are_another_file():
    cache = ParseCache()
    check_files(FILES, cache=cache)
    moved = dict(FILES)
    moved[RelativePath("prompts/role/author.md")] = moved[CODER]

    bundle = check_files(moved, cache=cache).bundle

    assert {"role.coder", "role.author"} <= {str(key) for key in bundle.prompts}


def test_the_bound_is_kept_and_a_file_larger_than_it_is_not_kept():
    cache = ParseCache(size_bytes=8_000)
    tree = Counting(FILES)

    load_bundle(tree, cache=cache)
    load_bundle(tree, cache=cache)

    assert cache._files.currsize <= 8_000
    assert len(tree.reads) > len(FILES)
