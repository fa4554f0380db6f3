"""Objects to mend with come from a clone or a full bundle file, and are never believed unhashed."""

import pytest
from damaging import flip, list_packs, publish_line
from store_factories import bundle_bytes, run_git

from yoi_bundles.errors import InvalidInputError, MalformedBundleError
from yoi_bundles.store import open_source
from yoi_bundles.store.tree.objects import Kind

NOWHERE = b"\xee" * 32


def test_a_repository_gives_objects_by_their_ids(repository):
    head = publish_line(repository, 2)[-1]

    with open_source(repository.path) as source:
        kind, raw = source(head.commit.raw)
        nothing = source(NOWHERE)

    assert kind == Kind.COMMIT
    assert raw == repository.read_commit(head).raw
    assert nothing is None


@pytest.mark.needs_git
def test_a_clone_with_files_in_it_is_as_good(repository, tmp_path):
    head = publish_line(repository, 2)[-1]
    run_git("clone", "-q", repository.path, tmp_path / "clone")

    with open_source(tmp_path / "clone") as source:
        assert source(head.digest.raw)[0] == Kind.TREE


def test_a_full_bundle_file_gives_all_of_history(repository, tmp_path):
    line = publish_line(repository)
    (tmp_path / "full.bundle").write_bytes(bundle_bytes(repository, line[-1].commit))

    with open_source(tmp_path / "full.bundle") as source:
        assert [source(one.commit.raw)[0] for one in line] == [Kind.COMMIT] * 3
        assert source(NOWHERE) is None


def test_what_is_damaged_in_a_source_is_just_not_to_be_had_there(repository):
    (first, second) = publish_line(repository, 2)
    repository.close()
    for pack in list_packs(repository):
        if first.commit.raw in pack.with_suffix(".idx").read_bytes():
            flip(pack, 20)

    with open_source(repository.path) as source:
        assert source(first.commit.raw) is None
        assert source(second.commit.raw)[0] == Kind.COMMIT


def test_an_increment_is_no_source(repository, tmp_path):
    first, second = publish_line(repository, 2)
    raw = bundle_bytes(repository, second.commit, [first.commit])
    (tmp_path / "part.bundle").write_bytes(raw)

    with pytest.raises(InvalidInputError) as caught, open_source(tmp_path / "part.bundle"):
        pass

    assert "increment" in caught.value.message


def test_a_damaged_bundle_file_is_no_source(repository, tmp_path):
    raw = bytearray(bundle_bytes(repository, publish_line(repository, 1)[0].commit))
    raw[-50] ^= 0x40
    (tmp_path / "bad.bundle").write_bytes(raw)

    with pytest.raises(MalformedBundleError), open_source(tmp_path / "bad.bundle"):
        pass


def test_an_empty_directory_or_nothing_is_no_source(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InvalidInputError), open_source(path):
            pass
