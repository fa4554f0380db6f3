"""Refs as git keeps them: found at any time, packed without a gap, never taken from git."""

import threading

import pytest
from damaging import point, publish_line
from store_factories import make_draft, run_git, snapshot

from yoi_bundles.errors import StoreCorruptError, StoreError
from yoi_bundles.model.ids import CommitId, Digest
from yoi_bundles.store.disk import refs as refs_module
from yoi_bundles.store.disk.refs import RefStore, bundle_ref, encode_packed, parse_packed

MAIN = "refs/heads/main"
ONE, TWO = CommitId("11" * 32), CommitId("22" * 32)


@pytest.fixture
def line(repository):
    return publish_line(repository)


@pytest.fixture
def refs(repository, line):
    return RefStore(repository.path)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(refs_module, "_LOCK_TIMEOUT_SECONDS", 0.02)


def held(line):
    return sorted((one.digest, one.commit) for one in line)


def test_packing_leaves_every_bundle_found_by_us_and_by_git(repository, refs, line):
    refs.pack()

    assert list((repository.path / "refs" / "bundles").iterdir()) == []
    assert sorted(refs.list_bundles()) == held(line)
    assert refs.find(MAIN) == line[2].commit
    listed = run_git("for-each-ref", "--format=%(objectname)", "refs/bundles", cwd=repository.path)
    assert sorted(listed.split()) == sorted(str(one.commit) for one in line)


def test_what_is_dropped_is_gone_loose_or_packed(repository, refs, line):
    refs.pack()
    again = repository.publish({}, make_draft("again"), base=line[0].digest).revision

    refs.pack(drop=[bundle_ref(line[1].digest), bundle_ref(line[0].digest)])

    assert again.digest == line[0].digest
    assert sorted(refs.list_bundles()) == held(line[2:])
    assert RefStore(repository.path).find(bundle_ref(line[1].digest)) is None


def test_refs_of_an_operator_stay_in_packed_refs(repository, refs, line):
    run_git("update-ref", "refs/tags/kept", line[0].commit, cwd=repository.path)
    run_git("pack-refs", "--all", cwd=repository.path)

    refs.pack(drop=[bundle_ref(line[0].digest)])

    assert refs.find("refs/tags/kept") == line[0].commit
    assert refs.find(MAIN) == line[2].commit


def test_a_packed_refs_file_that_git_is_writing_is_left_alone(repository, refs, line, impatient):
    (repository.path / "packed-refs.lock").write_bytes(b"")
    before = snapshot(repository.path)

    with pytest.raises(StoreError) as caught:
        refs.pack()

    assert "locked" in caught.value.message
    assert snapshot(repository.path) == before


def test_a_loose_ref_that_git_is_writing_stays_loose_and_nothing_is_lost(
    repository, refs, line, impatient
):
    lock = repository.path / (bundle_ref(sorted(one.digest for one in line)[0]) + ".lock")
    lock.write_bytes(b"")

    with pytest.raises(StoreError):
        refs.pack()

    assert lock.exists()
    assert sorted(refs.list_bundles()) == held(line)
    lock.unlink()
    refs.pack()
    assert sorted(refs.list_bundles()) == held(line)
    assert not list(repository.path.rglob("*tmp_ref_*"))


def test_a_ref_that_changes_while_it_is_packed_keeps_its_new_value(repository, refs, line):
    """What was packed is older than the loose ref: only an unchanged one is removed."""
    name = bundle_ref(line[0].digest)
    point(repository, name, line[2].commit)

    refs._remove_loose(name, line[0].commit)

    assert refs.find(name) == line[2].commit
    assert not (repository.path / f"{name}.lock").exists()


def test_a_ref_that_git_removed_while_it_was_packed_is_no_error(repository, refs, line):
    name = bundle_ref(line[0].digest)
    (repository.path / name).unlink()
    before = snapshot(repository.path)

    refs._remove_loose(name, line[0].commit)

    assert snapshot(repository.path) == before


