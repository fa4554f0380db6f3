"""Packs are merged before they are too many, and never at the cost of what they hold."""

import threading
from contextlib import contextmanager, nullcontext

import pytest
from store_factories import EPOCH, bundle_bytes, make_draft, make_files, receive, run_git, snapshot

from yoi_bundles.errors import StoreCorruptError
from yoi_bundles.model.ids import CommitId, RelativePath
from yoi_bundles.store import Repository
from yoi_bundles.store.disk import merging as maintenance
from yoi_bundles.store.pack.index import encode_pack_index, read_index_ids
from yoi_bundles.store.pack.writer import PackEntry


def packs(repository):
    return sorted((repository.path / "objects" / "pack").glob("*.pack"))


def publish_many(repository, count):
    return [
        repository.publish(make_files(note=f"{i}\n"), make_draft(seconds=EPOCH + i)).revision
        for i in range(count)
    ]


@pytest.mark.needs_git
def test_many_publishes_leave_few_packs_and_all_revisions(repository):
    line = publish_many(repository, 60)
    assert len(packs(repository)) <= maintenance._MAX_PACKS
    assert list(repository.revisions()) == line[::-1]
    assert repository.verify().problems == ()
    assert run_git("fsck", "--full", "--strict", cwd=repository.path) == ""
    with Repository.open(repository.path) as again:
        assert again.tree(line[3].digest).entries()


def test_many_receives_leave_few_packs(repository, peer):
    before = []
    for revision in publish_many(repository, 30):
        receive(peer, bundle_bytes(repository, revision.commit, before))
        before = [revision.commit]
    assert len(packs(peer)) <= maintenance._MAX_PACKS
    assert list(peer.revisions()) == list(repository.revisions())
    assert peer.verify().problems == ()


def test_readers_in_other_threads_and_processes_are_not_disturbed(repository, monkeypatch):
    monkeypatch.setattr(maintenance, "_MAX_PACKS", 2)
    monkeypatch.setattr(maintenance, "_ALWAYS_MERGED", 2)
    first = repository.publish(make_files(), make_draft()).revision
    is_done = threading.Event()
    wrong = []

    def read(store):
        while not is_done.is_set():
            reader = store.tree(first.digest)
            if {path: reader.read(path) for path in reader.entries()} != make_files():
                wrong.append(store)
            store.close()

    with Repository.open(repository.path) as elsewhere:
        threads = [threading.Thread(target=read, args=(s,)) for s in (repository, elsewhere)]
        for thread in threads:
            thread.start()
        publish_many(repository, 30)
        is_done.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert len(packs(repository)) <= 3


def test_packs_that_an_operator_keeps_stay(repository, monkeypatch):
    monkeypatch.setattr(maintenance, "_MAX_PACKS", 2)
    publish_many(repository, 1)
    (kept,) = packs(repository)
    kept.with_suffix(".keep").touch()
    publish_many(repository, 9)
    assert kept in packs(repository)
    assert len(packs(repository)) < 5


def test_a_large_pack_is_not_written_anew_for_a_few_small_ones(repository, monkeypatch):
    """Or each publish into a large repository would cost as much as the repository."""
    many = {RelativePath(f"files/{number}.md"): b"%d" % number for number in range(600)}
    repository.publish(many, make_draft())
    (large,) = packs(repository)
    monkeypatch.setattr(maintenance, "_MAX_PACKS", 3)
    monkeypatch.setattr(maintenance, "_ALWAYS_MERGED", 2)

    publish_many(repository, 6)

    assert large in packs(repository)
    assert len(packs(repository)) <= 5
    assert repository.verify().problems == ()


@pytest.mark.needs_git
def test_a_multi_pack_index_stops_merging(repository, monkeypatch):
    monkeypatch.setattr(maintenance, "_MAX_PACKS", 2)
    publish_many(repository, 2)
    run_git("multi-pack-index", "write", cwd=repository.path)
    publish_many(repository, 5)
    assert len(packs(repository)) >= 5
    assert run_git("fsck", "--full", "--strict", cwd=repository.path) == ""


def test_a_corrupt_pack_stops_merging_but_no_write(repository, monkeypatch):
    publish_many(repository, 3)
    victim = packs(repository)[0]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 0xFF
    victim.chmod(0o644)
    repository.close()
    victim.write_bytes(data)
    monkeypatch.setattr(maintenance, "_MAX_PACKS", 2)
    before = snapshot(repository.path / "objects")
    with pytest.raises(StoreCorruptError):
        maintenance.merge_packs(repository._objects, nullcontext)
    assert snapshot(repository.path / "objects") == before


def test_a_pack_without_an_object_of_its_index_stops_merging(repository, monkeypatch):
    publish_many(repository, 3)
    repository.close()
    victim = packs(repository)[0]
    ids = read_index_ids(victim.with_suffix(".idx").read_bytes())
    entries = [PackEntry(oid, 12, 0) for oid in [*ids, b"\xee" * 32]]
    index = victim.with_suffix(".idx")
    index.unlink()
    index.write_bytes(encode_pack_index(entries, victim.read_bytes()[-32:]))
    monkeypatch.setattr(maintenance, "_MAX_PACKS", 2)
    before = snapshot(repository.path / "objects")

    with pytest.raises(StoreCorruptError):
        maintenance.merge_packs(repository._objects, nullcontext)

    assert snapshot(repository.path / "objects") == before


