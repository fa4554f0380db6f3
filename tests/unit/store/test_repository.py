"""Repositories on disk: opening, corruption, full disks, refs as git keeps them."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from store_factories import (
    WORKSPACE,
    bundle_bytes,
    make_draft,
    make_files,
    raw_commit,
    receive,
    snapshot,
)

from yoi_bundles.errors import (
    BundleMissingError,
    InvalidInputError,
    MalformedBundleError,
    StorageFullError,
    StoreCorruptError,
    StoreError,
    TooLargeError,
    WorkspaceNotVisibleError,
)
from yoi_bundles.model.ids import CommitId, Digest, WorkspaceId
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.store import Repository, WorkspaceRepositories
from yoi_bundles.store.disk import objects as objectdb_module
from yoi_bundles.store.disk import refs as refs_module
from yoi_bundles.store.disk.faults import storage_faults, verification_faults
from yoi_bundles.store.disk.files import is_locked, replace_file, write_new_file
from yoi_bundles.store.disk.measures import MeasureCache
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.disk.refs import RefStore, bundle_ref
from yoi_bundles.store.pack.written import write_pack
from yoi_bundles.store.tree.objects import EMPTY_TREE, Kind

# --- opening -------------------------------------------------------------------------------------


def test_a_repository_is_reopened_by_its_own_name(published):
    with Repository.open(published.path) as again:
        assert again.workspace == WORKSPACE
        assert again.path == published.path
        assert again.find_head() == published.find_head()


def test_a_repository_of_another_workspace_is_refused(published):
    with pytest.raises(StoreCorruptError):
        Repository.open(published.path, WorkspaceId("other"))


def test_what_is_no_repository_is_missing(tmp_path):
    with pytest.raises(BundleMissingError):
        Repository.open(tmp_path)
    with pytest.raises(BundleMissingError):
        Repository.open(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("old", "new"), [("sha256", "sha1"), ("team-a", "Team A"), ("workspace", "workshop")]
)
def test_a_foreign_configuration_is_refused(published, old, new):
    config = published.path / "config"
    config.write_text(config.read_text().replace(old, new))
    with pytest.raises(StoreCorruptError):
        Repository.open(published.path)


def test_an_occupied_directory_is_not_taken(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidInputError):
        Repository.create(tmp_path, WORKSPACE)


def test_a_closed_repository_opens_its_packs_again(published):
    published.close()
    published.close()
    assert published.verify().problems == ()


# --- corruption ----------------------------------------------------------------------------------


def damage_packs(repository):
    repository.close()
    for pack in (repository.path / "objects" / "pack").glob("*.pack"):
        data = bytearray(pack.read_bytes())
        for place in range(20, len(data) - 32, 3):
            data[place] ^= 0xFF
        pack.chmod(0o644)
        pack.write_bytes(data)


def test_corrupt_packs_are_reported_and_never_read_through(published):
    head = published.find_head()
    damage_packs(published)
    report = published.verify()
    assert report.problems
    named = {problem.object_id for problem in report.problems}
    assert any(len(name) == 64 for name in named)
    assert any(name.endswith(".pack") for name in named)
    with pytest.raises(StoreError):
        published.tree(head.digest).entries()
    with (
        Repository(published.path, WORKSPACE, DEFAULT_LIMITS) as fresh,
        pytest.raises(StoreCorruptError),
    ):
        fresh.find_head()


def test_a_missing_pack_is_reported(published):
    head = published.find_head()
    published.close()
    for path in (published.path / "objects" / "pack").iterdir():
        path.unlink()
    assert published.verify(head.digest).problems
    with Repository(published.path, WORKSPACE, DEFAULT_LIMITS) as fresh:
        with pytest.raises(StoreCorruptError) as caught:
            fresh.find_head()
        assert caught.value.code == "store_corrupt"


@pytest.mark.parametrize("content", [b"", b"xyz\n", b"ab" * 20 + b"\n", b"AB" * 32 + b"\n"])
def test_a_ref_without_an_id_is_corrupt(published, content):
    (published.path / "refs" / "heads" / "main").write_bytes(content)
    with pytest.raises(StoreCorruptError):
        published.find_head()


def test_a_ref_to_another_kind_of_object_is_corrupt(published):
    head = published.find_head()
    (published.path / "refs" / "heads" / "main").write_bytes(head.digest.hex_ascii)
    with pytest.raises(StoreCorruptError):
        published.find_head()
    assert published.find_commit(CommitId(str(head.digest))) is None


def test_a_bundle_ref_to_another_tree_is_corrupt(published):
    head = published.find_head()
    wrong = Digest("ab" * 32)
    (published.path / "refs" / "bundles" / str(wrong)).write_bytes(head.commit.hex_ascii + b"\n")
    with pytest.raises(StoreCorruptError):
        published.find_revision(wrong)


def test_strange_names_among_bundle_refs_are_no_bundles(published):
    (published.path / "refs" / "bundles" / "readme").write_bytes(b"x")
    assert len(list(published.held())) == 1


def install(repository, kind, data):
    """Put one object of any shape into a repository, past every check."""
    oid = objectdb_module.hash_object(kind, data)
    repository._objects.install_pack(lambda path: write_pack(path, {oid: (kind, data)}))
    return oid


def test_a_foreign_commit_or_tree_is_corrupt_to_us(published):
    raw = b"tree " + EMPTY_TREE.hex().encode() + b"\nauthor a <> 1 +0000\n\nx\n"
    oid = install(published, Kind.COMMIT, raw)
    assert published.find_commit(CommitId.from_bytes(oid)) is None
    (published.path / "refs" / "heads" / "main").write_bytes(oid.hex().encode())
    with pytest.raises(StoreCorruptError):
        published.find_head()
    tree = install(published, Kind.TREE, b"120000 link\0" + b"\1" * 32)
    with pytest.raises(StoreCorruptError):
        published._objects.read_tree(tree)


def test_a_commit_of_another_workspace_is_corrupt_to_us(published, tmp_path):
    with Repository.create(tmp_path / "b.git", WorkspaceId("team-b")) as other:
        theirs = other.publish(make_files(), make_draft()).revision
        raw = other._objects.read(theirs.commit.raw, Kind.COMMIT)
    install(published, Kind.COMMIT, raw)
    assert published.find_commit(theirs.commit) is None
    (published.path / "refs" / "heads" / "main").write_bytes(theirs.commit.hex_ascii)
    with pytest.raises(StoreCorruptError):
        published.find_head()


def test_an_audit_goes_on_past_a_tree_that_no_bundle_may_have(published):
    tree = install(published, Kind.TREE, b"120000 link\0" + b"\1" * 32)
    head = published.find_head()
    oid = install(published, Kind.COMMIT, raw_commit(tree, head.commit.raw, 2))
    (published.path / "refs" / "heads" / "main").write_bytes(oid.hex().encode())
    report = published.verify()
    assert [p.object_id for p in report.problems] == [tree.hex()]
    assert report.objects > 5


def test_an_audit_reports_a_line_that_breaks_off(published):
    head = published.find_head()
    oid = install(published, Kind.COMMIT, raw_commit(head.digest.raw, b"\x11" * 32, 2))
    (published.path / "refs" / "heads" / "main").write_bytes(oid.hex().encode())
    assert [p.object_id for p in published.verify().problems] == ["11" * 32]


# --- room ----------------------------------------------------------------------------------------

PUBLISH_WITH_LITTLE_ROOM = """
import resource, signal, sys
from pathlib import Path
from store_factories import make_draft, make_files
from yoi_bundles.errors import StorageFullError
from yoi_bundles.store import Repository
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Repository.open(Path(sys.argv[1])) as repository:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    try:
        repository.publish(make_files(note="x" * 50), make_draft())
    except StorageFullError as error:
        sys.exit(7)
