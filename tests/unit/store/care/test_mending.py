"""A damaged repository is brought as far as its bytes allow, and what is lacking comes back."""

import pytest
from damaging import (
    blob_of,
    flip,
    forget,
    install,
    list_packs,
    lose_index,
    lose_objects,
    point,
    publish_line,
    rewrite,
    write_loose,
)
from store_factories import (
    WORKSPACE,
    bundle_bytes,
    make_draft,
    make_files,
    raw_commit,
    raw_tree,
    receive,
    run_git,
    snapshot,
)

from yoi_bundles.errors import StoreCorruptError, StoreError
from yoi_bundles.store import Repository, open_source
from yoi_bundles.store.tree.objects import Kind

NOTE = "note.md"


@pytest.fixture
def line(repository):
    """Three revisions, oldest first, in three packs that are not open."""
    made = publish_line(repository)
    repository.close()
    return made


@pytest.fixture
def copy(repository, line, tmp_path):
    """A full bundle file of all that is held."""
    path = tmp_path / "copy.bundle"
    path.write_bytes(bundle_bytes(repository, line[-1].commit))
    repository.close()
    return path


def pack_of(repository, oid):
    """The pack that has an object."""
    packs = list_packs(repository)
    return next(one for one in packs if oid in one.with_suffix(".idx").read_bytes())


def mend_from(repository, path):
    with open_source(path) as source:
        return repository.mend(source=source)


def test_a_sound_repository_is_left_as_it_is(repository, line):
    before = snapshot(repository.path)

    report = repository.mend()

    assert report == ((), (), frozenset())
    assert snapshot(repository.path) == before


@pytest.mark.needs_git
@pytest.mark.parametrize(("suffix", "at"), [(".pack", 40), (".pack", -1), (".idx", 1100)])
def test_a_wrong_byte_is_set_aside_and_a_copy_makes_all_whole(repository, line, copy, suffix, at):
    victim = pack_of(repository, line[1].commit.raw)
    damaged = flip(victim.with_suffix(suffix), at)
    before = set(list_packs(repository))

    report = mend_from(repository, copy)

    assert report.lacking == repository.find_lacking() == frozenset()
    assert repository.verify().problems == ()
    assert list(repository.revisions()) == line[::-1]
    assert {name.rpartition(".")[0] for name in report.set_aside} == {
        victim.name,
        victim.with_suffix(".idx").name,
    }
    kept = {path.name: path.read_bytes() for path in (repository.path / "damaged").iterdir()}
    assert set(kept) == set(report.set_aside) == set(repository.list_set_aside())
    assert damaged in kept.values()
    assert before - {victim} <= set(list_packs(repository))
    assert run_git("fsck", "--full", "--strict", cwd=repository.path) == ""


def test_what_is_lacking_is_told_to_every_process_until_it_has_come(repository, line, copy):
    victim = pack_of(repository, line[1].commit.raw)
    flip(victim, 20)

    lacking = repository.mend().lacking

    # The newest bundle needs all of its history; the oldest is whole without what is lost.
    assert lacking == {line[1].digest, line[2].digest}
    with Repository.open(repository.path) as elsewhere:
        assert elsewhere.find_lacking() == lacking
        assert elsewhere.tree(line[0].digest).entries()
        with pytest.raises(StoreCorruptError):
            list(elsewhere.revisions())
    assert repository.mend().lacking == lacking
    assert mend_from(repository, copy).lacking == frozenset()
    assert list(repository.revisions()) == line[::-1]


@pytest.mark.parametrize(
    "offer",
    [
        lambda kind, data: (kind, data + b"x"),
        lambda kind, data: (Kind.TREE if kind == Kind.BLOB else Kind.BLOB, data),
        lambda kind, data: None,
    ],
    ids=["other bytes", "another kind", "nothing"],
)
def test_a_source_that_lies_is_not_believed(repository, line, offer):
    lost = blob_of(repository, line[2], NOTE)
    found = repository._objects.find(lost)
    lose_objects(repository, [lost])
    before = list_packs(repository)

    report = repository.mend(source=lambda oid: offer(*found) if oid == lost else None)

    assert report.lacking == {line[2].digest}
    assert list_packs(repository) == before
    with pytest.raises(StoreCorruptError):
        dict(repository.tree(line[2].digest).read_all(repository.tree(line[2].digest).entries()))


@pytest.mark.parametrize("what", ["commit", "tree", "blob"])
def test_a_lost_object_of_any_kind_comes_back(repository, line, copy, what):
    lost = {
        "commit": line[0].commit.raw,
        "tree": line[1].digest.raw,
        "blob": blob_of(repository, line[2], NOTE),
    }[what]
    lose_objects(repository, [lost])
    assert repository.mend().lacking

    assert mend_from(repository, copy).lacking == frozenset()
    assert repository.verify().problems == ()
    assert list(repository.revisions()) == line[::-1]


def test_the_same_files_published_again_bring_back_what_is_lacking(repository, line):
    lose_objects(repository, [blob_of(repository, line[2], NOTE)])
    assert repository.mend().lacking == {line[2].digest}

    again = repository.publish(make_files(note="note 2\n"), make_draft())

    assert (again.revision, again.is_new) == (line[2], False)
    assert repository.find_lacking() == frozenset()
    assert repository.verify().problems == ()


