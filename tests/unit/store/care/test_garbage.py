"""What no ref reaches goes, what one reaches stays, and nothing goes where something is wrong."""

import pytest
from damaging import (
    blob_of,
    flip,
    install,
    list_packs,
    lose_objects,
    point,
    publish_line,
    write_loose,
)
from store_factories import make_draft, make_files, raw_commit, run_git, snapshot

from yoi_bundles.errors import InvalidInputError, StoreCorruptError
from yoi_bundles.model.ids import CommitId, Digest
from yoi_bundles.store import Repository
from yoi_bundles.store.tree.objects import Kind


@pytest.fixture
def line(repository):
    return publish_line(repository)


def held_ids(repository):
    return repository._objects.list_ids()


def test_what_refs_reach_is_one_pack_and_the_rest_is_gone(repository, line):
    reached = held_ids(repository)
    leftover = install(repository, Kind.BLOB, b"nobody needs me")

    report = repository.collect()

    assert (report.kept, report.removed) == (len(reached), 1)
    assert held_ids(repository) == reached
    assert leftover not in held_ids(repository)
    assert len(list_packs(repository)) == 1
    assert list(repository.revisions()) == line[::-1]
    assert repository.verify().problems == ()
    with Repository.open(repository.path) as again:
        assert set(again.digests()) == {one.digest for one in line}


def test_a_second_collection_finds_nothing_to_do(repository, line):
    repository.collect()
    before = snapshot(repository.path)

    report = repository.collect()

    assert (report.removed, report.freed_bytes) == (0, 0)
    assert snapshot(repository.path) == before


def test_nothing_is_collected_in_an_empty_repository(repository):
    assert repository.collect() == (0, 0, 0)
    assert list_packs(repository) == []


def test_leftovers_alone_go_without_a_revision_to_keep(repository):
    install(repository, Kind.BLOB, b"nobody needs me")

    report = repository.collect()

    assert (report.kept, report.removed) == (0, 1)
    assert held_ids(repository) == set()


def test_a_dropped_bundle_keeps_its_objects_while_history_reaches_them(repository, line):
    repository.drop([line[0].digest, Digest("00" * 32)])
    repository.collect()

    assert set(repository.digests()) == {line[1].digest, line[2].digest}
    assert repository.find_commit(line[0].commit) == line[0]
    assert repository.verify().problems == ()


def test_the_newest_bundle_is_not_dropped_and_neither_are_others_with_it(repository, line):
    before = snapshot(repository.path)

    with pytest.raises(InvalidInputError):
        repository.drop([line[0].digest, line[2].digest])

    assert snapshot(repository.path) == before


@pytest.mark.parametrize("what", ["commit", "tree", "blob"])
def test_a_lost_object_stops_it_before_anything_changes(repository, line, what):
    lost = {
        "commit": line[0].commit.raw,
        "tree": line[1].digest.raw,
        "blob": blob_of(repository, line[1], "note.md"),
    }[what]
    lose_objects(repository, [lost])
    install(repository, Kind.BLOB, b"nobody needs me")
    before = snapshot(repository.path / "objects")

    with pytest.raises(StoreCorruptError):
        repository.collect()

    assert snapshot(repository.path / "objects") == before
    assert repository.find_head() == line[2]


def test_a_damaged_object_stops_it_before_a_pack_goes(repository, line):
    repository.close()
    victim = next(
        pack
        for pack in list_packs(repository)
        if line[0].commit.raw in pack.with_suffix(".idx").read_bytes()
    )
    flip(victim, -60)
    before = snapshot(repository.path / "objects")

    with pytest.raises(StoreCorruptError):
        repository.collect()

    assert snapshot(repository.path / "objects") == before


def test_what_a_ref_of_an_operator_reaches_stays(repository, line):
    raw = raw_commit(line[0].digest.raw, line[0].commit.raw, 2)
    side = install(repository, Kind.COMMIT, raw)
    point(repository, "refs/heads/side", side.hex())

    repository.collect()

    assert side in held_ids(repository)
    assert (repository.path / "refs" / "heads" / "side").exists()
    assert repository.find_commit(CommitId.from_bytes(side)) is None


@pytest.mark.needs_git
def test_packs_that_an_operator_manages_with_git_stay(repository, line):
    run_git("multi-pack-index", "write", cwd=repository.path)
    install(repository, Kind.BLOB, b"nobody needs me")
    before = list_packs(repository)

    report = repository.collect()

    assert (report.removed, report.freed_bytes) == (0, 0)
    assert list_packs(repository) == before
    run_git("fsck", "--full", "--strict", cwd=repository.path)  # fails on any fault


def test_a_pack_that_is_kept_stays_with_all_it_has(repository, line):
    install(repository, Kind.BLOB, b"nobody needs me")
    kept = list_packs(repository)[0]
    kept.with_suffix(".keep").touch()

    repository.collect()

    assert kept in list_packs(repository)
    assert repository.verify().problems == ()


def test_loose_objects_are_left_to_git(repository, line):
    loose = write_loose(repository, "blob", b"by hand")

    repository.collect()

    assert loose.exists()


def test_a_reader_that_is_open_goes_on_reading(repository, line):
    with Repository.open(repository.path) as elsewhere:
        reader = elsewhere.tree(line[0].digest)
        paths = list(reader.entries())
        repository.collect()

        assert {path: reader.read(path) for path in paths} == make_files(note="note 0\n")
        assert elsewhere.publish(make_files(more="x"), make_draft()).is_new
    assert repository.verify().problems == ()
