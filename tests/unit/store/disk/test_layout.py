"""Directories of data and of repositories: made whole, and made whole again."""

from __future__ import annotations

import shutil
import stat

import pytest
from store_factories import WORKSPACE, snapshot

from yoi_bundles.errors import BundleMissingError, StoreCorruptError, StoreError
from yoi_bundles.store import create_data_directory
from yoi_bundles.store.disk.layout import is_repository, mend_layout, read_workspace


def test_it_is_made_with_its_ancestors_for_its_owner_only(tmp_path):
    create_data_directory(tmp_path / "a" / "b")
    create_data_directory(tmp_path / "a" / "b")

    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_a_file_in_its_place_is_a_typed_error(tmp_path):
    (tmp_path / "a").write_text("a file")

    with pytest.raises(StoreError) as raised:
        create_data_directory(tmp_path / "a" / "b")

    assert raised.value.code == "store_error"


def test_what_a_repository_lost_is_made_anew_and_what_it_has_stays(published):
    config = (published.path / "config").read_bytes()
    (published.path / "HEAD").write_text("ref: refs/heads/other\n")
    shutil.rmtree(published.path / "quarantine")
    before = snapshot(published.path / "objects")

    made = mend_layout(published.path, WORKSPACE)

    assert made == ["quarantine", "HEAD"]
    assert (published.path / "HEAD").read_text() == "ref: refs/heads/main\n"
    assert (published.path / "config").read_bytes() == config
    assert snapshot(published.path / "objects") == before
    assert mend_layout(published.path, WORKSPACE) == []


@pytest.mark.parametrize("text", [None, "", "garbage", "[yoi]\n\tworkspace = other\n"])
def test_a_configuration_that_is_not_of_this_workspace_is_made_anew(published, text):
    config = published.path / "config"
    good = config.read_bytes()
    config.unlink() if text is None else config.write_text(text)

    assert mend_layout(published.path, WORKSPACE) == ["config"]
    assert config.read_bytes() == good


def test_a_repository_without_its_configuration_is_damaged_and_not_absent(published, tmp_path):
    (published.path / "config").unlink()

    assert is_repository(published.path)
    with pytest.raises(StoreCorruptError) as caught:
        read_workspace(published.path)
    assert caught.value.hint == "repair the repository"
    with pytest.raises(BundleMissingError):
        read_workspace(tmp_path / "nothing")


def test_a_configuration_that_cannot_be_read_is_told_without_its_path(published):
    (published.path / "config").unlink()
    (published.path / "config").mkdir()

    with pytest.raises(StoreError) as caught:
        read_workspace(published.path)

    assert caught.value.facts == {"os_error": "EISDIR"}
    assert str(published.path) not in caught.value.message
