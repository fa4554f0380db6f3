"""The directory of a Backend or a Runtime."""

from __future__ import annotations

import stat

import pytest

from yoi_bundles.errors import StoreError
from yoi_bundles.store import create_data_directory


def test_it_is_made_with_its_ancestors_for_its_owner_only(tmp_path):
    create_data_directory(tmp_path / "a" / "b")
    create_data_directory(tmp_path / "a" / "b")

    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_a_file_in_its_place_is_a_typed_error(tmp_path):
    (tmp_path / "a").write_text("a file")

    with pytest.raises(StoreError) as raised:
        create_data_directory(tmp_path / "a" / "b")

    assert raised.value.code == "store_error"