"""


@pytest.mark.parametrize("room_bytes", [0, 10, 60, 200, 900])
def test_a_full_disk_changes_nothing(published, room_bytes):
    before = snapshot(published.path)
    program = [sys.executable, "-c", PUBLISH_WITH_LITTLE_ROOM, published.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([*program, str(room_bytes)], env=environment, check=False)
    assert done.returncode == 7
    assert snapshot(published.path) == before


def test_errors_of_the_system_are_told_apart_and_show_no_path():
    with pytest.raises(StorageFullError) as full, storage_faults("x"):
        raise OSError(errno.ENOSPC, "no", "/secret/path")
    assert full.value.code == "storage_full"
    with pytest.raises(StoreError) as other, storage_faults("x"):
        raise PermissionError(errno.EACCES, "no", "/secret/path")
    assert "/secret" not in other.value.message
    assert other.value.facts == {"os_error": "EACCES"}


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (ValueError(), MalformedBundleError),
        (RecursionError(), MalformedBundleError),
        (MemoryError(), TooLargeError),
        (KeyError(), StoreError),
        (TooLargeError("x"), TooLargeError),
        (SystemExit(), SystemExit),
    ],
)
def test_parser_failures_are_the_senders_fault(error, wanted):
    with pytest.raises(wanted), verification_faults("read"):
        raise error


# --- refs and files ------------------------------------------------------------------------------


def test_a_ref_that_stays_locked_is_an_error_and_leaves_nothing(published, monkeypatch):
    monkeypatch.setattr(refs_module, "_LOCK_TIMEOUT_SECONDS", 0.02)
    (published.path / "refs" / "heads" / "main.lock").write_bytes(b"")
    head = published.find_head()
    refs = RefStore(published.path)
    before = snapshot(published.path)
    with pytest.raises(StoreError) as caught:
        refs.write([("refs/heads/main", head.commit)])
    assert "locked" in caught.value.message
    assert snapshot(published.path) == before


def test_a_second_ref_that_is_locked_keeps_the_first_from_changing(published, monkeypatch):
    monkeypatch.setattr(refs_module, "_LOCK_TIMEOUT_SECONDS", 0.02)
    (published.path / "refs" / "bundles" / "x.lock").write_bytes(b"")
    before = snapshot(published.path)
    other = CommitId("11" * 32)
    with pytest.raises(StoreError):
        RefStore(published.path).write([("refs/heads/main", other), ("refs/bundles/x", other)])
    assert snapshot(published.path) == before


def test_packed_refs_are_read_and_loose_ones_win(published):
    refs = RefStore(published.path)
    head = published.find_head()
    one, two = CommitId("11" * 32), CommitId("22" * 32)
    (published.path / "packed-refs").write_bytes(
        b"# pack-refs with: peeled fully-peeled sorted \n"
        + b"%s refs/heads/main\n" % one.hex_ascii
        + b"%s refs/heads/old\n^%s\n" % (two.hex_ascii, one.hex_ascii)
    )
    assert refs.find("refs/heads/main") == head.commit
    assert refs.find("refs/heads/old") == two
    assert refs.find("refs/heads/none") is None
    (published.path / "packed-refs").write_bytes(b"%s refs/heads/old\n" % one.hex_ascii)
    assert refs.find("refs/heads/old") == one
    assert refs.find("refs/heads/main/below") is None


def test_a_ref_that_git_has_packed_is_found_and_what_git_then_does_is_seen(published):
    refs, head = RefStore(published.path), published.find_head()
    git = ["git", "-C", str(published.path)]
    assert refs.find("refs/heads/main") == head.commit
    subprocess.run([*git, "pack-refs", "--all", "--prune"], check=True)
    assert not (published.path / "refs" / "heads" / "main").exists()
    assert [refs.find("refs/heads/main"), refs.find(bundle_ref(head.digest))] == [head.commit] * 2
    subprocess.run([*git, "update-ref", "-d", bundle_ref(head.digest)], check=True)
    assert refs.find(bundle_ref(head.digest)) is None
    assert refs.find("refs/heads/main") == head.commit
    subprocess.run([*git, "update-ref", "refs/heads/side", str(head.commit)], check=True)
    assert refs.find("refs/heads/side") == head.commit


def test_a_ref_that_cannot_be_looked_at_is_not_taken_for_an_absent_one(published):
    path = published.path / "refs" / "heads" / "loop"
    path.symlink_to(path)
    with pytest.raises(StoreError) as caught:
        RefStore(published.path).find("refs/heads/loop")
    assert caught.value.code == "store_error"
    assert caught.value.facts == {"os_error": "ELOOP"}


def test_files_are_new_or_replaced_whole(tmp_path):
    path = tmp_path / "file"
    write_new_file(path, b"one")
    with pytest.raises(FileExistsError):
        write_new_file(path, b"two")
    replace_file(path, b"three")
    assert path.read_bytes() == b"three"
    assert not is_locked(path)
    assert not is_locked(tmp_path / "none")
    (tmp_path / "directory").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "directory", b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["directory", "file"]


# --- caches --------------------------------------------------------------------------------------


def test_small_caches_change_no_answer(published, peer, monkeypatch):
    monkeypatch.setattr(objectdb_module, "_TREE_CACHE_ENTRIES", 1)
    monkeypatch.setattr(objectdb_module, "_SIZE_CACHE_ENTRIES", 1)
    monkeypatch.setattr("yoi_bundles.store.disk.history._CACHED_REVISIONS", 1)
    monkeypatch.setattr("yoi_bundles.store.disk.measures._MAX_MEASURES", 1)
    monkeypatch.setattr("yoi_bundles.store.receive.closure._MAX_PARSED_TREES", 0)
    bases = []
    for i in range(4):
        head = published.publish(make_files(note=f"{i}\n", a__b=f"{i}"), make_draft()).revision
        if i % 2:
            receive(peer, bundle_bytes(published, head.commit, bases))
            bases = [head.commit]
    assert list(peer.revisions()) == list(published.revisions())
    assert peer.verify().problems == ()


def test_measures_count_what_would_be_materialised(published):
    objects = ObjectDatabase(published.path / "objects", Limits())
    measure = MeasureCache(objects).measure(published.find_head().digest.raw)
    objects.close()
    assert measure.files == len(make_files())
    assert measure.size_bytes == sum(map(len, make_files().values()))
    assert measure.depth == 2
    assert measure.path_bytes == len("prompts/role/tester.md")


def test_measures_are_right_where_none_can_be_remembered(published, monkeypatch):
    monkeypatch.setattr("yoi_bundles.store.disk.measures._MAX_MEASURES", 0)
    objects = ObjectDatabase(published.path / "objects", Limits())
    book = MeasureCache(objects)
    tree = published.find_head().digest.raw

    assert book.measure(tree) == book.measure(tree)
    assert book.measure(tree).files == len(make_files())
    objects.close()


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what is mapped")
def test_packs_do_not_stay_in_memory_after_much_was_read(published, monkeypatch):
    """A file that is mapped has every page resident that was read, until it is closed."""
    tree = published.find_head().digest.raw
    published.close()
    objects = ObjectDatabase(published.path / "objects", Limits())
    files = [entry.oid for entry in objects.read_tree(tree) if not entry.is_tree]
    before = {oid: objects.read(oid, Kind.BLOB) for oid in files}
    maps = Path("/proc/self/maps")
    assert str(objects.pack_directory) in maps.read_text()
    monkeypatch.setattr("yoi_bundles.store.disk.objects._MAPPED_READ_BYTES", 1)

    assert {oid: objects.read(oid, Kind.BLOB) for oid in files} == before
    assert str(objects.pack_directory) not in maps.read_text()


def test_limits_bound_what_can_be_published(tmp_path):
    for limits in (
        Limits(files=4),
        Limits(object_bytes=100),
        Limits(tree_bytes=200),
        Limits(tree_entries=2),
    ):
        path = tmp_path / str(len(list(tmp_path.iterdir())))
        with (
            Repository.create(path, WORKSPACE, limits) as small,
            pytest.raises(TooLargeError),
        ):
            small.publish(make_files(), make_draft())


# --- workspaces ----------------------------------------------------------------------------------


def test_workspaces_are_made_once_and_found_again(tmp_path):
    one, two = WorkspaceId("one"), WorkspaceId("two")
    with WorkspaceRepositories(tmp_path / "root") as workspaces:
        assert workspaces.list() == ()
        assert workspaces.find(one) is None
        made = workspaces.create(one)
        assert workspaces.create(one) is made
        assert workspaces.get(one) is made
        made.publish(make_files(), make_draft())
        workspaces.create(two)
        assert workspaces.list() == (one, two)
    with WorkspaceRepositories(tmp_path / "root") as workspaces:
        assert workspaces.get(one).find_head().workspace == one
        assert workspaces.get(two).find_head() is None


def test_a_workspace_that_is_not_there_is_not_visible(tmp_path):
    with WorkspaceRepositories(tmp_path) as workspaces:
        with pytest.raises(WorkspaceNotVisibleError) as caught:
            workspaces.get(WorkspaceId("none"))
        assert isinstance(caught.value, BundleMissingError)


def test_strange_directories_are_no_workspaces(tmp_path):
    (tmp_path / "Bad Name.git").mkdir()
    (tmp_path / "Bad Name.git" / "config").write_bytes(b"")
    (tmp_path / "empty.git").mkdir()
    (tmp_path / "yoi_tmp_half").mkdir()
    with WorkspaceRepositories(tmp_path) as workspaces:
        assert workspaces.list() == ()
        workspaces.create(WorkspaceId("good"))
        assert workspaces.list() == (WorkspaceId("good"),)
    assert not (tmp_path / "yoi_tmp_half").exists()


def test_a_repository_that_cannot_be_made_leaves_nothing(tmp_path, monkeypatch):
    def fail(path, workspace):
        path.mkdir()
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("yoi_bundles.store.workspaces.create_layout", fail)
    with WorkspaceRepositories(tmp_path) as workspaces, pytest.raises(StorageFullError):
        workspaces.create(WorkspaceId("one"))
    assert not list(tmp_path.glob("*one*"))
    assert not list(tmp_path.glob("tmp_*"))
