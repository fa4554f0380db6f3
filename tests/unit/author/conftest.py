"""A workspace on the disk."""

from __future__ import annotations

import pytest
from house import workspace_files


@pytest.fixture
def directory(tmp_path):
    """The directory of the workspace `team`."""
    for path, data in workspace_files().items():
        file = tmp_path / "team" / str(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return tmp_path / "team"
