"""A verification names everything that is wrong, and goes on past it."""

import shutil

from damaging import blob_of, install, lose_objects, point, publish_line
from store_factories import raw_commit

from yoi_bundles.store.disk.refs import bundle_ref
from yoi_bundles.store.tree.objects import Kind


def names_of(report):
    return {problem.object_id for problem in report.problems}


def test_each_object_is_hashed_once_whatever_names_it(repository):
    publish_line(repository)

    report = repository.verify()

    assert report.objects == len(repository._objects.list_ids())
    assert report.problems == ()
    assert report.bytes > 0


def test_every_lost_object_is_named_and_the_rest_is_looked_at(repository):
    line = publish_line(repository)
    lost = {blob_of(repository, one, "note.md").hex() for one in line[:2]}
    whole = repository.verify().objects
    lose_objects(repository, [bytes.fromhex(name) for name in lost])

    report = repository.verify()

    assert names_of(report) == lost
    assert report.objects == whole


def test_a_blob_where_a_directory_is_named_is_a_problem(repository):
    (first,) = publish_line(repository, 1)
    blob = blob_of(repository, first, "note.md")
    oid = install(repository, Kind.COMMIT, raw_commit(blob, first.commit.raw, 2))
    point(repository, "refs/heads/main", oid.hex())

    report = repository.verify()

    assert blob.hex() in names_of(report)


def test_refs_that_cannot_be_listed_do_not_hide_the_newest_revision(repository):
    line = publish_line(repository)
    (repository.path / "packed-refs").write_bytes(b"no refs\n")

    report = repository.verify()

    assert "packed-refs has a line that is no ref" in {one.message for one in report.problems}
    assert report.objects == len(repository._objects.list_ids())
    assert repository.find_head() == line[2]


def test_a_bundle_ref_to_another_bundle_is_named_by_its_digest(repository):
    line = publish_line(repository)
    point(repository, bundle_ref(line[0].digest), line[1].commit)

    assert names_of(repository.verify()) == {str(line[0].digest)}


def test_a_lost_main_is_told_beside_sound_bundles(repository):
    publish_line(repository)
    (repository.path / "refs" / "heads" / "main").unlink()

    (problem,) = repository.verify().problems

    assert problem == ("", "refs/heads/main is lost")


def test_a_head_that_git_cannot_read_is_told(repository):
    publish_line(repository, 1)
    (repository.path / "HEAD").write_text("ref: refs/heads/other\n")

    assert repository.verify().problems == (("", "HEAD is lost or damaged"),)


def test_a_repository_whose_directories_are_gone_is_told_and_no_crash(repository):
    publish_line(repository)
    repository.close()
    shutil.rmtree(repository.path / "objects")

    report = repository.verify()

    assert report.problems
    assert all(problem.message for problem in report.problems)
