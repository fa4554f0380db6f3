"""Repositories of all workspaces: opened once, made whole or not at all, mended to be opened."""

import stat

import pytest
from damaging import publish_line
from store_factories import make_draft, make_files

from yoi_bundles.errors import StoreCorruptError, StoreError, WorkspaceNotVisibleError
from yoi_bundles.model.ids import WorkspaceId
from yoi_bundles.store import CheckoutArea, WorkspaceRepositories
from yoi_bundles.store.disk import merging

ONE, TWO = WorkspaceId("one"), WorkspaceId("two")


@pytest.fixture
def workspaces(tmp_path):
    with WorkspaceRepositories(tmp_path / "root") as opened:
        yield opened


def test_a_repository_that_lost_its_configuration_is_opened_again_once_it_is_mended(tmp_path):
    with WorkspaceRepositories(tmp_path) as first:
        head = publish_line(first.create(ONE), 1)[0]
    (tmp_path / "one.git" / "config").unlink()
    with WorkspaceRepositories(tmp_path) as again:
        assert again.list() == (ONE,)
        with pytest.raises(StoreCorruptError) as caught:
            again.get(ONE)
        assert caught.value.hint == "repair the repository"

        again.mend_layout(ONE)

        assert again.get(ONE).find_head().digest == head.digest


def test_what_has_no_directory_is_not_made_by_mending(workspaces, tmp_path):
    with pytest.raises(WorkspaceNotVisibleError):
        workspaces.mend_layout(ONE)

    assert not (tmp_path / "root" / "one.git").exists()


def test_only_what_was_opened_is_found_open(workspaces, tmp_path):
    made = workspaces.create(ONE)
    with WorkspaceRepositories(tmp_path / "root") as elsewhere:
        assert elsewhere.find_open(ONE) is None
        opened = elsewhere.get(ONE)
        assert elsewhere.find_open(ONE) is opened

    assert workspaces.find_open(ONE) is made


def test_tidying_is_left_to_the_caller_also_for_what_is_opened_later(workspaces, monkeypatch):
    monkeypatch.setattr(merging, "_MAX_PACKS", 3)
    early = workspaces.create(ONE)
    workspaces.defer_tidying()
    late = workspaces.create(TWO)

    for repository in (early, late):
        publish_line(repository, 5)
        directory = repository.path / "objects" / "pack"
        assert len(list(directory.glob("*.pack"))) == 5
        repository.tidying.run()
        assert len(list(directory.glob("*.pack"))) < 4
        assert repository.verify().problems == ()


def test_another_process_that_makes_the_same_workspace_is_no_conflict(workspaces, tmp_path):
    with WorkspaceRepositories(tmp_path / "root") as elsewhere:
        theirs = elsewhere.create(ONE).publish(make_files(), make_draft()).revision

        assert workspaces.create(ONE).find_head() == theirs


def test_a_file_in_the_place_of_the_directory_is_a_typed_error(tmp_path):
    (tmp_path / "root").write_text("a file")

    with pytest.raises(StoreError) as caught:
        WorkspaceRepositories(tmp_path / "root")

    assert caught.value.code == "store_error"
    assert (tmp_path / "root").read_text() == "a file"


def test_a_repository_of_another_workspace_is_not_passed_for_this_one(workspaces, tmp_path):
    workspaces.create(ONE).close()
    (tmp_path / "root" / "one.git").rename(tmp_path / "root" / "two.git")

    with pytest.raises(StoreCorruptError):
        workspaces.get(TWO)


@pytest.mark.parametrize("make", [WorkspaceRepositories, CheckoutArea])
def test_directories_that_are_made_above_are_for_their_owner_only(tmp_path, make):
    """Whichever command comes first: bundles are for no other user of the machine."""
    make(tmp_path / "data" / "backend" / "below")

    for path in (tmp_path / "data", tmp_path / "data" / "backend"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
