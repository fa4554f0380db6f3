"""Names that no repository may have."""

from __future__ import annotations

import pytest

from yoi_bundles.errors import InvalidInputError
from yoi_bundles.model.ids import BUILTIN_WORKSPACE
from yoi_bundles.store import WorkspaceRepositories


def test_no_workspace_takes_the_name_of_the_builtin_profiles(tmp_path):
    repositories = WorkspaceRepositories(tmp_path)

    with pytest.raises(InvalidInputError) as raised:
        repositories.create(BUILTIN_WORKSPACE)

    assert raised.value.code == "invalid_input"
    assert repositories.list() == ()
    repositories.close()
