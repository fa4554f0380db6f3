"""A wrong byte in a file of a repository is found, and what is sound beside it is still had."""

import zlib

import pytest
from damaging import (
    flip,
    list_packs,
    lose_index,
    publish_line,
    rewrite,
    with_trailer,
    write_loose,
)
from store_factories import run_git

from yoi_bundles.model.limits import Limits
from yoi_bundles.store.care.damage import (
    find_damaged_loose,
    find_damaged_packs,
    find_derived,
    find_faults,
    has_trailer,
    read_pack,
    read_sound_objects,
    set_aside,
)
from yoi_bundles.store.pack.index import read_index_ids

LIMITS = Limits()


@pytest.fixture
def pack(repository):
    """The one pack of a repository with one revision, not open anywhere."""
    publish_line(repository, 1)
    repository.close()
    (found,) = list_packs(repository)
    return found


def ids_of(pack):
    return set(read_index_ids(pack.with_suffix(".idx").read_bytes()))


def read_ids(pack):
    return {oid for oid, _, _ in read_sound_objects(pack, LIMITS)}


@pytest.mark.parametrize(("suffix", "at"), [(".pack", 40), (".pack", -1), (".idx", 1100)])
def test_one_wrong_byte_makes_a_pack_damaged(pack, suffix, at):
    assert find_damaged_packs(pack.parent) == []

    flip(pack.with_suffix(suffix), at)

    assert find_damaged_packs(pack.parent) == [pack]
    assert list(find_faults(pack.parent.parent)) == [
        (pack.with_suffix(suffix).name, "its checksum is wrong")
    ]


def test_a_pack_that_never_had_an_index_is_left_to_recovery(pack):
    lose_index(pack)

    assert find_damaged_packs(pack.parent) == []


def test_an_index_whose_checksum_is_right_must_still_be_one(pack):
    rewrite(pack.with_suffix(".idx"), with_trailer(b"no index at all" * 100))

    assert find_damaged_packs(pack.parent) == [pack]


def test_a_checksum_made_for_wrong_bytes_does_not_hide_them(pack):
    body = flip(pack, 60)[:-32]
    rewrite(pack, with_trailer(body))

    assert has_trailer(pack)
    assert find_damaged_packs(pack.parent) == [pack]


def test_a_file_that_is_shorter_than_a_checksum_has_none(tmp_path):
    (tmp_path / "short").write_bytes(b"x" * 31)

    assert not has_trailer(tmp_path / "short")


def test_one_wrong_byte_costs_one_object(pack):
    wanted = ids_of(pack)
    flip(pack, -60)

    found = read_ids(pack)

    assert found < wanted
    assert len(wanted - found) == 1


def test_a_lost_index_costs_nothing(pack):
    wanted = ids_of(pack)
    lose_index(pack)

    assert read_ids(pack) == wanted


def test_a_pack_with_a_wrong_byte_and_no_index_gives_nothing(pack):
    flip(pack, 60)
    lose_index(pack)

    assert read_ids(pack) == set()


def test_an_index_that_names_other_objects_gives_none_of_them(pack):
    raw = bytearray(pack.with_suffix(".idx").read_bytes())
    wanted = ids_of(pack)
    raw[1032 : 1032 + 32 * len(wanted)] = b"".join(
        bytes([oid[0]]) + b"\xee" * 31 for oid in sorted(wanted)
    )
    rewrite(pack.with_suffix(".idx"), with_trailer(bytes(raw[:-32])))
    flip(pack, -1)

    assert read_ids(pack) == set()


def test_a_pack_cut_to_nothing_gives_nothing_and_no_other_error(pack):
    rewrite(pack, b"PACK")

    assert find_damaged_packs(pack.parent) == [pack]
    assert read_ids(pack) == set()


def test_what_is_no_pack_holds_no_objects(tmp_path):
    (tmp_path / "file").write_bytes(with_trailer(b"PACK" + bytes(200)))

    assert list(read_pack(tmp_path / "file", LIMITS)) == []


@pytest.mark.parametrize("spoilt", [b"not zlib", zlib.compress(b"blob 5\0other")])
def test_a_loose_object_that_is_not_what_its_name_says_is_found(published, spoilt):
    objects = published.path / "objects"
    good, bad = (write_loose(published, "blob", data) for data in (b"good", b"bad"))
    assert list(find_damaged_loose(objects)) == []

    bad.write_bytes(spoilt)

    assert list(find_damaged_loose(objects)) == [bad]
    assert good.exists()
    [(name, what)] = find_faults(objects)
    assert (bad.parent.name + bad.name).startswith(name)
    assert what == "the loose object is corrupt"


@pytest.mark.needs_git
@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("multi-pack-index", "write"), "pack/multi-pack-index"),
        (("commit-graph", "write", "--reachable"), "info/commit-graph"),
    ],
)
def test_damage_to_what_git_made_of_packs_is_found(repository, command, name):
    publish_line(repository, 2)
    run_git(*command, cwd=repository.path)
    objects = repository.path / "objects"
    derived = objects / name
    assert derived in find_derived(objects, only_damaged=False)
    assert find_derived(objects, only_damaged=True) == []

    flip(derived, 30)

    assert find_derived(objects, only_damaged=True) == [derived]
    assert (derived.name, "its checksum is wrong") in find_faults(objects)


@pytest.mark.needs_git
def test_the_list_of_a_split_commit_graph_has_no_checksum_and_is_not_missed(repository):
    publish_line(repository, 2)
    run_git("commit-graph", "write", "--reachable", "--split", cwd=repository.path)
    objects = repository.path / "objects"

    assert len(find_derived(objects, only_damaged=False)) == 2
    assert find_derived(objects, only_damaged=True) == []


def test_of_files_set_aside_the_newest_stay(tmp_path):
    for number in range(70):
        victim = tmp_path / f"file-{number:02}"
        victim.write_bytes(b"%d" % number)
        set_aside(tmp_path, [victim], f"stamp-{number:02}")

    kept = sorted(path.name for path in (tmp_path / "damaged").iterdir())
    assert kept == [f"file-{number:02}.stamp-{number:02}" for number in range(6, 70)]
    assert (tmp_path / "file-00").exists()
    assert (tmp_path / "damaged" / kept[-1]).read_bytes() == b"69"
