"""Globs: they match whole texts, and just as the standard library does."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoi_bundles.model.globs import has_match

TEXTS = st.text("ab[]*?!-:\n", max_size=6)


@pytest.mark.parametrize(
    ("globs", "text", "matches"),
    [
        ((), "x", False),
        (("*",), "anything", True),
        (("a*",), "abc", True),
        (("a?c",), "abc", True),
        (("a?c",), "ac", False),
        (("b", "a.c"), "abc", False),
        (("a.c",), "a.c", True),
    ],
)
def test_globs_match_whole_texts(globs, text, matches):
    assert has_match(globs, text) is matches


@given(st.lists(TEXTS, max_size=3), TEXTS)
def test_what_is_quick_about_it_changes_no_answer(globs, text):
    assert has_match(globs, text) == any(fnmatchcase(text, glob) for glob in globs)
    assert has_match([text], text) == fnmatchcase(text, text)
