"""A check that looks at changes says what a check of everything says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from yoi_bundles.builtin import load_builtin_files
from yoi_bundles.content.cache import CheckedTreeCache, Rules
from yoi_bundles.content.check import check_files
from yoi_bundles.content.check_tree import check_tree
from yoi_bundles.content.kept import check_beside, count_plain_edits, keep_check
from yoi_bundles.content.memory import MemoryTree
from yoi_bundles.model.ids import Digest, RelativePath, WorkspaceId
from yoi_bundles.model.limits import DEFAULT_LIMITS
from yoi_bundles.model.tree import TreeChange

FILES = dict(load_builtin_files())
BUILTIN = WorkspaceId("builtin")
NEW = [RelativePath(f"prompts/{name}.md") for name in ("new", "role/new", "Role/coder")]
TEXTS = st.sampled_from(
    [
        b"Plain prose.\n",
        b"With a {{variable}}.\n",
        b'+++\nvariables = ["variable"]\n+++\nWith a {{variable}}.\n',
        b"+++\nnever closed\n",
        b"password = 'hunter2-and-9x'\n",
        b"carriage\r\n",
        b'description = "x"\n',
    ]
)
STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(FILES, key=str) + NEW), st.one_of(st.none(), TEXTS)),
    min_size=1,
    max_size=3,
)


@given(st.lists(STEPS, min_size=1, max_size=5), st.booleans())
def test_after_any_edits_both_checks_agree(rounds, honour_allow_list):
    cache, files = CheckedTreeCache(), dict(FILES)
    for number, steps in enumerate([[], *rounds]):
        for path, text in steps:
            if text is None:
                files.pop(path, None)
            else:
                files[path] = text
        digest = Digest(f"{number + 1:064x}")

        by_change = check_tree(
            MemoryTree(files, digest),
            workspace=BUILTIN,
            honour_allow_list=honour_allow_list,
            cache=cache,
        )

        whole = check_files(files, digest=digest, honour_allow_list=honour_allow_list)
        assert by_change.findings == whole.findings
        assert by_change.bundle == whole.bundle
        if whole.bundle is None:
            files = dict(FILES)


class ComparedTree(MemoryTree):
    """A tree that knows how it differs from the one before it."""

    def __init__(self, files, before):
        super().__init__(files, Digest("2" * 64))
        old = MemoryTree(before, Digest("1" * 64)).entries()
        new = self.entries()
        self._changes = tuple(
            TreeChange(path, "changed", old.get(path), new.get(path))
            for path in sorted(old.keys() | new.keys())
            if old.get(path) != new.get(path)
        )

    def changes_from(self, older):
        return self._changes


@given(STEPS, STEPS)
def test_what_is_kept_of_a_check_says_what_a_check_of_everything_says(first, second):
    before = {path: text for path, text in (FILES | dict(first)).items() if text is not None}
    trees = CheckedTreeCache()
    if check_tree(MemoryTree(before, Digest("1" * 64)), cache=trees).bundle is None:
        before = FILES
        check_tree(MemoryTree(before, Digest("1" * 64)), cache=trees)
    kept = keep_check(trees.find(Digest("1" * 64), Rules(DEFAULT_LIMITS, True)))
    after = {path: text for path, text in (before | dict(second)).items() if text is not None}

    tree = ComparedTree(after, before)
    edits = count_plain_edits(tree, kept, DEFAULT_LIMITS)

    beside, later = check_beside(tree, kept, DEFAULT_LIMITS)
    whole = check_files(after)
    assert beside.findings == whole.findings
    assert (beside.bundle is None) == (whole.bundle is None)
    if whole.bundle is not None:
        checked = CheckedTreeCache()
        check_tree(MemoryTree(after, tree.digest), cache=checked)
        assert later == keep_check(checked.find(tree.digest, Rules(DEFAULT_LIMITS, True)))
    if edits is not None:
        assert edits == len(tree.changes_from(kept.digest))
        assert (whole.bundle is None, whole.findings) == (False, kept.findings)
    if before == after:
        assert edits == 0
