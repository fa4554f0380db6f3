"""Lost and garbled refs are made anew of what is known to have been accepted, never of a guess."""

import shutil

import pytest
from damaging import flip, install, list_packs, lose_objects, point, publish_line
from store_factories import EPOCH, make_draft, make_files, raw_commit, run_git, snapshot

from yoi_bundles.errors import StoreCorruptError
from yoi_bundles.model.ids import CommitId, Digest
from yoi_bundles.store.disk.refs import bundle_ref, encode_packed
from yoi_bundles.store.protocol import Witness
from yoi_bundles.store.tree.objects import Kind

MAIN = "refs/heads/main"
ORIGIN = Witness(is_origin=True)


@pytest.fixture
def line(repository):
    return publish_line(repository)


def witness_of(revision):
    """Somebody who saw this revision accepted as the newest, and every bundle."""
    return Witness((revision.commit, revision.number), lambda digest: True)


def lose_all_refs(repository):
    for path in (repository.path / "refs").rglob("*"):
        if path.is_file():
            path.unlink()


def is_whole(repository, line):
    return (
        list(repository.revisions()) == line[::-1]
        and set(repository.digests()) == {one.digest for one in line}
        and repository.verify().problems == ()
    )


def test_a_lost_main_is_the_newest_that_any_ref_names(repository, line):
    (repository.path / MAIN).unlink()
    with pytest.raises(StoreCorruptError):
        repository.find_head()

    report = repository.mend()

    assert report.made == (MAIN,)
    assert is_whole(repository, line)


@pytest.mark.parametrize("text", ["", "xyz\n", "ab" * 20 + "\n"])
def test_a_garbled_main_is_set_aside_and_made_anew(repository, line, text):
    (repository.path / MAIN).write_text(text)

    report = repository.mend()

    (kept,) = report.set_aside
    assert (repository.path / "damaged" / kept).read_text() == text
    assert report.made == (MAIN,)
    assert is_whole(repository, line)


def test_a_main_with_the_id_of_nothing_is_a_garbled_one(repository, line):
    point(repository, MAIN, "ee" * 32)

    assert repository.mend().made == (MAIN,)
    assert is_whole(repository, line)


def test_an_older_main_moves_on_to_what_a_witness_saw(repository, line):
    point(repository, MAIN, line[0].commit)

    assert repository.mend(witness_of(line[2])).made == (MAIN,)
    assert is_whole(repository, line)


def test_a_main_that_is_newer_than_all_that_is_known_stays(repository, line):
    report = repository.mend(witness_of(line[1]))

    assert report.made == ()
    assert is_whole(repository, line)


def test_main_names_what_was_newest_even_if_it_is_gone(repository, line):
    """An older revision is never passed for the newest one: what is lacking is told instead."""
    lost = line[2]
    lose_objects(repository, [lost.commit.raw])

    for _ in range(2):
        report = repository.mend(witness_of(lost))

        assert (repository.path / MAIN).read_text().strip() == str(lost.commit)
        assert lost.digest in report.lacking
        assert report.made == ()


def test_a_lost_main_whose_commit_is_gone_too_is_known_from_a_witness(repository, line):
    lose_objects(repository, [line[2].commit.raw])
    (repository.path / MAIN).unlink()

    assert repository.mend(witness_of(line[2])).made == (MAIN,)
    assert (repository.path / MAIN).read_text().strip() == str(line[2].commit)


def test_where_revisions_are_made_all_refs_come_back_from_packs(repository, line):
    lose_all_refs(repository)
    with pytest.raises(StoreCorruptError):  # and no second history begins meanwhile
        repository.publish(make_files(other="x"), make_draft())

    report = repository.mend(Witness(None, lambda digest: True, is_origin=True))

    assert report.made[0] == MAIN
    assert is_whole(repository, line)


def test_where_revisions_come_from_elsewhere_packs_alone_prove_nothing(repository, line):
    lose_all_refs(repository)
    before = snapshot(repository.path / "refs")

    assert repository.mend().made == ()
    assert snapshot(repository.path / "refs") == before


