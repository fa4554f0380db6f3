"""Editing a tree gives what building it anew gives, and touches only what changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoi_bundles.errors import BundleError, ForbiddenPathError, InvalidInputError
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.limits import Limits
from yoi_bundles.model.paths import verify_paths
from yoi_bundles.store.disk.edit import edit_tree
from yoi_bundles.store.tree.objects import parse_tree
from yoi_bundles.store.tree.trees import build_tree

PATHS = st.sampled_from(["a", "b", "c/a", "c/b", "c/d/a", "c/d/b", "e/a", "e/f/g/h"])
FILES = st.dictionaries(PATHS, st.sampled_from([b"", b"x\n", b"y\n"]), max_size=8)


def files_of(**by_path):
    return {RelativePath(path.replace("__", "/")): data for path, data in by_path.items()}


BASE = files_of(a=b"1", c__a=b"2", c__d__a=b"3", e__a=b"4")


def loader(tree, loaded=None):
    def load(oid):
        if loaded is not None:
            loaded.append(oid)
        return parse_tree(tree.objects[oid][1])

    return load


def edit(base, files, removed=(), **options):
    return edit_tree(loader(base), base.root, files, removed, **options)


def is_possible(files):
    try:
        verify_paths(files)
    except ForbiddenPathError:
        return False
    return True


@given(FILES, FILES)
def test_any_tree_becomes_any_other(before, after):
    old = {RelativePath(path): data for path, data in before.items()}
    new = {RelativePath(path): data for path, data in after.items()}
    if not (is_possible(old) and is_possible(new)):
        return
    base = build_tree(old)
    changed = {path: data for path, data in new.items() if old.get(path) != data}

    made = edit(base, changed, old.keys() - new.keys())

    wanted = build_tree(new)
    assert made.root == wanted.root
    needed = wanted.objects.keys() - base.objects.keys()
    assert needed <= made.objects.keys() | {made.root}


def test_directories_beside_the_change_are_not_looked_into():
    base, loaded = build_tree(BASE), []

    made = edit_tree(loader(base, loaded), base.root, files_of(c__d__a=b"5"))

    assert len(loaded) == 3  # the root, c, c/d
    assert len(made.objects) == 4
    assert made.root == build_tree(BASE | files_of(c__d__a=b"5")).root


def test_a_directory_goes_with_its_last_file():
    made = edit(build_tree(BASE), {}, [RelativePath("c/d/a"), RelativePath("e/a")])

    assert made.root == build_tree(files_of(a=b"1", c__a=b"2")).root


@pytest.mark.parametrize(
    ("files", "removed", "error"),
    [
        (files_of(a__b=b"x"), [], ForbiddenPathError),
        (files_of(c=b"x"), [], ForbiddenPathError),
        (files_of(A=b"x"), [], ForbiddenPathError),
        ({RelativePath("c/.git"): b"x"}, [], ForbiddenPathError),
        (files_of(x=b"1", x__y=b"2"), [], ForbiddenPathError),
        (files_of(x__y=b"2", x=b"1"), [], ForbiddenPathError),
        ({}, [RelativePath("nowhere")], InvalidInputError),
        ({}, [RelativePath("c/nowhere")], InvalidInputError),
        ({}, [RelativePath("no/where")], InvalidInputError),
        ({}, [RelativePath("c")], ForbiddenPathError),
    ],
)
def test_an_edit_that_cannot_be_is_refused(files, removed, error):
    with pytest.raises(error):
        edit(build_tree(BASE), files, removed)


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (Limits(object_bytes=2), "object_bytes"),
        (Limits(tree_entries=3), "tree_entries"),
        (Limits(name_bytes=3), None),
    ],
)
def test_the_bounds_hold_for_what_is_new(limits, name):
    with pytest.raises(BundleError) as caught:
        edit(build_tree(BASE), files_of(long=b"long"), limits=limits)

    assert caught.value.code == ("too_large" if name else "forbidden_path")
    assert caught.value.facts.get("limit_name") == name


def test_a_file_makes_room_for_a_directory_if_it_goes_first():
    made = edit(build_tree(BASE), files_of(a__b=b"x"), [RelativePath("a")])

    wanted = {path: data for path, data in BASE.items() if str(path) != "a"}
    assert made.root == build_tree(wanted | files_of(a__b=b"x")).root
