"""Objects are hashed on every read; what the disk gives instead is told as what it is."""

import pytest
from damaging import blob_of, install, list_packs, publish_line, rewrite
from store_factories import run_git

from yoi_bundles.errors import StoreCorruptError, StoreError
from yoi_bundles.model.limits import DEFAULT_LIMITS
from yoi_bundles.store import Repository
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.pack.index import encode_pack_index
from yoi_bundles.store.pack.written import write_pack
from yoi_bundles.store.tree.objects import Kind, hash_object


@pytest.fixture
def objects(repository):
    opened = ObjectDatabase(repository.path / "objects", DEFAULT_LIMITS)
    yield opened
    opened.close()


def test_an_index_that_takes_one_object_for_another_is_found_out(repository, objects):
    """Pack and index are sound as files; only the hash tells."""
    one, two = (hash_object(Kind.BLOB, data) for data in (b"one", b"two"))
    directory = objects.pack_directory
    checksum, entries = write_pack(
        directory / "new", {one: (Kind.BLOB, b"one"), two: (Kind.BLOB, b"two")}
    )
    swapped = {one: two, two: one}
    entries = [entry._replace(oid=swapped[entry.oid]) for entry in entries]
    (directory / "new").rename(directory / f"pack-{checksum.hex()}.pack")
    rewrite(directory / f"pack-{checksum.hex()}.idx", encode_pack_index(entries, checksum))

    assert objects.contains(one)
    with pytest.raises(StoreCorruptError) as caught:
        objects.find(one)
    assert caught.value.facts == {"object": one.hex()}


def test_a_pack_that_cannot_be_opened_is_a_fault_of_the_disk_and_shows_no_path(repository, objects):
    head = publish_line(repository, 1)[0]
    (pack,) = list_packs(repository)
    repository.close()
    pack.unlink()
    pack.mkdir()

    with pytest.raises(StoreError) as caught:
        objects.read(head.commit.raw, Kind.COMMIT)

    assert caught.value.code == "store_error"
    assert str(repository.path) not in caught.value.message


@pytest.mark.needs_git
@pytest.mark.parametrize("command", [("repack", "-adq"), ("gc", "-q", "--prune=now")])
def test_objects_are_found_where_git_has_moved_them_meanwhile(repository, objects, command):
    line = publish_line(repository)
    assert objects.read(line[0].commit.raw, Kind.COMMIT)

    run_git(*command, cwd=repository.path)

    for one in line:
        assert objects.read(one.commit.raw, Kind.COMMIT)
        assert objects.read(blob_of(repository, one, "note.md"), Kind.BLOB)
    assert len(objects.list_ids()) == repository.verify().objects


def test_a_directory_of_no_bundle_is_not_read_as_one(repository, objects):
    empty = install(repository, Kind.TREE, b"")
    above = install(repository, Kind.TREE, b"40000 a\0" + empty)

    with pytest.raises(StoreCorruptError) as caught:
        objects.read_tree(above)

    assert caught.value.facts == {"object": above.hex()}


def test_an_index_that_is_none_is_told_when_ids_are_listed(repository, objects):
    publish_line(repository, 1)
    (pack,) = list_packs(repository)
    rewrite(pack.with_suffix(".idx"), b"garbage")

    with pytest.raises(StoreCorruptError):
        objects.list_ids()


def test_what_could_not_be_written_leaves_no_half_of_a_pack(repository, objects):
    before = sorted(path.name for path in objects.pack_directory.iterdir())

    def fail(path):
        path.write_bytes(b"half")
        raise OSError(28, "no room")

    with pytest.raises(StoreError) as caught, objects.new_pack(fail):
        pass

    assert caught.value.code == "storage_full"
    assert sorted(path.name for path in objects.pack_directory.iterdir()) == before


def test_a_pack_is_not_kept_when_its_refs_could_not_be_written(repository, objects):
    data = {hash_object(Kind.BLOB, b"x"): (Kind.BLOB, b"x")}

    def fail_at_the_refs():
        with objects.new_pack(lambda path: write_pack(path, data)) as name:
            assert (objects.pack_directory / f"{name}.keep").is_symlink()
            raise StoreError("a ref is locked")

    with pytest.raises(StoreError):
        fail_at_the_refs()

    assert not list(objects.pack_directory.glob("*.keep"))
    with Repository.open(repository.path) as again:
        assert again.collect().removed == 1