def test_only_bundles_that_were_held_get_their_ref_back(repository, line):
    shutil.rmtree(repository.path / "refs" / "bundles")

    report = repository.mend(Witness(None, lambda digest: digest == line[0].digest))

    assert set(report.made) >= {bundle_ref(line[0].digest), bundle_ref(line[2].digest)}
    assert set(repository.digests()) == {line[0].digest, line[2].digest}


def test_a_bundle_ref_to_another_bundle_is_put_right(repository, line):
    point(repository, bundle_ref(line[0].digest), line[1].commit)

    report = repository.mend(witness_of(line[2]))

    assert report.made == (bundle_ref(line[0].digest),)
    assert is_whole(repository, line)


def test_a_bundle_ref_to_another_bundle_goes_if_nobody_knows_the_right_one(repository, line):
    wrong = Digest("ab" * 32)
    point(repository, bundle_ref(wrong), line[1].commit)

    repository.mend()

    assert is_whole(repository, line)


def test_a_bundle_ref_to_nothing_names_the_revision_that_carries_it(repository, line):
    point(repository, bundle_ref(line[1].digest), "ee" * 32)

    assert repository.mend().made == (bundle_ref(line[1].digest),)
    assert is_whole(repository, line)


def test_an_older_revision_with_the_same_tree_does_not_take_the_ref(repository, line):
    again = repository.publish(make_files(note="note 0\n"), make_draft(seconds=EPOCH + 9)).revision
    point(repository, bundle_ref(again.digest), "garbage")

    repository.mend()

    assert repository.find_revision(again.digest) == again


@pytest.mark.needs_git
def test_of_garbled_packed_refs_the_sound_lines_stay(repository, line):
    run_git("pack-refs", "--all", cwd=repository.path)
    packed = repository.path / "packed-refs"
    before = packed.read_bytes()
    assert bundle_ref(line[1].digest).encode() in before
    at = before.index(bundle_ref(line[1].digest).encode())
    flip(packed, at - 10)

    report = repository.mend(witness_of(line[2]))

    (kept,) = report.set_aside
    assert kept.startswith("packed-refs.")
    assert report.made == (bundle_ref(line[1].digest),)
    assert is_whole(repository, line)


def test_packed_refs_that_are_cut_off_keep_their_whole_lines(repository, line):
    refs = {bundle_ref(one.digest): one.commit for one in line}
    shutil.rmtree(repository.path / "refs" / "bundles")
    packed = repository.path / "packed-refs"
    packed.write_bytes(encode_packed(refs | {MAIN: line[2].commit})[:-20])

    repository.mend(witness_of(line[2]))

    assert is_whole(repository, line)


def test_what_is_no_ref_among_bundles_is_set_aside(repository, line):
    (repository.path / "refs" / "bundles" / "readme").write_text("not a ref")
    (repository.path / "refs" / "bundles" / "other.lock").write_text("")

    report = repository.mend()

    assert [name.partition(".")[0] for name in report.set_aside] == ["readme"]
    assert (repository.path / "refs" / "bundles" / "other.lock").exists()
    assert is_whole(repository, line)


def test_a_history_that_breaks_off_still_gives_the_refs_above_the_break(repository, line):
    lose_objects(repository, [line[0].commit.raw])
    (repository.path / bundle_ref(line[1].digest)).unlink()

    report = repository.mend(witness_of(line[2]))

    assert report.made == (bundle_ref(line[1].digest),)
    assert report.lacking == {line[0].digest, line[2].digest}


def test_an_experiment_of_an_operator_in_a_pack_is_not_passed_for_the_newest(repository, line):
    """It reaches no ref of ours, and a ref is left: packs are not asked."""
    oid = install(repository, Kind.COMMIT, raw_commit(line[0].digest.raw, line[2].commit.raw, 9))
    (repository.path / MAIN).unlink()

    repository.mend(ORIGIN)

    assert repository.find_head() == line[2]
    assert repository.find_commit(CommitId.from_bytes(oid)) is None


def test_nothing_is_made_in_an_empty_repository(repository):
    before = snapshot(repository.path)

    assert repository.mend(ORIGIN) == ((), (), frozenset())
    assert snapshot(repository.path) == before
    assert list_packs(repository) == []
