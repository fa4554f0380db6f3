"""What came and what is held make the new tree: nothing more, nothing of another type."""

import pytest
from damaging import install, publish_line
from store_factories import Forge, bundle_bytes, raw_tree, receive, snapshot

from yoi_bundles.errors import (
    ForbiddenPathError,
    MalformedBundleError,
    MissingObjectError,
    TooLargeError,
)
from yoi_bundles.model.limits import Limits
from yoi_bundles.store.tree.objects import Kind

FILE, TREE = b"100644", b"40000"


@pytest.fixture
def head(repository, peer):
    """The second of two revisions, held by `peer` too."""
    revision = publish_line(repository, 2)[-1]
    receive(peer, bundle_bytes(repository, revision.commit))
    return revision


def entries_of(store, revision):
    """Ids of the top of a held tree, by name."""
    return {one.name: one.oid for one in store._objects.read_tree(revision.digest.raw)}


def step(head, *rows, forge=None):
    """An increment on the head whose tree has exactly these rows."""
    forge = forge or Forge()
    tip = forge.commit(forge.add(Kind.TREE, raw_tree(*rows)), head.commit.raw, head.number + 1)
    return forge.bundle(tip, head.commit)


def refused(store, raw, error, **options):
    before = snapshot(store.path)
    with pytest.raises(error) as caught:
        receive(store, raw, **options)
    assert snapshot(store.path) == before
    return caught.value


def test_held_files_and_directories_may_move_anywhere_without_coming_again(peer, head):
    top = entries_of(peer, head)
    rows = ((FILE, b"copy.md", top["note.md"]), (TREE, b"elsewhere", top["prompts"]))

    made = receive(peer, step(head, *rows))

    assert made.objects == 2
    assert {str(path) for path in peer.tree(made.revision.digest).entries()} == {
        "copy.md",
        "elsewhere/role/coder.md",
        "elsewhere/role/tester.md",
    }
    assert peer.verify().problems == ()


def test_files_of_an_older_revision_may_come_back_without_coming_again(repository, peer, head):
    first = next(one for one in repository.revisions() if one.number == 1)
    old = entries_of(peer, first)["note.md"]

    made = receive(peer, step(head, (FILE, b"note.md", old)))

    assert made.revision.number == head.number + 1
    assert peer.verify().problems == ()


@pytest.mark.parametrize(
    ("name", "mode", "said"),
    [("prompts", FILE, "tree is named as if it were a blob"),
     ("note.md", TREE, "blob is named as if it were a tree")],
)  # fmt: skip
def test_what_is_held_must_be_of_the_type_that_names_it(peer, head, name, mode, said):
    raw = step(head, (mode, b"x", entries_of(peer, head)[name]))

    assert said in refused(peer, raw, MalformedBundleError).message


@pytest.mark.parametrize("mode", [FILE, TREE])
def test_what_came_must_be_of_the_type_that_names_it(peer, head, mode):
    forge = Forge()
    data = raw_tree((FILE, b"a", entries_of(peer, head)["note.md"]))
    oid = forge.add(Kind.TREE if mode == FILE else Kind.BLOB, data)

    error = refused(peer, step(head, (mode, b"x", oid), forge=forge), MalformedBundleError)

    assert error.facts["object"] == oid.hex()


@pytest.mark.parametrize("mode", [FILE, TREE])
def test_what_is_here_but_not_reached_does_not_count_as_held(peer, head, mode):
    """A leftover of an operator must not be what a revision is made of."""
    note = entries_of(peer, head)["note.md"]
    kind, data = (Kind.BLOB, b"left") if mode == FILE else (Kind.TREE, raw_tree((FILE, b"z", note)))
    leftover = install(peer, kind, data)

    error = refused(peer, step(head, (mode, b"x", leftover)), MissingObjectError)

    assert error.facts["object"] == leftover.hex()


@pytest.mark.parametrize("mode", [FILE, TREE])
def test_what_is_nowhere_is_missing(peer, head, mode):
    refused(peer, step(head, (mode, b"x", b"\xee" * 32)), MissingObjectError)


def test_what_came_though_it_is_held_is_no_stowaway(peer, head):
    """A sender may not know what is held below a directory that moved."""
    top = entries_of(peer, head)
    role = peer._objects.read_tree(top["prompts"])[0].oid
    forge = Forge()
    for oid in (top["prompts"], role):
        forge.add(Kind.TREE, peer._objects.read(oid, Kind.TREE))
    for entry in peer._objects.read_tree(role):
        forge.add(Kind.BLOB, peer._objects.read(entry.oid, Kind.BLOB))
    rows = ((TREE, b"again", top["prompts"]), (TREE, b"prompts", top["prompts"]))

    made = receive(peer, step(head, *rows, forge=forge))

    assert made.is_new
    assert peer.verify().problems == ()


@pytest.mark.parametrize(
    ("limits", "error", "name"),
    [
        (Limits(tree_depth=2), ForbiddenPathError, "tree_depth"),
        (Limits(path_bytes=20), ForbiddenPathError, "path_bytes"),
        (Limits(files=1), TooLargeError, "files"),
        (Limits(tree_bytes=300), TooLargeError, "tree_bytes"),
    ],
)
def test_held_directories_count_where_they_are_put(peer, head, limits, error, name):
    """Below another directory the same files are deeper and their paths longer."""
    forge = Forge()
    top = entries_of(peer, head)
    deep = forge.add(Kind.TREE, raw_tree((TREE, b"further", top["prompts"])))

    found = refused(peer, step(head, (TREE, b"below", deep), forge=forge), error, limits=limits)

    assert found.facts["limit_name"] == name


def test_directories_that_came_are_not_entered_deeper_than_the_limit(peer):
    forge = Forge()
    tree = forge.tree_of({b"bundle.toml": b""})
    for _ in range(6):
        tree = forge.add(Kind.TREE, raw_tree((TREE, b"d", tree)))
    raw = forge.bundle(forge.commit(tree))

    error = refused(peer, raw, ForbiddenPathError, limits=Limits(tree_depth=5))

    assert error.facts["limit_name"] == "tree_depth"
    assert receive(peer, raw, limits=Limits(tree_depth=6)).is_new


def test_a_directory_repeated_on_every_level_is_refused_at_once(peer):
    """Ten times ten times ten …: as files it would be a billion, and it is 300 bytes of trees."""
    forge = Forge()
    tree = forge.tree_of({b"a": b""})
    for _ in range(9):
        tree = forge.add(Kind.TREE, raw_tree(*((TREE, b"%d" % i, tree) for i in range(10))))

    error = refused(peer, forge.bundle(forge.commit(tree)), TooLargeError)

    assert error.facts["limit_name"] == "files"
