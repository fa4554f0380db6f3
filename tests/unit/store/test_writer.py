"""Writers that meet others, leftovers and damage: one history, nothing half written or lost."""

import pytest
from damaging import blob_of, install, list_packs, lose_objects, publish_line
from store_factories import EPOCH, WORKSPACE, make_draft, make_files, raw_commit, snapshot

from yoi_bundles.errors import RevisionConflictError, StoreCorruptError
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.store import Repository
from yoi_bundles.store.tree.objects import EMPTY_TREE, Kind


def test_the_same_files_published_meanwhile_are_the_same_revision(repository):
    """Both began with the same head: the slower one finds its work done."""
    publish_line(repository, 1)
    made = []

    def come_first(tree):
        if not made:
            made.append(repository.publish(make_files(x="x"), make_draft()).revision)

    slower = repository.publish(make_files(x="x"), make_draft("slower"), check_content=come_first)

    assert (slower.revision, slower.is_new) == (made[0], False)
    assert [one.number for one in repository.revisions()] == [2, 1]


def test_other_files_published_meanwhile_are_a_conflict_that_leaves_nothing(repository):
    publish_line(repository, 1)
    made = []

    def come_first(tree):
        if not made:
            made.append(repository.publish(make_files(x="faster"), make_draft()).revision)
            made.append(snapshot(repository.path))

    with pytest.raises(RevisionConflictError) as caught:
        repository.publish(make_files(x="slower"), make_draft(), check_content=come_first)

    assert caught.value.facts["actual"] == str(made[0].commit)
    assert snapshot(repository.path) == made[1]


def test_the_first_revision_of_a_publish_that_got_no_further_is_no_history(repository):
    install(repository, Kind.BLOB, b"something else")
    install(repository, Kind.COMMIT, raw_commit(EMPTY_TREE))

    made = repository.publish(make_files(), make_draft()).revision

    assert (made.number, made.parent) == (1, None)
    assert list(repository.revisions()) == [made]


def test_a_file_of_the_base_that_is_lost_is_not_passed_on(repository):
    """The new revision would name what nobody has."""
    first, _ = publish_line(repository, 2)
    lose_objects(repository, [blob_of(repository, first, "note.md")])
    before = snapshot(repository.path)

    with pytest.raises(StoreCorruptError):
        repository.publish({RelativePath("new.md"): b"x"}, make_draft(), base=first.digest)

    assert snapshot(repository.path) == before


def test_the_mark_that_an_operator_put_on_a_pack_stays_when_the_pack_is_written_again(tmp_path):
    """The same publish makes the same pack: one that was marked before is marked afterwards."""
    with Repository.create(tmp_path / "one.git", WORKSPACE) as one:
        one.publish(make_files(), make_draft(seconds=EPOCH))
        (pack,) = list_packs(one)
        assert not pack.with_suffix(".keep").is_symlink()
    with Repository.create(tmp_path / "two.git", WORKSPACE) as two:
        mark = two.path / "objects" / "pack" / f"{pack.stem}.keep"
        mark.write_text("an operator keeps it\n")

        two.publish(make_files(), make_draft(seconds=EPOCH))

        assert list_packs(two) == [mark.with_suffix(".pack")]
        assert mark.read_text() == "an operator keeps it\n"
