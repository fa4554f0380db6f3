"""What a bundle file must not say, and what a damaged repository answers to a sound one."""

import pytest
from damaging import (
    blob_of,
    flip,
    forget,
    install,
    list_packs,
    lose_objects,
    publish_line,
)
from store_factories import (
    Forge,
    bundle_bytes,
    copy_delta,
    make_draft,
    make_files,
    raw_commit,
    raw_tree,
    receive,
    snapshot,
)

from yoi_bundles.errors import (
    BundleError,
    MalformedBundleError,
    MissingObjectError,
    MissingPrerequisiteError,
    NotFastForwardError,
    StoreCorruptError,
    TooLargeError,
)
from yoi_bundles.model.ids import CommitId, WorkspaceId
from yoi_bundles.model.limits import Limits
from yoi_bundles.store.tree.objects import Kind, hash_object


@pytest.fixture
def line(repository):
    return publish_line(repository)


@pytest.fixture
def held(repository, line, peer):
    """A peer that holds the first two of three revisions."""
    receive(peer, bundle_bytes(repository, line[1].commit))
    return peer


def refused(store, raw, error, **options):
    """The error, after which nothing in the repository is another than before."""
    before = snapshot(store.path)
    with pytest.raises(error) as caught:
        receive(store, raw, **options)
    assert snapshot(store.path) == before
    return caught.value


def forged(number=1, parent=None, files=(("bundle.toml", b"schema = 1\n"),)):
    forge = Forge()
    tree = forge.tree_of({name.encode(): data for name, data in files})
    return forge, forge.commit(tree, None if parent is None else parent.commit.raw, number)


# --- what the file says ---


def test_another_ref_than_main_carries_no_revisions(repository, line, peer):
    raw = bundle_bytes(repository, line[2].commit)

    refused(peer, raw.replace(b"refs/heads/main", b"refs/heads/side", 1), MalformedBundleError)


def test_a_tip_that_is_its_own_prerequisite_is_malformed(held, line):
    forge, _ = forged()

    refused(held, forge.bundle(line[1].commit, line[1].commit), MalformedBundleError)


def test_a_tip_that_is_no_commit_is_missing(peer):
    forge = Forge()
    tree = forge.tree_of({b"bundle.toml": b"schema = 1\n"})

    error = refused(peer, forge.bundle(CommitId.from_bytes(tree)), MissingObjectError)

    assert error.facts["object"] == tree.hex()


def test_more_commits_than_the_limit_are_refused_by_its_name(repository, line, peer):
    raw = bundle_bytes(repository, line[2].commit)

    error = refused(peer, raw, TooLargeError, limits=Limits(new_commits=2))

    assert error.facts == {"limit": 2, "limit_name": "new_commits"}
    assert receive(peer, raw, limits=Limits(new_commits=3)).is_new


def test_a_commit_of_another_workspace_is_not_taken(peer):
    forge = Forge()
    tree = forge.tree_of({b"bundle.toml": b"schema = 1\n"})
    raw = raw_commit(tree, workspace=WorkspaceId("team-b"))
    tip = CommitId.from_bytes(forge.add(Kind.COMMIT, raw))

    assert "another workspace" in refused(peer, forge.bundle(tip), MalformedBundleError).message


@pytest.mark.parametrize("number", [1, 2])
def test_a_number_that_does_not_rise_is_malformed(held, line, number):
    forge, tip = forged(number, parent=line[1])

    error = refused(held, forge.bundle(tip, line[1].commit), MalformedBundleError)

    assert "do not rise" in error.message


def test_a_delta_on_what_no_prerequisite_reaches_is_refused(held, line):
    """The base is here as an object, and yet it is not the sender's to build on."""
    base = b"an operator's experiment\n"
    leftover = install(held, Kind.BLOB, base)
    forge = Forge()
    forge.ref_delta(leftover, copy_delta(base, b"more\n"))
    blob = hash_object(Kind.BLOB, base + b"more\n")
    tree = forge.add(Kind.TREE, raw_tree((b"100644", b"a.md", blob)))
    tip = forge.commit(tree, line[1].commit.raw, 3)

    error = refused(held, forge.bundle(tip, line[1].commit), MissingObjectError)

    assert error.facts["object"] == leftover.hex()


# --- a repository that is damaged itself ---


def garble(store):
    """Turn bytes around in every object of a repository, and open it anew."""
    store.close()
    for pack in list_packs(store):
        for at in range(20, pack.stat().st_size - 32, 9):
            flip(pack, at)
    forget(store)


def test_a_damaged_base_asks_for_a_full_file_which_heals_it(repository, line, held):
    increment = bundle_bytes(repository, line[2].commit, [line[1].commit])
    garble(held)

    with pytest.raises(MissingPrerequisiteError) as caught:
        receive(held, increment)

    assert caught.value.facts == {"missing": str(line[1].commit), "held": []}
    assert caught.value.hint == "send a full bundle file"
    assert receive(held, bundle_bytes(repository, line[2].commit)).is_new
    assert held.verify().problems == ()
    assert list(held.revisions()) == line[::-1]


def test_a_damaged_head_that_does_not_come_again_stops_every_step(repository, line, held):
    """What is newest cannot be judged against: nothing older is taken for new meanwhile."""
    lose_objects(held, [line[1].commit.raw])

    refused(held, bundle_bytes(repository, line[0].commit), StoreCorruptError)


def test_a_damaged_head_that_comes_again_is_judged_as_it_came(repository, line, held):
    lose_objects(held, [line[1].commit.raw])
    seen = []

    def refuse(advance):
        seen.append(advance)
        raise NotFastForwardError("not today")

    refused(held, bundle_bytes(repository, line[2].commit), BundleError, check_advance=refuse)

    assert seen[0].current == line[1]
    assert seen[0].descends
    assert [one.revision for one in seen[0].incoming] == [line[2]]


@pytest.mark.parametrize("is_broken", [False, True])
def test_of_a_history_that_cannot_be_read_more_is_judged_and_not_less(
    repository, line, peer, is_broken
):
    """What cannot be read does not count as accepted before."""
    receive(peer, bundle_bytes(repository, line[2].commit))
    own = peer.publish(make_files(own="ours\n"), make_draft()).revision
    newest = repository.publish(make_files(note="4\n"), make_draft()).revision
    if is_broken:
        lose_objects(peer, [line[2].commit.raw])
        peer._history.learn(own)
    seen = []

    def refuse(advance):
        seen.append(([one.revision for one in advance.incoming], advance.descends))
        raise NotFastForwardError("it forks")

    refused(peer, bundle_bytes(repository, newest.commit), BundleError, check_advance=refuse)

    assert seen == [([*line, newest] if is_broken else [newest], False)]


def test_a_file_that_a_held_bundle_lost_comes_back_with_a_later_one(repository, line, held):
    lose_objects(held, [blob_of(held, line[1], "note.md")])
    assert held.mend().lacking == {line[1].digest}

    assert receive(held, bundle_bytes(repository, line[2].commit)).is_new

    assert held.find_lacking() == frozenset()
    assert held.verify().problems == ()