def test_a_bundle_that_comes_again_heals_what_it_brings(repository, line, peer):
    raw = bundle_bytes(repository, line[2].commit)
    receive(peer, raw)
    peer.close()
    flip(list_packs(peer)[0], 40)

    again = receive(peer, raw)

    assert not again.is_new
    assert peer.verify().problems == ()
    assert len(peer.list_set_aside()) == 2
    assert list(peer.revisions()) == line[::-1]


def test_a_pack_that_lost_its_index_is_kept_by_recovery_and_taken_back(repository, line):
    victim = pack_of(repository, line[1].commit.raw)
    whole = victim.read_bytes()
    lose_index(victim)
    with Repository.open(repository.path) as opened:
        (name,) = opened.list_set_aside()
        assert name.startswith(victim.name)
        assert not victim.exists()

        report = opened.mend()

        assert report.lacking == frozenset()
        assert opened.verify().problems == ()
        assert list(opened.revisions()) == line[::-1]
    assert (repository.path / "damaged" / name).read_bytes() == whole


def test_a_broken_pack_set_aside_earlier_is_not_taken_back(repository, line):
    victim = pack_of(repository, line[1].commit.raw)
    flip(victim, 20)
    repository.mend()
    aside = next(path for path in (repository.path / "damaged").iterdir() if ".pack." in path.name)

    report = repository.mend()

    assert report.lacking == {line[1].digest, line[2].digest}
    assert aside.exists()


@pytest.mark.needs_git
def test_what_git_made_of_damaged_packs_goes_with_them(repository, line, copy):
    run_git("multi-pack-index", "write", cwd=repository.path)
    run_git("commit-graph", "write", "--reachable", cwd=repository.path)
    flip(pack_of(repository, line[1].commit.raw), 40)

    report = mend_from(repository, copy)

    names = {name.partition(".")[0] for name in report.set_aside}
    assert {"multi-pack-index", "commit-graph"} <= names
    assert not (repository.path / "objects" / "pack" / "multi-pack-index").exists()
    assert run_git("fsck", "--full", "--strict", cwd=repository.path) == ""


@pytest.mark.needs_git
def test_damage_to_what_git_made_alone_costs_no_pack(repository, line):
    run_git("multi-pack-index", "write", cwd=repository.path)
    derived = repository.path / "objects" / "pack" / "multi-pack-index"
    flip(derived, 40)
    before = list_packs(repository)

    report = repository.mend()

    assert [name.partition(".")[0] for name in report.set_aside] == ["multi-pack-index"]
    assert list_packs(repository) == before
    assert not derived.exists()
    assert repository.verify().problems == ()


def test_a_damaged_loose_object_is_set_aside(repository, line):
    loose = write_loose(repository, "blob", b"by hand")
    rewrite(loose, b"garbage")
    assert repository.verify().problems

    report = repository.mend()

    assert [name.partition(".")[0] for name in report.set_aside] == [loose.name]
    assert not loose.exists()
    assert repository.verify().problems == ()


def test_a_repository_that_lost_what_git_needs_gets_it_back(repository, line):
    (repository.path / "HEAD").unlink()
    (repository.path / "config").write_bytes(b"\xff" * 40)
    (repository.path / "quarantine").rmdir()

    report = repository.mend()

    assert report.made == ("quarantine", "HEAD", "config")
    with Repository.open(repository.path, WORKSPACE) as again:
        assert list(again.revisions()) == line[::-1]
        assert again.verify().problems == ()


def test_an_object_that_no_bundle_may_have_is_lacking_and_ends_nothing(repository, line, copy):
    """Past every check a foreign tree became the newest: the others are mended all the same."""
    tree = install(repository, Kind.TREE, b"120000 link\0" + b"\1" * 32)
    bad = install(repository, Kind.COMMIT, raw_commit(tree, line[2].commit.raw, 4))
    point(repository, f"refs/bundles/{tree.hex()}", bad.hex())
    point(repository, "refs/heads/main", bad.hex())
    lose_objects(repository, [blob_of(repository, line[1], NOTE)])

    report = mend_from(repository, copy)

    assert {str(one) for one in report.lacking} == {tree.hex()}
    forget(repository)
    assert repository.verify(line[1].digest).problems == ()


def test_a_commit_of_another_kind_of_history_is_lacking_and_ends_nothing(repository, line):
    foreign = raw_tree((b"100644", b"a", line[0].digest.raw))
    tree = install(repository, Kind.TREE, foreign)
    raw = b"tree " + tree.hex().encode() + b"\nauthor a <> 1 +0000\n\nx\n"
    bad = install(repository, Kind.COMMIT, raw)
    point(repository, f"refs/bundles/{tree.hex()}", bad.hex())

    report = repository.mend(source=lambda oid: None)

    assert {str(one) for one in report.lacking} == {tree.hex()}
    assert list(repository.revisions()) == line[::-1]


def test_where_saved_objects_cannot_be_written_damaged_files_stay_where_they_were(repository, line):
    flip(pack_of(repository, line[1].commit.raw), 40)
    directory = repository.path / "objects" / "pack"
    before = snapshot(directory)
    directory.joinpath("yoi_tmp_incoming.pack.new").mkdir()

    with pytest.raises(StoreError):
        repository.mend()

    directory.joinpath("yoi_tmp_incoming.pack.new").rmdir()
    assert snapshot(directory) == before
    assert repository.mend().set_aside
