"""Name rules: what may stand in a tree on every supported file system."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yoi_bundles.errors import ForbiddenPathError
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.limits import Limits
from yoi_bundles.model.paths import (
    fold_name,
    parse_tree_path,
    verify_name,
    verify_paths,
    verify_siblings,
)

UNSAFE = [
    "",
    ".",
    "..",
    ".git",
    ".GIT",
    ".Git",
    "git~1",
    "GIT~1",
    "git~2",
    ".git ",
    ".git.",
    ".git::$INDEX",
    ".git:x",
    ".g\u200cit",
    ".gi\u200dt",
    "\ufeff.git",
    ".gitmodules",
    "gitmod~1",
    "gi7eba~1",
    ".gitattributes",
    "a/b",
    "a\\b",
    "C:",
    "a:b",
    "a\x00b",
    "a\nb",
    "a\x7f",
    "a\u0085b",
    "a\u202eb",
    "a\u2066b",
    "a\u00adb",
    "name.",
    "name ",
    " name",
    "CON",
    "con",
    "con.txt",
    "Nul.tar.gz",
    "aux ",
    "COM1",
    "com9.md",
    "LPT\u00b2",
    "CONIN$",
    "prn .txt",
    "e\u0301",
    "a\u00a0b",
    "a\u2028b",
    "\ud800",
    "a\ufe0fb",
    "a\u3164b",
    "what?",
    "a*b",
    'a"b',
    "a|b",
    "<x>",
    "x" * 201,
    "\u00e4" * 101,
    "\ue000",
]

SAFE = [
    "bundle.toml",
    "a",
    "-",
    "_x",
    "coder.md",
    "caf\u00e9.md",
    "\u6771\u4eac.md",
    "two words.md",
    ".hidden",
    ".gitignore",
    "..a",
    "a..b",
    "console",
    "com10",
    "com",
    "aux-1",
    "git",
    "git~",
    "x" * 200,
    "\u00e4" * 100,
    "a+b",
    "a,b",
    "{x}",
    "\u00df",
    "~",
    "a~1",
]


@pytest.mark.parametrize("name", UNSAFE, ids=ascii)
def test_an_unsafe_name_is_refused(name):
    with pytest.raises(ForbiddenPathError) as caught:
        verify_name(name)
    assert caught.value.code == "forbidden_path"


@pytest.mark.parametrize("name", SAFE, ids=ascii)
def test_a_safe_name_is_returned(name):
    assert verify_name(name) == name


def test_a_message_shows_no_raw_control_character():
    with pytest.raises(ForbiddenPathError) as caught:
        verify_name("a\x1b[31m\u202e")
    assert caught.value.message.isascii()
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.md", "A.md"),
        ("stra\u00dfe", "STRASSE"),
        ("caf\u00e9", "CAF\u00c9"),
        ("x", "x"),
        ("\u212a", "k"),
    ],
)
def test_names_that_are_one_file_somewhere_collide(one, other):
    with pytest.raises(ForbiddenPathError):
        verify_siblings([one, "between", other])


def test_names_that_differ_everywhere_do_not_collide():
    verify_siblings(["a", "b", "a.md", "aa"])


def test_folding_composes():
    assert fold_name("E\u0301") == "\u00e9"


def test_a_path_is_parsed_to_its_value():
    assert parse_tree_path("profiles/coder.toml") == RelativePath("profiles/coder.toml")


@pytest.mark.parametrize("text", ["/a", "a/", "a//b", "a/../b", "a/.git/b", "./a", ""])
def test_an_unsafe_path_is_refused(text):
    with pytest.raises(ForbiddenPathError):
        parse_tree_path(text)


def test_a_path_is_bounded_in_length_and_depth():
    limits = Limits(path_bytes=10, tree_depth=2)
    assert str(parse_tree_path("a/b/c", limits)) == "a/b/c"
    with pytest.raises(ForbiddenPathError) as deep:
        parse_tree_path("a/b/c/d", limits)
    assert deep.value.facts["limit_name"] == "tree_depth"
    with pytest.raises(ForbiddenPathError) as long:
        parse_tree_path("aaaaaa/bbbbbb", limits)
    assert long.value.facts["limit_name"] == "path_bytes"


def test_a_path_longer_than_the_value_type_takes_is_refused():
    with pytest.raises(ForbiddenPathError):
        parse_tree_path("/".join(["a" * 190] * 8), Limits(path_bytes=100_000))


def test_paths_of_one_tree_may_not_collide():
    def paths(*texts):
        return [RelativePath(text) for text in texts]

    verify_paths(paths("a/b", "a/c", "b"))
    with pytest.raises(ForbiddenPathError):
        verify_paths(paths("a", "a/b"))
    with pytest.raises(ForbiddenPathError):
        verify_paths(paths("a/x", "A/y"))
    with pytest.raises(ForbiddenPathError):
        verify_paths(paths("d/x", "d/X"))


ODD_NAMES = "con CON.md console com1 com1x x.aux a. .a a..b lpt9.txt git~1 a:b"
NAMES = st.sampled_from(["a", "A", "", "a b", "E\u0301", "b" * 7, "b" * 8, *ODD_NAMES.split()])


@given(st.lists(NAMES, min_size=1, max_size=5))
@example(["a\n"])
@example(["a", "nul"])
@example(["nul", "a"])
def test_a_path_is_safe_if_each_of_its_names_is(names):
    limits = Limits(name_bytes=7, path_bytes=20, tree_depth=3)

    def is_safe(action):
        try:
            action()
        except ForbiddenPathError:
            return False
        return True

    text = "/".join(names)
    expected = (
        all(is_safe(lambda one=name: verify_name(one, limits)) for name in names)
        and len(text.encode()) <= 20
        and len(names) <= 4
    )
    assert is_safe(lambda: parse_tree_path(text, limits)) == expected


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "A", "b", "c", "\u00e9", "\u00c9"]), min_size=1, max_size=4),
        max_size=6,
    )
)
def test_paths_collide_if_two_names_of_one_directory_do(parts):
    paths = ["/".join(names) for names in parts]
    directories = {}
    for names in parts:
        for depth in range(len(names)):
            directories.setdefault(tuple(names[:depth]), set()).add(names[depth])
    is_fine = not any(tuple(names) in directories for names in parts) and all(
        len({fold_name(name) for name in names}) == len(names) for names in directories.values()
    )
    try:
        verify_paths(map(RelativePath, paths))
        found = True
    except ForbiddenPathError:
        found = False
    assert found == is_fine
