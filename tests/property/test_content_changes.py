"""A check that looks at changes says what a check of everything says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from yoi_bundles.builtin import load_builtin_files
from yoi_bundles.content import CheckedTrees, check_files, check_tree
from yoi_bundles.content.memory import MemoryTree
from yoi_bundles.model.ids import Digest, RelativePath, WorkspaceId

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
    cache, files = CheckedTrees(), dict(FILES)
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
