"""What a crash leaves is removed at the next start; what others are doing is left alone."""

import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest
from damaging import list_packs, lose_index, publish_line
from store_factories import WORKSPACE, bundle_bytes, make_draft, make_files, receive, snapshot

from yoi_bundles.errors import StoreError
from yoi_bundles.store import Repository
from yoi_bundles.store.disk.files import write_new_file
from yoi_bundles.store.disk.objects import KEEP_TARGET

OLD = time.time() - 3600


def reopen(repository):
    return Repository.open(repository.path, WORKSPACE)


def age(path):
    os.utime(path, (OLD, OLD))


def test_leftovers_of_every_kind_are_swept(published):
    before = snapshot(published.path)
    packs = published.path / "objects" / "pack"
    heads = published.path / "refs" / "heads"
    (published.path / "quarantine" / "dead.bundle").write_bytes(b"x")
    (packs / "yoi_tmp_incoming.pack.new").write_bytes(b"x")
    (packs / "yoi_tmp_incoming.idx.new").write_bytes(b"x")
    (packs / f"yoi_tmp_{'a' * 64}.idx.new").write_bytes(b"x")
    (packs / f"pack-{'a' * 64}.pack").write_bytes(b"half renamed")
    (packs / f"pack-{'b' * 64}.pack").write_bytes(b"old half")
    age(packs / f"pack-{'b' * 64}.pack")
    write_new_file(published.path / "yoi_tmp_ref_1", b"x")
    (heads / "main.lock").hardlink_to(published.path / "yoi_tmp_ref_1")
    (published.path / "refs" / "bundles" / "x.lock").write_bytes(b"")
    age(published.path / "refs" / "bundles" / "x.lock")
    reopen(published).close()
    assert snapshot(published.path) == before


def test_work_in_progress_of_others_is_left_alone(published):
    packs = published.path / "objects" / "pack"
    theirs = [
        published.path / "refs" / "heads" / "main.lock",
        packs / f"pack-{'c' * 64}.pack",
        packs / "tmp_pack_abc",
    ]
    for path in theirs:
        path.write_bytes(b"")
    upload = published.open_upload()
    upload.write(b"still coming")
    with upload:
        reopen(published).close()
        assert all(path.exists() for path in theirs)
        assert len(list((published.path / "quarantine").iterdir())) == 1
    assert not list((published.path / "quarantine").iterdir())


def test_a_crash_between_the_two_refs_is_finished(published):
    head = published.find_head()
    ref = published.path / "refs" / "bundles" / str(head.digest)
    ref.unlink()
    assert published.find_revision(head.digest) == head
    assert list(published.held()) == []
    with reopen(published) as again:
        assert list(again.held()) == [head]
    assert ref.read_text().strip() == str(head.commit)


def test_an_upload_of_what_is_held_changes_nothing_even_without_its_ref(published, peer):
    head = published.find_head()
    raw = bundle_bytes(published, head.commit)
    receive(peer, raw)
    (peer.path / "refs" / "bundles" / str(head.digest)).unlink()
    assert not receive(peer, raw).is_new


PUBLISH_FOR_EVER = """
import itertools, sys
from pathlib import Path
from store_factories import make_draft, make_files
from yoi_bundles.store import Repository
with Repository.open(Path(sys.argv[1])) as repository:
    print("ready", flush=True)
    for i in itertools.count():
        repository.publish(make_files(note=f"{i}\\n" * 500), make_draft())
"""


@pytest.mark.parametrize("delay", [0.0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05])
def test_a_writer_killed_at_any_time_leaves_the_old_state_or_the_new(repository, delay):
    first = repository.publish(make_files(), make_draft()).revision
    program = [sys.executable, "-c", PUBLISH_FOR_EVER, repository.path]
    # A clean environment: a killed process must not be one that measures coverage.
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(program, stdout=subprocess.PIPE, env=environment) as child:
        child.stdout.readline()
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
    with reopen(repository) as again:
        line = list(again.revisions())
        assert line[-1] == first
        assert again.verify().problems == ()
        following = again.publish(make_files(note="after"), make_draft())
        assert following.revision.number == line[0].number + 1
    leftovers = [name for name in snapshot(repository.path) if "tmp_" in name or "lock" in name]
    assert leftovers == ["yoi.lock"]


def test_the_lock_dies_with_its_owner(published):
    child = os.fork()
    if child == 0:
        descriptor = os.open(published.path / "yoi.lock", os.O_RDWR)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os._exit(0)
    os.waitpid(child, 0)
    assert published.publish(make_files(a="b"), make_draft()).is_new


def test_the_next_writer_finishes_what_a_crash_interrupted(published):
    head = published.find_head()
    ref = published.path / "refs" / "bundles" / str(head.digest)
    ref.unlink()
    published.publish(make_files(a="b"), make_draft())
    assert published.find_revision(head.digest) == head


def test_the_mark_by_which_a_writer_kept_its_pack_goes_and_an_operators_stays(repository):
    publish_line(repository, 2)
    ours, theirs = (pack.with_suffix(".keep") for pack in list_packs(repository))
    ours.symlink_to(KEEP_TARGET)
    theirs.write_text("an operator keeps it\n")

    reopen(repository).close()

    assert not ours.is_symlink()
    assert theirs.exists()


def test_half_a_pack_is_removed_and_a_whole_one_without_its_index_is_kept_aside(repository):
    publish_line(repository, 2)
    repository.close()
    whole, half = list_packs(repository)
    raw = whole.read_bytes()
    half.chmod(0o644)
    half.write_bytes(half.read_bytes()[:-50])
    for pack in (whole, half):
        lose_index(pack)

    with reopen(repository) as again:
        (kept,) = again.list_set_aside()

    assert list_packs(repository) == []
    assert (repository.path / "damaged" / kept).read_bytes() == raw


def test_a_pack_that_is_just_being_renamed_by_another_program_is_no_leftover(published):
    (pack,) = list_packs(published)
    published.close()
    pack.with_suffix(".idx").rename(pack.with_suffix(".moved"))
    os.utime(pack)

    reopen(published).close()

    assert pack.exists()
    pack.with_suffix(".moved").rename(pack.with_suffix(".idx"))
    assert published.verify().problems == ()


def test_a_lock_with_a_time_to_come_is_as_stale_as_an_old_one(published):
    """A clock that was set back must not keep a dead command's lock for ever."""
    lock = published.path / "packed-refs.lock"
    lock.write_bytes(b"")
    os.utime(lock, (time.time() + 7200, time.time() + 7200))

    reopen(published).close()

    assert not lock.exists()


def test_a_leftover_that_cannot_be_removed_is_a_typed_error(published):
    stuck = published.path / "yoi_tmp_ref_1"
    stuck.mkdir()

    with pytest.raises(StoreError) as caught:
        reopen(published)

    assert caught.value.code == "store_error"
    assert str(published.path) not in caught.value.message