def test_a_lock_that_is_let_go_in_time_is_waited_for(repository, refs, line):
    lock = repository.path / f"{MAIN}.lock"
    lock.write_bytes(b"")
    release = threading.Timer(0.05, lock.unlink)
    release.start()

    refs.write([(MAIN, line[0].commit)])

    release.join()
    assert refs.find(MAIN) == line[0].commit
    assert not lock.exists()


def test_a_lock_that_git_took_after_ours_is_not_taken_from_it(repository, refs, line):
    """Ours became the ref; what has its name now is another's."""
    lock = repository.path / f"{MAIN}.lock"
    ours = refs._prepare(MAIN, line[0].commit)
    ours.lock.rename(ours.path)
    lock.write_bytes(b"")

    refs_module._release(ours)

    assert lock.exists()
    assert not ours.temporary.exists()
    assert refs.find(MAIN) == line[0].commit


def test_refs_are_written_in_order_and_none_after_one_that_fails(repository, refs, line):
    """The commit point comes first; a directory in the way of the second leaves it written."""
    (repository.path / "refs" / "heads" / "blocked" / "below").mkdir(parents=True)

    with pytest.raises(StoreError):
        refs.write([(MAIN, line[0].commit), ("refs/heads/blocked", ONE), ("refs/heads/x", TWO)])

    assert refs.find(MAIN) == line[0].commit
    assert refs.find("refs/heads/x") is None
    assert not list((repository.path / "refs").rglob("*.lock"))
    assert not list(repository.path.glob("yoi_tmp_*"))


@pytest.mark.parametrize("kept", [4096, 1])
def test_a_ref_that_is_remembered_is_seen_to_change(repository, line, monkeypatch, kept):
    monkeypatch.setattr(refs_module, "_RACY_NANOSECONDS", -1)  # each file is old enough
    monkeypatch.setattr(refs_module, "_KEPT_REFS", kept)
    refs = RefStore(repository.path)
    names = [MAIN, *(bundle_ref(one.digest) for one in line)]
    before = [refs.find(name) for name in names]
    assert [refs.find(name) for name in names] == before
    assert len(refs._loose) <= kept + 1

    point(repository, MAIN, line[0].commit)
    (repository.path / names[1]).unlink()

    assert refs.find(MAIN) == line[0].commit
    assert refs.find(names[1]) is None


def test_without_bundles_there_is_nothing_to_list(repository, refs, line):
    refs.pack(drop=[bundle_ref(one.digest) for one in line])
    (repository.path / "refs" / "bundles").rmdir()

    assert list(refs.list_bundles()) == []
    assert refs.find(MAIN) == line[2].commit


def test_all_refs_are_listed_and_locks_are_none(repository, refs, line):
    run_git("update-ref", "refs/tags/kept", line[0].commit, cwd=repository.path)
    (repository.path / "refs" / "heads" / "main.lock").write_bytes(b"")

    listed = dict(refs.list_all())

    assert listed == {
        MAIN: line[2].commit,
        "refs/tags/kept": line[0].commit,
        **{bundle_ref(one.digest): one.commit for one in line},
    }


def test_a_list_of_refs_that_cannot_be_read_is_told_without_its_path(repository, refs):
    (repository.path / "packed-refs").mkdir()

    with pytest.raises(StoreError) as caught:
        list(refs.list_bundles())

    assert caught.value.facts == {"os_error": "EISDIR"}
    assert str(repository.path) not in caught.value.message


@pytest.mark.parametrize(
    "raw",
    [
        b"no ref\n",
        b"%s refs/heads/main" % ONE.hex_ascii,
        b"%s refs/bundles/short\n" % ONE.hex_ascii,
        b"%s heads/main\n" % ONE.hex_ascii,
        b"%s refs/heads/a b\n" % ONE.hex_ascii,
        b"\n",
    ],
)
def test_packed_refs_of_another_format_are_corrupt(raw):
    with pytest.raises(StoreCorruptError):
        parse_packed(raw)


def test_packed_refs_that_are_written_are_read_back():
    refs = {"refs/heads/main": ONE, bundle_ref(Digest("ab" * 32)): TWO}

    assert parse_packed(encode_packed(refs)) == refs
    assert parse_packed(b"") == {}