# --- apart from writes ---


def test_packs_are_merged_apart_from_writes_if_that_is_wanted(repository, monkeypatch):
    monkeypatch.setattr(maintenance, "_MAX_PACKS", 4)
    monkeypatch.setattr(maintenance, "_MANY_PACKS", 12)
    repository.tidying.defer()
    line = publish_many(repository, 9)
    assert len(packs(repository)) == 9

    repository.tidying.run()

    assert len(packs(repository)) <= 5
    assert list(repository.revisions()) == line[::-1]
    assert repository.verify().problems == ()


def test_refs_are_packed_apart_from_writes_too(repository):
    repository.tidying.defer()
    line = publish_many(repository, 66)
    assert not (repository.path / "packed-refs").exists()

    repository.tidying.run()

    assert len(list((repository.path / "refs" / "bundles").iterdir())) == 0
    assert sorted(repository.digests()) == sorted(one.digest for one in line)


def test_if_nobody_tidies_a_write_does(repository, monkeypatch):
    monkeypatch.setattr(maintenance, "_MAX_PACKS", 2)
    monkeypatch.setattr(maintenance, "_MANY_PACKS", 6)
    repository.tidying.defer()

    publish_many(repository, 30)

    assert len(packs(repository)) <= 7


def test_a_publish_does_not_wait_while_packs_are_read(repository, monkeypatch):
    monkeypatch.setattr(maintenance, "_MAX_PACKS", 2)
    repository.tidying.defer()
    publish_many(repository, 4)
    real, made = maintenance.write_merged, []

    def write_slowly(path, objects, ids):
        files = make_files(note="in between\n")
        made.append(repository.publish(files, make_draft(seconds=EPOCH + 99)).revision)
        return real(path, objects, ids)

    monkeypatch.setattr(maintenance, "write_merged", write_slowly)
    repository.tidying.run()

    assert repository.find_head() == made[0]
    assert len(packs(repository)) == 2  # what was merged, and what came in between
    assert repository.verify().problems == ()


def test_what_was_collected_meanwhile_is_not_brought_back(repository, monkeypatch):
    monkeypatch.setattr(maintenance, "_MAX_PACKS", 2)
    repository.tidying.defer()
    publish_many(repository, 4)
    real = repository._writer_lock

    @contextmanager
    def collect_first():
        repository.collect()
        with real():
            yield

    before = list(repository.revisions())
    maintenance.merge_packs(repository._objects, collect_first)

    assert len(packs(repository)) == 1
    assert list(repository.revisions()) == before
    assert not list((repository.path / "objects" / "pack").glob("yoi_tmp_*"))


def test_a_merge_whose_file_was_swept_changes_nothing(repository, monkeypatch):
    monkeypatch.setattr(maintenance, "_MAX_PACKS", 2)
    repository.tidying.defer()
    publish_many(repository, 4)
    real = maintenance.write_merged

    def write_and_lose(path, objects, ids):
        found = real(path, objects, ids)
        with Repository.open(repository.path):  # a process that starts sweeps what is not finished
            assert not path.exists()
        return found

    monkeypatch.setattr(maintenance, "write_merged", write_and_lose)
    before = packs(repository)
    repository.tidying.run()

    assert packs(repository) == before
    assert repository.verify().problems == ()


def test_the_ids_of_an_index_are_read_back():
    entries = [PackEntry(bytes([i]) * 32, 12 + i, i) for i in (9, 3, 200)]
    raw = encode_pack_index(entries, b"\0" * 32)
    assert read_index_ids(raw) == sorted(entry.oid for entry in entries)
    for bad in (b"", raw[:1100], b"\0" + raw[1:]):
        with pytest.raises(StoreCorruptError):
            read_index_ids(bad)


# --- refs ---


@pytest.mark.needs_git
def test_refs_of_many_bundles_are_packed_as_they_come(repository):
    line = publish_many(repository, 70)
    assert len(list((repository.path / "refs" / "bundles").iterdir())) <= 64
    assert len((repository.path / "packed-refs").read_text().splitlines()) > 60
    assert sorted(repository.digests()) == sorted(one.digest for one in line)
    assert [repository.find_revision(one.digest) for one in line] == line
    names = run_git("for-each-ref", "--format=%(refname)", "refs/bundles", cwd=repository.path)
    assert len(names.split()) == len(line)
    with Repository.open(repository.path) as again:
        assert list(again.revisions()) == line[::-1]


def test_a_base_that_is_nowhere_costs_no_walk(repository, monkeypatch):
    line = publish_many(repository, 9)
    read = []
    real = repository._history.read
    monkeypatch.setattr(repository._history, "read", lambda one: read.append(one) or real(one))
    nowhere = [CommitId(f"{n:064x}") for n in range(1, 30)]

    assert repository.find_base(line[8].commit, nowhere) is None
    assert len(read) <= 1
    assert repository.find_base(line[8].commit, [*nowhere, line[6].commit]) == line[6].commit
    assert len(read) <= 4
