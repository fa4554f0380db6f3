"""Checked trees: what they save, what they may never do."""

from __future__ import annotations

import pytest

from yoi_bundles.builtin import load_builtin_files
from yoi_bundles.content.cache import CheckedTreeCache
from yoi_bundles.content.check_tree import check_tree, load_bundle
from yoi_bundles.content.memory import MemoryTree
from yoi_bundles.content.parse import parse_file
from yoi_bundles.errors import BundleError, ForbiddenMaterialError, InvalidManifestError
from yoi_bundles.model.ids import Digest, PromptKey, RelativePath, WorkspaceId
from yoi_bundles.model.limits import Limits
from yoi_bundles.model.tree import TreeChange

FILES = dict(load_builtin_files())
CODER = RelativePath("prompts/role/coder.md")
KEY = PromptKey("role.coder")
BUILTIN = WorkspaceId("builtin")


class Counting(MemoryTree):
    """A tree that counts its reads, and knows what changed if it is told."""

    def __init__(self, files, number, changes=None):
        super().__init__(files, Digest(f"{number:064x}"))
        self.reads = []
        self.changes = changes

    def read(self, path):
        self.reads.append(path)
        return super().read(path)

    def changes_from(self, older):
        return self.changes


def load(tree, cache, **options):
    return load_bundle(tree, workspace=BUILTIN, cache=cache, **options)


@pytest.fixture
def cache():
    made = CheckedTreeCache()
    load(Counting(FILES, 1), made)
    return made


@pytest.mark.parametrize("is_told", [False, True], ids=["by entries", "by changes"])
def test_a_second_tree_costs_only_the_files_that_changed(cache, is_told):
    changed = Counting(FILES | {CODER: FILES[CODER] + b"\nBe exact.\n"}, 2)
    old, new = MemoryTree(FILES, changed.digest).entries()[CODER], changed.entries()[CODER]
    if is_told:
        changed.changes = (TreeChange(CODER, "changed", old, new),)
        changed.entries = lambda: pytest.fail("all files were looked at")

    bundle = load(changed, cache)

    assert changed.reads == [CODER]
    assert bundle.digest == changed.digest
    assert bundle.prompts[KEY].source.blob == new != old


def test_the_same_tree_again_is_not_read_at_all(cache):
    tree = Counting(FILES, 1)

    load(tree, cache)

    assert tree.reads == []


def test_another_workspace_is_never_compared_with(cache):
    tree = Counting(FILES, 2)

    load_bundle(tree, workspace=WorkspaceId("other"), cache=cache)

    assert len(tree.reads) == len(FILES)


def test_what_is_refused_is_not_kept_and_does_not_replace_what_was_sound(cache):
    token = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
    bad = Counting(FILES | {CODER: FILES[CODER] + f"\nUse {token}.\n".encode()}, 2)

    for _ in range(2):
        with pytest.raises(ForbiddenMaterialError):
            load(bad, cache)

    assert bad.reads == [CODER, CODER]
    good = Counting(FILES, 3)
    assert load(good, cache).digest == good.digest
    assert good.reads == []


def test_a_removed_file_is_missed_by_those_who_name_it(cache):
    tree = Counting({path: data for path, data in FILES.items() if path != CODER}, 2)

    with pytest.raises(InvalidManifestError, match=r"no prompt `role\.coder`"):
        load(tree, cache)


def test_a_smaller_limit_is_not_passed_by_a_tree_checked_under_a_larger_one(cache):
    small = check_tree(
        Counting(FILES, 1), workspace=BUILTIN, limits=Limits(file_bytes=100), cache=cache
    )

    assert {finding.code for finding in small.findings} >= {"too_large"}


@pytest.mark.parametrize(
    "limits", [Limits(files=len(FILES)), Limits(tree_bytes=sum(map(len, FILES.values())))]
)
def test_the_bounds_of_the_whole_tree_hold_for_a_change_too(limits):
    cache = CheckedTreeCache()
    load(Counting(FILES, 1), cache, limits=limits)
    more = Counting(FILES | {RelativePath("prompts/more.md"): b"One more.\n"}, 2)

    with pytest.raises(BundleError) as caught:
        load(more, cache, limits=limits)

    assert caught.value.code == "too_large"


def test_an_excused_secret_stays_excused_only_while_the_list_says_so(cache):
    token = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
    text = FILES[CODER] + f"\nNot real: {token}.\n".encode()
    blob = Counting({CODER: text}, 9).entries()[CODER]
    [match] = parse_file(CODER, blob, text).matches
    allow = f'[[allow]]\nfingerprint = "{match.fingerprint}"\nreason = "An example."\n'
    listed = FILES | {CODER: text, RelativePath("policies/allow.toml"): allow.encode()}

    load(Counting(listed, 2), cache)
    load(Counting(listed | {CODER: text + b"\nMore.\n"}, 3), cache)

    with pytest.raises(ForbiddenMaterialError):
        load(Counting(FILES | {CODER: text}, 4), cache)


def test_the_bound_is_kept_and_a_tree_larger_than_it_is_not_kept():
    cache = CheckedTreeCache(files=len(FILES) + 1)
    load(Counting(FILES, 1), cache)
    load(Counting(FILES | {CODER: b"Other.\n"}, 2), cache)
    again = Counting(FILES | {CODER: b"Other.\n", RelativePath("prompts/a.md"): b"A.\n"}, 1)

    load(again, cache)

    assert again.reads == [RelativePath("prompts/a.md")]
    tiny = CheckedTreeCache(files=10)
    for number in (1, 2):
        tree = Counting(FILES, number)
        load(tree, tiny)
        assert len(tree.reads) == len(FILES)
